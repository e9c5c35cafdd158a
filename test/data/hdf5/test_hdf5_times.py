# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows, rates and clocks of HDF5 episodes."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.errors import raises
from support.hdf5_episodes import (
    ROWS,
    named,
    raw_images,
    write_aloha,
)
from support.in_place import episode, numbers, write_map
from support.lerobot_datasets import NAMES

from viva_ros.data.conversion.raw_episode import raw_episodes
from viva_ros.data.open import open_recording, open_unmapped
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import load_map

pytestmark = pytest.mark.fast

RATED = {'fps': 10}
QPOS = 'observations/qpos'


def test_file_without_any_rate_needs_one_in_the_map(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5')
    with raises('source-rate-missing', path, 'no timestamps and no rate', 'source_rate', QPOS):
        open_recording(path)
    topic_map = write_map(tmp_path, named(QPOS))
    with raises('source-rate-missing', 'set "source_rate" in the map'):
        raw_episodes(open_unmapped(path), load_map(topic_map))
    topic_map = write_map(tmp_path, named(QPOS, 'source_rate: 12.5'))
    (raw,) = raw_episodes(open_unmapped(path), load_map(topic_map))
    expected = [10**9 + k * 80_000_000 for k in range(ROWS)]
    assert raw.joints[0].stamps.tolist() == raw.cameras['top'].stamps.tolist() == expected
    assert episode(path).joints.stamps.tolist() == expected


def test_rate_of_the_map_is_used_with_a_note(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED)
    write_map(tmp_path, named(QPOS, 'source_rate: 20'))
    recording = open_recording(path)
    assert episodes_of(recording)[0].joints.stamps[1] == 1_050_000_000
    assert 'rate of the recording is 10 Hz: source_rate 20 Hz of the map is used' in \
        recording.notes  # fmt: skip


def test_contradicting_rates_are_refused(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes={'fps': 50, 'frequency': 30})
    with raises('source-rate-missing', 'fps 50 Hz and frequency 30 Hz', 'source_rate'):
        open_recording(path)


SECONDS = np.arange(ROWS) * 0.02


@pytest.mark.parametrize(('values', 'first'), [
    (SECONDS, 10**9), (SECONDS + 1.7e9, 1_700_000_000 * 10**9),
    ((np.arange(ROWS) * 20_000_000).astype(np.int64), 10**9),
    (1_700_000_000_000_000_001 + np.arange(ROWS) * 20_000_000, 1_700_000_000_000_000_001),
])  # fmt: skip
def test_unit_of_timestamps_is_found(tmp_path: Path, values: Any, first: int) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', names=NAMES, datasets={'timestamp': values})
    stamps = episode(path).joints.stamps
    assert abs(int(stamps[0]) - first) < 300  # ns, of float64
    np.testing.assert_allclose(np.diff(stamps), 20_000_000, atol=600)


@pytest.mark.parametrize(('values', 'text'), [
    (np.arange(ROWS) * 20, 'rows are 20 apart'), (np.arange(ROWS), 'rows are 1 apart'),
    (np.arange(ROWS) * 20_000.0, 'rows are 20000 apart'),
    (np.r_[SECONDS[:-1], np.nan], 'timestamp of row 11 is nan'),
    (SECONDS[:-1], 'timestamp has 11 rows of 1, observations/qpos 12'),
])  # fmt: skip
def test_doubtful_timestamps_need_a_rate(tmp_path: Path, values: Any, text: str) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', datasets={'timestamp': values}, attributes=RATED)
    with raises('source-rate-missing', text, 'source_rate'):
        open_recording(path)
    write_map(tmp_path, named(QPOS, 'source_rate: 50'))
    assert np.diff(episode(path).joints.stamps).tolist() == [20_000_000] * (ROWS - 1)


def test_unit_attribute_of_timestamps_decides(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', names=NAMES, datasets={
        'observations/timestamp': np.arange(ROWS) * 20,
    })  # fmt: skip
    with h5py.File(path, 'a') as file:
        file['observations/timestamp'].attrs['unit'] = 'ms'
    assert np.diff(episode(path).joints.stamps).tolist() == [20_000_000] * (ROWS - 1)
    with h5py.File(path, 'a') as file:
        file['observations/timestamp'].attrs['unit'] = 'ticks'
    with raises('source-rate-missing', "'ticks'", 'must be one of s'):
        open_recording(path)


def test_frame_index_stamps_without_a_rate_are_refused(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', datasets={'timestamp': SECONDS})
    write_map(tmp_path, named(QPOS, 'stamp: frame_index'))
    with raises('frame-index-rate', path, 'source_rate'):
        open_recording(path)
    write_map(tmp_path, named(QPOS, 'stamp: frame_index\nsource_rate: 10'))
    assert episode(path).joints.stamps[1] == 1_100_000_000


@pytest.mark.parametrize(('key', 'values'), [
    ('observations/time', np.arange(ROWS) * 0.1), ('observations/ts', np.zeros((ROWS, 2))),
    ('timestamp_ns', 10**18 + np.arange(ROWS) * 10**8),
    ('timestamp', [f'12:00:{k}'.encode() for k in range(ROWS)]),
])  # fmt: skip
@pytest.mark.parametrize('datasets', [{}, {'observations/timestamp': np.arange(ROWS) * 0.1}])
def test_unknown_clock_needs_a_rate(
    tmp_path: Path, key: str, values: Any, datasets: dict[str, Any]
) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', attributes=RATED, names=NAMES, datasets={**datasets, key: values}
    )
    with raises('source-rate-missing', *datasets, f'{key} may have the times', 'source_rate'):
        open_recording(path)
    write_map(tmp_path, 'source_rate: 20')
    assert np.diff(episode(path).joints.stamps).tolist() == [50_000_000] * (ROWS - 1)


@pytest.mark.parametrize(('key', 'rows'), [(QPOS, 11), ('observations/images/low', 13)])
def test_other_number_of_rows_is_refused(tmp_path: Path, key: str, rows: int) -> None:
    values = np.zeros((rows, 4)) if key == QPOS else raw_images(rows)
    path = write_aloha(tmp_path / 'a.hdf5', datasets={key: values}, attributes=RATED, names=NAMES)
    images = 'observations/images/' + ('top' if key == QPOS else 'low')
    own, reference = (12, 11) if key == QPOS else (13, 12)
    with raises('hdf5-rows', f'{images} has {own} rows', f'{QPOS} {reference}'):
        episode(path)


def test_unused_dataset_may_have_other_rows(tmp_path: Path) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', datasets={'gains': np.ones((3, 4))}, attributes=RATED, names=NAMES
    )
    assert numbers(episode(path)) == list(range(ROWS))
    write_map(tmp_path, named('gains'))
    with raises('hdf5-rows', 'gains has 3 rows', f'{QPOS} 12'):
        open_recording(path)
