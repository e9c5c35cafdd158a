# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the monitor with a naive node: same cameras, same engine, one after the other.

Added latency: the time from the stamp of the newest image to the published value, minus the time
of the engine and the wait for the rate.
"""

import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.speed.processes import BenchError, environment, last_words, running

SIZES: Final = ((128, 128), (224, 224), (480, 640))  # height, width, px
RATES: Final = (10.0, 30.0)  # Hz
TRANSPORTS: Final = ('raw', 'compressed')
NODES: Final = {
    'ours': 'benchmarks.speed.monitor_node', 'naive': 'benchmarks.speed.naive_node',
}  # fmt: skip
WARM: Final = 0.5  # s of values before the measurement
PATIENCE: Final = 60.0  # s, for the first value
TRIES: Final = 3


@dataclass(frozen=True)
class Case:
    """Three cameras: size in px, rate in Hz, and transport."""

    height: int
    width: int
    rate: float
    transport: str

    @property
    def name(self) -> str:
        """Return the name in tables."""
        return f'{self.width}x{self.height} {self.transport} {self.rate:g} Hz'


def all_cases() -> list[Case]:
    """Return every size, rate and transport."""
    return [Case(*size, rate, way) for size, way, rate in product(SIZES, TRANSPORTS, RATES)]


def measure(case: Case, node: str, engine: str, task: str, seconds: float) -> dict[str, Any]:
    """
    Run a node with its cameras.

    :param node: one of NODES
    :param seconds: duration of the measurement, s
    :raises BenchError: if no value is published
    """
    with tempfile.TemporaryDirectory() as folder:
        sent, log = Path(folder) / 'sent.json', Path(folder) / 'log.json'
        words = Path(folder) / 'node.txt'
        env = environment()
        source = [
            '--height', case.height, '--width', case.width, '--rate', case.rate,
            '--transport', case.transport, '--engine', engine, '--task', task, '--log', sent,
        ]  # fmt: skip
        with (
            running(
                'benchmarks.speed.camera_source', *source, env=env, log=Path(folder) / 's.txt'
            ),
            running(
                NODES[node], log, *_arguments(node, case, engine, task),
                env=env, log=words,
            ) as process,
        ):  # fmt: skip
            end = time.monotonic() + PATIENCE
            while not log.with_suffix('.ready').exists() and time.monotonic() < end:
                time.sleep(0.05)
                if process.poll() is not None:
                    raise BenchError(
                        'bench-node-ended', f'{node} ended too early: {last_words(words)}'
                    )
            time.sleep(WARM + seconds)
        outputs = ((log, node, words), (sent, 'the cameras', Path(folder) / 's.txt'))
        for file, process_name, output in outputs:
            if not file.exists():
                raise BenchError(
                    'bench-node-log',
                    f'{process_name} wrote no log at {case.name}: {last_words(output)}',
                )
        return figures(
            json.loads(log.read_text()), json.loads(sent.read_text()), seconds, case, node
        )


def patiently(case: Case, node: str, engine: str, task: str, seconds: float) -> dict[str, Any]:
    """
    Measure, and repeat a failed measurement, so that one failure does not end the benchmark.

    :raises BenchError: if all tries fail
    """
    for _ in range(TRIES - 1):
        try:
            return measure(case, node, engine, task, seconds)
        except BenchError as error:
            print(f'scripts/bench: measured again: {error}', file=sys.stderr)
    return measure(case, node, engine, task, seconds)


def _arguments(node: str, case: Case, engine: str, task: str) -> list[object]:
    if node == 'naive':
        return ['--transport', case.transport, '--engine', engine, '--task', task]
    given = {
        'transport': case.transport, 'rate': case.rate, 'task': task,
        **({'engine': engine} if engine else {}),
    }  # fmt: skip
    return ['--ros-args', *(part for k, v in given.items() for part in ('-p', f'{k}:={v}'))]


def figures(
    log: Mapping[str, Any], sent: Sequence[int], seconds: float, case: Case, node: str
) -> dict[str, Any]:
    """
    Return the figures of the logs of a node and of the cameras.

    :param sent: stamps of the last camera of each set, ns
    :raises BenchError: if values are too few
    """
    given = [value for value in log['values'] if value[3] is not None]
    if len(given) < 3:
        raise BenchError(
            'bench-node-values',
            f'{node} published {len(given)} values at {case.name}: run with less load',
        )
    end, warm = given[-1][0], given[0][0] + round(WARM * 1e9)
    begin = max(end - round(seconds * 1e9), warm if warm < end else given[0][0])
    values = [value for value in given if begin < value[0] <= end]
    added = [1e3 * (latency - wait - engine) for _, latency, wait, engine, _ in values]
    due = sum(begin < stamp <= end for stamp in sent)
    beats = np.array(log['beats'])[1:]
    beats = beats[beats[:, 0] > beats[-1, 0] - seconds]
    late = 1e3 * np.abs(np.diff(beats[:, 0]) - log['beat'])
    spent = (beats[-1] - beats[0]) / (beats[-1, 0] - beats[0, 0])  # 1, by itself, by the engine's
    engine_time = sum(value[4] for value in values) / ((end - begin) * 1e-9)
    return {
        'case': case.name, **asdict(case), 'node': node, 'values': len(values), 'sets_sent': due,
        'delivered': len(values) / max(1, due),
        'added_p50_ms': float(np.percentile(added, 50)),
        'added_p95_ms': float(np.percentile(added, 95)),
        'latency_p50_ms': 1e3 * float(np.median([value[1] for value in values])),
        'wait_p50_ms': 1e3 * float(np.median([value[2] for value in values])),
        'engine_p50_ms': 1e3 * float(np.median([value[3] for value in values])),
        'cpu_percent': 100.0 * float(spent[1] + spent[2]),
        'cpu_besides_engine_percent': 100.0 * max(0.0, float(spent[1]) - engine_time),
        'jitter_p50_ms': float(np.percentile(late, 50)),
        'jitter_p99_ms': float(np.percentile(late, 99)),
        'memory_mib': log['memory_mib'],
    }  # fmt: skip
