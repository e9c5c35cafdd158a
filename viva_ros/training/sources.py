# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run learns from and is measured on: recordings by part, cut into moments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from viva_ros.core.errors import RecordingError
from viva_ros.data.open import open_recording
from viva_ros.model.config import ViVaConfig
from viva_ros.model.presets import PRESETS, preset
from viva_ros.offline.split import split
from viva_ros.offline.training.robot import Robot, robot_of
from viva_ros.offline.training.selection import of_tasks
from viva_ros.training import cache
from viva_ros.training.cache import Cut, Data
from viva_ros.training.config import Run


@dataclass(frozen=True)
class Material:
    """
    Moments of recordings.

    :param learn: of the training recordings
    :param hold: of the validation recordings, None where there are none
    :param blank: configuration of a model for their robot, without tasks
    """

    learn: Data
    hold: Data | None
    blank: ViVaConfig


def gather(run: Run) -> Material:
    """
    Read the recordings of a run.

    :raises RecordingError: if there are none, or they cannot be read
    :raises ConfigurationError: if a camera or task asked for is not in them
    """
    parts = split_all(run.recordings)
    robot = first_robot(parts['train'], run.cameras, PRESETS[run.preset].cameras)
    blank = blank_for(run, robot)
    how = Cut(blank.cameras, blank.joint_names, blank.image_size, blank.horizon, robot.every)
    learn = of_tasks(cache.load(parts['train'], run.cache, how, 'train', run.threads), run.tasks)
    held = None
    if parts['validation']:
        held = cache.load(parts['validation'], run.cache, how, 'validation', run.threads)
        known = [task for task in held.tasks if task in learn.tasks]
        held = of_tasks(held, known) if known else None
    return Material(learn, held, blank)


def split_all(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Split each folder on its own, and join the parts."""
    whole: dict[str, list[Path]] = {'train': [], 'validation': []}
    for folder in folders:
        for part, paths in split(folder).items():
            whole[part] += paths
    return whole


def first_robot(
    paths: Sequence[Path], cameras: Sequence[str], usual: Sequence[str] = ()
) -> Robot:  # fmt: skip
    """
    Read the robot off the first episode that has an outcome.

    :param cameras: see ``robot_of``
    :param usual: likewise
    :raises RecordingError: if none has
    """
    for path in paths:
        for episode in open_recording(path).episodes():
            if episode.label is not None:
                return robot_of(episode, cameras, usual)
    raise RecordingError(f'none of {len(paths)} recordings has an outcome: label them first')


def blank_for(run: Run, robot: Robot) -> ViVaConfig:
    """Give the preset of a run for a robot, without tasks."""
    config = preset(run.preset, robot.cameras, robot.joint_names, ())
    return replace(config, control_rate=robot.control_rate)
