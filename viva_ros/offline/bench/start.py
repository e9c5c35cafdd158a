# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start and memory of engines and eager models, each time in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.speed.processes import BenchError, environment
from viva_ros.engine.api import KINDS

EAGER: Final = (
    'viva, stock eager', 'viva, lean eager', 'value only, lean eager', 'classifier, stock eager',
)  # fmt: skip


def measure_start(folder: Path, task: str, rounds: int) -> list[dict[str, Any]]:
    """
    Load each engine that starts here, and each of EAGER, in turn, some times.

    :returns: a row for each: median seconds from load to the first estimate, most memory held
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in (*KINDS[1:], *EAGER):
        try:
            found[kind] = [_once(folder, task, kind)]
        except BenchError:
            if kind in EAGER:
                raise
    for _ in range(rounds - 1):
        for kind in found:
            found[kind].append(_once(folder, task, kind))
    return [
        {
            'kind': kind,
            'torch': runs[0]['torch'],
            'first_estimate_s': float(np.median([run['first_estimate_s'] for run in runs])),
            'memory_mib': max(run['memory_mib'] for run in runs),
        }
        for kind, runs in found.items()
    ]


def _once(folder: Path, task: str, kind: str) -> dict[str, Any]:
    module = 'benchmarks.speed.first_estimate'
    line = [sys.executable, '-m', module, str(folder), task, kind]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f'{kind} does not start: {done.stderr[-500:].strip()}')
    return dict(json.loads(done.stdout))
