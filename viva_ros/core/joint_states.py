# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checks of joint states that hold for live and recorded messages.

Two publishers on one topic, such as a driver and a joint_state_publisher that sends zeros, show as
joints that jump: steps above any speed limit. So do an encoder that is set and a driver that is
started again.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Array

#: Speed above which a step of a joint is a jump, rad/s or m/s: arms reach 2 to 4, wrists up to 6.
SPEED_LIMIT: Final = 6.0
#: Shortest time over which a speed is measured, s: stamps of neighbouring messages jitter.
SPEED_PERIOD: Final = 0.02
#: Time within which a jump in the direction of the last one continues its motion, s.
STEADY: Final = 0.5


def positions_by_name(
    names: Sequence[str], positions: Sequence[float] | NDArray[np.floating], topic: str
) -> dict[str, float]:
    """
    Return the positions of a joint state by name.

    Without positions, or with another number of them, it has none: such a message is left out.

    :raises InputError: if a name is there twice
    """
    if len(names) != len(positions):
        return {}
    found = dict(zip(names, positions, strict=True))
    if len(found) != len(names):
        raise InputError('joint-twice', twice_text(names, topic))
    return found


def twice_text(names: Sequence[str], topic: str) -> str:
    """Return the text on joints that a message names twice, with a remedy."""
    twice = ', '.join(sorted({name for name in names if names.count(name) > 1}))
    half = len(names) // 2
    return (
        f'{topic} has joint {twice} twice: name its numbers by their place in the map, such as '
        f'"field: position[0:{half}]" with {half} names and "field: position[{half}:{len(names)}]"'
    )


def step_between(before: float | Array, after: float | Array) -> Array:
    """Return the step from one position to another; a full turn of a joint is no motion."""
    step = np.asarray(after, dtype=np.float64) - before
    turns = np.round(step / (2.0 * math.pi))
    found: Array = step - 2.0 * math.pi * turns
    return found


def jumps(stamps: NDArray[np.int64], positions: Array, limits: Sequence[float]) -> Array:
    """
    Return the steps of joints that are faster than their limits; 0 for the others.

    :param stamps: (N,), ns, ascending
    :param positions: (N, J), rad or m
    :param limits: of each joint, rad/s or m/s
    :returns: (max(N - 1, 0), J)
    """
    seconds = np.maximum(np.diff(stamps) * 1e-9, SPEED_PERIOD)
    steps = step_between(positions[:-1], positions[1:])
    return np.where(np.abs(steps) > np.asarray(limits) * seconds[:, None], steps, 0.0)


def speed_text(
    joint: str, before: float, after: float, seconds: float, at: float, limit: float
) -> str:
    """
    Return the text on a joint that jumps, with a remedy.

    :param seconds: between the two positions
    :param at: stamp of the second, s
    """
    return (
        f'{joint} jumped from {before:.3f} to {after:.3f} within {seconds:.3f} s at stamp '
        f'{at:.3f} s, at most {limit:g} per s is allowed (max_joint_speed): do two publishers '
        'share the topic? If it is that fast, or its unit is neither rad nor m, set its '
        'max_joint_speed in "limits" of the map'
    )
