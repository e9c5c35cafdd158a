# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from viva_ros.nodes.estimation import ClockWatchdog, RateLimiter


def test_10_hz_estimate_is_due_90_ms_after_the_last():
    limiter = RateLimiter(10.0)
    assert limiter.due(5.0)
    limiter.mark(5.0)
    assert not limiter.due(5.089)
    assert limiter.due(5.0901)


def test_late_estimate_does_not_advance_the_next():
    limiter = RateLimiter(10.0)
    limiter.mark(5.0)
    limiter.mark(7.0)
    assert not limiter.due(7.05)


def test_clock_without_change_for_half_a_second_has_stopped():
    pause = ClockWatchdog()
    assert not pause.update(0.0, clock=7)
    assert not pause.update(0.5, clock=7)
    assert pause.update(0.51, clock=7)
    assert not pause.update(0.52, clock=8)
