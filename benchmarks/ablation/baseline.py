# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all contenders have in common: what they are made of, and what they learn from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model import noise as draws
from viva_ros.model.config import ViVaConfig
from viva_ros.model.viva import ViVa
from viva_ros.training.augmentation import AugmentSettings, drop_views
from viva_ros.training.dataset import Data
from viva_ros.training.losses import Labels, take
from viva_ros.training.trainer import Losses


@dataclass(frozen=True)
class Contender:
    """
    One who is trained.

    :param module: gives estimates of images, joints and task, as its ``outputs`` name them
    :param learns: the part of it that is trained
    :param loss: as a stage of training wants it
    :param finish: what remains to be done after training
    """

    module: nn.Module
    learns: nn.Module
    loss: Callable[[int, torch.Generator], Losses]
    finish: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Material:
    """
    What all contenders learn from.

    :param base: ViVa after its training on video; its VAE is everybody's
    :param learn: moments of the training recordings
    :param copies: raw latents of all views; first as they are, then changed at random
    """

    base: ViVa
    learn: Data
    copies: list[NDArray[np.float16]]
    augment: AugmentSettings
    seed: int

    @property
    def config(self) -> ViVaConfig:
        """Of the base."""
        return self.base.config

    @property
    def ranges(self) -> JointRanges:
        """Of the joints."""
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
        """Return what is learnt, with the forecast of a configuration's horizon."""
        return Labels.of(self.learn.ahead(config.horizon), self.base, config.tasks)

    def latents(self, rows: Tensor, copy: int) -> Tensor:
        """Return normalised latents of the views of some moments: (B, V, C, H, W)."""
        raw = take(self.copies[copy], rows).float()
        return self.base.normalise_latents(raw.flatten(0, 1)).unflatten(0, raw.shape[:2])


class Draw:
    """Draws moments, all tasks alike, with views and joints changed at random."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._weights = torch.from_numpy(material.learn.balance())

    def rows(self, batch: int, generator: torch.Generator) -> Tensor:
        """Return the rows of a batch, (B,)."""
        return draws.weighted(self._weights, batch, generator)

    def copy(self, generator: torch.Generator) -> int:
        """Choose one of the encoded copies of all views."""
        return draws.integer(len(self._material.copies), generator)

    def views(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return latents of the views of some moments, some views dropped."""
        latents = self._material.latents(rows, self.copy(generator))
        return drop_views(latents, self._material.augment.drop, generator)

    def joints(self, proprio: Tensor, generator: torch.Generator) -> Tensor:
        """Add noise to normalised joints, (B, J)."""
        noise = torch.randn(proprio.shape, generator=generator)
        return (proprio + self._material.augment.joints * noise).clamp(-1.0, 1.0)
