# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns a plan into joint targets, step by step, and makes the plan that goes back to start."""

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.kinematics import Hand, solvers
from viva_ros.sim.motion_plan import Hands, Plan, Segment
from viva_ros.sim.robot import CONTROL_RATE, GRIPPER_OPEN

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
        self.follow(Plan(home))

    def follow(self, plan: Plan) -> None:
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
        parts = []
        for solver, hand in zip(self._solvers, self.hands, strict=True):
            parts += [solver.track(hand), [hand.opening]]
        return np.concatenate(parts)


def add_way_home(plan: Plan, home: Hands) -> None:
    """Open, rise, go back to start."""
    up = np.array([0.0, 0.0, 0.10])
    opened = [hand.opened(home[i].opening) for i, hand in enumerate(plan.end)]
    plan.move('open', 0.6, opened)
    risen = [hand.moved(up * [1, 1, max(0.0, 1 - hand.position[2] / 0.3)]) for hand in opened]
    plan.move('rise', 0.9, risen)
    plan.move('home', 1.4, home)
    plan.move('home', 0.3, home)
