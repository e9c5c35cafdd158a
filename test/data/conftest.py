# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small recording of 0.25 s: two cameras and two joints."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import joint_state, jpeg_image, make

EPOCH = 1_000_000_000_000
FRAME = 50_000_000  # ns


def _jpeg(level: int) -> bytes:
    image = np.random.default_rng(level).integers(0, 255, (32, 24, 3), dtype=np.uint8)
    return cv2.imencode('.jpg', image)[1].tobytes()


def _fill(writer: RecordingWriter, namespace: str = '', frames: int = 6) -> None:
    for number in range(frames):
        stamp = EPOCH + number * FRAME
        state = joint_state(stamp, ['a', 'b'], np.array([0.1 * number, -1.0]))
        writer.write(f'{namespace}/joint_states', 'sensor_msgs/msg/JointState', state, stamp)
        for camera in ('head', 'wrist'):
            image = jpeg_image(stamp, camera, _jpeg(number))
            topic = f'{namespace}/{camera}/image_raw/compressed'
            writer.write(topic, 'sensor_msgs/msg/CompressedImage', image, stamp)


LABEL = {
    'task': 'tray_lift', 'success': False, 'failure': 'slip', 'seed': 3,
    'times': {'manifest': 0.1},
}  # fmt: skip


@pytest.fixture
def picture() -> Callable[[int], bytes]:
    return _jpeg


@pytest.fixture
def fill() -> Callable[..., None]:
    return _fill


@pytest.fixture
def small(tmp_path: Path) -> Path:
    with RecordingWriter(tmp_path / 'small.mcap') as writer:
        _fill(writer)
        writer.metadata('viva_episode', LABEL)
    return tmp_path / 'small.mcap'


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Write a recording of several chunks."""
    with RecordingWriter(tmp_path / 'large.mcap') as writer:
        for number in range(60):
            stamp = EPOCH + number * FRAME
            state = joint_state(stamp, ['a'], np.array([float(number)]))
            writer.write('/joint_states', 'sensor_msgs/msg/JointState', state, stamp)
            image = make(
                'sensor_msgs/msg/CompressedImage',
                header=state.header, format='jpeg', data=np.full(20_000, number, np.uint8),
            )  # fmt: skip
            topic = '/head/image_raw/compressed'
            writer.write(topic, 'sensor_msgs/msg/CompressedImage', image, stamp)
    return tmp_path / 'large.mcap'
