# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Motion plan of both hands, phase by phase, with timing faults, and the expert that follows it.

The plan contains all commands when the episode starts. A fault of the robot changes the plan (late
arm, early release, stall); a fault of the world does not.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.kinematics import Hand, Solver, blend
from viva_ros.sim.robots.registry import SimRobot

Hands = tuple[Hand, Hand]
TIME_OUT = 4.0  # s; a stalled episode ends this much later than planned


@dataclass(frozen=True)
class Segment:
    """
    One phase of a plan.

    :param end: hands at its end; it starts where the previous segment ends
    :param grips: whether each hand is to hold an object
    """

    phase: str
    start_time: float
    end_time: float
    end: Hands
    grips: tuple[bool, bool]


@dataclass(frozen=True)
class Timing:
    """
    Delays of a plan; all times in seconds of the undisturbed plan.

    :param freeze_at: the arms stop at this time for ``freeze_for``
    :param lag_from: the arm ``lag_side`` is late by ``lag`` from this time on
    :param release_at: each hand opens too early at this time; None for never
    :param release_opening: of a hand that opens too early, m
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
    """Poses of both hands over time: append with :meth:`move`, read with :meth:`hands`."""

    start: Hands
    timing: Timing = field(default_factory=Timing)
    segments: list[Segment] = field(default_factory=list)

    @property
    def end(self) -> Hands:
        """Hands at the end of the last segment."""
        return self.segments[-1].end if self.segments else self.start

    @property
    def duration(self) -> float:
        """Time until the last segment ends, delays included, s."""
        length = self.segments[-1].end_time + self.timing.lag
        if self.timing.freeze_at >= length:
            return length
        return length + min(self.timing.freeze_for, TIME_OUT)

    def move(
        self, phase: str, seconds: float, hands: Sequence[Hand],
        grips: tuple[bool, bool] = (False, False),
    ) -> None:  # fmt: skip
        """
        Append a phase.

        :param hands: at its end, left first
        """
        left, right = hands
        start = self.segments[-1].end_time if self.segments else 0.0
        self.segments.append(Segment(phase, start, start + seconds, (left, right), grips))

    def when(self, phase: str, fraction: float) -> float:
        """
        Return the time in the undisturbed plan at which a fraction of a phase is over.

        :param phase: its last segment counts
        :raises ValueError: if the plan has no such phase
        """
        for segment in reversed(self.segments):
            if segment.phase == phase:
                return segment.start_time + fraction * (segment.end_time - segment.start_time)
        raise ValueError(f'phase is {phase!r}, the plan has {[s.phase for s in self.segments]}')

    def unfrozen(self, time: float) -> float:
        """Convert a time in the episode to a time in the plan."""
        frozen = min(max(time - self.timing.freeze_at, 0.0), self.timing.freeze_for)
        return time - frozen

    def segment(self, time: float) -> Segment:
        """Return the segment at a time in the episode."""
        return self.segments[self._index(self.unfrozen(time))]

    def hands(self, time: float) -> Hands:
        """Return the poses of both hands at a time in the episode."""
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


def home_hands(robot: SimRobot, rng: np.random.Generator) -> Hands:
    """Draw the hands at the start of an episode: near the home of the robot, open."""
    hands = []
    for hand in robot.hands:
        position = np.array(hand.home) + rng.normal(0.0, 0.01, 3)
        pitch = hand.home_pitch + rng.normal(0.0, 0.02)
        hands.append(Hand(position, hand.home_yaw, pitch, robot.home_opening))
    left, right = hands
    return left, right


class Expert:
    """Follows a plan with both arms at the control rate."""

    def __init__(self, robot: SimRobot, home: Hands) -> None:
        self.home = home
        self.hands = home
        self._period = robot.control_period
        self._solvers = [Solver(robot, hand) for hand in robot.hands]
        for solver, hand in zip(self._solvers, home, strict=True):
            solver.track(hand, iterations=60)
        self.follow(MotionPlan(home))

    def follow(self, plan: MotionPlan) -> None:
        """Start a plan."""
        self.plan = plan
        self.elapsed = 0.0

    @property
    def finished(self) -> bool:
        """Whether the plan has ended."""
        return self.elapsed >= self.plan.duration

    @property
    def segment(self) -> Segment:
        """Return the current segment of the plan."""
        return self.plan.segment(self.elapsed)

    @property
    def stalled_for(self) -> float:
        """Time since the plan stopped, s; 0 while it runs."""
        timing = self.plan.timing
        since = self.elapsed - timing.freeze_at
        return since if 0.0 < since < timing.freeze_for else 0.0

    def step(self) -> Array:
        """Advance by one control step; return the joint targets as :meth:`targets`."""
        self.elapsed += self._period
        self.hands = self.plan.hands(self.elapsed)
        return self.targets()

    def targets(self) -> Array:
        """Return the joint targets of the current hands; (joint names,), rad and m."""
        parts: list[Any] = []
        for solver, hand in zip(self._solvers, self.hands, strict=True):
            parts += [solver.track(hand), [hand.opening]]
        return np.concatenate(parts)


def add_way_home(plan: MotionPlan, home: Hands) -> None:
    """Append the return to the start: open, rise, move."""
    up = np.array([0.0, 0.0, 0.10])
    opened = [hand.opened(home[i].opening) for i, hand in enumerate(plan.end)]
    plan.move('open', 0.6, opened)
    risen = [hand.moved(up * [1, 1, max(0.0, 1 - hand.position[2] / 0.3)]) for hand in opened]
    plan.move('rise', 0.9, risen)
    plan.move('home', 1.4, home)
    plan.move('home', 0.3, home)
