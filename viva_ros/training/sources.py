# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings of a run, and their moments."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.normalize import JointRanges
from viva_ros.data.episode import RETRY_TIME
from viva_ros.data.formats import EpisodeRef
from viva_ros.data.one_recording import one_recording
from viva_ros.data.open import open_ref, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.split import TRAIN, VALIDATION, divided_below, first_of, split
from viva_ros.model import checkpoint
from viva_ros.model.config import HORIZON, PRESETS, ViVaConfig, preset
from viva_ros.training import cache
from viva_ros.training.cache import Cut, Data
from viva_ros.training.config import TrainConfig
from viva_ros.training.dataset import EpisodeChannels, Sampling

MOMENT_RATE: Final = 5.0  # Hz; denser frames are nearly the same and need more memory


@dataclass(frozen=True)
class Material:
    """
    Moments of recordings.

    :param learn: of the training recordings
    :param hold: of the validation recordings; None without any
    :param blank: configuration of a model for their robot, without tasks
    """

    learn: Data
    hold: Data | None
    blank: ViVaConfig


@dataclass(frozen=True)
class RobotSpec:
    """
    Cameras, joints and frame rate of a robot.

    :param frame_rate: of the first camera, Hz
    """

    cameras: tuple[str, ...]
    joint_names: tuple[str, ...]
    frame_rate: float

    @property
    def every(self) -> int:
        """Stride of the frames, for moments at MOMENT_RATE."""
        return max(1, round(self.frame_rate / MOMENT_RATE))


@dataclass(frozen=True)
class Rows:
    """
    Rows of an array on disk, read on access.

    :param array: (M, ...)
    :param rows: (N,)
    """

    array: NDArray[Any]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self.array[self.rows[key]])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the selected rows."""
        return (len(self.rows), *self.array.shape[1:])


@dataclass(frozen=True)
class Found:
    """
    Recordings of a run, not read yet.

    :param parts: recordings for 'train' and 'validation'
    :param blank: configuration of a model for their robot, without tasks
    """

    parts: dict[str, list[EpisodeRef]]
    robot: RobotSpec
    blank: ViVaConfig


def gather(run: TrainConfig) -> Material:
    """
    Find and read the recordings of a run.

    :raises RecordingError: if there are none, or they cannot be read
    :raises ConfigurationError: if they lack a camera or task of the run, or are too short for
        the horizon
    """
    return read(run, find(run))


def find(run: TrainConfig) -> Found:
    """
    Find the recordings of a run, and read the cameras and joints of the first one.

    :raises RecordingError: if there are none, or the first cannot be read
    :raises ConfigurationError: if it lacks a camera of the run
    """
    parts = split_all(run.recordings)
    first = first_channels(parts['train'], run.cache_folder)
    if run.init is None:
        robot = robot_of(first, run.cameras, PRESETS[run.preset].cameras)
        return Found(parts, robot, blank_for(run, robot))
    config, _ = start_of(run.init)
    blank = _continued(run, config, first)
    return Found(parts, robot_of(first, blank.cameras), blank)


def start_of(folder: Path) -> tuple[ViVaConfig, JointRanges]:
    """
    Return configuration and joint ranges of the checkpoint that a run starts from.

    :raises EngineError: if there is none
    :raises ConfigurationError: if it is not of a whole model
    """
    content = checkpoint.read_description(folder)
    if content.get('kind') != 'viva':
        raise ConfigurationError(
            'init-kind',
            f'--init is {folder}, a checkpoint of kind {content.get("kind")!r}, must be viva: '
            'name RUN/checkpoint of a run without --head',
        )
    try:
        return (
            ViVaConfig.from_dict(content['config']), JointRanges.from_dict(content['ranges'])
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            'init-config',
            f'{folder / checkpoint.DESCRIPTION} does not describe a ViVa model ({error}): name '
            "another checkpoint of 'viva train'",
        ) from error


def _continued(run: TrainConfig, begun: ViVaConfig, episode: EpisodeChannels) -> ViVaConfig:
    """
    Return the configuration of a checkpoint without its tasks, for another training.

    :param episode: of the new recordings; cameras and joints are matched by name
    :raises ConfigurationError: if they lack one, or the run asks for another model
    """
    wrong = []
    if run.preset != begun.preset:
        wrong.append(f'preset {begun.preset}, not {run.preset}: set --preset {begun.preset}')
    if run.targets and run.targets != begun.targets:
        targets = ','.join(begun.targets)
        wrong.append(f'targets {targets}, not {",".join(run.targets)}: leave out --targets')
    if run.cameras and run.cameras != begun.cameras:
        names = ' '.join(begun.cameras)
        wrong.append(f'cameras {names}, not {" ".join(run.cameras)}: set --cameras {names}')
    for what, needed, given in (
        ('cameras', begun.cameras, episode.cameras), ('joints', begun.joint_names,
                                                      episode.joint_names),
    ):  # fmt: skip
        lacking = [name for name in needed if name not in given]
        if lacking:
            wrong.append(
                f'{what} {", ".join(lacking)}, which {episode.name} lacks (it has '
                f'{", ".join(given)}): train without --init'
            )
    if wrong:
        raise ConfigurationError('init-differs', f'--init {run.init} has {"; ".join(wrong)}')
    return replace(
        begun, tasks=(), texts=(), text_encoder='', horizon=run.horizon or begun.horizon
    )


OUTSIDE: Final = 0.05  # of the range of a joint
STILL: Final = 1e-3  # rad or m: jitter of a joint that never moved


def check_ranges(
    ranges: JointRanges, episodes: Sequence[tuple[str, NDArray[np.floating]]], init: Path
) -> None:
    """
    Refuse joints far outside of the ranges of a checkpoint, which normalise them.

    :param episodes: name and positions, (N, len(ranges.names)), rad or m
    :raises ConfigurationError: with their names and positions, and the first episodes
    """
    episodes = [one for one in episodes if len(one[1])]
    if not episodes:
        return
    low, high = np.array(ranges.low), np.array(ranges.high)
    margin = np.maximum(OUTSIDE * (high - low), STILL)
    least = np.array([positions.min(axis=0) for _, positions in episodes])
    most = np.array([positions.max(axis=0) for _, positions in episodes])
    beyond = (least < low - margin) | (most > high + margin)
    if not beyond.any():
        return
    outside = [
        f'{ranges.names[k]} {least[:, k].min():.3g} to {most[:, k].max():.3g} '
        f'(trained {low[k]:.3g} to {high[k]:.3g})' for k in np.flatnonzero(beyond.any(axis=0))
    ]  # fmt: skip
    found = [episodes[int(k)][0] for k in np.flatnonzero(beyond.any(axis=1))]
    raise ConfigurationError(
        'init-joint-range',
        f'joints are outside of the ranges of --init {init} by more than '
        f'{100 * OUTSIDE:.0f} %: {", ".join(outside)}, in {len(found)} of {len(episodes)} '
        f'episodes: {first_of(found)}: leave these recordings out, or train without --init',
    )


def check_finite(
    names: Sequence[str], episodes: Sequence[tuple[str, NDArray[np.floating]]]
) -> None:  # fmt: skip
    """
    Refuse joint positions that are not finite.

    :param names: of the joints
    :param episodes: name and positions, (N, len(names)), rad or m
    :raises ConfigurationError: with the joints, and the first episodes
    """
    wrong = np.array([~np.isfinite(rows).all(axis=0) for _, rows in episodes])
    if not wrong.any():
        return
    joints = [names[int(k)] for k in np.flatnonzero(wrong.any(axis=0))]
    found = [episodes[int(k)][0] for k in np.flatnonzero(wrong.any(axis=1))]
    raise ConfigurationError(
        'training-joints-not-finite',
        f'positions of {", ".join(joints)} are not finite in {len(found)} of {len(episodes)} '
        f'episodes: {first_of(found)}: leave these recordings out',
    )


def read(run: TrainConfig, found: Found) -> Material:
    """Read the recordings that ``find`` found; see ``gather``."""
    parts, blank, folder = found.parts, found.blank, run.cache_folder
    how = Cut(blank.cameras, blank.joint_names, blank.image_size, blank.horizon, found.robot.every)
    learn = of_tasks(cache.load(parts['train'], folder, how, run.threads), run.tasks)
    joints = _joints(learn)
    check_finite(blank.joint_names, joints)
    if run.init is not None:
        check_ranges(start_of(run.init)[1], joints, run.init)
    tracks = [track.stamps for track in learn.tracks]
    check_horizon([1e-9 * float(track[-1] - track[0]) for track in tracks], blank.horizon)
    held = None
    if parts['validation']:
        held = cache.load(parts['validation'], folder, how, run.threads)
        known = [task for task in held.tasks if task in learn.tasks]
        held = of_tasks(held, known) if known else None
        check_finite(blank.joint_names, _joints(held) if held else ())
    return Material(learn, held, blank)


def _joints(data: Data) -> list[tuple[str, NDArray[np.floating]]]:
    """Return name and positions of each episode."""
    return [(label['name'], track.joints) for label, track in
            zip(data.labels, data.tracks, strict=True)]  # fmt: skip


def check_horizon(seconds: Sequence[float], horizon: float) -> None:
    """
    Refuse a horizon that is longer than half of the episodes: the forecast is their last pose.

    :param seconds: length of each episode
    :raises ConfigurationError: with a horizon that is allowed
    """
    median = float(np.median(seconds))
    if horizon > median:
        raise ConfigurationError(
            'horizon-too-long',
            f'horizon is {horizon:g} s, half of the {len(seconds)} episodes are shorter than '
            f'{median:.3g} s: set --horizon {max(round(median / 4, 2), 0.01):g}, or record longer '
            'episodes',
        )


def split_all(folders: Sequence[Path]) -> dict[str, list[EpisodeRef]]:
    """
    Split each folder on its own, join the parts, and resolve each path.

    :raises RecordingError: if a folder has no training recordings, or a subfolder with a split of
        its own
    """
    whole: dict[str, list[EpisodeRef]] = {TRAIN: [], VALIDATION: []}
    for folder in folders:
        parts = split(folder)
        if not parts[TRAIN]:
            remedy = (
                'name recordings for "train" in its split.json' if any(parts.values())
                else 'run "viva record" first'
            )  # fmt: skip
            raise RecordingError(
                'training-recordings-missing', f'{folder} has no recordings to train on: {remedy}'
            )
        if own := divided_below(folder, parts[TRAIN] + parts[VALIDATION]):
            raise RecordingError(
                'training-split-below',
                f'{own[0]} in {folder} has a split of its own, which the split of {folder} would '
                'mix: name the folders of all recordings one by one, such as '
                f'--recordings {" ".join(map(str, own))}',
            )
        for part, refs in whole.items():
            refs += [resolve(path) for path in parts[part]]
    places = [
        (ref.path.resolve(), ref.index) for refs in whole.values() for ref in refs
    ]  # fmt: skip
    twice = sorted(str(place[0]) for place, count in Counter(places).items() if count > 1)
    if twice:
        raise RecordingError(
            'training-recording-twice',
            f'{len(twice)} recordings are in more than one folder of --recordings, such as '
            f'{twice[0]}: name each folder once, and none that is inside of another',
        )
    return whole


def first_channels(refs: Sequence[EpisodeRef], folder: Path) -> EpisodeChannels:
    """
    Return the channels of the first episode with an outcome, from the cache where it has them.

    :param folder: of the cache
    :raises RecordingError: if no episode has an outcome
    """
    for ref in refs:
        cached = cache.channels(ref, folder)
        if cached is not None:
            return cached
        with one_recording(ref.path):
            for episode in episodes_of(open_ref(ref)):
                if episode.label is not None:
                    return EpisodeChannels.of(episode)
    raise RecordingError(
        'training-outcomes-missing',
        f'none of {len(refs)} recordings has an outcome: label them first',
    )


def robot_of(
    episode: EpisodeChannels, cameras: Sequence[str] = (), usual: Sequence[str] = ()
) -> RobotSpec:  # fmt: skip
    """
    Return the robot of an episode.

    :param cameras: to use, in this order; empty: all
    :param usual: order of a preset, used if its cameras are those of the episode; else by name
    :raises ConfigurationError: if the episode lacks one, or has fewer than two frames or joint
        states
    """
    unknown = [name for name in cameras if name not in episode.cameras]
    if unknown:
        raise ConfigurationError(
            'camera-not-recorded',
            f'cameras is {", ".join(unknown)}, {episode.name} has {", ".join(episode.cameras)}',
        )
    if len(set(cameras)) != len(cameras):
        raise ConfigurationError(
            'camera-repeated', f'cameras is {", ".join(cameras)}, each must be named once'
        )
    order = usual if set(usual) == set(episode.cameras) else sorted(episode.cameras)
    chosen = tuple(cameras) or tuple(order)
    frame_rate = _rate(episode.name, chosen[0], episode.cameras[chosen[0]])
    _rate(episode.name, 'joint states', episode.joint_states)  # raises without any
    return RobotSpec(chosen, episode.joint_names, frame_rate)


def _rate(episode: str, what: str, sampling: Sampling) -> float:
    """Return the rate of samples, Hz; above 2, rounded, as jitter hides the fraction."""
    count, period = sampling
    if count < 2:
        raise ConfigurationError(
            'rate-unknown',
            f'{episode} has {count} of {what}, must have two or more to measure the rate',
        )
    rate = 1e9 / period
    return float(round(rate)) if rate > 2 else rate


def blank_for(run: TrainConfig, robot: RobotSpec) -> ViVaConfig:
    """Return the preset of a run for a robot, without tasks."""
    config = preset(run.preset, robot.cameras, robot.joint_names, ())
    return replace(config, horizon=run.horizon or HORIZON)


def of_tasks(data: Data, tasks: Sequence[str]) -> Data:
    """
    Keep the episodes of some tasks.

    :param tasks: names; empty: all
    :raises ConfigurationError: if a task has no episode
    """
    check_tasks(tasks, data.tasks)
    if not tasks or set(tasks) == set(data.tasks):
        return data
    return of_episodes(data, [k for k, label in enumerate(data.labels) if label['task'] in tasks])


def check_tasks(tasks: Sequence[str], recorded: Sequence[str]) -> None:
    """
    Refuse tasks without an episode.

    :raises ConfigurationError: with their names
    """
    unknown = sorted(set(tasks) - set(recorded))
    if unknown:
        raise ConfigurationError(
            'task-not-recorded',
            f'tasks is {", ".join(unknown)}, the recordings are of {", ".join(recorded)}',
        )


def of_episodes(data: Data, episodes: Sequence[int]) -> Data:
    """Keep some episodes, by index, ascending."""
    return _selection(data, np.flatnonzero(np.isin(data.episode, episodes)), episodes)


#: Moments of the validation curve; more cost time, and its noise is that of the episodes.
MOST_HELD: Final = 2000


def sample(data: Data, count: int = MOST_HELD) -> Data:
    """
    Return whole episodes of each task and outcome in turn, at most ``count`` moments in total.

    Outcomes are success and failure, each with and without an attempt that was given up before it:
    a retry that succeeds has a failed attempt. The order within a task and outcome is that of a
    hash of the names. Of the first episode of each, every k-th moment and the last one are kept if
    it is longer than its share.
    """
    if len(data.images) <= count:
        return data
    groups: dict[tuple[str, bool, bool], list[int]] = {}
    for index, label in enumerate(data.labels):
        given_up = RETRY_TIME in label.get('times', {})
        groups.setdefault((label['task'], bool(label['success']), given_up), []).append(index)
    for members in groups.values():
        members.sort(key=lambda k: hashlib.sha256(data.labels[k]['name'].encode()).digest())
    rows = {}
    for members in groups.values():
        mine = data.rows_of(members[0])
        stride = -(-(mine.stop - mine.start) // max(1, count // len(groups)))
        rows[members[0]] = np.arange(mine.stop - 1, mine.start - 1, -stride)[::-1]
    left = count - sum(map(len, rows.values()))
    for turn in range(1, max(map(len, groups.values()))):
        for members in groups.values():
            mine = data.rows_of(members[turn]) if turn < len(members) else slice(0, 0)
            if 0 < mine.stop - mine.start <= left:
                rows[members[turn]] = np.arange(mine.start, mine.stop)
                left -= mine.stop - mine.start
    episodes = sorted(rows)
    return _selection(data, np.concatenate([rows[k] for k in episodes]), episodes)


def _selection(data: Data, rows: NDArray[np.int64], episodes: Sequence[int]) -> Data:
    """Return rows of moments, ascending, of some episodes, ascending."""
    changes: dict[str, Any] = {
        'images': Rows(data.images, rows),
        'episode': np.searchsorted(np.asarray(episodes), data.episode[rows]),
    }
    for field in fields(data):
        if field.name not in changes:
            changes[field.name] = _some(getattr(data, field.name), rows, episodes)
    return replace(data, **changes)


def _some(whole: Any, rows: NDArray[np.int64], episodes: Sequence[int]) -> Any:
    """Return rows of an array of moments, or entries of a list of episodes."""
    if isinstance(whole, list):
        return [whole[k] for k in episodes] if whole else whole
    return whole[rows]
