# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from viva_ros.core.errors import RecordingError
from viva_ros.data.episode import Episode
from viva_ros.offline import cache
from viva_ros.offline.cache import Cut, Data
from viva_ros.offline.moments import cut

Record = Callable[[Path, Episode], Path]


def test_moments_of_all_recordings_are_joined_in_order(
    tmp_path: Path, slide: Callable[..., Episode], record: Record, how: Cut
) -> None:
    episodes = [slide(1, frames=8), slide(3, frames=6)]
    paths = [record(tmp_path / 'r', episode) for episode in episodes]
    data = cache.load(paths, tmp_path / 'cache', how, 'train')
    assert data.images.shape == (4 + 3, 3, 32, 32, 3)
    assert data.episode.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert [label['success'] for label in data.labels] == [True, False]
    assert data.returned.tolist() == pytest.approx([7 / 8, 5 / 8, 3 / 8, 1 / 8,
                                                    1 + 5 / 6, 1 + 3 / 6, 1 + 1 / 6])  # fmt: skip
    expected = cut(episodes[0], how.cameras, how.joint_names, how.size, how.horizon, 2)
    np.testing.assert_allclose(data.proprio[:4], expected.proprio, atol=1e-6)
    assert np.abs(data.images[:4].astype(int) - expected.images.astype(int)).mean() < 3  # JPEG


def test_what_is_in_the_cache_is_not_read_again(
    tmp_path: Path, slide: Callable[..., Episode], record: Record, how: Cut,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    paths = [record(tmp_path / 'r', slide(seed)) for seed in (1, 2)]
    first = cache.load(paths, tmp_path / 'cache', how, 'train')
    reads: list[Path] = []
    read = cache.read
    monkeypatch.setattr(cache, 'read', lambda path: reads.append(path) or read(path))
    again = cache.load(paths, tmp_path / 'cache', how, 'train')
    assert not reads
    np.testing.assert_array_equal(first.images, again.images)
    more = [*paths, record(tmp_path / 'r', slide(5))]
    assert len(cache.load(more, tmp_path / 'cache', how, 'train').labels) == 3
    assert reads == more[2:]
    cache.load(paths, tmp_path / 'cache', replace(how, every=1), 'train')
    assert reads == [*more[2:], *paths]


def test_parts_share_shards_but_not_arrays(
    tmp_path: Path, slide: Callable[..., Episode], record: Record, how: Cut
) -> None:
    paths = [record(tmp_path / 'r', slide(seed)) for seed in (1, 2)]
    train = cache.load(paths[:1], tmp_path / 'cache', how, 'train')
    held = cache.load(paths[1:], tmp_path / 'cache', how, 'validation')
    assert train.labels[0]['seed'] == 1
    assert held.labels[0]['seed'] == 2
    assert {path.name for path in (tmp_path / 'cache').glob('*.npy')} == {
        'train.npy', 'validation.npy',
    }  # fmt: skip


def test_a_recording_without_an_outcome_is_refused(
    tmp_path: Path, slide: Callable[..., Episode], record: Record, how: Cut
) -> None:
    path = record(tmp_path / 'r', replace(slide(1), label=None))
    with pytest.raises(RecordingError, match='no episode with an outcome: leave it out'):
        cache.load([path], tmp_path / 'cache', how, 'train')


def test_tasks_are_numbered_as_asked_for(make_data: Callable[..., Data]) -> None:
    data = make_data(range(2))
    assert data.tasks == ('slide',)
    assert set(data.task_index(('other', 'slide'))) == {1}
