# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The classifier in the manner of a vision-language model: 201 bins of the return."""

import torch
import torch.nn.functional as F  # noqa: N812

from benchmarks.ablation.baseline import Contender, Draw, Material
from benchmarks.ablation.models.classifier import BinClassifier
from viva_ros.model.viva import to_pixels
from viva_ros.training.augmentation import augment
from viva_ros.training.losses import take
from viva_ros.training.trainer import Losses


class ClassifierLoss:
    """Cross-entropy of the return's bin; the encoder learns, so views are changed in each step."""

    def __init__(self, material: Material, model: BinClassifier) -> None:
        self._material, self._model, self._draw = material, model, Draw(material)
        self._labels = material.labels(model.config)

    def __call__(self, batch: int, generator: torch.Generator) -> Losses:
        """Give losses of a batch of moments."""
        rows, settings = self._draw.rows(batch, generator), self._material.augment
        images = take(self._material.learn.images, rows)
        pixels = augment(to_pixels(images.flatten(0, 1)), settings, generator)
        pixels = pixels.unflatten(0, images.shape[:2])
        kept = torch.rand(images.shape[:2], generator=generator) >= settings.drop
        proprio = self._draw.joints(self._labels.proprio[rows], generator)
        logits = self._model.logits(
            pixels * kept[:, :, None, None, None], proprio, self._labels.task[rows]
        )
        returned = self._labels.latent[rows] + 1  # v = G - 1
        loss = F.cross_entropy(logits, self._model.bins(returned))
        return {'total': loss}


def classifier(material: Material) -> Contender:
    """Give the classifier."""
    torch.manual_seed(material.seed)
    model = BinClassifier(material.config, material.ranges)
    return Contender(model, model, ClassifierLoss(material, model))
