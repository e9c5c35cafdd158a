# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From recordings to a LeRobot dataset, scored by index, to one table to join in training."""

import hashlib
from pathlib import Path

import pyarrow.parquet as pq
from support.recordings import make_label, write_recording

from viva_ros.cli import advantage, score
from viva_ros.cli.import_ import main

LENGTHS = (8, 12)  # frames at 10 Hz


def hashes(folder: Path) -> dict[Path, str]:
    files = [path for path in folder.rglob('*') if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_dataset_is_scored_by_index_and_stays_unchanged(
    tmp_path: Path, small_engine: Path
) -> None:
    (tmp_path / 'in').mkdir()
    for number, length in enumerate(LENGTHS):
        rising = [0.05 * n for n in range(length)]
        write_recording(
            tmp_path / 'in' / f'{number}.mcap', rising, label=make_label(success=number == 0)
        )
    (tmp_path / 'map.yaml').write_text('rate: 10\n')
    made = tmp_path / 'made'
    options = ['--map', str(tmp_path / 'map.yaml'), '--out', str(made)]
    assert main([str(tmp_path / 'in'), *options]) == 0
    before = hashes(made)
    assert score.main([str(made), '--engine', str(small_engine), '--rate', '5']) == 0
    assert advantage.main([str(tmp_path / 'made_scored'), '--horizon', '0.2']) == 0
    assert hashes(made) == before

    frames = [pq.read_table(path) for path in sorted((made / 'data').rglob('*.parquet'))]
    for name in ('progress', 'advantage'):
        table = pq.read_table(tmp_path / 'made_scored' / f'made_{name}.parquet')
        for column in ('index', 'episode_index', 'frame_index'):
            expected = [one for part in frames for one in part[column].to_pylist()]
            assert table[column].to_pylist() == expected
    assert table['index'].to_pylist() == list(range(sum(LENGTHS)))
    first = pq.read_table(tmp_path / 'made_scored' / 'episode_000000_values.parquet').to_pydict()
    assert first['status'] == ['ok', 'not_asked'] * 4
    known = [one for one in table['advantage'].to_pylist() if one is not None]
    assert len(known) == sum(LENGTHS) - 2  # the frame after the last value of each
