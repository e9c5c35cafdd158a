# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Plays recorded episodes as a robot, in a process of its own: a real camera needs no processor.

usage: ``python -m benchmarks.overload.player``; each line of its input is a recording, which it
plays once with the stamps of a camera; then it prints how late its messages were. Where the user
may, it has real-time priority.
"""

import json
import os
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import rclpy
from mcap.reader import make_reader
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, JointState

from viva_ros.core.observation import SECOND

STAMP_AT: Final = 4  # bytes; after the CDR header
KINDS: Final = {
    'sensor_msgs/msg/CompressedImage': CompressedImage, 'sensor_msgs/msg/JointState': JointState,
}  # fmt: skip
AHEAD: Final = 0.2  # s, from a command to the first message


def messages(path: Path) -> Iterator[tuple[int, str, str, bytes]]:
    """Yield time since the first message (ns), topic, type and content of images and joints."""
    with path.open('rb') as file:
        begin = None
        for schema, channel, message in make_reader(file).iter_messages():
            if schema is not None and schema.name in KINDS:
                begin = message.log_time if begin is None else begin
                yield message.log_time - begin, channel.topic, schema.name, message.data


class Player(Node):
    """Publishes images and joints."""

    def __init__(self) -> None:
        super().__init__('player')
        self._publishers_by_topic: dict[str, Publisher[object]] = {}

    def advertise(self, topic: str, kind: str) -> Publisher[object]:
        """Return the publisher of a topic, created at the first call."""
        if topic not in self._publishers_by_topic:
            made = self.create_publisher(KINDS[kind], topic, qos_profile_sensor_data)
            self._publishers_by_topic[topic] = made
        return self._publishers_by_topic[topic]

    def play(self, path: Path, seconds: float) -> float:
        """Play an episode, at most for some seconds; return the 95th percentile of lateness, s."""
        begin, late = time.time_ns() + round(AHEAD * 1e9), []
        for since, topic, kind, content in messages(path):
            if since > seconds * 1e9:
                break
            publisher, stamp = self.advertise(topic, kind), begin + since
            time.sleep(max(0.0, (stamp - time.time_ns()) * 1e-9))
            message = bytearray(content)
            struct.pack_into('<iI', message, STAMP_AT, stamp // SECOND, stamp % SECOND)
            publisher.publish(bytes(message))
            late.append((time.time_ns() - stamp) * 1e-9)
        return float(np.percentile(late, 95))


def main() -> None:
    """Advertise the topics of the recording that is named first; then play each."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    rclpy.init()
    player = Player()
    for line in sys.stdin:
        order = json.loads(line)
        path, seconds = Path(order['path']), order['seconds']
        if seconds:
            print(player.play(path, seconds), flush=True)
            continue
        for _, topic, kind, _ in messages(path):
            player.advertise(topic, kind)
        print('ready', flush=True)


if __name__ == '__main__':
    main()
