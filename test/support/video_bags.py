# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags with a video camera and two joints; picture k shows the number k."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from support.video_streams import stream
from viva_ros.data.messages import header, joint_state, make, serialise, to_time, typestore
from viva_ros.data.video_packets import FFMPEG, FOXGLOVE

EPOCH: Final = 1_700_000_000_000_000_000  # ns
PERIOD: Final = 50_000_000  # ns
TOPICS: Final = {FFMPEG: '/cam/image_raw/ffmpeg', FOXGLOVE: '/cam/image_raw/foxglove'}
JOINT_STATE: Final = 'sensor_msgs/msg/JointState'


def packet_message(kind: str, text: str, number: int, data: bytes) -> Any:
    """Return a message with a packet; ``text`` is its format."""
    stamp, content = EPOCH + number * PERIOD, np.frombuffer(data, np.uint8)
    if kind == FOXGLOVE:
        return make(kind, timestamp=to_time(stamp), frame_id='cam', data=content, format=text)
    return make(
        kind, header=header(stamp), width=128, height=96, encoding=text, pts=number, flags=0,
        is_bigendian=False, data=content,
    )  # fmt: skip


def write_video_bag(
    path: Path, kind: str, codec: str, numbers: Iterable[int] = range(20), text: str = '',
    topic: str = '', packets: Sequence[tuple[int, bytes]] = (),
) -> Path:  # fmt: skip
    """
    Write a bag.

    :param numbers: of the recorded packets
    :param text: format in the messages; '' for the codec
    :param packets: with their numbers; empty for one of each number of ``stream``
    """
    numbers = set(numbers)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        store = typestore()
        video = writer.add_connection(topic or TOPICS[kind], kind, typestore=store)
        joints = writer.add_connection('/joint_states', JOINT_STATE, typestore=store)
        for number, data in packets or list(enumerate(stream(codec))):
            at = EPOCH + number * PERIOD
            state = joint_state(at, ['a', 'b'], np.array([0.01 * number, 0.5]))
            writer.write(joints, at, serialise(JOINT_STATE, state))
            if number in numbers:
                message = packet_message(kind, text or codec, number, data)
                writer.write(video, at, serialise(kind, message))
    return path
