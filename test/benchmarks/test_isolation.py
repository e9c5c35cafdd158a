# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import subprocess
from pathlib import Path

import pytest
from support.checkout import checkout_child


@pytest.mark.slow
def test_both_ways_load_the_engine_and_answer(small_engine: Path) -> None:
    child = checkout_child('benchmarks.isolation', '--rounds', 1, '--engine', small_engine)
    done = subprocess.run(**child, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert set(found) == {'viva_ros', 'multiprocessing'}
    for row in found.values():
        assert row['start_s'] > 0 and row['round_trip_s'] > 0
        assert row['memory_mib'] > 10
