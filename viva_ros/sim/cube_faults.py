# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cube transfer: which failures and variations there are, and how each is drawn."""

from collections.abc import Callable
from typing import Any

import numpy as np

from viva_ros.sim.failures import NOMINAL, Fault, Push

FAILURES = (
    'slip', 'missed_grasp', 'premature_release', 'misalignment', 'late_release', 'stall',
    'nudge', 'target_moved',
)  # fmt: skip
VARIATIONS = (
    NOMINAL, 'pause', 'slow', 'recovered_missed_grasp', 'recovered_stall', 'near_miss',
    'early_release',
)  # fmt: skip
CAMERA_ONLY = frozenset({'slip', 'nudge', 'target_moved'})
PHASES = ('reach', 'descend', 'lift', 'present', 'meet', 'carry', 'lower')
LEFT, RIGHT = (True, False), (False, True)


def draw_fault(mode: str, rng: np.random.Generator) -> Fault:
    """Return the fault of a mode in ``FAILURES`` or ``VARIATIONS``, its sizes and times drawn."""
    return _DRAW[mode](rng)


def _slip(rng: np.random.Generator) -> Fault:
    phase = ('lift', 'lift', 'present', 'part')[rng.integers(4)]
    return Fault('slip', slip=(phase, rng.uniform(0.25, 0.75), (True, True)))


def _missed_grasp(rng: np.random.Generator) -> Fault:
    return Fault('missed_grasp', **_miss(rng))


def _miss(rng: np.random.Generator) -> dict[str, Any]:
    if rng.random() < 0.5:
        offset = np.array([0.0, 0.0, rng.uniform(0.04, 0.055)])
    else:
        offset = np.array([0.0, rng.choice([-1.0, 1.0]) * rng.uniform(0.062, 0.08), 0.0])
    return {'grasp_offsets': (np.zeros(3), offset), 'misses': RIGHT}


def _premature_release(rng: np.random.Generator) -> Fault:
    phase, side = (('lift', RIGHT), ('present', RIGHT), ('meet', RIGHT), ('part', LEFT))[
        rng.integers(4)
    ]
    return Fault('premature_release', release=(phase, rng.uniform(0.25, 0.75), side))


def _misalignment(rng: np.random.Generator) -> Fault:
    if rng.random() < 0.5:
        offset = np.array([rng.uniform(-0.065, -0.05), 0.0, 0.0])
    else:
        offset = np.array([0.0, 0.0, rng.uniform(0.045, 0.06)])
    return Fault('misalignment', grasp_offsets=(offset, np.zeros(3)), misses=LEFT)


def _late_release(rng: np.random.Generator) -> Fault:
    return Fault('late_release', lag=(1, rng.uniform(2.2, 3.2)))


def _stall(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('stall', freeze=(phase, rng.uniform(0.2, 0.8), float('inf')))


def _nudge(rng: np.random.Generator) -> Fault:
    by = np.array([rng.uniform(-0.02, 0.02), rng.choice([-1, 1]) * rng.uniform(0.06, 0.085), 0.0])
    return Fault('nudge', push=Push('cube', 'reach', rng.uniform(0.3, 0.8), by))


def _target_moved(rng: np.random.Generator) -> Fault:
    by = np.array([rng.uniform(-0.02, 0.02), rng.choice([-1, 1]) * rng.uniform(0.09, 0.12), 0.0])
    return Fault('target_moved', push=Push('mat', 'carry', rng.uniform(0.0, 0.7), by))


def _pause(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('pause', freeze=(phase, rng.uniform(0.1, 0.9), rng.uniform(1.0, 2.3)))


def _slow(rng: np.random.Generator) -> Fault:
    return Fault('slow', speed=rng.uniform(0.6, 0.78))


def _recovered_missed_grasp(rng: np.random.Generator) -> Fault:
    return Fault('recovered_missed_grasp', regrasp=True, **_miss(rng))


def _recovered_stall(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('recovered_stall', freeze=(phase, rng.uniform(0.2, 0.8), rng.uniform(3.2, 4.5)))


def _near_miss(rng: np.random.Generator) -> Fault:
    sign = rng.choice([-1.0, 1.0])
    if rng.random() < 0.5:
        by = np.array([0.0, sign * rng.uniform(0.006, 0.01), 0.0])
        return Fault('near_miss', push=Push('cube', 'reach', rng.uniform(0.3, 0.8), by))
    offset = np.array([0.0, sign * rng.uniform(0.015, 0.025), rng.uniform(0.01, 0.02)])
    return Fault('near_miss', place_offset=offset)


def _early_release(rng: np.random.Generator) -> Fault:
    return Fault('early_release', release=('take', rng.uniform(0.96, 1.0), RIGHT))


_DRAW: dict[str, Callable[[np.random.Generator], Fault]] = {
    NOMINAL: lambda rng: Fault(),
    'slip': _slip,
    'missed_grasp': _missed_grasp,
    'premature_release': _premature_release,
    'misalignment': _misalignment,
    'late_release': _late_release,
    'stall': _stall,
    'nudge': _nudge,
    'target_moved': _target_moved,
    'pause': _pause,
    'slow': _slow,
    'recovered_missed_grasp': _recovered_missed_grasp,
    'recovered_stall': _recovered_stall,
    'near_miss': _near_miss,
    'early_release': _early_release,
}
