# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Record topics as they arrive: serialised bytes go from DDS to the file untouched.

Log time is the receive time; the writer is closed once, in whatever way the process ends.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.qos import QoSProfile


class Writer(Protocol):
    """What a recorder writes to; viva_ros.data.writer.RecordingWriter is one."""

    def write_cdr(self, topic: str, type_name: str, cdr: bytes, log_time: int) -> None:
        """Append one serialised message."""
        ...


@dataclass(frozen=True)
class Topic:
    """One topic to record, with the QoS to ask for."""

    name: str
    type: type[Any]
    qos: QoSProfile

    @property
    def type_name(self) -> str:
        """As in 'sensor_msgs/msg/JointState'."""
        package, kind = self.type.__module__.split('.')[:2]
        return f'{package}/{kind}/{self.type.__name__}'


class Recorder:
    """Subscribes to topics and hands their bytes to a writer."""

    def __init__(self, node: Node, topics: Sequence[Topic], writer: Writer) -> None:
        self.counts = {topic.name: 0 for topic in topics}
        self._node, self._writer = node, writer
        self._lock = threading.Lock()
        self._open = True
        for topic in topics:
            name = node.resolve_topic_name(topic.name)
            node.create_subscription(
                topic.type, topic.name, self._store(topic, name), topic.qos, raw=True
            )

    def stop(self) -> None:
        """Write nothing more; the writer is its owner's to close."""
        with self._lock:
            self._open = False

    def _store(self, topic: Topic, resolved: str) -> Callable[[bytes], None]:
        def store(cdr: bytes) -> None:
            now = self._node.get_clock().now().nanoseconds
            with self._lock:
                if self._open:
                    self._writer.write_cdr(resolved, topic.type_name, cdr, now)
                    self.counts[topic.name] += 1

        return store
