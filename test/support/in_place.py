# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings read in place, with a map in their folder: frame k shows the number k."""

from pathlib import Path

from support.lerobot_datasets import number_of
from viva_ros.data.episode import Episode
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import NAME


def episode(path: Path) -> Episode:
    """Return the only episode of a recording."""
    (one,) = episodes_of(open_recording(path))
    return one


def numbers(one: Episode, camera: str = 'top') -> list[int]:
    """Return the numbers that the frames show; the joints have the number of their row."""
    return [number_of(image) for image in one.cameras[camera].images]


def write_map(folder: Path, text: str) -> Path:
    """Write the map of the recordings in a folder."""
    (folder / NAME).write_text(text)
    return folder / NAME
