# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from support.errors import raises
from support.slides import CAMERAS, slide_episode, write_slide

from viva_ros.data.episode import Episode, Frames, Joints, Label
from viva_ros.data.formats import FORMATS, EpisodeRef
from viva_ros.data.recording import Recording
from viva_ros.training import survey
from viva_ros.training.cache import Data
from viva_ros.training.config import TrainConfig, plan
from viva_ros.training.dataset import EpisodeChannels
from viva_ros.training.run import clip_spacing, train
from viva_ros.training.sources import (
    blank_for,
    find,
    gather,
    of_episodes,
    of_tasks,
    robot_of,
    sample,
)
from viva_ros.training.survey import survey_of

LENGTHS = {'vae': 2, 'video': 2, 'viva': 2, 'proprio': 2}


def run_of(folder: Path, *recordings: Path, **changes: object) -> TrainConfig:
    return replace(
        TrainConfig(recordings, folder, 'tiny', 0, plan(2, LENGTHS), folder / 'c'), **changes
    )


def labelled(episode: Episode, task: str) -> Episode:
    return replace(episode, label=replace(episode.label or Label('', True), task=task))


def test_robot_is_read_from_an_episode() -> None:
    stamps = np.arange(30, dtype=np.int64) * 33_300_000  # 30 Hz, rounded to 0.1 ms
    joints = Joints(stamps, ('a', 'b'), np.zeros((30, 2)))
    pictures = [np.zeros((8, 8, 3), dtype=np.uint8)] * 30
    cameras = {name: Frames(stamps, pictures) for name in ('wrist', 'chest')}
    channels = EpisodeChannels.of(Episode('e', cameras, joints, None))
    robot = robot_of(channels)
    assert robot.cameras == ('chest', 'wrist')
    assert robot.joint_names == ('a', 'b')
    assert robot.frame_rate == 30.0
    assert robot.every == 6  # moments at 5 Hz
    assert robot_of(channels, ('wrist',)).cameras == ('wrist',)
    for usual, expected in (
        (('wrist', 'chest'), ('wrist', 'chest')), (('wrist', 'head'), ('chest', 'wrist')),
    ):  # fmt: skip
        assert robot_of(channels, (), usual).cameras == expected


def test_unknown_or_repeated_camera_is_refused() -> None:
    channels = EpisodeChannels.of(slide_episode(1))
    with raises('camera-not-recorded', 'cameras is chest', 'episode_000001', 'head, left_wrist'):
        robot_of(channels, ('head', 'chest'))
    with raises('camera-repeated', 'cameras is head, head'):
        robot_of(channels, ('head', 'head'))


def test_rate_of_a_single_frame_is_refused() -> None:
    episode = slide_episode(1)
    head = episode.cameras['head']
    short = {'head': Frames(head.stamps[:1], head.images[:1])}
    with raises('rate-unknown', 'episode_000001 has 1 of head', 'two or more'):
        robot_of(EpisodeChannels.of(replace(episode, cameras=short)))


def test_folders_of_two_tasks_are_joined_in_camera_order(
    tmp_path: Path,
) -> None:
    for task in ('lift', 'pass'):
        for seed in (1, 2):
            write_slide(tmp_path / task / 'train', labelled(slide_episode(seed), task))
        (tmp_path / task / 'validation').mkdir()
    cameras = ('right_wrist', 'head')
    run = run_of(tmp_path, tmp_path / 'lift', tmp_path / 'pass', cameras=cameras)
    material = gather(run)
    assert material.learn.tasks == ('lift', 'pass')
    assert material.blank.cameras == cameras
    assert material.learn.images.shape[1] == 2
    only = gather(replace(run, tasks=('pass',)))
    assert only.learn.tasks == ('pass',)
    with raises('task-not-recorded', 'tasks is fold', 'lift, pass'):
        gather(replace(run, tasks=('fold',)))


@pytest.fixture
def resolved_and_opened(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Path], list[Path]]:
    """Return the paths of bags that are resolved, and those that are opened, in order."""
    resolved: list[Path] = []
    opened: list[Path] = []
    bag = FORMATS['bag']

    def resolve(path: Path) -> EpisodeRef | None:
        resolved.append(path)
        return bag.resolve(path)

    def read(ref: EpisodeRef) -> Recording:
        opened.append(ref.path)
        return bag.open(ref)

    monkeypatch.setitem(FORMATS._loaded, 'bag', replace(bag, resolve=resolve, open=read))
    return resolved, opened


def write_parts(folder: Path, *seeds: int) -> list[Path]:
    """Write recordings for training, and one for validation; return their paths in order."""
    train = [write_slide(folder / 'r', slide_episode(seed)) for seed in seeds]
    held = write_slide(folder / 'r', slide_episode(max(seeds) + 1))
    parts = {'train': [path.name for path in train], 'validation': [held.name]}
    (folder / 'r' / 'split.json').write_text(json.dumps(parts))
    return [*train, held]


def test_cached_recordings_are_resolved_once_and_not_opened(
    tmp_path: Path, resolved_and_opened: tuple[list[Path], list[Path]]
) -> None:
    paths = write_parts(tmp_path, 1, 2)
    first = gather(run_of(tmp_path, tmp_path / 'r'))
    resolved, opened = resolved_and_opened
    assert resolved == paths
    assert opened == [paths[0], *paths]  # the first one also for its cameras and joints
    resolved.clear()
    opened.clear()
    again = gather(run_of(tmp_path, tmp_path / 'r'))
    assert resolved == paths
    assert opened == []
    assert again.blank == first.blank
    for material in (first, again):
        found = [label['identities'] for label in material.learn.labels]
        assert found == [[slide_episode(seed).identity] for seed in (1, 2)]
    np.testing.assert_array_equal(again.learn.images, first.learn.images)
    with raises('camera-not-recorded', 'episode_000001 has head, left_wrist, right_wrist'):
        gather(run_of(tmp_path, tmp_path / 'r', cameras=('chest',)))


def test_cache_of_one_camera_does_not_hide_the_others(tmp_path: Path) -> None:
    write_parts(tmp_path, 1)
    one = gather(run_of(tmp_path, tmp_path / 'r', cameras=('head',)))
    every = gather(run_of(tmp_path, tmp_path / 'r'))
    assert one.blank.cameras == ('head',)
    assert every.blank.cameras == ('head', 'left_wrist', 'right_wrist')


def test_robot_of_a_changed_recording_is_read_again(
    tmp_path: Path, resolved_and_opened: tuple[list[Path], list[Path]]
) -> None:
    path = write_parts(tmp_path, 1)[0]
    assert gather(run_of(tmp_path, tmp_path / 'r')).blank.cameras == CAMERAS
    episode = slide_episode(1, frames=14)
    cameras = {name: episode.cameras[name] for name in CAMERAS[:2]}
    write_slide(path.parent, replace(episode, cameras=cameras))
    _, opened = resolved_and_opened
    opened.clear()
    assert gather(run_of(tmp_path, tmp_path / 'r')).blank.cameras == CAMERAS[:2]
    assert opened[:2] == [path, path]


def test_cache_without_channels_remains_valid(
    tmp_path: Path, resolved_and_opened: tuple[list[Path], list[Path]]
) -> None:
    path = write_parts(tmp_path, 1)[0]
    first = gather(run_of(tmp_path, tmp_path / 'r'))
    for index in (tmp_path / 'c' / 'shards').glob('*/index.json'):
        content = json.loads(index.read_text())
        del content['channels']
        index.write_text(json.dumps(content))
    _, opened = resolved_and_opened
    opened.clear()
    assert gather(run_of(tmp_path, tmp_path / 'r')).blank == first.blank
    assert opened == [path]


def test_deleted_recording_is_refused_with_a_whole_cache(tmp_path: Path) -> None:
    path = write_parts(tmp_path, 1)[0]
    gather(run_of(tmp_path, tmp_path / 'r'))
    path.unlink()
    with raises('split-recording-missing', path.name):
        gather(run_of(tmp_path, tmp_path / 'r'))


def test_recordings_without_outcome_are_refused(tmp_path: Path) -> None:
    write_slide(tmp_path / 'r' / 'train', replace(slide_episode(1), label=None))
    with raises('training-outcomes-missing', '1 recordings', 'label'):
        gather(run_of(tmp_path, tmp_path / 'r'))


def test_selected_episodes_have_their_moments_only(
    make_slide_data: Callable[..., Data],
) -> None:
    data = make_slide_data(range(1, 4))  # three episodes of 6 moments
    part = of_episodes(data, [0, 2])
    assert part.episode.tolist() == [0] * 6 + [1] * 6
    assert [label['name'] for label in part.labels] == ['episode_000001', 'episode_000003']
    assert part.images.shape == (12, *data.images.shape[1:])
    np.testing.assert_array_equal(part.images[np.array([0, 7])], data.images[[0, 13]])
    np.testing.assert_array_equal(part.images[5:7], data.images[[5, 12]])
    np.testing.assert_array_equal(part.returned, data.returned[[*range(6), *range(12, 18)]])
    assert of_tasks(data, ()) is data


def test_frames_of_a_clip_are_0_4_s_apart(
    make_slide_data: Callable[..., Data],
) -> None:
    data = make_slide_data(range(1, 3))
    assert clip_spacing(data) == 2  # moments are 0.2 s apart
    assert clip_spacing(replace(data, stamps=data.stamps // 4)) == 8
    assert clip_spacing(replace(data, episode=np.arange(12))) == 1


@pytest.mark.parametrize('rate', [15, 50, 500])
def test_horizon_is_one_second_at_any_rate_of_the_joints(tmp_path: Path, rate: int) -> None:
    stamps = np.arange(4 * rate, dtype=np.int64) * (1_000_000_000 // rate)
    frames = Frames(stamps, [np.zeros((8, 8, 3), dtype=np.uint8)] * len(stamps))
    joints = Joints(stamps, ('a',), np.zeros((len(stamps), 1)))
    robot = robot_of(EpisodeChannels.of(Episode('e', {'head': frames}, joints, None)))
    assert blank_for(run_of(tmp_path), robot).horizon == 1.0
    assert blank_for(run_of(tmp_path, horizon=0.4), robot).horizon == 0.4


def test_horizon_of_the_run_reaches_the_forecast(tmp_path: Path) -> None:
    write_parts(tmp_path, 1, 2)
    data = gather(run_of(tmp_path, tmp_path / 'r', horizon=0.4)).learn
    # 56 joint states of 20 ms; 'left_waist' is k / 55; moments are 10 of them apart.
    assert data.future[:4, 0] == pytest.approx([20 / 55, 30 / 55, 40 / 55, 50 / 55])


def test_horizon_beyond_the_episodes_is_refused_with_one_that_works(tmp_path: Path) -> None:
    write_parts(tmp_path, 1, 2)  # of 1.1 s
    run = run_of(tmp_path, tmp_path / 'r')
    with raises('horizon-too-long', 'horizon is 1.2 s', '2 episodes', '1.1 s', '--horizon 0.28'):
        gather(replace(run, horizon=1.2))
    assert gather(replace(run, horizon=0.28)).blank.horizon == 0.28
    for horizon in (0.0, -1.0, float('nan')):
        with raises('setting-out-of-range', 'horizon is', 'above 0'):
            replace(run, horizon=horizon)


def long_data(make: Callable[..., Data], lengths: dict[int, int]) -> Data:
    """Return slide data in which episodes are repeated in time to a number of moments."""
    data = make(range(1, 1 + len(lengths)))
    rows = np.concatenate([
        np.resize(np.arange(data.rows_of(k).start, data.rows_of(k).stop), length)
        for k, length in lengths.items()
    ])  # fmt: skip
    whole = replace(data, **{
        name: np.asarray(getattr(data, name))[rows]
        for name in (field.name for field in fields(data))
        if name not in ('episode', 'labels', 'tracks')
    }, episode=np.repeat(list(lengths), list(lengths.values())))  # fmt: skip
    names = [dict(label, name=f'{k}') for k, label in enumerate(data.labels)]
    return replace(whole, labels=names)


def test_sample_has_whole_episodes_of_each_outcome(make_slide_data: Callable[..., Data]) -> None:
    data = long_data(make_slide_data, dict.fromkeys(range(9), 10))  # 3, 6 and 9 fail
    some = sample(data, 40)
    assert len(some.images) == len(some.stamps) == 40
    assert np.bincount(some.episode).tolist() == [10, 10, 10, 10]
    assert sorted(label['success'] for label in some.labels) == [False, False, True, True]
    assert len(some.tracks) == 4
    assert sample(data, 90) is data


def test_sample_has_retries_beside_successes(make_slide_data: Callable[..., Data]) -> None:
    data = long_data(make_slide_data, dict.fromkeys(range(9), 10))  # 3, 6 and 9 fail
    labels = [
        {**label, 'success': True, 'times': {'retry': 0.4} if k == 7 else {}}
        for k, label in enumerate(data.labels)
    ]
    some = sample(replace(data, labels=labels), 20)
    assert sorted(bool(label['times']) for label in some.labels) == [False, True]


def test_sample_thins_the_first_long_episode_of_an_outcome(
    make_slide_data: Callable[..., Data],
) -> None:
    data = long_data(make_slide_data, {0: 10, 1: 10, 2: 400})  # the third fails
    some = sample(data, 60)
    assert [label['success'] for label in some.labels] == [True, True, False]
    assert np.bincount(some.episode).tolist() == [10, 10, 29]  # every 14th of 400, at most 30
    np.testing.assert_array_equal(some.images[-1], data.images[-1])  # the end of the failure


def test_moments_are_counted_without_decoding(
    tmp_path: Path, resolved_and_opened: tuple[list[Path], list[Path]]
) -> None:
    write_parts(tmp_path, 1, 2)
    run = run_of(tmp_path, tmp_path / 'r')
    found = find(run)
    first = {part: survey_of(run, found, part) for part in found.parts}
    assert [(one.recordings, one.moments) for one in first.values()] == [(2, 12), (1, 6)]
    assert [(one.task, one.moments) for one in first['train'].lengths] == [('slide', 6)] * 2
    assert [one.seconds for one in first['train'].lengths] == pytest.approx([1.1, 1.1])
    assert first['train'].is_whole
    assert not (tmp_path / 'c').exists()
    gather(run)
    opened = resolved_and_opened[1]
    opened.clear()
    assert [(one.name, one.task, one.positions.shape) for one in first['train'].reaches] == [
        (str(ref.path.with_suffix('')), 'slide', (2, 3)) for ref in found.parts['train']
    ]
    again = {part: survey_of(run, found, part) for part in found.parts}
    assert again == {part: replace(one, reaches=()) for part, one in first.items()}
    assert opened == []


def test_moments_of_tasks_that_are_left_out_do_not_count(tmp_path: Path) -> None:
    paths = write_parts(tmp_path, 1, 2, 3)
    episode = slide_episode(3)
    write_slide(paths[0].parent, replace(episode, label=replace(episode.label, task='fold')))
    run = run_of(tmp_path, tmp_path / 'r', tasks=('fold',))
    for _ in range(2):  # opened, then from the cache
        found = survey_of(run, find(run))
        assert (found.recordings, found.moments, len(found.lengths)) == (3, 6, 3)
        gather(replace(run, tasks=()))


def test_survey_of_many_recordings_opens_some_of_them(
    tmp_path: Path, resolved_and_opened: tuple[list[Path], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    paths = write_parts(tmp_path, 1, 2, 3, 4)
    run = run_of(tmp_path, tmp_path / 'r')
    found, opened = find(run), resolved_and_opened[1]
    opened.clear()
    monkeypatch.setattr(survey, 'OPENED', 2)
    some = survey_of(run, found)
    assert opened == [paths[0], paths[3]]
    assert (some.recordings, some.moments, len(some.lengths)) == (4, 24, 2)
    assert not some.is_whole


@pytest.mark.parametrize(('changes', 'code', 'named'), [
    ({'horizon': 1.2}, 'horizon-too-long', ('2 episodes', '--horizon 0.28')),
    ({'tasks': ('fold',)}, 'task-not-recorded', ('tasks is fold', 'of slide')),
    ({'head': 9}, 'head-too-deep', ('at most 2',)),
    ({'embeddings': Path('texts')}, 'embeddings-unreadable', ('texts',)),
    ({'backbone': Path('none'), 'plan': plan(2, {})}, 'wan-json-unreadable', ('none',)),
])  # fmt: skip
def test_run_that_does_not_fit_is_refused_before_decoding(
    tmp_path: Path, changes: dict[str, object], code: str, named: tuple[str, ...]
) -> None:
    write_parts(tmp_path, 1, 2)
    run = run_of(tmp_path, tmp_path / 'r', **changes)
    with raises(code, *named):
        train(run)
    assert not (tmp_path / 'c').exists()


def test_patience_without_validation_recordings_is_refused(tmp_path: Path) -> None:
    paths = write_parts(tmp_path, 1, 2)
    parts = {'train': [path.name for path in paths], 'validation': []}
    (tmp_path / 'r/split.json').write_text(json.dumps(parts))
    with raises('patience-without-validation', '--patience is 3', 'leave out', 'split.json'):
        train(run_of(tmp_path, tmp_path / 'r', patience=3))
