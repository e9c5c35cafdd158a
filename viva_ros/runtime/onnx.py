# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine that ships: an ONNX graph run by onnxruntime, without torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.runtime import manifest as manifests
from viva_ros.runtime.engine import EngineInfo
from viva_ros.runtime.manifest import AGAIN, GRAPH, Manifest
from viva_ros.runtime.tensors import pack_batch, unpack_batch


def info_of(manifest: Manifest, kind: str) -> EngineInfo:
    """Give what an engine says of itself."""
    return EngineInfo(
        manifest.cameras, manifest.ranges.names, manifest.horizon, manifest.image_size,
        manifest.tasks, manifest.fingerprint, kind,
    )  # fmt: skip


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
                f"onnxruntime cannot be imported ({error}): run 'pip install onnxruntime'"
            ) from error
        manifest = manifests.read(folder)
        manifests.check_parity(manifest)
        self._task = np.array([manifests.check_task(manifest, task)], dtype=np.int64)
        graph = manifests.read_graph(folder, manifest)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=['CPUExecutionProvider']
            )
        except Exception as error:  # onnxruntime's own errors share no base class
            raise EngineError(
                f'{folder / GRAPH} cannot be loaded by onnxruntime {onnxruntime.__version__} '
                f'({error}): {AGAIN}'
            ) from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._free = {
            i.name for i in self._session.get_inputs() if not isinstance(i.shape[0], int)
        }
        self.info = info_of(manifest, 'onnx')

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        return self._run([observation])[0]

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """See ``BatchEngine``; a graph for one at a time is run for each."""
        if 'proprio' in self._free:
            return self._run(observations)
        return [self.estimate(observation) for observation in observations]

    def _run(self, observations: Sequence[Observation]) -> list[Estimate]:
        images, proprio = pack_batch(observations, self.info)
        count = len(observations)
        feeds = {'proprio': proprio, 'task': self._task}
        if 'task' in self._free:
            feeds['task'] = self._task.repeat(count)
        if self.info.cameras:
            feeds['images'] = images
        try:
            given = self._session.run(None, feeds)
        except Exception as error:
            raise EngineError(f'onnxruntime failed: {error}') from error
        return unpack_batch(dict(zip(self._outputs, given, strict=True)), self.info, count)

    def close(self) -> None:
        """Free the session; nothing may be estimated after."""
        self._session = None
