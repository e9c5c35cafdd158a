# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
import os

from benchmarks.soak.endurance import Gauge, live_report, minutes
from viva_ros.demo.events import DemoSession, ValueSample

EPOCH = 1_000_000_000_000  # ns


def sample(at: float, latency: float, value: float = 0.5) -> ValueSample:
    return ValueSample(EPOCH + round(at * 1e9), value, latency, '', 'e')


def two_minutes() -> DemoSession:
    """Return values at 1 Hz: 10 ms in the first minute, 30 ms in the second; one is unknown."""
    samples = [sample(at, 0.010) for at in range(60)]
    samples += [sample(at, 0.030, math.nan if at == 90 else 0.5) for at in range(60, 125)]
    return DemoSession(samples)


def test_each_full_minute_has_a_row() -> None:
    first, second = minutes(two_minutes())
    assert first == {
        'minute': 1, 'rate_hz': 1.0, 'unknown': 0, 'p50_ms': 10.0, 'p95_ms': 10.0, 'p99_ms': 10.0,
    }  # fmt: skip
    assert (second['rate_hz'], second['unknown'], second['p50_ms']) == (0.98, 1, 30.0)


def test_growth_is_last_minute_minus_first() -> None:
    report = live_report(two_minutes(), Gauge({'me': os.getpid()}), 'viva demo')
    assert report['growth_ms'] == {'p50_ms': 20.0, 'p95_ms': 20.0}
    assert len(report['memory_mib']['me']) == 1
    assert report['memory_mib']['me'][0] > 1.0


def test_run_below_one_minute_has_no_rows() -> None:
    report = live_report(DemoSession([sample(0.0, 0.01)]), Gauge({}), 'viva demo')
    assert report['minutes'] == []
    assert report['growth_ms'] == {'p50_ms': None, 'p95_ms': None}
