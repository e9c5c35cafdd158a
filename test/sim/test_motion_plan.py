# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion plans: profile, delays, early release."""

import numpy as np
import pytest

from viva_ros.sim.kinematics import Hand, blend
from viva_ros.sim.motion_plan import TIME_OUT, MotionPlan, Timing


def hand(x: float, opening: float = 0.0) -> Hand:
    return Hand(np.array([x, 0.0, 0.0]), 0.0, 0.0, opening)


def plan(timing: Timing | None = None) -> MotionPlan:
    """Return a plan in which both hands move 1 m in 2 s, then stay for 1 s."""
    made = MotionPlan((hand(0.0), hand(0.0)), timing or Timing())
    made.move('go', 2.0, (hand(1.0), hand(1.0)))
    made.move('stay', 1.0, (hand(1.0), hand(1.0)), (True, True))
    return made


def x(made: MotionPlan, time: float) -> list[float]:
    return [float(one.position[0]) for one in made.hands(time)]


def test_blend_follows_the_minimum_jerk_profile():
    assert blend(hand(0.0), hand(1.0), 0.5).position[0] == pytest.approx(0.5)
    assert blend(hand(0.0), hand(1.0), 0.1).position[0] == pytest.approx(
        0.1**3 * (10 - 15 * 0.1 + 6 * 0.1**2)
    )


def test_plan_has_its_phases_in_order():
    assert [plan().segment(time).phase for time in (0.0, 1.9, 2.1, 9.0)] == [
        'go', 'go', 'stay', 'stay',
    ]  # fmt: skip
    assert x(plan(), 1.0) == pytest.approx([0.5, 0.5])
    assert plan().duration == 3.0
    assert plan().when('stay', 0.5) == 2.5


def test_unknown_phase_is_refused_with_known_phases():
    with pytest.raises(ValueError, match=r"phase is 'fly', the plan has \['go', 'stay'\]"):
        plan().when('fly', 0.0)


def test_pause_delays_the_following_phases():
    paused = plan(Timing(freeze_at=1.0, freeze_for=4.0))
    assert x(paused, 3.0) == pytest.approx([0.5, 0.5])
    assert x(paused, 7.0) == pytest.approx([1.0, 1.0])
    assert paused.duration == 7.0


def test_stall_lasts_until_the_time_out():
    stalled = plan(Timing(freeze_at=1.0, freeze_for=float('inf')))
    assert x(stalled, 100.0) == pytest.approx([0.5, 0.5])
    assert stalled.duration == 3.0 + TIME_OUT


def test_lag_delays_one_hand():
    late = plan(Timing(lag_side=1, lag_from=0.0, lag=1.0))
    assert x(late, 1.0) == pytest.approx([0.5, 0.0])
    assert x(late, 2.0) == pytest.approx([1.0, 0.5])
    assert late.duration == 4.0


def test_release_opens_one_hand_too_early():
    released = plan(Timing(release_at=(1.0, None), release_opening=0.07))
    assert [one.opening for one in released.hands(0.9)] == [0.0, 0.0]
    assert [one.opening for one in released.hands(1.5)] == pytest.approx([0.07, 0.0])
