# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Writing proprioception and value into latent frames, and reading them out again.

The latent video is [ blank | q_t | image_1 .. image_V | q_{t+K} | v_t ] (METHOD, 2): clean
conditioning first, the frames to denoise last (``targets``).
"""

import math

import torch
from torch import Tensor


def inject_proprio(proprio: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """
    Fill a latent frame with the joints, over and over, the last time perhaps not to the end.

    :param proprio: (B, J), normalised to [-1, 1]
    :param shape: channels, height, width
    :returns: (B, C, H, W)
    :raises ValueError: if a frame does not hold all joints once
    """
    size, joints = math.prod(shape), proprio.shape[1]
    if joints > size:
        raise ValueError(f'{joints} joints do not fit a latent frame of {size} elements')
    repeated = proprio.repeat(1, -(-size // joints))[:, :size]
    return repeated.reshape(-1, *shape)


def read_proprio(frame: Tensor, joints: int) -> Tensor:
    """
    Average the whole repeats of the joints in a latent frame.

    :param frame: (B, C, H, W)
    :returns: (B, J), normalised
    """
    flat = frame.flatten(1)
    repeats = flat.shape[1] // joints
    return flat[:, : repeats * joints].reshape(-1, repeats, joints).mean(dim=1)


def inject_value(latent: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Fill a latent frame with the latent v = -V: (B,) to (B, C, H, W)."""
    return latent.view(-1, 1, 1, 1).expand(-1, *shape)


def read_value(frame: Tensor) -> Tensor:
    """Average a latent frame: (B, C, H, W) to v, (B,)."""
    return frame.flatten(1).mean(dim=1)


def conditioning(proprio: Tensor, images: Tensor) -> Tensor:
    """
    Put the clean frames together.

    :param proprio: (B, J), normalised
    :param images: latents, normalised, (B, V, C, H, W)
    :returns: (B, C, 2 + V, H, W)
    """
    frame = inject_proprio(proprio, (images.shape[2], images.shape[3], images.shape[4]))
    blank = torch.zeros_like(frame)
    return torch.cat([torch.stack([blank, frame], dim=2), images.transpose(1, 2)], dim=2)
