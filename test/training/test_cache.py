# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.errors import raises
from support.foreign_bags import LEFT, still_scene
from support.slides import CUT, slide_episode, write_slide

from viva_ros.data.episode import NAME, Annotation, Episode, save
from viva_ros.data.formats import EpisodeRef
from viva_ros.data.open import resolve
from viva_ros.training import cache
from viva_ros.training.cache import Data
from viva_ros.training.dataset import cut


def write_ref(folder: Path, episode: Episode) -> EpisodeRef:
    return resolve(write_slide(folder, episode))


def test_moments_of_recordings_are_joined_in_order(tmp_path: Path) -> None:
    episodes = [slide_episode(1, frames=8), slide_episode(3, frames=6)]
    refs = [write_ref(tmp_path / 'r', episode) for episode in episodes]
    data = cache.load(refs, tmp_path / 'cache', CUT)
    assert data.images.shape == (4 + 3, 3, 32, 32, 3)
    assert data.episode.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert [label['success'] for label in data.labels] == [True, False]
    assert data.returned.tolist() == pytest.approx([7 / 8, 5 / 8, 3 / 8, 1 / 8,
                                                    1 + 5 / 6, 1 + 3 / 6, 1 + 1 / 6])  # fmt: skip
    expected = cut(episodes[0], CUT.cameras, CUT.joint_names, CUT.size, CUT.horizon, 2)
    np.testing.assert_allclose(data.proprio[:4], expected.proprio, atol=1e-6)
    assert np.abs(data.images[:4].astype(int) - expected.images.astype(int)).mean() < 3  # JPEG


def test_cached_recordings_are_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [write_ref(tmp_path / 'r', slide_episode(seed)) for seed in (1, 2)]
    first = cache.load(refs, tmp_path / 'cache', CUT)
    reads: list[EpisodeRef] = []
    read = cache.open_ref
    monkeypatch.setattr(cache, 'open_ref', lambda ref: reads.append(ref) or read(ref))
    again = cache.load(refs, tmp_path / 'cache', CUT)
    assert not reads
    np.testing.assert_array_equal(first.images, again.images)
    more = [*refs, write_ref(tmp_path / 'r', slide_episode(5))]
    assert len(cache.load(more, tmp_path / 'cache', CUT).labels) == 3
    assert reads == more[2:]
    cache.load(refs, tmp_path / 'cache', replace(CUT, every=1))
    assert reads == [*more[2:], *refs]


def test_images_are_stored_once(tmp_path: Path) -> None:
    refs = [write_ref(tmp_path / 'r', slide_episode(seed)) for seed in (1, 2)]
    train = cache.load(refs[:1], tmp_path / 'cache', CUT)
    held = cache.load(refs[1:], tmp_path / 'cache', CUT)
    assert train.labels[0]['seed'] == 1
    assert held.labels[0]['seed'] == 2
    assert [path.name for path in (tmp_path / 'cache').iterdir()] == ['shards']
    images = (tmp_path / 'cache').rglob('*.npy')
    assert sum(path.stat().st_size >= 6 * 3 * 32 * 32 * 3 for path in images) == 2  # one each


def test_recording_without_outcome_is_refused(tmp_path: Path) -> None:
    ref = write_ref(tmp_path / 'r', replace(slide_episode(1), label=None))
    with raises('recording-outcome-missing', ref.path, 'label it'):
        cache.load([ref], tmp_path / 'cache', CUT)


TOPICS = 'cameras: {top: /top/image/compressed}\njoints: [{topic: /joint_states}]\n'


def labelled(folder: Path) -> cache.Cut:
    """Label the recording 'bag' of a folder; return how it is cut."""
    save(folder / NAME, {'bag': Annotation(True, 'fold')})
    return replace(CUT, cameras=('top',), joint_names=tuple(LEFT))


def test_frozen_camera_is_refused_in_place_as_on_import(tmp_path: Path) -> None:
    ref = resolve(still_scene().write(tmp_path / 'bag'))
    how = labelled(tmp_path)
    (tmp_path / 'viva_map.yaml').write_text(TOPICS)
    with raises(
        'image-frozen', f'{ref.path}: top at stamp', 'frozen: same picture for 1.2 s',
        'raise "frozen_after" (s) in "limits" of the map',
    ):  # fmt: skip
        cache.load([ref], tmp_path / 'cache', how)
    (tmp_path / 'viva_map.yaml').write_text(f'{TOPICS}limits: {{frozen_after: 5}}\n')
    assert len(cache.load([ref], tmp_path / 'cache', how).stamps) == 20


def test_covered_camera_is_refused_in_place_as_on_import(tmp_path: Path) -> None:
    ref = resolve(still_scene(0).write(tmp_path / 'bag'))
    how, text = labelled(tmp_path), f'{TOPICS}limits:\n  frozen_after: 5\n'
    (tmp_path / 'viva_map.yaml').write_text(text)
    with raises(
        'image-implausible', f'{ref.path}: none of the 20 images of top', 'covered: contrast 0',
        'set "uniform_below" in "limits" of the map',
    ):  # fmt: skip
        cache.load([ref], tmp_path / 'cache', how)
    (tmp_path / 'viva_map.yaml').write_text(f'{text}  uniform_below: 0\n')
    assert len(cache.load([ref], tmp_path / 'cache', how).stamps) == 20


def test_task_index_follows_the_given_order(make_slide_data: Callable[..., Data]) -> None:
    data = make_slide_data(range(2))
    assert data.tasks == ('slide',)
    assert set(data.task_index(('other', 'slide'))) == {1}


def test_equal_file_names_in_two_folders_have_two_shards(tmp_path: Path) -> None:
    refs = [write_ref(tmp_path / task, slide_episode(1, frames=frames))
            for task, frames in (('slide', 8), ('push', 6))]  # fmt: skip
    data = cache.load(refs, tmp_path / 'cache', CUT, processes=2)
    assert data.episode.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert data.stamps[[3, 6]].tolist() == [1_600_000_000, 1_400_000_000]  # from 1 s on


def test_another_horizon_needs_no_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [write_ref(tmp_path / 'r', slide_episode(seed, frames=6)) for seed in (1, 3)]
    data = cache.load(refs, tmp_path / 'cache', CUT)
    monkeypatch.setattr(cache, 'open_ref', None)
    other = cache.load(refs, tmp_path / 'cache', replace(CUT, horizon=0.1))
    # 26 joint samples at 20 ms: joint 'left_waist' is k / 25; moments are 10 samples apart.
    assert other.future[:3, 0].tolist() == pytest.approx([5 / 25, 15 / 25, 1.0])
    assert other.future[3:, 0].tolist() == pytest.approx([5 / 25, 15 / 25, 1.0])
    np.testing.assert_array_equal(data.ahead(0.1).future, other.future)
    assert data.future[:, 0].tolist() == [1.0] * 6  # 1 s is beyond the end
    assert other.future.dtype == np.float32


def test_rows_ahead_stay_in_the_episode(
    make_slide_data: Callable[..., Data],
) -> None:
    data = make_slide_data(range(1, 3))  # two episodes of 6 moments, 0.2 s apart
    assert data.rows_ahead(0.4).tolist() == [2, 3, 4, 5, 5, 5, 8, 9, 10, 11, 11, 11]


def test_success_of_a_moment_is_that_of_its_episode(make_slide_data: Callable[..., Data]) -> None:
    assert make_slide_data(range(2, 4)).success.tolist() == [True] * 6 + [False] * 6


def test_balanced_tasks_have_equal_weight(
    make_slide_data: Callable[..., Data],
) -> None:
    data = make_slide_data(range(1, 5))
    labels = [{**label, 'task': 'slide' if i else 'push'} for i, label in enumerate(data.labels)]
    weights = replace(data, labels=labels).balance()
    assert weights.tolist() == pytest.approx([1 / 6] * 6 + [1 / 18] * 18)


def test_joined_images_of_an_earlier_version_are_deleted(tmp_path: Path) -> None:
    refs, folder = [write_ref(tmp_path / 'r', slide_episode(1))], tmp_path / 'cache'
    first = cache.load(refs, folder, CUT)
    np.save(folder / 'train.npy', np.asarray(first.images))
    (folder / 'train.json').write_text(json.dumps([CUT.key, ['source']]))
    np.save(folder / 'mine.npy', np.zeros(3))
    (folder / 'mine.json').write_text('{}')
    again = cache.load(refs, folder, CUT)
    np.testing.assert_array_equal(again.images, first.images)
    assert {path.name for path in folder.iterdir()} == {'shards', 'mine.npy', 'mine.json'}


@pytest.fixture
def file_rows(tmp_path: Path) -> tuple[cache.FileRows, np.ndarray]:
    """Return rows in files of 3, 1, 0 and 6 rows, and the same rows in memory."""
    rows = np.arange(10 * 4, dtype=np.uint8).reshape(10, 2, 2)
    paths = [tmp_path / f'{number}.npy' for number in range(4)]
    for path, part in zip(paths, np.split(rows, [3, 4, 4]), strict=True):
        np.save(path, part)
    return cache.FileRows(paths), rows


@given(rows=st.lists(st.integers(-10, 9), max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_of_files_equal_rows_in_memory(
    file_rows: tuple[cache.FileRows, np.ndarray], rows: list[int]
) -> None:
    files, memory = file_rows
    chosen = np.array(rows, dtype=np.int64)
    np.testing.assert_array_equal(files[chosen], memory[chosen])
    np.testing.assert_array_equal(files[np.sort(chosen)], memory[np.sort(chosen)])


def test_slices_of_files_equal_slices_in_memory(
    file_rows: tuple[cache.FileRows, np.ndarray],
) -> None:
    files, memory = file_rows
    assert (files.shape, len(files), files.dtype) == (memory.shape, 10, np.uint8)
    for key in (
        slice(2, 5),
        slice(None),
        slice(8, 20),
        slice(1, 9, 3),
        7,
        -1,
        memory[:, 0, 0] > 9,
    ):
        np.testing.assert_array_equal(files[key], memory[key])
    np.testing.assert_array_equal(np.asarray(files), memory)


def test_more_files_than_a_process_may_open_are_read(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        paths = [tmp_path / f'{number}.npy' for number in range(200)]
        for number, path in enumerate(paths):
            np.save(path, np.full((1, 2), number))
        assert cache.FileRows(paths)[:][:, 0].tolist() == list(range(200))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_damaged_shard_names_file_and_remedy(tmp_path: Path) -> None:
    ref = write_ref(tmp_path / 'r', slide_episode(1))
    data = cache.load([ref], tmp_path / 'cache', CUT)
    (images,) = (tmp_path / 'cache').rglob('images.npy')
    whole = images.read_bytes()
    images.write_bytes(whole[:-100])
    with raises('cache-shard-damaged', images, 'shorter', f'delete {images.parent}'):
        data.images[:]
    images.write_bytes(b'no array')
    with raises('cache-shard-damaged', images, 'cannot be read'):
        cache.load([ref], tmp_path / 'cache', CUT)
    shutil.rmtree(images.parent)  # the remedy
    assert cache.load([ref], tmp_path / 'cache', CUT).images[:].shape == (6, 3, 32, 32, 3)
