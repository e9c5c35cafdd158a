# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start and memory of each engine, each time in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viva_ros.offline.bench.processes import BenchError, environment
from viva_ros.runtime.engine import KINDS


def measure(folder: Path, task: str, kinds: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    """
    Load each engine in turn, some times.

    :param kinds: that can be loaded here
    :returns: a row for each: median seconds from load to the first estimate, most memory held
    """
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
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


def loadable(folder: Path, task: str) -> list[str]:
    """Give the kinds of engine that start here."""
    found = []
    for kind in KINDS:
        if kind != 'auto':
            try:
                _once(folder, task, kind)
            except BenchError:
                continue
            found.append(kind)
    return found


def _once(folder: Path, task: str, kind: str) -> dict[str, Any]:
    module = 'viva_ros.offline.bench.first_estimate'
    line = [sys.executable, '-m', module, str(folder), task, kind]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f'engine {kind} does not start: {done.stderr[-500:].strip()}')
    return dict(json.loads(done.stdout))
