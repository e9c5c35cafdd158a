# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings read in place, with a map in their folder: frame k shows the number k."""

from pathlib import Path

import numpy as np

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


def assert_equal_episodes(one: Episode, other: Episode, camera: str = 'top') -> None:
    """Check that two episodes have the same frames, joints, stamps and label."""
    assert numbers(one, camera) == numbers(other, camera) == list(range(len(one.joints.stamps)))
    assert one.joints.names == other.joints.names
    np.testing.assert_allclose(one.joints.positions, other.joints.positions, atol=1e-6)
    np.testing.assert_array_equal(one.joints.stamps, other.joints.stamps)
    assert one.label is not None and other.label is not None
    assert (one.label.task, one.label.success) == (other.label.task, other.label.success)


def write_map(folder: Path, text: str) -> Path:
    """Write the map of the recordings in a folder."""
    (folder / NAME).write_text(text)
    return folder / NAME
