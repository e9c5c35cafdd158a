# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine that ships: an ONNX graph run by onnxruntime, without torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import EngineError
from viva_ros.core.libraries import remedy
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.backend import Backend
from viva_ros.engine.backends import onnx_graph as portable
from viva_ros.engine.manifest import info_of
from viva_ros.engine.permissions import AGAIN
from viva_ros.engine.preprocessing import pack, unpack


class OnnxEngine:
    """
    Runs ``engine.onnx``.

    :param threads: more than one collapse where others compute as well
    :raises EngineError: if a file is missing, changed, or cannot be run here
    """

    def __init__(self, folder: Path, task: str, threads: int = 1) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                f'onnxruntime cannot be imported ({error}); {remedy(["onnxruntime"])}'
            ) from error
        graph = portable.read(folder, task, 'onnx')
        self._library, self._threads, self._graph = onnxruntime, threads, graph
        self._one, self._many = self._open(one=True), None
        self._outputs = [output.name for output in self._one.get_outputs()]
        self._inputs = {item.name for item in self._one.get_inputs()}
        self.info = info_of(graph.manifest, 'onnx', f'onnxruntime {onnxruntime.__version__}')

    def _open(self, one: bool) -> Any:
        """
        Open the graph.

        :param one: for one observation at a time, which lets the library compute shapes beforehand
        """
        options = self._library.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = self._threads
        options.log_severity_level = 3
        if one:
            options.add_free_dimension_override_by_name(portable.BATCH, 1)
        try:
            return self._library.InferenceSession(
                self._graph.content, options, providers=['CPUExecutionProvider']
            )
        except Exception as error:  # onnxruntime's own errors share no base class
            raise EngineError(
                f'{self._graph.path} cannot be loaded by onnxruntime '
                f'{self._library.__version__} ({error}): {AGAIN}'
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

    def _run(self, session: Any, observations: Sequence[Observation]) -> list[Estimate]:
        images, proprio = pack(observations, self.info)
        feeds = self._graph.feeds(images, proprio)
        try:
            given = session.run(None, {name: feeds[name] for name in self._inputs})
        except Exception as error:
            raise EngineError(f'onnxruntime failed: {error}') from error
        return unpack(dict(zip(self._outputs, given, strict=True)), self.info)

    def close(self) -> None:
        """Free the sessions; nothing may be estimated after."""
        self._one = self._many = None


BACKEND: Final = Backend(
    'onnxruntime', OnnxEngine, ('float32', 'int8'), 'viva_ros.export.bundle:graph_file', True
)
