# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A contender of the comparison: its parts, its training data and its random draws."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model.config import ViVaConfig
from viva_ros.model.noise import integer, weighted
from viva_ros.model.viva import ViVa
from viva_ros.training.augmentation import AugmentSettings, drop_views
from viva_ros.training.dataset import Data
from viva_ros.training.losses import Labels, take
from viva_ros.training.trainer import Losses


@dataclass(frozen=True)
class Contender:
    """
    One trained variant.

    :param module: estimates ``outputs`` from images, joints and task
    :param trained: the part of the module that is trained
    :param loss: loss function of a training stage
    :param finish: called after training
    """

    module: nn.Module
    trained: nn.Module
    loss: Callable[[int, torch.Generator], Losses]
    finish: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Material:
    """
    Data and base model of all contenders.

    :param base: ViVa after its training on video; all contenders use its VAE
    :param data: moments of the training recordings
    :param copies: raw latents of all views: as recorded, then augmented
    """

    base: ViVa
    data: Data
    copies: list[NDArray[np.float16]]
    augment: AugmentSettings
    seed: int

    @property
    def config(self) -> ViVaConfig:
        """Return the configuration of the base model."""
        return self.base.config

    @property
    def ranges(self) -> JointRanges:
        """Ranges of the joints."""
        return self.base.ranges

    def viva(self, pretrained: bool = True, **changes: Any) -> ViVa:
        """
        Return a ViVa with the shared VAE.

        :param pretrained: begin with the transformer that was trained on video
        :param changes: of the configuration
        """
        torch.manual_seed(self.seed)
        model = ViVa(replace(self.config, **changes), self.ranges)
        model.vae.load_state_dict(self.base.vae.state_dict())
        model.latents_mean.copy_(self.base.latents_mean)
        model.latents_std.copy_(self.base.latents_std)
        if pretrained:
            model.transformer.load_state_dict(self.base.transformer.state_dict())
        model.vae.requires_grad_(False)
        return model

    def labels(self, config: ViVaConfig) -> Labels:
        """Return the training labels, with the forecast of a configuration's horizon."""
        return Labels.of(self.data.ahead(config.horizon), self.base, config.tasks)

    def latents(self, rows: Tensor, copy: int) -> Tensor:
        """Return normalised latents of the views of some moments: (B, V, C, H, W)."""
        raw = take(self.copies[copy], rows).float()
        return self.base.normalise_latents(raw.flatten(0, 1)).unflatten(0, raw.shape[:2])


class Draw:
    """Draws moments, each task equally often, with augmented views and joints."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._weights = torch.from_numpy(material.data.balance())

    def rows(self, batch: int, generator: torch.Generator) -> Tensor:
        """Return the rows of a batch, (B,)."""
        return weighted(self._weights, batch, generator)

    def copy(self, generator: torch.Generator) -> int:
        """Choose one of the encoded copies of all views."""
        return integer(len(self._material.copies), generator)

    def views(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return latents of the views of some moments, some views dropped."""
        latents = self._material.latents(rows, self.copy(generator))
        return drop_views(latents, self._material.augment.drop, generator)

    def joints(self, proprio: Tensor, generator: torch.Generator) -> Tensor:
        """Add noise to normalised joints, (B, J)."""
        noise = torch.randn(proprio.shape, generator=generator)
        return (proprio + self._material.augment.joints * noise).clamp(-1.0, 1.0)
