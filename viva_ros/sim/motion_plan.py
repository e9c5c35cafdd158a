# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A plan: what both hands do, phase by phase, and how a fault may bend its timing.

Everything that the arms will be told is in the plan when the episode starts. A fault of the
robot changes the plan (late arm, early release, stall); a fault of the world does not.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.kinematics import Hand, blend, solvers
from viva_ros.sim.robots.viperx import CONTROL_RATE, GRIPPER_OPEN

Hands = tuple[Hand, Hand]
TIME_OUT = 4.0  # how much longer than planned a stalled episode is waited for, s


@dataclass(frozen=True)
class Segment:
    """One phase: from where the last one ended to ``end``; ``grips``: each hand should hold."""

    phase: str
    start_time: float
    end_time: float
    end: Hands
    grips: tuple[bool, bool]


@dataclass(frozen=True)
class Timing:
    """
    How a plan is bent in time; all times in seconds of the undisturbed plan.

    :param freeze_at: when the arms stop, and for how long (``freeze_for``)
    :param lag_from: when one arm (``lag_side``) starts to be late, and by how much (``lag``)
    :param release_at: when each hand opens too early; None for never
    """

    freeze_at: float = float('inf')
    freeze_for: float = 0.0
    lag_side: int = 0
    lag_from: float = float('inf')
    lag: float = 0.0
    release_at: tuple[float | None, float | None] = (None, None)
    release_opening: float = 0.07


@dataclass
class MotionPlan:
    """Built with :meth:`move`, read with :meth:`hands` and :meth:`segment`."""

    start: Hands
    timing: Timing = field(default_factory=Timing)
    segments: list[Segment] = field(default_factory=list)

    @property
    def end(self) -> Hands:
        """Where the hands are after the last segment so far."""
        return self.segments[-1].end if self.segments else self.start

    @property
    def duration(self) -> float:
        """Time until the last segment ends, with all delays, s."""
        length = self.segments[-1].end_time + self.timing.lag
        if self.timing.freeze_at >= length:
            return length
        return length + min(self.timing.freeze_for, TIME_OUT)

    def move(
        self, phase: str, seconds: float, hands: Sequence[Hand],
        grips: tuple[bool, bool] = (False, False),
    ) -> None:  # fmt: skip
        """Append a phase: where both hands, left first, are at its end."""
        left, right = hands
        start = self.segments[-1].end_time if self.segments else 0.0
        self.segments.append(Segment(phase, start, start + seconds, (left, right), grips))

    def when(self, phase: str, fraction: float) -> float:
        """Time in the undisturbed plan at which a fraction of the (last such) phase is over."""
        for segment in reversed(self.segments):
            if segment.phase == phase:
                return segment.start_time + fraction * (segment.end_time - segment.start_time)
        raise ValueError(f'phase is {phase!r}, the plan has {[s.phase for s in self.segments]}')

    def unfrozen(self, time: float) -> float:
        """Map time in the episode to time in the plan."""
        frozen = min(max(time - self.timing.freeze_at, 0.0), self.timing.freeze_for)
        return time - frozen

    def segment(self, time: float) -> Segment:
        """Return the segment under way at a time in the episode."""
        return self.segments[self._index(self.unfrozen(time))]

    def hands(self, time: float) -> Hands:
        """Where both hands should be at a time in the episode."""
        left, right = (self._hand(side, self.unfrozen(time)) for side in (0, 1))
        return left, right

    def _index(self, time: float) -> int:
        ends = [segment.end_time for segment in self.segments]
        return min(bisect_right(ends, time), len(ends) - 1)

    def _hand(self, side: int, time: float) -> Hand:
        timing, now = self.timing, time
        if side == timing.lag_side and time > timing.lag_from:
            time = max(timing.lag_from, time - timing.lag)
        index = self._index(time)
        segment = self.segments[index]
        begin = self.segments[index - 1].end if index else self.start
        span = segment.end_time - segment.start_time
        fraction = min(max((time - segment.start_time) / span, 0.0), 1.0)
        hand = blend(begin[side], segment.end[side], fraction)
        release = timing.release_at[side]
        if release is None or now < release:
            return hand
        opening = hand.opening + min((now - release) / 0.25, 1.0) * timing.release_opening
        return replace(hand, opening=min(opening, timing.release_opening))


HOME_X, HOME_Y, HOME_Z, HOME_PITCH = 0.24, 0.50, 0.20, 1.05


def home_hands(rng: np.random.Generator) -> Hands:
    """Where the hands start: open, apart, pointing in and down; slightly different each time."""
    hands = []
    for sign, yaw in ((-1.0, 0.0), (1.0, np.pi)):
        position = np.array([sign * HOME_X, HOME_Y, HOME_Z]) + rng.normal(0.0, 0.01, 3)
        hands.append(Hand(position, yaw, HOME_PITCH + rng.normal(0.0, 0.02), GRIPPER_OPEN - 0.006))
    left, right = hands
    return left, right


class Expert:
    """Follows a plan with both arms at the control rate."""

    def __init__(self, home: Hands) -> None:
        self.home = home
        self.hands = home
        self._solvers = solvers()
        for solver, hand in zip(self._solvers, home, strict=True):
            solver.track(hand, iterations=60)
        self.follow(MotionPlan(home))

    def follow(self, plan: MotionPlan) -> None:
        """Start a plan from its beginning."""
        self.plan = plan
        self.elapsed = 0.0

    @property
    def finished(self) -> bool:
        """Whether the plan is over."""
        return self.elapsed >= self.plan.duration

    @property
    def segment(self) -> Segment:
        """Return the part of the plan under way."""
        return self.plan.segment(self.elapsed)

    @property
    def stalled_for(self) -> float:
        """For how long the plan has stood still, s; 0 while it runs."""
        timing = self.plan.timing
        since = self.elapsed - timing.freeze_at
        return since if 0.0 < since < timing.freeze_for else 0.0

    def step(self) -> Array:
        """Go on by one control step; returns the joint targets, (14,) rad and m."""
        self.elapsed += 1.0 / CONTROL_RATE
        self.hands = self.plan.hands(self.elapsed)
        return self.targets()

    def targets(self) -> Array:
        """Joint targets of the current hands, (14,)."""
        parts: list[Any] = []
        for solver, hand in zip(self._solvers, self.hands, strict=True):
            parts += [solver.track(hand), [hand.opening]]
        return np.concatenate(parts)


def add_way_home(plan: MotionPlan, home: Hands) -> None:
    """Open, rise, go back to start."""
    up = np.array([0.0, 0.0, 0.10])
    opened = [hand.opened(home[i].opening) for i, hand in enumerate(plan.end)]
    plan.move('open', 0.6, opened)
    risen = [hand.moved(up * [1, 1, max(0.0, 1 - hand.position[2] / 0.3)]) for hand in opened]
    plan.move('rise', 0.9, risen)
    plan.move('home', 1.4, home)
    plan.move('home', 0.3, home)
