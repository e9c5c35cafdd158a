# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_both_ways_load_the_engine_and_answer(small_engine: Path) -> None:
    line = [sys.executable, '-m', 'benchmarks.isolation', '--rounds', '1']
    line += ['--engine', str(small_engine)]
    root = Path(__file__).parents[2]
    done = subprocess.run(line, capture_output=True, text=True, cwd=root, check=True)
    found = json.loads(done.stdout)
    assert set(found) == {'viva_ros', 'multiprocessing'}
    for row in found.values():
        assert row['start_s'] > 0 and row['round_trip_s'] > 0
        assert row['memory_mib'] > 10
