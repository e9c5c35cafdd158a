# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entries of /diagnostics; rate, latency and faults of the values within the last second."""

import os
import time
from collections import deque
from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from viva_ros.core.windows import RateMeter, is_slower

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE
)  # fmt: skip


class Report:
    """The diagnostic entries of one node."""

    def __init__(self, node: str, robot: str) -> None:
        """
        Create a report without entries.

        :param node: fully qualified name, the prefix of each entry's name
        :param robot: namespace, the hardware_id; '/' without one
        """
        self._node, self._robot = node, robot
        self._entries: list[DiagnosticStatus] = []

    def add(
        self, name: str, level: bytes, text: str, values: Mapping[str, object] | None = None
    ) -> None:
        """Add an entry: level, text and figures."""
        pairs = [KeyValue(key=key, value=str(value)) for key, value in (values or {}).items()]
        self._entries.append(
            DiagnosticStatus(
                level=level, name=f'{self._node}: {name}', message=text,
                hardware_id=self._robot, values=pairs,
            )
        )  # fmt: skip

    def message(self, stamp: Time) -> DiagnosticArray:
        """Return the report as a message."""
        return DiagnosticArray(header=Header(stamp=stamp), status=self._entries)


LATENCIES = 100  # of the percentiles
RATE_SPAN = 5.0  # s


class Health:
    """Counts the published values."""

    def __init__(self, rate: float) -> None:
        """:param rate: at which values are to be published, Hz."""
        self._set_rate = rate
        self._reported = time.monotonic()
        self._rate = RateMeter(RATE_SPAN)
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._skews: deque[float] = deque(maxlen=LATENCIES)
        self._known = self._unknown = 0
        self._reason = ''

    def note(self, latency: float, skew: float) -> None:
        """Count a known value, with its latency and the skew of its inputs, s."""
        self._latencies.append(latency)
        self._skews.append(skew)
        self._known += 1
        self._reason = ''
        self._rate.add(time.monotonic())

    def note_unknown(self, reason: str) -> None:
        """Count an unknown value."""
        self._unknown += 1
        self._reason = reason

    def diagnose(self, report: Report) -> None:
        """Report on the time since the last report, which a busy machine may delay."""
        now = time.monotonic()
        span, self._reported = max(now - self._reported, 1e-3), now
        rate = self._rate.rate(now)
        level, text = OK, f'{self._known} values in the last {span:.1f} s'
        if self._reason:
            level, text = WARN, f'unknown: {self._reason}'
        elif is_slower(rate, self._set_rate):
            level, text = WARN, too_slow(rate, self._set_rate)
        report.add('value', level, text, self._figures(span))
        self._known = self._unknown = 0

    def _figures(self, span: float) -> dict[str, object]:
        total = max(1, self._known + self._unknown)
        figures: dict[str, object] = {
            'rate_hz': round(self._known / span), 'unknown_hz': round(self._unknown / span),
            'unknown_share': f'{self._unknown / total:.2f}',
        }  # fmt: skip
        if self._latencies:
            p50, p95 = np.percentile(self._latencies, (50, 95))
            figures |= {'latency_p50_ms': f'{1e3 * p50:.1f}', 'latency_p95_ms': f'{1e3 * p95:.1f}'}
            figures['skew_max_ms'] = f'{1e3 * max(self._skews):.1f}'
        return figures


def too_slow(rate: float, expected: float) -> str:
    """Return the text of values that are slower than their rate, both Hz."""
    return (
        f'known values come at {rate:.1f} Hz, must be at {expected:.4g} Hz, for which thresholds '
        'hold: see the engine and the inputs in /diagnostics, and end other programs; or '
        "set rate to one that this machine reaches, and run 'viva calibrate --rate' for it"
    )


def open_handles() -> int:
    """Return the number of files, sockets and the like that this process holds open."""
    return len(os.listdir('/proc/self/fd'))
