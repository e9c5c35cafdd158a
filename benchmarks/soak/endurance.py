# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rate, latency and memory of a long demo, by minute."""

import os
import time
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

from viva_ros.demo.events import DemoSession, ValueSample
from viva_ros.engine.usage import resident_mib
from viva_ros.evaluation.tables import hardware

MINUTE = 60.0  # s


class Gauge:
    """Reads the memory of processes once a minute."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        """
        Read the memory for the first time.

        :param processes: name to process id
        """
        self._processes = processes
        self._due = time.monotonic()
        self.memory: dict[str, list[float]] = {name: [] for name in processes}
        self.load: list[float] = []
        self.look()

    def look(self) -> None:
        """Read the memory if a minute has passed."""
        if time.monotonic() < self._due:
            return
        self._due += MINUTE
        self.load.append(round(os.getloadavg()[0], 2))
        for name, number in self._processes.items():
            self.memory[name].append(round(resident_mib(number), 1))


def minutes(session: DemoSession) -> list[dict[str, Any]]:
    """Return rate and latency of each full minute, from the first value on."""
    known = session.known()
    if not known:
        return []
    begin, end = known[0].stamp, session.samples[-1].stamp
    count = int((end - begin) * 1e-9 / MINUTE)
    return [_minute(session, number, begin + round(number * MINUTE * 1e9))
            for number in range(count)]  # fmt: skip


def live_report(session: DemoSession, gauge: Gauge, command: str) -> dict[str, Any]:
    """Return the content of the benchmark file."""
    rows = minutes(session)
    return {
        'format': 'viva_ros live 1',
        'date': date.today().isoformat(),
        'command': command,
        'hardware': f'{hardware()}, no GPU used',
        'niceness': os.nice(0),
        'load_average': gauge.load,
        'minutes': rows,
        'growth_ms': {
            name: round(rows[-1][name] - rows[0][name], 1) if rows else None
            for name in ('p50_ms', 'p95_ms')
        },
        'memory_mib': gauge.memory,
    }


def _minute(session: DemoSession, number: int, begin: int) -> dict[str, Any]:
    end = begin + round(MINUTE * 1e9)
    inside = [sample for sample in session.samples if begin <= sample.stamp < end]
    known = [sample for sample in inside if np.isfinite(sample.value)]
    return {
        'minute': number + 1,
        'rate_hz': round(len(known) / MINUTE, 2),
        'unknown': len(inside) - len(known),
        **{f'p{q}_ms': percentile(known, q) for q in (50, 95, 99)},
    }


def percentile(samples: list[ValueSample], share: int) -> float:
    """Return a percentile of the latencies, ms; NaN without samples."""
    if not samples:
        return float('nan')
    return round(float(np.percentile([1e3 * s.latency for s in samples], share)), 1)
