# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grid times of an import: no row of a dataset is lost to the rounding of its timestamps."""

from pathlib import Path

import numpy as np
import pytest

from viva_ros.data.conversion.raw_episode import RawEpisode
from viva_ros.data.conversion.resample import grid, repeats
from viva_ros.data.episode import Frames, Joints
from viva_ros.data.row_times import timestamp_stamps

pytestmark = pytest.mark.fast


def dataset(timestamps: np.ndarray) -> RawEpisode:
    """Return an episode of a dataset whose rows have these timestamps, s."""
    found, reason = timestamp_stamps('timestamp', timestamps)
    assert reason == ''
    stamps = np.array(found)
    joints = Joints(stamps, ('j',), np.zeros((len(stamps), 1)))
    return RawEpisode(
        'one', Path('one'), {'top': Frames(stamps, [])}, (joints,), None, is_dataset=True
    )


@pytest.mark.parametrize('digits', [3, 6, 9])
@pytest.mark.parametrize('rate', [10, 15, 24, 30, 50, 60, 90, 120])
@pytest.mark.parametrize('rows', [2, 3, 31, 301])
def test_rounded_timestamps_lose_and_repeat_no_row(rows: int, rate: int, digits: int) -> None:
    one = dataset(np.round(np.arange(rows) / rate, digits))
    found = grid(one, rate)
    assert len(found) == rows
    assert repeats(one.cameras['top'].stamps, found) == 0


def test_timestamps_of_float32_lose_no_row() -> None:
    one = dataset((np.arange(9000) / 30).astype(np.float32))  # 15 us apart at 300 s
    assert len(grid(one, 30)) == 9000


def test_lower_rate_ends_with_the_last_row() -> None:
    one = dataset(np.arange(33) / 30)  # up to 1.067 s
    assert len(grid(one, 10)) == 11
