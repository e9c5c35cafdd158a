# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A second participant that publishes bytes which are no message of the topic's type."""

import random
from collections.abc import Iterator
from typing import Any

from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

#: CDR header, little endian.
HEADER = b'\0\1\0\0'
JOINTS = JointState(name=['a', 'shoulder_pan'], position=[0.5, 1.5])


def malformed(message: Any, seed: int = 0) -> Iterator[bytes]:
    """
    Yield half of a message, one of another version, one of another type, and random bytes.

    :param message: a good message of the type
    """
    data = bytes(serialize_message(message))
    yield data[: len(data) // 2]
    yield data[: len(data) // 4]
    yield HEADER + data[8:]  # the first field of another version is missing
    yield HEADER + b'\0' * 4 + data[4:]  # one field more
    yield bytes(serialize_message(JOINTS))
    yield HEADER
    chance = random.Random(seed)
    for length in (5, 24, 60):
        yield HEADER + chance.randbytes(length)


def publish_malformed(node: Node, topic: str, message: Any, profile: Any, wait: Any) -> int:
    """Publish malformed messages when the topic has a subscriber; return how many were sent."""
    publisher = node.create_publisher(type(message), topic, profile)
    wait(publisher.get_subscription_count, f'a subscriber of {topic}')
    sent = 0
    for data in malformed(message):
        try:
            publisher.publish(data)
        except Exception:  # longer than a type of fixed size can be
            continue
        sent += 1
    return sent
