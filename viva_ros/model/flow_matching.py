# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Flow matching: straight paths from clean (tau = 0) to noise (tau = 1).

Direction and sign of time stand here alone (METHOD, 3 and 4).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from viva_ros.model import noise as draws


def interpolate(clean: Tensor, noise: Tensor, tau: Tensor) -> Tensor:
    """Give the point of the path at tau, (B,)."""
    tau = tau.view(-1, *[1] * (clean.ndim - 1))
    return (1 - tau) * clean + tau * noise


def flow_velocity(clean: Tensor, noise: Tensor) -> Tensor:
    """Give what the network learns: the path's constant derivative by tau."""
    return noise - clean


def shift_tau(s: Tensor, shift: float) -> Tensor:
    """Move times towards noise: tau = shift s / (1 + (shift - 1) s)."""
    return shift * s / (1 + (shift - 1) * s)


def draw_tau(
    count: int, shift: float, noise_share: float, source: draws.Source = None,
    device: draws.Device = None,
) -> Tensor:  # fmt: skip
    """
    Draw noise levels for training.

    :param noise_share: probability of tau = 1 exactly, where one-step inference works; without
        it the value, repeated over its frame, can be read off the noisy frame near tau = 1
    :returns: (count,), in [0, 1]
    """
    tau = shift_tau(draws.uniform((count,), source, device), shift)
    pure = draws.uniform((count,), source, device) < noise_share
    return torch.where(pure, 1.0, tau)


def denoise(velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int) -> Tensor:
    """
    Follow the flow from noise to clean in equal Euler steps; one step is z_0 = z_1 - v.

    :param velocity: of (noisy, tau (B,))
    :param noise: z_1, (B, ...)
    :raises ValueError: if steps is below 1
    """
    if steps < 1:
        raise ValueError(f'denoising steps are {steps}, must be at least 1')
    z = noise
    for step in range(steps, 0, -1):
        tau = torch.full((noise.shape[0],), step / steps, dtype=z.dtype, device=z.device)
        z = z - velocity(z, tau) / steps
    return z
