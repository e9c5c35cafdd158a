# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What may go wrong, as data: one :class:`Fault` says how the plan and the world are disturbed.

A fault changes either what the arms are told (they can feel it) or only the world (cameras
alone can tell). Its random numbers come from a stream of their own, so that an episode with a
fault of the world is told exactly what the undisturbed episode of the same seed is told.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.motion_plan import Plan, Timing

Sides = tuple[bool, bool]
NOMINAL = 'none'


def _zero() -> Array:
    return np.zeros(3)


@dataclass(frozen=True)
class Push:
    """
    A push on one object.

    :param body: which one
    :param by: (3,) how far it is moved, m; None topples it
    :param strength: of a topple, in multiples of what just tips the object
    :param seconds: how long a move takes, or a topple lasts at most
    """

    body: str
    phase: str
    fraction: float
    by: Array | None = None
    direction: float = 0.0
    strength: float = 2.0
    seconds: float = 0.5


@dataclass(frozen=True)
class Fault:
    """
    How one episode is disturbed; the default disturbs nothing.

    :param grasp_offsets: of each hand from where it should close, m
    :param misses: which hands close all the way, as on nothing
    :param regrasp: the robot notices the miss and grasps again
    :param place_offset: from where the object should be put, m
    :param speed: factor on the speed of the plan
    :param freeze: phase, fraction of it, and seconds for which the arms stop
    :param lag: side that lifts late, and seconds
    :param release: phase, fraction and hands that open too early
    :param slip: phase, fraction and hands whose grasp loses friction
    """

    mode: str = NOMINAL
    grasp_offsets: tuple[Array, Array] = field(default_factory=lambda: (_zero(), _zero()))
    misses: Sides = (False, False)
    regrasp: bool = False
    place_offset: Array = field(default_factory=_zero)
    speed: float = 1.0
    freeze: tuple[str, float, float] | None = None
    lag: tuple[int, float] | None = None
    release: tuple[str, float, Sides] | None = None
    slip: tuple[str, float, Sides] | None = None
    push: Push | None = None

    def timing(self, plan: Plan, opening: float, lag_phase: str) -> Timing:
        """How the fault bends a plan in time; ``opening`` of a hand that lets go, m."""
        timing = Timing(release_opening=opening)
        if self.freeze:
            phase, fraction, length = self.freeze
            timing = replace(timing, freeze_at=plan.when(phase, fraction), freeze_for=length)
        if self.lag:
            side, lag = self.lag
            timing = replace(timing, lag_side=side, lag_from=plan.when(lag_phase, 0.0), lag=lag)
        if self.release:
            phase, fraction, sides = self.release
            at = plan.when(phase, fraction)
            left, right = (at if side else None for side in sides)
            timing = replace(timing, release_at=(left, right))
        return timing
