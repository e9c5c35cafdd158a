# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From recorded failures to their advantages, with the shipped engine and the public commands."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from viva_ros.cli import advantage, record, score
from viva_ros.scoring.store import read_scored

STEPS = 10  # N: 1 s of frames at 10 Hz


@pytest.mark.slow
@pytest.mark.timeout(600)  # 46 s of one core, but others may use the cores, too
def test_end_of_failures_is_not_labelled_better_than_success(tmp_path: Path) -> None:
    recordings, scored = tmp_path / 'recordings', tmp_path / 'scored'
    for seeds, failure in (
        ('910000-910001', 'none'),
        ('910002', 'slip'),
        ('910004', 'nudge'),
    ):
        options = ['--task', 'tray_lift', '--out', str(recordings), '--failure', failure]
        assert record.main(['--seeds', seeds, *options]) == 0
    assert score.main([str(recordings), '--out', str(scored), '--processes', '2']) == 0
    assert advantage.main([str(scored)]) == 0

    ends: dict[bool, list[float]] = {True: [], False: []}
    for path in sorted(scored.rglob('*_advantage.parquet')):
        name = path.name.replace('_advantage', '_values')
        (episode,) = read_scored(path.with_name(name)).episodes
        columns = pq.read_table(path).to_pydict()
        success = bool(episode.entry['success'])
        ends[success] += columns['indicator'][-STEPS:]
        if not success:
            assert columns['advantage'][-1] <= 0.0
    assert len(ends[True]) >= 2 * STEPS
    assert len(ends[False]) >= 2 * STEPS
    assert np.mean(ends[False]) <= np.mean(ends[True])

    content = json.loads((scored / 'advantage.json').read_text())
    shares = content['tasks']['tray_lift']['positive_share_by_time_to_end']
    assert shares['failures']['steps'][:2] == [10, 10]  # two failures, 0.5 s each
    assert shares['failures']['share'][:2] == [0.0, 0.0]
