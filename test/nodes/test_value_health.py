# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entry 'value' of /diagnostics, with a clock that the test sets."""

import pytest
from builtin_interfaces.msg import Time

from viva_ros.nodes import diagnostics
from viva_ros.nodes.diagnostics import OK, WARN, Health, Report


class Clock:
    """Stands in for the module time."""

    now = 50.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(diagnostics, 'time', made)
    return made


def entry(health):
    report = Report('/monitor', '/')
    health.diagnose(report)
    (status,) = report.message(Time()).status
    return status, {pair.key: pair.value for pair in status.values}


def publish(clock, health, seconds, rate, unknown_each=0):
    """Publish values at a rate, and every n-th unknown."""
    for count in range(1, round(seconds * rate) + 1):
        clock.now += 1.0 / rate
        if unknown_each and count % unknown_each == 0:
            health.note_unknown('late')
        health.note(0.1, 0.0)


def test_rate_is_of_the_time_since_a_late_report(clock):
    health = Health(10.0)
    publish(clock, health, 4.0, 10.0, unknown_each=4)
    status, figures = entry(health)
    assert (status.level, status.message) == (OK, '40 values in the last 4.0 s')
    assert (figures['rate_hz'], figures['unknown_hz']) == ('10', '2')
    assert figures['unknown_share'] == '0.20'


def test_values_at_half_the_rate_are_a_warning(clock):
    health = Health(10.0)
    publish(clock, health, 4.0, 5.0)
    assert entry(health)[0].level == OK, 'not yet measured'
    publish(clock, health, 4.0, 5.0)
    status, _ = entry(health)
    assert (
        status.level == WARN and 'known values come at 5.0 Hz, must be at 10 Hz' in status.message
    )
    publish(clock, health, 5.0, 10.0)
    assert entry(health)[0].level == OK
