# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from viva_ros.core.events import Level
from viva_ros.demo.events import DemoSession, DemoTruth, Notice, ValueSample
from viva_ros.demo.summary import alarm_delay, failure_checks, good_checks, summarise

EPOCH = 1_000_000_000_000  # ns


def ns(at: float) -> int:
    return EPOCH + round(at * 1e9)


def moment(at: float, late: float = 0.0, **facts: object) -> DemoTruth:
    told = {
        'attempt': 1, 'phase': 'lift', 'progress': 0.0, 'success': False, 'failed': False,
        'done': False, 'inject': 3.0, 'manifest': math.nan,
    }  # fmt: skip
    return DemoTruth(stamp=ns(at + late), time=at, **(told | facts))


def notice(at: float, kind: str, level: Level = Level.ALARM) -> Notice:
    return Notice(ns(at), level, kind, 0.0, kind, 'e')


def session(
    moments: list[DemoTruth], notices: list[Notice], values: dict[float, float]
) -> DemoSession:
    samples = [ValueSample(ns(at), value, 0.02, '', 'e') for at, value in values.items()]
    return DemoSession(samples, notices, moments)


FELL_AND_ROSE = {0.1 * n: abs(n - 50) / 25 - 1.0 for n in range(101)}  # 1 to -1 at 5 s, and to 1


def test_the_delay_counts_from_the_evidence() -> None:
    part = session([moment(5.0, manifest=4.0)], [notice(4.5, 'drop')], {})
    assert alarm_delay(part, 'manifest') == pytest.approx(0.5)
    assert alarm_delay(part, 'inject') == pytest.approx(1.5)


def test_a_robot_that_has_fallen_behind_is_reckoned_from_the_message_next_to_the_event() -> None:
    moments = [moment(0.0, inject=4.0), moment(4.0, late=1.0, inject=4.0)]
    part = session(moments, [notice(5.5, 'drop')], {})
    assert alarm_delay(part, 'inject') == pytest.approx(0.5)


def test_a_retry_that_prevents_the_evidence_passes() -> None:
    moments = [moment(4.0), moment(10.0, attempt=2, success=True, done=True)]
    notices = [notice(4.9, 'drop'), notice(5.0, 'retry_accepted')]
    checks = failure_checks(session(moments, notices, FELL_AND_ROSE))
    assert [check.passed for check in checks] == 5 * [True]
    assert checks[1].seen.startswith('1.90 s after the first wrong command')
    assert 'before there was physical evidence' in checks[1].seen


def test_an_alarm_before_anything_went_wrong_does_not_pass() -> None:
    part = session([moment(4.0, manifest=3.5)], [notice(2.5, 'drop')], FELL_AND_ROSE)
    assert not failure_checks(part)[1].passed


def test_without_an_alarm_nothing_is_shown() -> None:
    checks = failure_checks(session([moment(4.0)], [], FELL_AND_ROSE))
    assert not any(check.passed for check in checks)


def test_a_robot_that_refuses_to_try_again_has_its_operator_called() -> None:
    notices = [notice(4.9, 'drop'), notice(5.0, 'retry_requested'), notice(5.1, 'retry_refused')]
    checks = failure_checks(session([moment(4.0)], notices, FELL_AND_ROSE))
    assert [check.passed for check in checks] == [True, True, True, False]
    notices.append(notice(7.2, 'retry_budget', Level.NEEDS_OPERATOR))
    checks = failure_checks(session([moment(4.0)], notices, FELL_AND_ROSE))
    assert [check.passed for check in checks] == [True, True, True, True]


def test_a_warning_does_not_spoil_a_good_episode() -> None:
    moments = [moment(9.0, success=True)]
    part = session(moments, [notice(4.0, 'floor', Level.WARN)], FELL_AND_ROSE)
    assert [check.passed for check in good_checks(part)] == 3 * [True]
    part.notices.append(notice(5.0, 'drop'))
    assert [check.passed for check in good_checks(part)] == [True, False, True]


def test_the_summary_has_rate_and_latency() -> None:
    part = session([moment(1.0)], [], {0.0: 0.1, 0.1: 0.1, 0.2: math.nan, 0.4: 0.1})
    figures = summarise(part, {}, {})
    assert (figures['values'], figures['unknown']) == (3, 1)
    assert figures['rate_hz'] == 5.0, 'two intervals in 0.4 s'
    assert figures['latency_ms'] == {'p50': 20.0, 'p95': 20.0, 'p99': 20.0}
