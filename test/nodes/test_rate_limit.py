# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from viva_ros.nodes.estimation import Pace, Pause


def test_at_10_hz_an_estimate_is_due_90_ms_after_the_last():
    pace = Pace(10.0)
    assert pace.due(5.0)
    pace.take(5.0)
    assert not pace.due(5.089)
    assert pace.due(5.0901)


def test_a_late_estimate_does_not_bring_the_next_one_forward():
    pace = Pace(10.0)
    pace.take(5.0)
    pace.take(7.0)
    assert not pace.due(7.05)


def test_time_stands_still_when_the_clock_has_not_moved_for_half_a_second():
    pause = Pause()
    assert not pause.update(0.0, clock=7)
    assert not pause.update(0.5, clock=7)
    assert pause.update(0.51, clock=7)
    assert not pause.update(0.52, clock=8)
