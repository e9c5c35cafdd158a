# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Record topics as they arrive: serialised bytes go from DDS to the file untouched.

Log time is the receive time. The QoS of a topic's publishers is read from the graph at its first
message, since a channel of an MCAP file cannot be changed later.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile


class Writer(Protocol):
    """Interface of a writer, such as viva_ros.data.bag.writer.RecordingWriter."""

    def describe(self, topic: str, metadata: Mapping[str, str]) -> None:
        """Set the metadata of a topic's channel."""
        ...

    def write_cdr(self, topic: str, type_name: str, cdr: bytes, log_time: int) -> None:
        """Append one serialised message."""
        ...


@dataclass(frozen=True)
class Topic:
    """One topic to record, with the QoS of the subscription."""

    name: str
    type: type[Any]
    qos: QoSProfile

    @property
    def type_name(self) -> str:
        """ROS name of the type, such as 'sensor_msgs/msg/JointState'."""
        return type_name(self.type)


def type_name(message_class: type) -> str:
    """Return the ROS name of a type, such as 'sensor_msgs/msg/JointState'."""
    package, kind = message_class.__module__.split('.')[:2]
    return f'{package}/{kind}/{message_class.__name__}'


def channel_metadata(node: Node, topic: str, type_name: str) -> dict[str, str]:
    """
    Return what rosbag2 stores with a topic: QoS and type hash of the publishers in the graph.

    :param topic: absolute
    :returns: ``offered_qos_profiles`` and ``topic_type_hash``, the latter empty if publishers
        differ, as in rosbag2; without publishers, or without a hash, the key is absent
    """
    offers = [
        info for info in node.get_publishers_info_by_topic(topic) if info.topic_type == type_name
    ]
    metadata: dict[str, str] = {}
    if offers:
        metadata['offered_qos_profiles'] = '\n'.join(qos_text(o.qos_profile) for o in offers)
    hashes = {str(offer.topic_type_hash) for offer in offers} - {'INVALID'}
    if hashes:
        metadata['topic_type_hash'] = hashes.pop() if len(hashes) == 1 else ''
    return metadata


def qos_text(profile: QoSProfile) -> str:
    """
    Return a profile as an entry of rosbag2's YAML list.

    Policies are numbers, as in rosbag2's metadata up to version 8: Humble and Iron cannot read
    names; Jazzy and later read both.
    """
    return '\n'.join(
        (
            f'- history: {profile.history.value}',
            f'  depth: {profile.depth}',
            f'  reliability: {profile.reliability.value}',
            f'  durability: {profile.durability.value}',
            *_time_text('deadline', profile.deadline),
            *_time_text('lifespan', profile.lifespan),
            f'  liveliness: {profile.liveliness.value}',
            *_time_text('liveliness_lease_duration', profile.liveliness_lease_duration),
            f'  avoid_ros_namespace_conventions: '
            f'{str(profile.avoid_ros_namespace_conventions).lower()}',
        )
    )


def _time_text(name: str, duration: Duration) -> tuple[str, str, str]:
    sec, nsec = divmod(duration.nanoseconds, 1_000_000_000)
    return f'  {name}:', f'    sec: {sec}', f'    nsec: {nsec}'


class Recorder:
    """Subscribes to topics and passes their serialised messages to a writer."""

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
        """Stop writing; the caller closes the writer."""
        with self._lock:
            self._open = False

    def _store(self, topic: Topic, resolved: str) -> Callable[[bytes], None]:
        def store(cdr: bytes) -> None:
            now = self._node.get_clock().now().nanoseconds
            with self._lock:
                if self._open:
                    if not self.counts[topic.name]:
                        offers = channel_metadata(self._node, resolved, topic.type_name)
                        self._writer.describe(resolved, offers)
                    self._writer.write_cdr(resolved, topic.type_name, cdr, now)
                    self.counts[topic.name] += 1

        return store
