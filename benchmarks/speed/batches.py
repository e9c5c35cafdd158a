# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time of an engine for batches of observations: the upper limit of what a server can save.

The process does nothing else, so its caches are warm, unlike those of a robot at 10 Hz.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.speed.many_robots import ALONE, look
from viva_ros.engine.api import BatchEngine
from viva_ros.engine.factory import load

TURNS: Final = 5  # each number of observations once
CALLS: Final = 6  # in a turn


def measure(numbers: Sequence[int], folder: Path, kind: str, task: str) -> list[dict[str, Any]]:
    """
    Time an engine for several batch sizes, in turn.

    :returns: rows by batch size, as of fleets; empty if the engine does not support batches
    """
    engine = load(folder, task, kind)
    if not isinstance(engine, BatchEngine):
        return []
    seconds: dict[int, list[float]] = {number: [] for number in numbers}
    used = dict.fromkeys(numbers, 0.0)
    for turn in range(TURNS + 1):
        for number in numbers:
            observations = [look(engine.info)] * number
            for _ in range(CALLS):
                began, before = time.monotonic(), time.process_time()
                engine.estimate_batch(observations)
                if turn:  # the first is for compiling and warming up
                    seconds[number].append(time.monotonic() - began)
                    used[number] += time.process_time() - before
    engine.close()
    return [_row(number, seconds[number], used[number]) for number in numbers]


def _row(number: int, seconds: Sequence[float], used: float) -> dict[str, Any]:
    return {
        'robots': number, 'where': ALONE, 'phases': 'one call',
        'cpu_ms': 1e3 * used / len(seconds) / number,
        'p50_ms': 1e3 * float(np.percentile(seconds, 50)),
        'p95_ms': 1e3 * float(np.percentile(seconds, 95)), 'batch': float(number),
    }  # fmt: skip
