# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
ViVa itself, and what is left of it when one of its parts is taken away.

The views are encoded beforehand, once for all: the VAE does not learn here, and would else take a
third of each step.
"""

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.ablation.baseline import Contender, Draw, Material
from viva_ros.model.targets import IMAGES
from viva_ros.model.viva import ViVa
from viva_ros.training.trainer import Losses


class EncodedLoss:
    """ViVa's loss on moments whose views are encoded already."""

    def __init__(self, material: Material, model: ViVa) -> None:
        self._material, self._model, self._draw = material, model, Draw(material)
        self._labels = material.labels(model.config)
        self._ahead = torch.from_numpy(material.learn.rows_ahead(model.config.horizon))

    def __call__(self, batch: int, generator: torch.Generator) -> Losses:
        """Give losses of a batch of moments."""
        rows = self._draw.rows(batch, generator)
        views = self._draw.views(rows, generator)
        proprio = self._draw.joints(self._labels.proprio[rows], generator)
        goals = self._labels.goals(rows, self._later(rows))
        return self._model.loss(views, proprio, goals, self._labels.task[rows], generator)

    def _later(self, rows: Tensor) -> Tensor | None:
        if IMAGES not in self._model.config.targets:
            return None
        return self._material.latents(self._ahead[rows], 0)


def viva(material: Material, **changes: Any) -> Contender:
    """
    Give ViVa, or an ablation.

    :param changes: of the configuration; ``pretrained`` as in ``Material.viva``
    """
    model = material.viva(**changes)
    return Contender(model, model.transformer, EncodedLoss(material, model))


def frozen(material: Material) -> Contender:
    """Give ViVa with the blocks as the video left them: only what leads in and out learns."""
    model = material.viva()
    model.transformer.blocks.requires_grad_(False)
    model.transformer.condition_embedder.requires_grad_(False)
    ends = nn.Module()
    ends.patch_embedding = model.transformer.patch_embedding
    ends.proj_out = model.transformer.proj_out
    ends.scale_shift_table = model.transformer.scale_shift_table
    return Contender(model, ends, EncodedLoss(material, model))
