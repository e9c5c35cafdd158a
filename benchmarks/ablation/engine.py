# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A trained contender as an engine: for one observation, or for many at once."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.ablation.models.goal_value import GoalValue
from benchmarks.ablation.packs import Pack
from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.preprocessing import pack, unpack
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.inference import LeanViVa
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa

BATCH = 64


class ModuleEngine:
    """
    Runs a module on the CPU.

    :param module: returns ``outputs`` for images, joints and task
    :raises EngineError: if the module was not trained on the task
    """

    def __init__(self, module: nn.Module, info: EngineInfo, task: str) -> None:
        if task not in info.tasks:
            raise EngineError(
                'compare-task', f'task is {task!r}, must be one of {", ".join(info.tasks)}'
            )
        self.info, self._module = info, module
        self._task = torch.tensor([info.tasks.index(task)])

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        images, proprio = map(torch.from_numpy, pack([observation], self.info))
        with torch.inference_mode():
            given = _give(self._module, images, proprio, self._task)
        arrays = [tensor.numpy() for tensor in given]
        return unpack(dict(zip(outputs(self._module), arrays, strict=True)), self.info)[0]

    def close(self) -> None:
        """Do nothing: the engine holds no resources."""


def outputs(module: nn.Module) -> Sequence[str]:
    """Return the outputs of a module by name."""
    if isinstance(module, ProprioModel):
        return ('value', 'forecast')
    named: Sequence[str] = module.outputs  # type: ignore[assignment]
    return named


def _give(module: nn.Module, images: Tensor, proprio: Tensor, task: Tensor) -> Sequence[Tensor]:
    if isinstance(module, ProprioModel):
        return module(proprio, task)
    given: Sequence[Tensor] = module(images, proprio, task)
    return given


def estimates(module: nn.Module, seen: Pack, task: int) -> dict[str, NDArray[np.floating]]:
    """
    Return all outputs for a pack, computed in batches; equal to ``estimate`` up to rounding.

    :param task: index
    :returns: by name, (N, ...)
    """
    names, parts = outputs(module), []
    if isinstance(module, ViVa | EarlyExit):
        module = LeanViVa(module)  # the same numbers, up to rounding, in two thirds of the time
    with torch.inference_mode():
        for start in range(0, len(seen.proprio), BATCH):
            rows = slice(start, start + BATCH)
            proprio = torch.from_numpy(seen.proprio[rows])
            tasks = torch.full((len(proprio),), task)
            parts.append(_give_packed(module, seen, rows, proprio, tasks))
    columns = [torch.cat(column).numpy() for column in zip(*parts, strict=True)]
    return dict(zip(names, columns, strict=True))


def _give_packed(
    module: nn.Module, seen: Pack, rows: slice, proprio: Tensor, tasks: Tensor
) -> Sequence[Tensor]:
    """Use the stored latents if the module has the shared VAE."""
    if isinstance(module, LeanViVa):
        return module.estimate(torch.from_numpy(seen.latents[rows]), proprio, tasks)
    if isinstance(module, GoalValue):
        return module.from_latents(torch.from_numpy(seen.latents[rows]), proprio, tasks)
    return _give(module, torch.from_numpy(seen.images[rows]), proprio, tasks)
