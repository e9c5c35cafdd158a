# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A checkpoint run by PyTorch.

On a CPU it runs the model as trained, the reference of all other engines; on a GPU the optimised
model as one CUDA graph, in the precision of the export (float32 for a checkpoint).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError
from viva_ros.core.libraries import remedy
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.backend import Backend
from viva_ros.engine.manifest import (
    FLOAT32,
    EngineFolder,
    Manifest,
    check_parity,
    check_task,
)
from viva_ros.engine.preprocessing import arrange, pack, unpack

KIND = 'pytorch'
SIZES = (8, 4, 2, 1)  # of batches: capturing a graph takes seconds
Task = NDArray[np.int64]
Outputs = list[NDArray[Any]]


class PytorchEngine:
    """
    Runs ``model.safetensors``.

    :param device: 'cuda', 'cpu', or 'auto': the GPU if there is one
    :raises EngineError: if a file is missing or changed, or torch is not installed
    """

    def __init__(self, folder: EngineFolder | Path, task: str, device: str = 'auto') -> None:
        try:
            import torch

            from viva_ros.model import checkpoint
        except ImportError as error:
            raise EngineError(
                'checkpoint-torch-missing',
                f'a checkpoint needs torch ({error}): use an exported engine, or '
                f'{remedy(["torch", "diffusers", "safetensors"])}',
            ) from error
        folder = EngineFolder.of(folder)
        manifest = _own_manifest(folder)
        read = checkpoint.read(folder)
        config = read.model.config
        index = check_task(config.tasks, task)
        on_gpu = device == 'cuda' or (device == 'auto' and torch.cuda.is_available())
        precision = manifest.precision if manifest else FLOAT32
        self._model: Any = read.model
        self._runner = self._graphed(precision) if on_gpu else None
        self._task, self._names = index, read.model.outputs
        self.info = EngineInfo(
            config.cameras, config.joint_names, config.horizon, config.image_size, config.tasks,
            manifest.fingerprint if manifest else read.fingerprint, KIND,
            f'torch {torch.__version__}', torch.cuda.get_device_name() if on_gpu else 'CPU',
            fits=on_gpu,
        )  # fmt: skip

    def _graphed(self, precision: str) -> Any:
        import torch

        from viva_ros.model.cuda_graph import GraphedModel
        from viva_ros.model.inference import LeanViVa

        runner = GraphedModel(LeanViVa(self._model), getattr(torch, precision))
        self._model = None  # the lean form has its weights
        return runner

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        return self.estimate_batch([observation])[0]

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """See ``BatchEngine``; on a GPU a batch is split into SIZES."""
        found: list[Estimate] = []
        while rest := observations[len(found) :]:
            size = next(most for most in SIZES if most <= len(rest))
            found += self._run(rest[:size] if self._runner else rest)
        return found

    def _run(self, observations: Sequence[Observation]) -> list[Estimate]:
        run = self._run_graph if self._runner else self._run_eagerly
        try:
            outputs = run(observations, np.full(len(observations), self._task, dtype=np.int64))
        except RuntimeError as error:
            raise EngineError('torch-failed', f'torch failed: {error}') from error
        return unpack(dict(zip(self._names, outputs, strict=True)), self.info)

    def _run_graph(self, observations: Sequence[Observation], task: Task) -> Outputs:
        """Run on the GPU, which also letterboxes the images."""
        images, proprio = zip(*(arrange(one, self.info) for one in observations), strict=True)
        assert self._runner is not None
        outputs: Outputs = self._runner.run(
            images, {'proprio': np.stack(proprio).astype(np.float32), 'task': task}
        )
        return outputs

    def _run_eagerly(self, observations: Sequence[Observation], task: Task) -> Outputs:
        from viva_ros.model.cuda_graph import run_eagerly

        images, proprio = pack(observations, self.info)
        return run_eagerly(self._model, {'images': images, 'proprio': proprio, 'task': task})

    def free(self) -> None:
        """Free memory that can be allocated again."""
        if self._runner:
            self._runner.free()

    def close(self) -> None:
        """Free the model; the engine cannot be used afterwards."""
        self._model = self._runner = None


def _own_manifest(folder: EngineFolder) -> Manifest | None:
    """Return the description of an engine for PyTorch; None for other folders."""
    manifest = folder.manifest
    if manifest is None or manifest.kind != KIND:
        return None
    check_parity(manifest)
    return manifest


BACKEND: Final = Backend(
    'torch', PytorchEngine, ('float32', 'float16', 'bfloat16'),
    'viva_ros.export.bundle:weights_file',
)  # fmt: skip
