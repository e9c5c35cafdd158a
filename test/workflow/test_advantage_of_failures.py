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
@pytest.mark.timeout(900)  # 50 s of one core, but others may use the cores, too
@pytest.mark.parametrize(
    ('task', 'failures'),
    [('tray_lift', ('slip', 'nudge')), ('cube_transfer', ('slip', 'misalignment'))],
)
def test_end_of_failures_is_not_labelled_better_than_success(
    tmp_path: Path, task: str, failures: tuple[str, str]
) -> None:
    recordings, scored = tmp_path / 'recordings', tmp_path / 'scored'
    for seeds, failure in (
        ('910000-910001', 'none'),
        ('910002', failures[0]),
        ('910004', failures[1]),
    ):
        options = ['--task', task, '--out', str(recordings), '--failure', failure]
        assert record.main(['--seeds', seeds, *options]) == 0
    arguments = [str(recordings), '--out', str(scored), '--processes', '2', '--no-alarms']
    assert score.main(arguments) == 0
    assert advantage.main([str(scored)]) == 0

    ends: dict[bool, list[list[float]]] = {True: [], False: []}
    for path in sorted(scored.rglob('*_advantage.parquet')):
        name = path.name.replace('_advantage', '_values')
        (episode,) = read_scored(path.with_name(name)).episodes
        columns = pq.read_table(path).to_pydict()
        success = bool(episode.entry['success'])
        ends[success].append(columns['indicator'][-2 * STEPS :])
        if not success:
            assert columns['advantage'][-1] <= 0.0
    assert [len(ends[outcome]) >= 2 for outcome in (True, False)] == [True, True]
    for steps in (STEPS, 2 * STEPS):
        share = {outcome: np.mean([one[-steps:] for one in ends[outcome]]) for outcome in ends}
        assert share[False] <= share[True], steps

    content = json.loads((scored / 'advantage.json').read_text())
    shares = content['tasks'][task]['positive_share_by_time_to_end']
    assert shares['failures']['share'][:2] == [0.0, 0.0]  # 0.5 s each
