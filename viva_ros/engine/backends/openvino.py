# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A graph compiled by OpenVINO for a fixed batch size, with inputs in memory of this module.

It can be split in two: bfloat16 up to a tensor that depends on all images (the seam), float32
after it. The first part takes most of the time; the value is sensitive to rounding in the second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError
from viva_ros.core.libraries import remedy
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.backend import Backend
from viva_ros.engine.backends.onnx import check_shapes, load_graph
from viva_ros.engine.manifest import AGAIN, EngineFolder, info_of
from viva_ros.engine.preprocessing import pack, unpack

BFLOAT16: Final = 'BF16'  # name of the CPU capability
HINTS: Final = {'float32': 'f32', 'bfloat16': 'bf16'}


@dataclass(frozen=True)
class GraphSource:
    """
    A graph to compile.

    :param content: of the ONNX file
    :param seam: name of the tensor that ends the bfloat16 part; empty: all in float32
    """

    content: bytes
    threads: int = 1
    seam: str = ''


def library() -> Any:
    """
    Import OpenVINO.

    :raises EngineError: if it is not installed
    """
    try:
        import openvino
    except ImportError as error:
        raise EngineError(
            'openvino-missing',
            f'openvino cannot be imported ({error}): set engine_kind to onnx, or '
            f'{remedy(["openvino"])}',
        ) from error
    return openvino


def can_bfloat16() -> bool:
    """Return whether the CPU has bfloat16 arithmetic."""
    return BFLOAT16 in library().Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')


class Compiled:
    """
    Runs a compiled graph.

    :param batch: observations in one call
    """

    def __init__(self, source: GraphSource, batch: int) -> None:
        self._inputs: list[tuple[str, NDArray[Any]]] = []
        self._outputs: dict[str, NDArray[Any]] = {}
        self._tensors: list[Any] = []  # kept alive, as requests refer to them
        if source.seam:
            head, tail = cut(source, batch)
            first, rest = self._compile(source, head, 'bfloat16'), self._compile(source, tail)
            rest.set_input_tensor(0, first.get_output_tensor(0))  # the seam, without a copy
            self._requests = [first, rest]
        else:
            self._requests = [self._compile(source, read(source, batch))]

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs by name."""
        for name, array in self._inputs:
            array[...] = feeds[name]
        for request in self._requests:
            request.infer(share_outputs=True)
        return {name: array.copy() for name, array in self._outputs.items()}

    @property
    def shapes(self) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """Return the shapes of inputs and outputs by name."""
        return (
            {name: array.shape for name, array in self._inputs},
            {name: array.shape for name, array in self._outputs.items()},
        )

    def _compile(self, source: GraphSource, model: Any, precision: str = 'float32') -> Any:
        hints = {
            'INFERENCE_NUM_THREADS': source.threads, 'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_PRECISION_HINT': HINTS[precision],
        }  # fmt: skip
        # Compiling may add names to a tensor: inputs and outputs are matched by order.
        inputs = [port.any_name for port in model.inputs]
        outputs = [port.any_name for port in model.outputs]
        made = library().Core().compile_model(model, 'CPU', hints)
        request = made.create_infer_request()
        for index, name in enumerate(inputs):
            if name != source.seam:
                array, tensor = self._memory(made.input(index))
                self._inputs.append((name, array))
                request.set_input_tensor(index, tensor)
        self._outputs = {}  # of the last part
        for index, name in enumerate(outputs):
            self._outputs[name], tensor = self._memory(made.output(index))
            request.set_output_tensor(index, tensor)
        return request

    def _memory(self, port: Any) -> tuple[NDArray[Any], Any]:
        array = np.zeros(tuple(port.shape), port.element_type.to_dtype())
        self._tensors.append(library().Tensor(array, shared_memory=True))
        return array, self._tensors[-1]


def read(source: GraphSource, batch: int) -> Any:
    """Return the model for a batch size, with constant shapes folded."""
    model = library().Core().read_model(source.content, b'')
    model.reshape({i.any_name: [batch, *list(i.partial_shape)[1:]] for i in model.inputs})
    passes = import_module('openvino.passes')
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(model)
    return model


def cut(source: GraphSource, batch: int) -> tuple[Any, Any]:
    """
    Return the models before and after the seam; the seam is the first input of the second.

    :raises KeyError: if no tensor has the name of the seam
    """
    openvino, operations = library(), import_module('openvino.opset13')
    before, behind = read(source, batch), read(source, batch)
    until, since = _tensor(before, source.seam), _tensor(behind, source.seam)
    head = openvino.Model([operations.result(until)], _parameters([until.get_node()]), 'head')
    entry = operations.parameter(since.get_shape(), since.get_element_type(), name=source.seam)
    entry.output(0).set_names({source.seam})
    for target in list(since.get_target_inputs()):
        target.replace_source_output(entry.output(0))
    results = behind.get_results()
    others = [p for p in _parameters(results) if p.get_friendly_name() != source.seam]
    return head, openvino.Model(results, [entry, *others], 'tail')


def _tensor(model: Any, name: str) -> Any:
    for node in model.get_ordered_ops():
        for output in node.outputs():
            if name in output.get_names():
                return output
    raise KeyError(name)


def _parameters(nodes: list[Any]) -> list[Any]:
    """Return the inputs that nodes depend on."""
    found, visited, pending = [], set(), list(nodes)
    while pending:
        node = pending.pop()
        if node.get_friendly_name() in visited:
            continue
        visited.add(node.get_friendly_name())
        if node.get_type_name() == 'Parameter':
            found.append(node)
        pending += [value.get_node() for value in node.input_values()]
    return found


SIZES: Final = (8, 4, 2, 1)  # of batches: fixed shapes are faster than free ones


class OpenvinoEngine:
    """
    Runs ``engine.onnx`` in float32, partly in bfloat16, or in 8 bits if the graph is quantized.

    :param threads: several are slow when other programs use the same cores
    :raises EngineError: if a file is missing or changed, or OpenVINO cannot run it
    """

    def __init__(self, folder: EngineFolder | Path, task: str, threads: int = 1) -> None:
        version = library().__version__.split('-')[0]
        self._graph = graph = load_graph(folder, task, 'openvino')
        if graph.external:  # the library would open these files itself, unverified
            raise EngineError(
                'openvino-external-data',
                f'{graph.path} has weights in {", ".join(sorted(graph.external))}, which openvino '
                'cannot take from memory: set engine_kind to onnx',
            )
        seam = graph.manifest.seam if can_bfloat16() else ''
        self._source = GraphSource(graph.content, threads, seam)
        self._compiled: dict[int, Compiled] = {}
        check_shapes(graph, *self._for(1).shapes)
        how = f'openvino {version}'
        if graph.manifest.seam:
            how += ', bfloat16 in part' if seam else ', float32: this CPU has no bfloat16'
        self.info = info_of(graph.manifest, 'openvino', how)

    def _for(self, batch: int) -> Compiled:
        """Return the graph for a batch size; it is compiled at its first use."""
        if batch not in self._compiled:
            try:
                self._compiled[batch] = Compiled(self._source, batch)
            except Exception as error:  # OpenVINO raises RuntimeError and errors of its own
                reason = str(error).strip().splitlines()[-1]
                raise EngineError(
                    'openvino-graph-invalid',
                    f'{self._graph.path} cannot be loaded by openvino '
                    f'{library().__version__} ({reason}): {AGAIN}, or set engine_kind '
                    'to onnx',
                ) from error
        return self._compiled[batch]

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        return self._run([observation])[0]

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """See ``BatchEngine``; a batch is split into SIZES."""
        found: list[Estimate] = []
        for size in SIZES if self._graph.takes_many else (1,):
            while len(observations) - len(found) >= size:
                found += self._run(observations[len(found) : len(found) + size])
        return found

    def _run(self, observations: Sequence[Observation]) -> list[Estimate]:
        images, proprio = pack(observations, self.info)
        count = len(observations)
        compiled = self._for(count)
        try:
            outputs = compiled(self._graph.feeds(images, proprio))
        except Exception as error:
            raise EngineError('openvino-failed', f'openvino failed: {error}') from error
        shaped = {
            name: array.reshape((count, -1) if name == 'forecast' else count)
            for name, array in outputs.items()
        }
        return unpack(shaped, self.info)

    def close(self) -> None:
        """Free the compiled graphs; the engine cannot be used afterwards."""
        self._compiled.clear()


BACKEND: Final = Backend(
    'openvino', OpenvinoEngine, ('float32', 'bfloat16', 'int8'),
    'viva_ros.export.bundle:graph_file', True,
)  # fmt: skip
