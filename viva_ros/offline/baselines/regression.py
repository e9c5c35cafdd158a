# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Direct regression with ViVa's trunk: the same frames, and no noise anywhere.

The target frames go in as zeros at tau = 1 and come out as what they should be. So it is a ViVa
whose one noise is zero, and any engine of ViVa runs it.
"""

import torch

from benchmarks.ablation.baseline import Contender, Draw, Material
from viva_ros.model import latents
from viva_ros.model.viva import ViVa
from viva_ros.training.trainer import Losses


class RegressionLoss:
    """Squared error of the target frames after the one step that is also taken live."""

    def __init__(self, material: Material, model: ViVa) -> None:
        self._model, self._draw = model, Draw(material)
        self._labels = material.labels(model.config)

    def __call__(self, batch: int, generator: torch.Generator) -> Losses:
        """Give losses of a batch of moments."""
        rows, model = self._draw.rows(batch, generator), self._model
        views = self._draw.views(rows, generator)
        proprio = self._draw.joints(self._labels.proprio[rows], generator)
        goals = self._labels.goals(rows)
        clean = model.targets.clean(goals, model.config.latent_shape)
        blank = torch.zeros_like(clean)
        video = torch.cat([latents.conditioning(proprio, views), blank], dim=2)
        count, task = model.targets.count, self._labels.task[rows]
        given = -model.velocity(video, torch.ones(batch), count, task)[:, :, -count:]
        return model.targets.weigh((given - clean).square().mean(dim=(1, 3, 4)), goals)


def regression(material: Material) -> Contender:
    """Give the trunk without flow matching."""
    model = material.viva()
    model.noise.zero_()
    return Contender(model, model.transformer, RegressionLoss(material, model))
