# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Tray lift: which failures and variations there are, and how each is drawn.

Sizes are chosen so that a failure nearly always fails and often leaves the payload standing, so
that a retry has something to save.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from viva_ros.sim.failures import NOMINAL, Fault, Push, Sides

FAILURES = (
    'slip', 'missed_grasp', 'premature_release', 'misalignment', 'asynchronous_lift', 'stall',
    'nudge', 'payload_tips', 'platform_moved',
)  # fmt: skip
VARIATIONS = (
    NOMINAL, 'pause', 'slow', 'recovered_missed_grasp', 'recovered_stall', 'near_miss',
)  # fmt: skip
CAMERA_ONLY = frozenset({'slip', 'nudge', 'payload_tips', 'platform_moved'})
BOTH: Sides = (True, True)
ONE: tuple[Sides, Sides] = ((True, False), (False, True))
PHASES = ('reach', 'descend', 'lift', 'carry', 'lower')


def draw_fault(mode: str, rng: np.random.Generator) -> Fault:
    """Return the fault of a mode in ``FAILURES`` or ``VARIATIONS``, its sizes and times drawn."""
    return _DRAW[mode](rng)


def _slip(rng: np.random.Generator) -> Fault:
    return Fault('slip', slip=('lift', rng.uniform(0.3, 0.65), (True, True)))


def _missed_grasp(rng: np.random.Generator) -> Fault:
    return Fault('missed_grasp', **_miss(rng))


def _miss(rng: np.random.Generator) -> dict[str, Any]:
    sides: Sides = BOTH if rng.random() < 0.75 else ONE[rng.integers(2)]
    if rng.random() < 0.5:
        offset = np.array([0.0, 0.0, rng.uniform(0.05, 0.07)])
    else:
        offset = np.array([0.0, rng.choice([-1.0, 1.0]) * rng.uniform(0.065, 0.08), 0.0])
    return {'grasp_offsets': tuple(offset * miss for miss in sides), 'misses': sides}


def _premature_release(rng: np.random.Generator) -> Fault:
    phase, fraction = ('lift', rng.uniform(0.3, 0.7))
    if rng.random() < 0.35:
        phase, fraction = 'carry', rng.uniform(0.1, 0.7)
    sides: Sides = BOTH if rng.random() < 0.65 else ONE[rng.integers(2)]
    return Fault('premature_release', release=(phase, fraction, sides))


def _misalignment(rng: np.random.Generator) -> Fault:
    # Half across the edge of the platform, so that it tips, or wholly beside, so that it drops.
    away = rng.uniform(0.085, 0.115) if rng.random() < 0.35 else rng.uniform(0.132, 0.15)
    offset = np.array([rng.uniform(-0.02, 0.02), away, 0.0])
    return Fault('misalignment', place_offset=offset)


def _asynchronous_lift(rng: np.random.Generator) -> Fault:
    return Fault('asynchronous_lift', lag=(int(rng.integers(2)), rng.uniform(1.0, 1.6)))


def _stall(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('stall', freeze=(phase, rng.uniform(0.2, 0.8), float('inf')))


def _nudge(rng: np.random.Generator) -> Fault:
    by = np.array([rng.uniform(-0.01, 0.01), rng.uniform(0.065, 0.09), 0.0])
    return Fault('nudge', push=Push('tray', 'reach', rng.uniform(0.3, 0.85), by))


def _payload_tips(rng: np.random.Generator) -> Fault:
    phase = ('lift', 'carry', 'carry', 'lower')[rng.integers(4)]
    direction, fraction = rng.uniform(-np.pi, np.pi), rng.uniform(0.2, 0.8)
    return Fault('payload_tips', push=Push('payload', phase, fraction, None, direction, 2.5, 1.0))


def _platform_moved(rng: np.random.Generator) -> Fault:
    away = rng.uniform(0.09, 0.115) if rng.random() < 0.35 else rng.uniform(0.132, 0.15)
    by = np.array([rng.uniform(-0.03, 0.03), -away, 0.0])
    return Fault('platform_moved', push=Push('platform', 'carry', rng.uniform(0.0, 0.7), by))


def _pause(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('pause', freeze=(phase, rng.uniform(0.1, 0.9), rng.uniform(1.0, 2.3)))


def _slow(rng: np.random.Generator) -> Fault:
    return Fault('slow', speed=rng.uniform(0.55, 0.75))


def _recovered_missed_grasp(rng: np.random.Generator) -> Fault:
    return Fault('recovered_missed_grasp', regrasp=True, **_miss(rng))


def _recovered_stall(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('recovered_stall', freeze=(phase, rng.uniform(0.2, 0.8), rng.uniform(3.2, 4.5)))


def _near_miss(rng: np.random.Generator) -> Fault:
    kind = rng.integers(4)
    if kind == 0:
        return Fault('near_miss', lag=(int(rng.integers(2)), rng.uniform(0.1, 0.2)))
    if kind == 1:
        direction = rng.uniform(-np.pi, np.pi)
        push = Push('payload', 'carry', rng.uniform(0.2, 0.8), None, direction, 1.3, 0.055)
        return Fault('near_miss', push=push)
    if kind == 2:
        by = np.array([0.0, rng.choice([-1.0, 1.0]) * rng.uniform(0.008, 0.014), 0.0])
        return Fault('near_miss', push=Push('tray', 'reach', rng.uniform(0.3, 0.85), by))
    aside = rng.choice([-1.0, 1.0]) * rng.uniform(0.015, 0.025)
    return Fault('near_miss', place_offset=np.array([0.0, aside, rng.uniform(0.005, 0.015)]))


_DRAW: dict[str, Callable[[np.random.Generator], Fault]] = {
    NOMINAL: lambda rng: Fault(),
    'slip': _slip,
    'missed_grasp': _missed_grasp,
    'premature_release': _premature_release,
    'misalignment': _misalignment,
    'asynchronous_lift': _asynchronous_lift,
    'stall': _stall,
    'nudge': _nudge,
    'payload_tips': _payload_tips,
    'platform_moved': _platform_moved,
    'pause': _pause,
    'slow': _slow,
    'recovered_missed_grasp': _recovered_missed_grasp,
    'recovered_stall': _recovered_stall,
    'near_miss': _near_miss,
}
