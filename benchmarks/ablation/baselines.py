# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The goal-conditioned value, ICVF (Ghosh et al., 2023): trained on order in time alone.

Outcomes are used only in inference: the goals are final states of successful episodes.
"""

import copy
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.ablation.baseline import Contender, Draw, Material
from benchmarks.ablation.models.goal_value import DISCOUNT, GoalValue
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa
from viva_ros.training.losses import ProprioLoss, ViVaLoss
from viva_ros.training.trainer import Losses

BINS: Final = 201
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
        episode = torch.from_numpy(material.data.episode)
        self._last = torch.searchsorted(episode, episode, right=True) - 1
        self._target = copy.deepcopy(model).requires_grad_(False)
        self._pairs = list(zip(_parameters(self._target), _parameters(model), strict=True))

    def __call__(self, batch: int, generator: torch.Generator) -> Losses:
        """Return losses of a batch of moments, each followed by the next of its episode."""
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
        Return the expectile loss of both heads.

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
    """Return the goal-conditioned value, with endings of training successes as its goals."""
    torch.manual_seed(material.seed)
    model = GoalValue(material.config, material.ranges, GOALS)
    model.vae.load_state_dict(material.base.vae.state_dict())
    model.vae.requires_grad_(False)
    model.latents_mean.copy_(material.base.latents_mean)
    model.latents_std.copy_(material.base.latents_std)
    set_goals(model, material)
    trained = nn.ModuleDict({'state': model.state, 'goal': model.goal, 'heads': model.heads})
    return Contender(model, trained, GoalLoss(material, model))


def set_goals(model: GoalValue, material: Material) -> None:
    """Store final moments of successes of each task, and the mean duration of successes."""
    data, proprio = material.data, material.labels(model.config).proprio
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
        attempts = [int((data.returned[row] < 1.0).sum()) for row in rows]  # without way home
        model.duration[index] = float(np.mean(attempts))


def proprio(material: Material) -> Contender:
    """Return the baseline that uses joints only."""
    torch.manual_seed(material.seed)
    model = ProprioModel(material.ranges, len(material.config.tasks))
    labels = material.labels(material.config)
    return Contender(model, model, ProprioLoss(model, labels, material.augment))


def bins(material: Material) -> Contender:
    """Return the trunk with a head that classifies the return into bins: no flow matching."""
    viva = material.viva(targets=('value',))
    torch.manual_seed(material.seed)
    model = EarlyExit.of(viva, viva.config.transformer.num_layers, BINS)
    model.viva.transformer.requires_grad_(True)
    for unused in (model.viva.transformer.proj_out, model.viva.transformer.norm_out):
        unused.requires_grad_(False)
    model.viva.transformer.scale_shift_table.requires_grad_(False)
    trained = nn.ModuleDict({'transformer': model.viva.transformer, 'head': model.head})
    return Contender(model, trained, encoded_loss(material, model))


def encoded_loss(material: Material, model: ViVa | EarlyExit) -> ViVaLoss:
    """Return ViVa's loss on moments whose views are encoded already."""
    labels = material.labels(model.config)
    return ViVaLoss(model, material.data, labels, material.augment, material.copies)


def viva(material: Material, **changes: Any) -> Contender:
    """
    Return ViVa, or an ablation.

    :param changes: of the configuration; ``pretrained`` as in ``Material.viva``
    """
    model = material.viva(**changes)
    return Contender(model, model.transformer, encoded_loss(material, model))


def frozen(material: Material) -> Contender:
    """Return ViVa with frozen blocks: only the input and output layers are trained."""
    model = material.viva()
    model.transformer.blocks.requires_grad_(False)
    model.transformer.condition_embedder.requires_grad_(False)
    ends = nn.Module()
    ends.patch_embedding = model.transformer.patch_embedding
    ends.proj_out = model.transformer.proj_out
    ends.scale_shift_table = model.transformer.scale_shift_table
    return Contender(model, ends, encoded_loss(material, model))
