# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The latent frames that a model denoises, and what is read from them.

ViVa denoises future proprioception and the value v = G - 1 (METHOD, 2). It may leave out the
first, add the future views, or add a frame of its own for the outcome. Then the value frame is
about progress alone, and is learnt from successes alone: how far has a success come that looks
like this? The outcome frame is learnt from all episodes. One denoising step gives a conditional
mean, so its reading is the probability of success, and V = progress - P(failure) as before.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

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


PROPRIO, IMAGES, VALUE, SUCCESS = NAMES = ('proprio', 'images', 'value', 'success')
WEIGHTS: Final = {PROPRIO: 0.5, IMAGES: 0.5, VALUE: 1.0, SUCCESS: 1.0}


@dataclass(frozen=True)
class Goals:
    """
    What moments lead to; only those that a model denoises are looked at.

    :param latent: v = G - 1, (B,)
    :param future: joints one horizon later, normalised, (B, J)
    :param failed: 1 where the episode fails in the end, else 0, (B,)
    :param images: latents of the views one horizon later, (B, V, C, H, W)
    """

    latent: Tensor
    future: Tensor | None = None
    failed: Tensor | None = None
    images: Tensor | None = None


class Targets:
    """
    The frames to denoise, in order.

    :param names: of NAMES, in their order; 'value' is one of them
    :param views: cameras
    :raises ValueError: if the names are others, or in another order
    """

    def __init__(self, names: Sequence[str], views: int) -> None:
        if VALUE not in names or list(names) != [name for name in NAMES if name in names]:
            raise ValueError(
                f'targets are {tuple(names)}, must be of {NAMES} in order, with value'
            )
        self.names = tuple(names)
        sizes = [views if name == IMAGES else 1 for name in names]
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        self.count = ends[-1]
        self.places = {
            name: slice(end - size, end)
            for name, size, end in zip(names, sizes, ends, strict=True)
        }  # fmt: skip

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return what is read from them, in order: value, then what there is of the rest."""
        forecast = ('forecast',) if PROPRIO in self.names else ()
        apart = ('progress', 'success') if SUCCESS in self.names else ()
        return ('value', *forecast, *apart)

    def clean(self, goals: Goals, shape: tuple[int, int, int]) -> Tensor:
        """
        Put the clean frames together, (B, C, count, H, W).

        :param shape: channels, height, width
        :raises ValueError: if the goals lack one that is denoised
        """
        frames = [frame for name in self.names for frame in self._frames(name, goals, shape)]
        return torch.stack(frames, dim=2)

    def _frames(self, name: str, goals: Goals, shape: tuple[int, int, int]) -> list[Tensor]:
        if name == PROPRIO:
            return [inject_proprio(_given(goals.future, name), shape)]
        if name == IMAGES:
            return list(_given(goals.images, name).unbind(1))
        if name == SUCCESS:
            return [inject_value(2 * _given(goals.failed, name) - 1, shape)]
        latent = goals.latent
        if SUCCESS in self.names:  # v = G - 1 and G = remaining + failed: 2 remaining - 1
            latent = 2 * (latent + 1 - _given(goals.failed, SUCCESS)) - 1
        return [inject_value(latent, shape)]

    def weigh(self, errors: Tensor, goals: Goals) -> dict[str, Tensor]:
        """
        Average squared errors over a batch: linear in its samples, so that it can be shared out.

        :param errors: (B, count)
        :returns: by name, with what is to be minimised as 'total'
        """
        parts = {name: errors[:, place].mean() for name, place in self.places.items()}
        if SUCCESS in self.names:
            well = 1 - _given(goals.failed, SUCCESS)
            progress = errors[:, self.places[VALUE]].squeeze(1)
            parts[VALUE] = (progress * well).mean()
        total = sum(WEIGHTS[name] * part for name, part in parts.items())
        return {'total': torch.as_tensor(total), **parts}

    def read(self, frames: Tensor, joints: int) -> dict[str, Tensor]:
        """
        Read denoised frames.

        :param frames: (B, C, count, H, W)
        :returns: by name of ``outputs``, (B,) each; forecast normalised, (B, J)
        """
        means = {
            name: read_value(frames[:, :, self.places[name]])
            for name in (VALUE, SUCCESS) if name in self.names
        }  # fmt: skip
        forecast = None
        if PROPRIO in self.names:
            forecast = read_proprio(frames[:, :, self.places[PROPRIO]], joints)
        return self.tell(means, forecast)

    def tell(self, means: Mapping[str, Tensor], forecast: Tensor | None) -> dict[str, Tensor]:
        """
        Turn what stands in the frames into ``outputs``.

        :param means: of the value frame, and of the outcome frame if there is one, (B,)
        :param forecast: normalised, (B, J); None where it is not denoised
        :returns: as ``read``
        """
        value = -means[VALUE]
        found = {'value': value.clamp(-1.0, 1.0)}
        if forecast is not None:
            found['forecast'] = forecast
        if SUCCESS in self.names:
            found['progress'], found['success'] = _share(value), _share(-means[SUCCESS])
            found['value'] = found['progress'] + found['success'] - 1
        return found


def _share(reading: Tensor) -> Tensor:
    """From [-1, 1] to [0, 1]."""
    return ((reading + 1) / 2).clamp(0.0, 1.0)


def _given(goal: Tensor | None, name: str) -> Tensor:
    if goal is None:
        raise ValueError(f'goals of {name} are missing, the model denoises them')
    return goal
