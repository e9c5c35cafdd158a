# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ONNX graph run by OpenVINO: faster than onnxruntime on most CPUs, slower to load."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.runtime import portable
from viva_ros.runtime.manifest import AGAIN, info_of
from viva_ros.runtime.tensors import pack_batch, unpack_batch


class OpenvinoEngine:
    """
    Runs ``engine.onnx`` in float32, or in the 8 bits that are written in it.

    :param threads: more than one collapse where others compute as well
    :raises EngineError: if a file is missing, changed, or cannot be run here
    """

    def __init__(self, folder: Path, task: str, threads: int = 1) -> None:
        try:
            import openvino
        except ImportError as error:
            raise EngineError(
                f"openvino cannot be imported ({error}): run 'pip install viva_ros[openvino]', or "
                'set engine_kind to onnx'
            ) from error
        graph = portable.read(folder, task, 'openvino')
        self._library, self._threads, self._graph = openvino, threads, graph
        self._one, self._many = self._open(one=True), None
        version = openvino.__version__.split('-')[0]
        self.info = info_of(graph.manifest, 'openvino', f'openvino {version}')

    def _open(self, one: bool) -> Any:
        """
        Compile the graph.

        :param one: for one observation at a time, which lets the library compute shapes beforehand
        """
        hints = {
            'INFERENCE_NUM_THREADS': self._threads, 'INFERENCE_PRECISION_HINT': 'f32',
            'PERFORMANCE_HINT': 'LATENCY',
        }  # fmt: skip
        try:
            core = self._library.Core()
            model = core.read_model(self._graph.content, b'')
            # Compiling may add names to a tensor: afterwards they are told by their order.
            self._inputs = [item.any_name for item in model.inputs]
            self._outputs = [output.any_name for output in model.outputs]
            if one:
                shapes = {i.any_name: [1, *list(i.partial_shape)[1:]] for i in model.inputs}
                model.reshape(shapes)
            return core.compile_model(model, 'CPU', hints).create_infer_request()
        except Exception as error:  # OpenVINO raises RuntimeError and errors of its own
            reason = str(error).strip().splitlines()[-1]
            raise EngineError(
                f'{self._graph.path} cannot be loaded by openvino {self._library.__version__} '
                f'({reason}): {AGAIN}, or set engine_kind to onnx'
            ) from error

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        return self._run(self._one, [observation])[0]

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """See ``BatchEngine``; a graph for one at a time is run for each."""
        if len(observations) == 1 or not self._graph.takes_many:
            return [self.estimate(observation) for observation in observations]
        self._many = self._many or self._open(one=False)
        return self._run(self._many, observations)

    def _run(self, request: Any, observations: Sequence[Observation]) -> list[Estimate]:
        images, proprio = pack_batch(observations, self.info)
        count = len(observations)
        feeds = self._graph.feeds(images, proprio)
        try:
            found = request.infer([feeds[name] for name in self._inputs])
            given = {
                name: found[index].reshape(count, -1) for index, name in enumerate(self._outputs)
            }
        except Exception as error:
            raise EngineError(f'openvino failed: {error}') from error
        shaped = {n: a if n == 'forecast' else a.reshape(count) for n, a in given.items()}
        return unpack_batch(shaped, self.info, count)

    def close(self) -> None:
        """Free the compiled graphs; nothing may be estimated after."""
        self._one = self._many = None
