# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The goal-conditioned value, ICVF (METHOD, 6): order in time is all that it learns from.

Outcomes enter only where it is read, as endings of successes to be reached.
"""

import copy
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.ablation.baseline import Contender, Draw, Material
from benchmarks.ablation.models.goal_value import DISCOUNT, GoalValue
from viva_ros.training.trainer import Losses

EXPECTILE: Final = 0.9
CURRENT: Final = 0.2  # share of goals; the rest are drawn from all moments
TRAJECTORY: Final = 0.5  # likewise
FOLLOW: Final = 0.005  # of the target network, each step
GOALS: Final = 16


class GoalLoss:
    """Expectile temporal difference with hindsight goals, towards a slow copy of the network."""

    def __init__(self, material: Material, model: GoalValue) -> None:
        self._material, self._model, self._draw = material, model, Draw(material)
        self._proprio = material.labels(model.config).proprio
        episode = torch.from_numpy(material.learn.episode)
        self._last = torch.searchsorted(episode, episode, right=True) - 1
        self._target = copy.deepcopy(model).requires_grad_(False)
        self._pairs = list(zip(_parameters(self._target), _parameters(model), strict=True))

    def __call__(self, batch: int, generator: torch.Generator) -> Losses:
        """Give losses of a batch of moments, each followed by the next of its episode."""
        self._follow()
        rows = self._draw.rows(batch, generator)
        goals = self.goals(rows, generator)
        arrays = (rows, torch.minimum(rows + 1, self._last[rows]), goals)
        which = self._draw.copy(generator)
        states, following, ends = (self._look(array, which) for array in arrays)
        return {'total': self.difference(states, following, ends, rows == goals)}

    def goals(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the row of a goal for each row: itself, a later one of its episode, or any."""
        choice = torch.rand(len(rows), generator=generator)
        share = torch.rand(len(rows), generator=generator)
        later = rows + (share * (self._last[rows] - rows + 1)).long()
        drawn = torch.where(choice < CURRENT + TRAJECTORY, later, self._draw.rows(
            len(rows), generator
        ))  # fmt: skip
        return torch.where(choice < CURRENT, rows, drawn)

    def difference(
        self, states: Tensor, following: Tensor, goals: Tensor, there: Tensor
    ) -> Tensor:  # fmt: skip
        """
        Give the expectile loss of both heads.

        A step costs 1 - discount, so that V is in [-1, 0]; at the goal it costs nothing and ends.

        :param there: whether the state is the goal, (B,)
        """
        moving = (~there).float()
        cost = -(1 - DISCOUNT) * moving
        with torch.no_grad():
            after = self._target.values(following, goals)  # (2, B)
            before = self._target.values(states, goals).mean(dim=0)
            gain = cost + DISCOUNT * moving * after.min(dim=0).values - before
            wanted = cost + DISCOUNT * moving * after
        weight = torch.where(gain >= 0, EXPECTILE, 1 - EXPECTILE)
        error = self._model.values(states, goals) - wanted
        return (weight * error.square()).sum(dim=0).mean()

    def _look(self, rows: Tensor, which: int) -> Tensor:
        return self._model.look(self._material.latents(rows, which), self._proprio[rows])

    def _follow(self) -> None:
        with torch.no_grad():
            for slow, quick in self._pairs:
                slow.lerp_(quick, FOLLOW)


def _parameters(model: GoalValue) -> list[nn.Parameter]:
    return [p for part in (model.state, model.goal, model.heads) for p in part.parameters()]


def goal_value(material: Material) -> Contender:
    """Give the goal-conditioned value, with endings of training successes as its goals."""
    torch.manual_seed(material.seed)
    model = GoalValue(material.config, material.ranges, GOALS)
    model.vae.load_state_dict(material.base.vae.state_dict())
    model.vae.requires_grad_(False)
    model.latents_mean.copy_(material.base.latents_mean)
    model.latents_std.copy_(material.base.latents_std)
    set_goals(model, material)
    learns = nn.ModuleDict({'state': model.state, 'goal': model.goal, 'heads': model.heads})
    return Contender(model, learns, GoalLoss(material, model))


def set_goals(model: GoalValue, material: Material) -> None:
    """Keep the last moments of some successes of each task, and how long successes take."""
    data, proprio = material.learn, material.labels(model.config).proprio
    for index, task in enumerate(model.config.tasks):
        rows = [
            data.rows_of(number) for number, label in enumerate(data.labels)
            if label['task'] == task and label['success']
        ]  # fmt: skip
        if not rows:
            continue
        chosen = np.resize([row.stop - 1 for row in rows], GOALS)
        ends = torch.from_numpy(chosen)
        model.goals[index] = model.look(material.latents(ends, 0), proprio[ends])
        model.duration[index] = float(np.mean([row.stop - row.start for row in rows]))
