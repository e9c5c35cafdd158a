# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The engine of a checkpoint, by PyTorch.

On a CPU the model as it was trained, which all others are compared with; on a GPU its lean form as
one CUDA graph, in the precision that the engine was compared in (float32 for a bare checkpoint).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError
from viva_ros.core.libraries import remedy
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine import manifest as manifests
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.backend import Backend
from viva_ros.engine.manifest import FLOAT32, Manifest, check_file
from viva_ros.engine.preprocessing import arrange, pack, unpack

KIND = 'pytorch'
SIZES = (8, 4, 2, 1)  # of a batch; to capture a graph takes seconds
Task = NDArray[np.int64]
Outputs = list[NDArray[Any]]


class PytorchEngine:
    """
    Runs ``model.safetensors``.

    :param device: 'cuda', 'cpu', or 'auto': the GPU if there is one
    :raises EngineError: if a file is missing or changed, or torch is not installed
    """

    def __init__(self, folder: Path, task: str, device: str = 'auto') -> None:
        try:
            import torch

            from viva_ros.model import checkpoint
        except ImportError as error:
            raise EngineError(
                f'a checkpoint needs torch ({error}): use an exported engine, or '
                f'{remedy(["torch", "diffusers", "safetensors"])}'
            ) from error
        for name in (checkpoint.DESCRIPTION, checkpoint.WEIGHTS):
            check_file(folder / name)
        made = _made_for_it(folder)
        read = checkpoint.read(folder)
        config = read.model.config
        if task not in config.tasks:
            known = ', '.join(repr(name) for name in config.tasks)
            raise EngineError(
                f'task is {task!r}, the engine knows {known}: set the parameter task'
            )
        on_gpu = device == 'cuda' or (device == 'auto' and torch.cuda.is_available())
        precision = made.precision if made else FLOAT32
        self._model: Any = read.model
        self._runner = self._graphed(precision) if on_gpu else None
        self._task, self._names = config.tasks.index(task), read.model.outputs
        self.info = EngineInfo(
            config.cameras, config.joint_names, config.horizon, config.image_size, config.tasks,
            made.fingerprint if made else read.fingerprint, KIND, f'torch {torch.__version__}',
            torch.cuda.get_device_name() if on_gpu else 'CPU', fits=on_gpu,
        )  # fmt: skip

    def _graphed(self, precision: str) -> Any:
        import torch

        from viva_ros.model.cuda_graph import GraphedModel
        from viva_ros.model.inference import LeanViVa

        runner = GraphedModel(LeanViVa(self._model), getattr(torch, precision))
        self._model = None  # its weights are in the lean form
        return runner

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        return self.estimate_batch([observation])[0]

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """See ``BatchEngine``; on a GPU in parts that have a graph each."""
        found: list[Estimate] = []
        while rest := observations[len(found) :]:
            fitting = next(size for size in SIZES if size <= len(rest))
            found += self._run(rest[:fitting] if self._runner else rest)
        return found

    def _run(self, observations: Sequence[Observation]) -> list[Estimate]:
        run = self._run_graph if self._runner else self._run_eagerly
        try:
            given = run(observations, np.full(len(observations), self._task, dtype=np.int64))
        except RuntimeError as error:
            raise EngineError(f'torch failed: {error}') from error
        outputs = dict(zip(self._names, given, strict=True))
        return unpack(outputs, self.info)

    def _run_graph(self, observations: Sequence[Observation], task: Task) -> Outputs:
        """Run on the GPU, which fits the pictures as well."""
        pictures, proprio = zip(*(arrange(one, self.info) for one in observations), strict=True)
        assert self._runner is not None
        given: Outputs = self._runner.run(
            pictures, {'proprio': np.stack(proprio).astype(np.float32), 'task': task}
        )
        return given

    def _run_eagerly(self, observations: Sequence[Observation], task: Task) -> Outputs:
        from viva_ros.model.cuda_graph import run_eagerly

        images, proprio = pack(observations, self.info)
        return run_eagerly(self._model, {'images': images, 'proprio': proprio, 'task': task})

    def free(self) -> None:
        """Free memory that can be allocated again."""
        if self._runner:
            self._runner.free()

    def close(self) -> None:
        """Free the model; nothing may be estimated after."""
        self._model = self._runner = None


def _made_for_it(folder: Path) -> Manifest | None:
    """Return the description, if it is of an engine for PyTorch; a file changed is refused."""
    if not (folder / manifests.MANIFEST).exists():
        return None
    manifest = manifests.read(folder)
    if manifest.kind != KIND:
        return None
    manifests.check_parity(manifest)
    manifests.read_graph(folder, manifest)
    return manifest


BACKEND: Final = Backend(
    'torch', PytorchEngine, ('float32', 'float16', 'bfloat16'),
    'viva_ros.export.bundle:weights_file',
)  # fmt: skip
