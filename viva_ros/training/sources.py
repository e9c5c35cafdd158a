# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings of a run, and their moments."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.data.formats import EpisodeRef
from viva_ros.data.open import open_ref, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.split import TRAIN, VALIDATION, split
from viva_ros.model.config import PRESETS, ViVaConfig, preset
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
    Cameras, joints and rates of a robot.

    :param frame_rate: of the first camera, Hz
    :param control_rate: of the joint states, Hz
    """

    cameras: tuple[str, ...]
    joint_names: tuple[str, ...]
    frame_rate: float
    control_rate: float

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


def gather(run: TrainConfig) -> Material:
    """
    Read the recordings of a run.

    :raises RecordingError: if there are none, or they cannot be read
    :raises ConfigurationError: if they lack a camera or task of the run
    """
    parts, folder = split_all(run.recordings), run.cache_folder
    found = first_channels(parts['train'], folder)
    robot = robot_of(found, run.cameras, PRESETS[run.preset].cameras)
    blank = blank_for(run, robot)
    how = Cut(blank.cameras, blank.joint_names, blank.image_size, blank.horizon, robot.every)
    learn = of_tasks(cache.load(parts['train'], folder, how, 'train', run.threads), run.tasks)
    held = None
    if parts['validation']:
        held = cache.load(parts['validation'], folder, how, 'validation', run.threads)
        known = [task for task in held.tasks if task in learn.tasks]
        held = of_tasks(held, known) if known else None
    return Material(learn, held, blank)


def split_all(folders: Sequence[Path]) -> dict[str, list[EpisodeRef]]:
    """
    Split each folder on its own, join the parts, and resolve each path.

    :raises RecordingError: if a folder has no training recordings
    """
    whole: dict[str, list[EpisodeRef]] = {TRAIN: [], VALIDATION: []}
    for folder in folders:
        parts = split(folder)
        if not parts[TRAIN]:
            raise RecordingError(
                'training-recordings-missing',
                f'{folder} has no recordings to train on: run "viva record" first',
            )
        for part, refs in whole.items():
            refs += [resolve(path) for path in parts[part]]
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
    control_rate = _rate(episode.name, 'joint states', episode.joint_states)
    return RobotSpec(chosen, episode.joint_names, frame_rate, control_rate)


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
    return replace(config, control_rate=robot.control_rate)


def of_tasks(data: Data, tasks: Sequence[str]) -> Data:
    """
    Keep the episodes of some tasks.

    :param tasks: names; empty: all
    :raises ConfigurationError: if a task has no episode
    """
    unknown = sorted(set(tasks) - set(data.tasks))
    if unknown:
        raise ConfigurationError(
            'task-not-recorded',
            f'tasks is {", ".join(unknown)}, the recordings are of {", ".join(data.tasks)}',
        )
    if not tasks or set(tasks) == set(data.tasks):
        return data
    return of_episodes(data, [k for k, label in enumerate(data.labels) if label['task'] in tasks])


def of_episodes(data: Data, episodes: Sequence[int]) -> Data:
    """Keep some episodes, by index, ascending."""
    rows = np.flatnonzero(np.isin(data.episode, episodes))
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
