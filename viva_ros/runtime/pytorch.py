# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine of a checkpoint: the model as it was trained, by PyTorch."""

from collections.abc import Sequence
from pathlib import Path

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.runtime.engine import EngineInfo
from viva_ros.runtime.manifest import check_file
from viva_ros.runtime.tensors import pack_batch, unpack_batch


class PytorchEngine:
    """
    Runs ``model.safetensors``.

    :raises EngineError: if a file is missing or changed, or torch is not installed
    """

    def __init__(self, folder: Path, task: str) -> None:
        try:
            import torch

            from viva_ros.model import checkpoint
        except ImportError as error:
            raise EngineError(
                f"a checkpoint needs torch ({error}): run 'pip install viva_ros[train]', or use "
                'an exported engine'
            ) from error
        for name in (checkpoint.DESCRIPTION, checkpoint.WEIGHTS):
            check_file(folder / name)
        read = checkpoint.read(folder)
        config = read.model.config
        if task not in config.tasks:
            known = ', '.join(repr(name) for name in config.tasks)
            raise EngineError(
                f'task is {task!r}, the engine knows {known}: set the parameter task'
            )
        self._torch, self._model = torch, read.model
        self._task = torch.tensor([config.tasks.index(task)])
        self.info = EngineInfo(
            config.cameras, config.joint_names, config.horizon, config.image_size,
            config.tasks, read.fingerprint, 'pytorch',
        )  # fmt: skip

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        return self.estimate_batch([observation])[0]

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """See ``BatchEngine``."""
        images, proprio = pack_batch(observations, self.info)
        torch, count = self._torch, len(observations)
        try:
            with torch.inference_mode():
                given = self._model(
                    torch.from_numpy(images), torch.from_numpy(proprio), self._task.expand(count)
                )
        except RuntimeError as error:
            raise EngineError(f'torch failed: {error}') from error
        arrays = [tensor.numpy() for tensor in given]
        outputs = dict(zip(self._model.outputs, arrays, strict=True))
        return unpack_batch(outputs, self.info, count)

    def close(self) -> None:
        """Free the model; nothing may be estimated after."""
        self._model = None
