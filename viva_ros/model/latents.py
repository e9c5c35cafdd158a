# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The latent frames that a model denoises, and the outputs read from them.

ViVa denoises future proprioception and the value v = G - 1, where G is the return
(``core.returns``). Proprioception is optional; future views and an outcome frame can be added.
With an outcome frame, the value frame is the progress, learnt from successes alone; the outcome
frame is learnt from all episodes. One denoising step predicts a conditional mean, so the outcome
frame reads as the probability of success, and V = progress - P(failure). On the way home, before
an attempt starts, the remaining part is above 1 (``core.returns.attempt_returns``): the progress
is below 0 in V, and published as 0.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor


def inject_proprio(proprio: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """
    Fill a latent frame with repeats of the joints; the last repeat can be incomplete.

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
    Average the complete repeats of the joints in a latent frame.

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
    Stack the clean frames: blank, proprioception, images.

    :param proprio: (B, J), normalised
    :param images: latents, normalised, (B, V, C, H, W)
    :returns: (B, C, 2 + V, H, W)
    """
    frame = inject_proprio(proprio, (images.shape[2], images.shape[3], images.shape[4]))
    blank = torch.zeros_like(frame)
    return torch.cat([torch.stack([blank, frame], dim=2), images.transpose(1, 2)], dim=2)


PROPRIO, IMAGES, VALUE, SUCCESS = NAMES = ('proprio', 'images', 'value', 'success')
WEIGHTS: Final = {PROPRIO: 0.5, IMAGES: 0.5, VALUE: 1.0, SUCCESS: 1.0}


@dataclass(frozen=True)
class Goals:
    """
    Training targets of moments; only those that a model denoises are used.

    :param latent: v = G - 1, (B,)
    :param future: joints one horizon later, normalised, (B, J)
    :param failed: 1 if the episode ends in failure, else 0, (B,)
    :param images: latents of the views one horizon later, (B, V, C, H, W)
    """

    latent: Tensor
    future: Tensor | None = None
    failed: Tensor | None = None
    images: Tensor | None = None


class Targets:
    """
    The frames to denoise, in order.

    :param names: of NAMES, in their order, with 'value'
    :param views: number of cameras
    :param lowest_progress: smallest progress in V with an outcome frame, in [-1, 0]
    :raises ValueError: if a name is unknown, 'value' is missing, or the order differs
    """

    def __init__(self, names: Sequence[str], views: int, lowest_progress: float = -1.0) -> None:
        if VALUE not in names or list(names) != [name for name in NAMES if name in names]:
            raise ValueError(
                f'targets are {tuple(names)}, must be of {NAMES} in order, with value'
            )
        self.names = tuple(names)
        self._lowest = lowest_progress
        sizes = [views if name == IMAGES else 1 for name in names]
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        self.count = ends[-1]
        self.places = {
            name: slice(end - size, end)
            for name, size, end in zip(names, sizes, ends, strict=True)
        }  # fmt: skip

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs in order: value, then forecast, progress, success if denoised."""
        forecast = ('forecast',) if PROPRIO in self.names else ()
        outcome = ('progress', 'success') if SUCCESS in self.names else ()
        return ('value', *forecast, *outcome)

    def clean(self, goals: Goals, shape: tuple[int, int, int]) -> Tensor:
        """
        Stack the clean target frames, (B, C, count, H, W).

        :param shape: channels, height, width
        :raises ValueError: if a goal of a target is missing
        """
        frames = [frame for name in self.names for frame in self._frames(name, goals, shape)]
        return torch.stack(frames, dim=2)

    def _frames(self, name: str, goals: Goals, shape: tuple[int, int, int]) -> list[Tensor]:
        if name == PROPRIO:
            return [inject_proprio(_required(goals.future, name), shape)]
        if name == IMAGES:
            return list(_required(goals.images, name).unbind(1))
        if name == SUCCESS:
            return [inject_value(2 * _required(goals.failed, name) - 1, shape)]
        latent = goals.latent
        if SUCCESS in self.names:  # v = G - 1 and G = remaining + failed: 2 remaining - 1
            latent = 2 * (latent + 1 - _required(goals.failed, SUCCESS)) - 1
        return [inject_value(latent, shape)]

    def weigh(self, errors: Tensor, goals: Goals) -> dict[str, Tensor]:
        """
        Average squared errors over a batch; linear in the samples, so a batch can be split.

        :param errors: (B, count)
        :returns: by name; 'total' is the loss to minimise
        """
        parts = {name: errors[:, place].mean() for name, place in self.places.items()}
        if SUCCESS in self.names:
            succeeded = 1 - _required(goals.failed, SUCCESS)
            progress = errors[:, self.places[VALUE]].squeeze(1)
            parts[VALUE] = (progress * succeeded).mean()
        total = sum(WEIGHTS[name] * part for name, part in parts.items())
        return {'total': torch.as_tensor(total), **parts}

    def read(self, frames: Tensor, joints: int) -> dict[str, Tensor]:
        """
        Read denoised frames.

        :param frames: (B, C, count, H, W)
        :returns: by names of ``outputs``, (B,) each; forecast normalised, (B, J)
        """
        means = {
            name: read_value(frames[:, :, self.places[name]])
            for name in (VALUE, SUCCESS) if name in self.names
        }  # fmt: skip
        forecast = None
        if PROPRIO in self.names:
            forecast = read_proprio(frames[:, :, self.places[PROPRIO]], joints)
        return self.to_outputs(means, forecast)

    def to_outputs(
        self, means: Mapping[str, Tensor], forecast: Tensor | None
    ) -> dict[str, Tensor]:
        """
        Convert readings of the frames to ``outputs``.

        :param means: of the value frame and of the outcome frame, if any, (B,)
        :param forecast: normalised, (B, J); None if it is not denoised
        :returns: as ``read``
        """
        value = -means[VALUE]
        found = {'value': value.clamp(-1.0, 1.0)}
        if forecast is not None:
            found['forecast'] = forecast
        if SUCCESS in self.names:
            found['progress'], found['success'] = _to_unit(value), _to_unit(-means[SUCCESS])
            progress = ((value + 1) / 2).clamp(self._lowest, 1.0)
            found['value'] = (progress + found['success'] - 1).clamp(-1.0, 1.0)
        return found


def _to_unit(reading: Tensor) -> Tensor:
    """Scale [-1, 1] to [0, 1], clamped."""
    return ((reading + 1) / 2).clamp(0.0, 1.0)


def _required(goal: Tensor | None, name: str) -> Tensor:
    if goal is None:
        raise ValueError(f'goals of {name} are missing, the model denoises them')
    return goal
