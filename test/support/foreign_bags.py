# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of robots whose joints come in several messages; image k shows the number k."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from support.lerobot_datasets import numbered

EPOCH = 1_700_000_000_000_000_000  # ns
MS = 1_000_000  # ns
LEFT, RIGHT = ('left_a', 'left_b'), ('right_a', 'right_b')
CAMERA = '/top/image/compressed'


class BagOfMessages:
    """Collects messages and writes them in order of receipt."""

    def __init__(self) -> None:
        self._store = get_typestore(Stores.ROS2_HUMBLE)
        self._types: Any = self._store.types
        self._messages: list[tuple[int, int, str, str, Any]] = []

    def joints(
        self, topic: str, stamp: int, names: Sequence[str], positions: Sequence[float],
        received: int | None = None,
    ) -> None:  # fmt: skip
        """Add a JointState; stamp in ns, counted from EPOCH unless it is 0."""
        none = np.empty(0)
        message = self._types['sensor_msgs/msg/JointState'](
            self._header(stamp), list(names), np.array(positions, dtype=float), none, none
        )
        self._add(topic, message, stamp if received is None else received)

    def numbers(self, topic: str, values: Sequence[float], received: int) -> None:
        """Add a Float64MultiArray, which has no header."""
        layout = self._types['std_msgs/msg/MultiArrayLayout']([], 0)
        message = self._types['std_msgs/msg/Float64MultiArray'](layout, np.array(values, float))
        self._add(topic, message, received)

    def text(self, topic: str, text: str, received: int) -> None:
        """Add a String."""
        self._add(topic, self._types['std_msgs/msg/String'](text), received)

    def image(self, stamp: int, number: int, received: int | None = None) -> None:
        """Add a JPEG on CAMERA that shows a number."""
        bgr = np.ascontiguousarray(numbered(number)[..., ::-1])
        jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].reshape(-1)
        message = self._types['sensor_msgs/msg/CompressedImage'](self._header(stamp), 'jpeg', jpeg)
        self._add(CAMERA, message, stamp if received is None else received)

    def write(self, path: Path) -> Path:
        """Write the bag."""
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections: dict[str, Any] = {}
            for received, _, topic, kind, message in sorted(self._messages, key=lambda m: m[:2]):
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=self._store)
                cdr = self._store.serialize_cdr(message, kind)
                writer.write(connections[topic], EPOCH + received, bytes(cdr))
        return path

    def _header(self, stamp: int) -> Any:
        stamp = EPOCH + stamp if stamp else 0
        time = self._types['builtin_interfaces/msg/Time'](stamp // 10**9, stamp % 10**9)
        return self._types['std_msgs/msg/Header'](time, 'x')

    def _add(self, topic: str, message: Any, received: int) -> None:
        kind = message.__msgtype__
        self._messages.append((received, len(self._messages), topic, kind, message))


def still_scene(number: int = 7) -> BagOfMessages:
    """Return a robot that moves 0.4 rad within 4 s, outside of an image that never changes."""
    bag = BagOfMessages()
    for k in range(200):
        bag.joints('/joint_states', 20 * MS * k + MS, LEFT, [k / 500.0] * 2)
        if k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, number)
    return bag


def two_arms(
    left: str = '/joint_states', right: str = '/joint_states', steps: Iterable[int] = range(100),
    images: bool = True, names: tuple[Sequence[str], Sequence[str]] = (LEFT, RIGHT),
) -> BagOfMessages:  # fmt: skip
    """
    Return a robot with a message for each arm at 50 Hz, the right one 7 ms later.

    Position k of the left arm is k / 1000, that of the right arm 1 + k / 1000. Images come at
    10 Hz with the number of the step.
    """
    bag = BagOfMessages()
    for k in steps:
        bag.joints(left, 20 * MS * k + MS, names[0], [k / 1000.0] * 2)
        bag.joints(right, 20 * MS * k + 8 * MS, names[1], [1.0 + k / 1000.0] * 2)
        if images and k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, k)
    return bag
