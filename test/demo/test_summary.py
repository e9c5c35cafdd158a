# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from viva_ros.core.events import Level
from viva_ros.demo.events import DemoAlert, DemoSession, DemoTruth, ValueSample
from viva_ros.demo.summary import alarm_delay, failure_checks, good_checks, summarise

EPOCH = 1_000_000_000_000  # ns


def ns(at: float) -> int:
    return EPOCH + round(at * 1e9)


def truth(at: float, late: float = 0.0, **facts: object) -> DemoTruth:
    told = {
        'attempt': 1, 'phase': 'lift', 'progress': 0.0, 'success': False, 'failed': False,
        'done': False, 'inject': 3.0, 'manifest': math.nan,
    }  # fmt: skip
    return DemoTruth(stamp=ns(at + late), time=at, **(told | facts))


def alert(at: float, kind: str, level: Level = Level.ALARM) -> DemoAlert:
    return DemoAlert(ns(at), level, kind, 0.0, kind, 'e')


def session(
    truths: list[DemoTruth], alerts: list[DemoAlert], values: dict[float, float]
) -> DemoSession:
    samples = [ValueSample(ns(at), value, 0.02, '', 'e') for at, value in values.items()]
    return DemoSession(samples, alerts, truths)


FELL_AND_ROSE = {0.1 * n: abs(n - 50) / 25 - 1.0 for n in range(101)}  # 1 to -1 at 5 s, and to 1


def test_alarm_delay_counts_from_the_event() -> None:
    part = session([truth(5.0, manifest=4.0)], [alert(4.5, 'drop')], {})
    assert alarm_delay(part, 'manifest') == pytest.approx(0.5)
    assert alarm_delay(part, 'inject') == pytest.approx(1.5)


def test_alarm_delay_uses_truth_message_nearest_to_event() -> None:
    truths = [truth(0.0, inject=4.0), truth(4.0, late=1.0, inject=4.0)]
    part = session(truths, [alert(5.5, 'drop')], {})
    assert alarm_delay(part, 'inject') == pytest.approx(0.5)


def test_retry_before_physical_evidence_passes() -> None:
    truths = [truth(4.0), truth(10.0, attempt=2, success=True, done=True)]
    alerts = [alert(4.9, 'drop'), alert(5.0, 'retry_accepted')]
    checks = failure_checks(session(truths, alerts, FELL_AND_ROSE))
    assert [check.passed for check in checks] == 5 * [True]
    assert checks[1].seen.startswith('1.90 s after the first wrong command')
    assert 'before the physical evidence' in checks[1].seen


def test_alarm_before_the_failure_fails_the_check() -> None:
    part = session([truth(4.0, manifest=3.5)], [alert(2.5, 'drop')], FELL_AND_ROSE)
    assert not failure_checks(part)[1].passed


def test_failure_without_alarm_fails_all_checks() -> None:
    checks = failure_checks(session([truth(4.0)], [], FELL_AND_ROSE))
    assert not any(check.passed for check in checks)


def test_refused_retry_must_require_an_operator() -> None:
    alerts = [alert(4.9, 'drop'), alert(5.0, 'retry_requested'), alert(5.1, 'retry_rejected')]
    checks = failure_checks(session([truth(4.0)], alerts, FELL_AND_ROSE))
    assert [check.passed for check in checks] == [True, True, True, False]
    alerts.append(alert(7.2, 'retry_budget_exhausted', Level.NEEDS_OPERATOR))
    checks = failure_checks(session([truth(4.0)], alerts, FELL_AND_ROSE))
    assert [check.passed for check in checks] == [True, True, True, True]


def test_warning_does_not_fail_a_good_episode() -> None:
    truths = [truth(9.0, success=True)]
    part = session(truths, [alert(4.0, 'floor', Level.WARN)], FELL_AND_ROSE)
    assert [check.passed for check in good_checks(part)] == 3 * [True]
    part.alerts.append(alert(5.0, 'drop'))
    assert [check.passed for check in good_checks(part)] == [True, False, True]


def test_the_summary_has_rate_and_latency() -> None:
    part = session([truth(1.0)], [], {0.0: 0.1, 0.1: 0.1, 0.2: math.nan, 0.4: 0.1})
    figures = summarise(part, {}, {})
    assert (figures['values'], figures['unknown']) == (3, 1)
    assert figures['rate_hz'] == 5.0, 'two intervals in 0.4 s'
    assert figures['latency_ms'] == {'p50': 20.0, 'p95': 20.0, 'p99': 20.0}
