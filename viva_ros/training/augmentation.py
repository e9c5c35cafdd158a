# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation of training images: random shift, scale and colour, independent for each view."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from viva_ros.model import noise


@dataclass(frozen=True)
class AugmentSettings:
    """
    Ranges of the augmentation; changes are drawn uniformly between minus and plus the range.

    :param shift: share of the image side
    :param scale: relative change of the zoom
    :param contrast: relative change of all pixels
    :param brightness: offset of pixels in [-1, 1]
    :param tint: relative change of each colour channel
    :param drop: probability that the latents of a view are set to zero, their mean
    :param joints: standard deviation of Gaussian noise on normalised joints
    """

    shift: float = 0.06
    scale: float = 0.08
    contrast: float = 0.2
    brightness: float = 0.15
    tint: float = 0.08
    drop: float = 0.1
    joints: float = 0.01


def augment(pixels: Tensor, settings: AugmentSettings, source: noise.Source) -> Tensor:
    """
    Augment each image by its own draw.

    :param pixels: (B, 3, H, W) in [-1, 1]
    :returns: (B, 3, H, W) in [-1, 1]; pixels from outside the image repeat the border
    """
    count = len(pixels)
    draw = noise.uniform((count, 8), source, pixels.device) * 2 - 1
    zoom = 1 + settings.scale * draw[:, 0]
    theta = torch.zeros(count, 2, 3, device=pixels.device)
    theta[:, 0, 0] = theta[:, 1, 1] = zoom
    theta[:, :, 2] = 2 * settings.shift * draw[:, 1:3]
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode='border', align_corners=False)
    gain = (1 + settings.contrast * draw[:, 3:4]) * (1 + settings.tint * draw[:, 5:8])
    offset = settings.brightness * draw[:, 4:5]
    return (moved * gain[:, :, None, None] + offset[:, :, None, None]).clamp_(-1.0, 1.0)


def drop_views(latents: Tensor, share: float, source: noise.Source) -> Tensor:
    """Set the latents of random views to zero: (B, V, C, H, W)."""
    kept = noise.uniform(latents.shape[:2], source, latents.device) >= share
    return latents * kept[:, :, None, None, None]
