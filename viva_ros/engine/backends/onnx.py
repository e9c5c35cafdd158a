# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph run by onnxruntime on the CPU, without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError
from viva_ros.core.foreign_text import shown
from viva_ros.core.libraries import remedy
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.backend import Backend
from viva_ros.engine.manifest import (
    AGAIN,
    LARGEST_GRAPH,
    EngineFolder,
    Manifest,
    check_kind,
    check_parity,
    check_task,
    info_of,
    read_graph,
)
from viva_ros.engine.onnx_external import external_files
from viva_ros.engine.preprocessing import pack, unpack

BATCH: Final = 'batch'  # name of the free batch axis in the graph
IN_MEMORY: Final = 'add_external_initializers_from_files_in_memory'


@dataclass(frozen=True)
class Graph:
    """
    A verified graph, its description and the task.

    :param content: of the ONNX file
    :param task: index
    :param takes_many: whether one call takes any number of observations
    :param external: files with weights of the graph, by the name in the graph
    """

    path: Path
    content: bytes
    manifest: Manifest
    task: int
    takes_many: bool
    external: Mapping[str, bytes]

    def feeds(
        self, images: NDArray[np.uint8], proprio: NDArray[np.float32]
    ) -> dict[str, NDArray[np.generic]]:
        """Return the inputs by name; images are (B, V, H, W, 3), proprio is (B, J)."""
        task = np.full(len(proprio), self.task, dtype=np.int64)
        return {'images': images, 'proprio': proprio, 'task': task}


def load_graph(folder: EngineFolder | Path, task: str, kind: str) -> Graph:
    """
    Read and verify the graph of an engine.

    :param kind: of the backend that runs it
    :raises EngineError: if a file is missing or changed, or kind or task do not fit
    """
    folder = EngineFolder.of(folder)
    manifest = folder.description
    check_parity(manifest)
    check_kind(folder.path, manifest, kind)
    index = check_task(manifest.tasks, task)
    content = read_graph(folder, LARGEST_GRAPH)
    external = {name: folder.read(name) for name in external_files(content)}
    shape = manifest.inputs.get('proprio', {}).get('shape', [1])
    path = folder.path / manifest.file
    return Graph(path, content, manifest, index, shape[0] == 'B', external)


def check_shapes(
    graph: Graph, inputs: Mapping[str, Sequence[Any]], outputs: Mapping[str, Sequence[Any]]
) -> None:
    """
    Check that a graph takes and returns what ``engine.json`` describes.

    A library would report it at each estimate, or repeat the image of one camera for all.

    :param inputs: name to shape; a size that is no number is free, as that of the batch
    :param outputs: likewise; without sizes if they are unknown
    :raises EngineError: with the name, its shape and the shape that is expected
    """
    manifest = graph.manifest
    joints = (len(manifest.ranges.names),)
    images = (len(manifest.cameras), *manifest.image_size, 3)
    taken = {'images': images, 'proprio': joints, 'task': ()}
    returned = {'value': (), 'forecast': joints, 'progress': (), 'success': ()}
    for known, found in ((taken, inputs), (returned, outputs)):
        for name, shape in found.items():
            if name not in known or not _fits(shape, known[name]):
                must = (
                    f'(batch, {", ".join(map(str, known[name]))})' if name in known else 'absent'
                )
                raise EngineError(
                    'graph-shape',
                    f'{graph.path} has {shown(name)} of shape {shown([*shape])}, must be {must} '
                    f'by the cameras, image size and joints of engine.json: {AGAIN}',
                )
    if 'value' not in outputs:
        raise EngineError(
            'graph-value',
            f'{graph.path} has the outputs {shown([*outputs])}, must have value: {AGAIN}',
        )


def _fits(shape: Sequence[Any], expected: tuple[int, ...]) -> bool:
    sizes = zip(shape[1:], expected, strict=False)
    same = all(size == want for size, want in sizes if isinstance(size, int))
    return not shape or (len(shape) == 1 + len(expected) and same)


class OnnxEngine:
    """
    Runs ``engine.onnx``.

    :param threads: several are slow when other programs use the same cores
    :raises EngineError: if a file is missing or changed, or onnxruntime cannot run it
    """

    def __init__(self, folder: EngineFolder | Path, task: str, threads: int = 1) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                'onnxruntime-missing',
                f'onnxruntime cannot be imported ({error}): {remedy(["onnxruntime"])}',
            ) from error
        graph = load_graph(folder, task, 'onnx')
        self._library, self._threads, self._graph = onnxruntime, threads, graph
        self._one, self._many = self._open(one=True), None
        self._outputs = [output.name for output in self._one.get_outputs()]
        self._inputs = {item.name for item in self._one.get_inputs()}
        check_shapes(
            graph, *({one.name: one.shape or () for one in some}
                     for some in (self._one.get_inputs(), self._one.get_outputs()))
        )  # fmt: skip
        self.info = info_of(graph.manifest, 'onnx', f'onnxruntime {onnxruntime.__version__}')

    def _open(self, one: bool) -> Any:
        """
        Open the graph.

        :param one: fix the batch size to 1, so that the library computes shapes beforehand
        """
        options = self._library.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = self._threads
        options.log_severity_level = 3
        if one:
            options.add_free_dimension_override_by_name(BATCH, 1)
        self._add_external(options)
        try:
            return self._library.InferenceSession(
                self._graph.content, options, providers=['CPUExecutionProvider']
            )
        except Exception as error:  # errors of onnxruntime share no base class
            raise EngineError(
                'onnx-graph-invalid',
                f'{self._graph.path} cannot be loaded by onnxruntime '
                f'{self._library.__version__} ({error}): {AGAIN}',
            ) from error

    def _add_external(self, options: Any) -> None:
        """Pass the verified bytes of external data: the library opens no file then."""
        external = self._graph.external
        if not external:
            return
        if not hasattr(options, IN_MEMORY):
            raise EngineError(
                'onnxruntime-external-data',
                f'{self._graph.path} has weights in other files, which onnxruntime '
                f'{self._library.__version__} cannot take: {remedy(["onnxruntime"])} of a newer '
                'version',
            )
        sizes = [len(content) for content in external.values()]
        getattr(options, IN_MEMORY)(list(external), list(external.values()), sizes)

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        return self._run(self._one, [observation])[0]

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """See ``BatchEngine``; a graph with batch size 1 runs once per observation."""
        if len(observations) == 1 or not self._graph.takes_many:
            return [self.estimate(observation) for observation in observations]
        self._many = self._many or self._open(one=False)
        return self._run(self._many, observations)

    def _run(self, session: Any, observations: Sequence[Observation]) -> list[Estimate]:
        images, proprio = pack(observations, self.info)
        feeds = self._graph.feeds(images, proprio)
        try:
            outputs = session.run(None, {name: feeds[name] for name in self._inputs})
        except Exception as error:
            raise EngineError('onnxruntime-failed', f'onnxruntime failed: {error}') from error
        return unpack(dict(zip(self._outputs, outputs, strict=True)), self.info)

    def close(self) -> None:
        """Free the sessions; the engine cannot be used afterwards."""
        self._one = self._many = None


BACKEND: Final = Backend(
    'onnxruntime', OnnxEngine, ('float32', 'int8'), 'viva_ros.export.bundle:graph_file', True
)
