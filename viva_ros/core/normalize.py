# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Normalisation of joint positions to [-1, 1] by their ranges in the training episodes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Array


def match_joints(
    positions: Mapping[str, float], names: Sequence[str], topic: str = 'joint_states'
) -> dict[str, float]:
    """
    Select joints by name; others are ignored.

    :returns: in the order of ``names``, rad or m
    :raises InputError: if one is missing or not finite
    """
    missing = [name for name in names if name not in positions]
    if missing:
        raise InputError(
            'joints-missing', f'{topic} lacks {", ".join(missing)}; it has {", ".join(positions)}'
        )
    selected = {name: float(positions[name]) for name in names}
    broken = [f'{name} = {selected[name]}' for name in names if not math.isfinite(selected[name])]
    if broken:
        raise InputError('joints-not-finite', f'{topic} is not finite: {", ".join(broken)}')
    return selected


@dataclass(frozen=True)
class JointRanges:
    """
    Smallest and largest position of each joint, rad or m, in the order of ``names``.

    :raises ValueError: if lengths differ, a name is repeated, or a range is empty or not finite
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.names) == len(set(self.names)) == len(self.low) == len(self.high):
            raise ValueError(f'joints are {self.names}: need unique names, one low and high each')
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            if not (np.isfinite(low) and np.isfinite(high) and low <= high):
                raise ValueError(f'range of {name} is {low} to {high}, must be finite, ascending')

    @classmethod
    def of(cls, names: Sequence[str], episodes: Iterable[NDArray[np.floating]]) -> 'JointRanges':
        """
        Measure the ranges.

        :param episodes: positions of each training episode, (N, len(names)), rad or m
        """
        positions = np.concatenate([np.asarray(e, dtype=np.float64) for e in episodes])
        low, high = positions.min(axis=0), positions.max(axis=0)
        return cls(tuple(names), tuple(low.tolist()), tuple(high.tolist()))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> 'JointRanges':
        """Read the output of ``to_dict``."""
        return cls(*(tuple(content[key]) for key in ('names', 'low', 'high')))

    def to_dict(self) -> dict[str, Any]:
        """Return names, low and high as lists, for JSON."""
        return {'names': list(self.names), 'low': list(self.low), 'high': list(self.high)}

    def normalise(self, positions: NDArray[np.floating]) -> Array:
        """
        Map positions to [-1, 1] and clamp; a joint that never moved maps to 0.

        :param positions: (..., J), rad or m
        :returns: (..., J)
        """
        low, span = self._low_and_span()
        unit = (np.asarray(positions, dtype=np.float64) - low) / np.where(span > 0.0, span, 1.0)
        return np.where(span > 0.0, np.clip(2.0 * unit - 1.0, -1.0, 1.0), 0.0)

    def denormalise(self, normalised: Array) -> Array:
        """
        Map [-1, 1] back to positions; not clamped.

        :param normalised: (..., J)
        :returns: (..., J), rad or m
        """
        low, span = self._low_and_span()
        return low + (np.asarray(normalised, dtype=np.float64) + 1.0) * 0.5 * span

    def _low_and_span(self) -> tuple[Array, Array]:
        low = np.array(self.low, dtype=np.float64)
        return low, np.array(self.high, dtype=np.float64) - low
