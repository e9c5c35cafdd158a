# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures and checks of a demo run."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from viva_ros.core.detection.rules import RULES
from viva_ros.core.events import Level, is_alarming
from viva_ros.demo.events import DemoAlert, DemoSession


@dataclass(frozen=True)
class DemoCheck:
    """One check of the demo: expected behaviour and observation."""

    name: str
    passed: bool
    seen: str


def good_checks(part: DemoSession) -> list[DemoCheck]:
    """Check a good episode: success, and no alarm."""
    alarms = [n for n in part.alerts if is_alarming(n.level, n.kind)]
    values = [s.value for s in part.known()]
    return [
        DemoCheck('the robot succeeds', _succeeded(part), _outcome(part)),
        DemoCheck('no alarm', not alarms, f'{len(alarms)} alarms'),
        DemoCheck('the value rises', _rises(values), _span(values)),
    ]


def failure_checks(part: DemoSession) -> list[DemoCheck]:
    """Check a failure: an alarm after its cause, and a retry that succeeds or is refused."""
    alarm = first_alarm(part)
    checks = [
        DemoCheck(
            'the supervisor raises an alarm',
            alarm is not None,
            alarm.text if alarm else 'no alarm',
        ),
        DemoCheck('the alarm follows the failure', _after_injection(part), _delays(part)),
    ]
    kinds = part.kinds()
    if 'retry_rejected' in kinds and 'retry_accepted' not in kinds:
        return checks + _refused_checks(part)
    after = [s.value for s in part.known() if alarm and s.stamp > alarm.stamp]
    return [
        *checks,
        DemoCheck('a retry is accepted', 'retry_accepted' in kinds, ', '.join(kinds)),
        DemoCheck('the robot succeeds after it', _succeeded(part), _outcome(part)),
        DemoCheck('the value rises again', _rises(after), _span(after)),
    ]


def _refused_checks(part: DemoSession) -> list[DemoCheck]:
    """Check that the robot refuses the retry, and that an operator is required."""
    refusal = next(n.text for n in part.alerts if n.kind == 'retry_rejected')
    called = next((n.text for n in part.alerts if n.level == Level.NEEDS_OPERATOR), '')
    return [
        DemoCheck('a retry is requested and the robot refuses it', True, refusal),
        DemoCheck('an operator is required', bool(called), called or 'not required'),
    ]


def first_alarm(part: DemoSession) -> DemoAlert | None:
    """Return the first alarm of a rule; None without one."""
    alarms = (n for n in part.alerts if n.level == Level.ALARM and n.kind in RULES)
    return next(alarms, None)


def alarm_delay(part: DemoSession, event: str) -> float | None:
    """
    Return the delay from an event to the first alarm, s; None without one of them.

    The nearest ground-truth message maps the event to stamps, since a simulation on a busy machine
    falls behind the clock.

    :param event: 'inject', the first wrong command or push, or 'manifest', the physical evidence
    """
    alarm = first_alarm(part)
    gaps = [(abs(getattr(m, event) - m.time), m) for m in part.truths]
    telling = [(gap, m) for gap, m in gaps if np.isfinite(gap)]
    if alarm is None or not telling:
        return None
    _, nearest = min(telling, key=lambda one: one[0])
    ago = nearest.time - float(getattr(nearest, event))
    return (alarm.stamp - nearest.stamp) * 1e-9 + ago


def _after_injection(part: DemoSession) -> bool:
    delay = alarm_delay(part, 'inject')
    return delay is not None and delay > 0.0


def _delays(part: DemoSession) -> str:
    wrong, evident = alarm_delay(part, 'inject'), alarm_delay(part, 'manifest')
    if wrong is None:
        return 'no alarm, or no failure'
    text = f'{wrong:.2f} s after the first wrong command or push'
    if evident is None:
        return f'{text}, before the physical evidence'
    return f'{text}, {evident:+.2f} s from the physical evidence'


def summarise(
    session: DemoSession, checks: dict[str, list[DemoCheck]], facts: dict[str, Any]
) -> dict[str, Any]:
    """Return the content of summary.json."""
    latencies = [1e3 * s.latency for s in session.known()]
    return {
        **facts,
        'passed': all(check.passed for part in checks.values() for check in part),
        'checks': {name: [asdict(check) for check in part] for name, part in checks.items()},
        'values': len(session.known()),
        'unknown': len(session.samples) - len(session.known()),
        'rate_hz': _rate(session),
        'latency_ms': {
            name: round(float(np.percentile(latencies, q)), 1) if latencies else None
            for name, q in (('p50', 50), ('p95', 95), ('p99', 99))
        },
        'alerts': [asdict(alert) for alert in session.alerts],
    }


def _rate(session: DemoSession) -> float:
    known = session.known()
    if len(known) < 2:
        return 0.0
    return round((len(known) - 1) / ((known[-1].stamp - known[0].stamp) * 1e-9), 2)


def _succeeded(part: DemoSession) -> bool:
    return part.now is not None and part.now.success


def _outcome(part: DemoSession) -> str:
    if part.now is None:
        return 'no ground truth'
    word = 'success' if part.now.success else 'no success'
    return f'{word} in attempt {part.now.attempt} after {part.now.time:.1f} s'


def _rises(values: list[float]) -> bool:
    return len(values) >= 10 and float(np.mean(values[-5:]) - np.min(values)) > 0.5


def _span(values: list[float]) -> str:
    if not values:
        return 'no value'
    return f'from {min(values):+.2f} at the lowest to {np.mean(values[-5:]):+.2f} at the end'
