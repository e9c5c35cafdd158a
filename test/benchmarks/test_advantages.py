# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest
from support.errors import raises
from support.scored_tables import write_scored

from benchmarks.advantages import main


def write_ends(folder: Path) -> None:
    """Write a success that rises to 1, and a failure with success 0 and progress .1 at the end."""
    rise = np.arange(1, 31) / 30
    write_scored(folder, 'done', rise.tolist(), True, parts=[(p, 1.0) for p in rise])
    fall = [(0.5, 0.5)] * 10 + [(0.1, 0.0)] * 20
    write_scored(folder, 'failed', [p + s - 1 for p, s in fall], False, parts=fall)


def test_failure_end_is_positive_before_and_not_after(tmp_path: Path) -> None:
    write_ends(tmp_path)
    out = tmp_path / 'figures' / 'advantages.json'
    assert main([str(tmp_path), '--out', str(out)]) == 0
    content = json.loads(out.read_text())
    ends = {name: tasks['lift']['last']['failures'] for name, tasks in content['rules'].items()}
    # N is 10 frames. Before: A = 1.9 - k/30 - 1 with k = 9 .. 0, mean .75; after: -k/30
    assert ends['before']['positive']['value'] == 1.0
    assert ends['before']['advantage']['value'] == pytest.approx(0.75)
    for name in ('terminal', 'time', 'after'):
        assert ends[name]['positive']['value'] == 0.0
        assert ends[name]['advantage']['value'] == pytest.approx(-0.15)
    assert content['rules']['after']['lift']['by_time']['failures']['share'][:2] == [0.0, 0.0]
    assert content['each'] == [{'name': name, 'task': 'lift'} for name in ('done', 'failed')]
    table = out.with_suffix('.md').read_text()
    assert '| before | lift | 1 | 1.000 | 0.750 |' in table
    assert out.with_suffix('.png').stat().st_size > 10_000


def test_rules_need_successes_and_failures(tmp_path: Path) -> None:
    write_scored(tmp_path, 'done', [0.1, 0.5, 0.9])
    with raises('advantages-outcomes', tmp_path, 'both successes and failures'):
        main([str(tmp_path), '--out', str(tmp_path / 'advantages.json')])
