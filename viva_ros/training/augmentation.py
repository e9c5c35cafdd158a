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
    return change(pixels, settings, draw(len(pixels), source))


def draw(count: int, source: noise.Source) -> Tensor:
    """Draw the changes of images for ``change``: (count, 8), in [-1, 1)."""
    return noise.uniform((count, 8), source) * 2 - 1


def change(pixels: Tensor, settings: AugmentSettings, drawn: Tensor) -> Tensor:
    """
    Change each image by its row of ``draw``, in proportion to the settings; as ``augment``.

    :param pixels: (B, 3, H, W) in [-1, 1]
    :param drawn: (B, 8)
    """
    count, drawn = len(pixels), drawn.to(pixels.device)
    zoom = 1 + settings.scale * drawn[:, 0]
    theta = torch.zeros(count, 2, 3, device=pixels.device)
    theta[:, 0, 0] = theta[:, 1, 1] = zoom
    theta[:, :, 2] = 2 * settings.shift * drawn[:, 1:3]
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode='border', align_corners=False)
    gain = (1 + settings.contrast * drawn[:, 3:4]) * (1 + settings.tint * drawn[:, 5:8])
    offset = settings.brightness * drawn[:, 4:5]
    return (moved * gain[:, :, None, None] + offset[:, :, None, None]).clamp_(-1.0, 1.0)


def drop_views(latents: Tensor, share: float, source: noise.Source) -> Tensor:
    """Set the latents of random views to zero: (B, V, C, H, W)."""
    kept = noise.uniform(latents.shape[:2], source, latents.device) >= share
    return latents * kept[:, :, None, None, None]
