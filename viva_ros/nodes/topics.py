# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics of the monitor's inputs, and the check of their publishers, types and joint names."""

import time
from collections.abc import Mapping, Sequence

from rclpy.exceptions import InvalidTopicNameException
from rclpy.expand_topic_name import expand_topic_name
from rclpy.node import Node
from rclpy.validate_topic_name import validate_topic_name
from sensor_msgs.msg import CompressedImage, Image, JointState

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.normalize import match_joints
from viva_ros.engine.api import EngineInfo
from viva_ros.nodes import qos
from viva_ros.nodes.callback_groups import PolledGroup
from viva_ros.nodes.convert import joint_positions
from viva_ros.nodes.lifecycle import AbsentInputError
from viva_ros.nodes.settings import MonitorSettings

TYPES = {'raw': ('sensor_msgs/msg/Image', Image)}
TYPES['compressed'] = ('sensor_msgs/msg/CompressedImage', CompressedImage)
JOINT_TYPE = 'sensor_msgs/msg/JointState'
PARAMETERS = {JOINT_TYPE: 'the parameter joint_states_topic'}
JOINT_TIMEOUT = 0.5  # s, for the first message of a publisher found at the time-out


def camera_topics(settings: MonitorSettings, info: EngineInfo) -> dict[str, str]:
    """
    Return the topic of each of the engine's cameras.

    :raises ConfigurationError: if cameras or topics do not match the engine
    """
    cameras = tuple(name for name in settings.cameras if name) or info.cameras
    if sorted(cameras) != sorted(info.cameras):
        raise ConfigurationError(
            'camera-names',
            f'cameras is {list(cameras)}, this engine needs {list(info.cameras)}: '
            'name each camera once, or leave the parameter empty',
        )
    topics = tuple(topic for topic in settings.camera_topics if topic)
    topics = topics or tuple(f'{camera}/image_raw' for camera in cameras)
    if len(topics) != len(cameras):
        raise ConfigurationError(
            'camera-topic-count',
            f'camera_topics is {list(topics)}, must have {len(cameras)} entries, one for each of '
            f'{list(cameras)}',
        )
    for topic in topics:
        _check_name(f'camera_topics has {topic!r}, must be valid topic names', topic)
    suffix = '/compressed' if settings.transport == 'compressed' else ''
    by_name = {camera: topic + suffix for camera, topic in zip(cameras, topics, strict=True)}
    return {camera: by_name[camera] for camera in info.cameras}


def joint_topic(settings: MonitorSettings) -> str:
    """
    Return the topic of the joint states.

    :raises ConfigurationError: if it is not a valid topic name
    """
    topic = settings.joint_states_topic
    _check_name(f'joint_states_topic is {topic!r}, must be a valid topic name', topic)
    return topic


class InputSearch:
    """
    Checks that every input is published with the right type and joint names.

    ``poll`` never blocks: it queries the graph, and takes a joint state if one has arrived.
    """

    def __init__(
        self, node: Node, topics: Mapping[str, str], settings: MonitorSettings,
        joints: Sequence[str],
    ) -> None:  # fmt: skip
        """
        Subscribe to the joint states.

        :param topics: camera to topic
        :param joints: names that must be among the joint states
        """
        self._node, self._wait, self._names = node, settings.input_timeout, joints
        joint_states = joint_topic(settings)
        self._topic = node.resolve_topic_name(joint_states)
        kind = TYPES[settings.transport][0]
        self._wanted = {node.resolve_topic_name(topic): kind for topic in topics.values()}
        self._wanted |= {self._topic: JOINT_TYPE}
        self._joints = node.create_subscription(
            JointState, joint_states, lambda _: None, qos.JOINTS, callback_group=PolledGroup()
        )
        self._began = time.monotonic()
        self._complete_at: float | None = None
        self._positions: dict[str, float] = {}
        self._named_at = 0.0  # when a message with another joint arrived

    def destroy(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._joints)

    def poll(self) -> str:
        """
        Check once.

        :returns: text that names the missing inputs; '' if none is missing
        :raises ConfigurationError: naming the topic, its type and the expected type
        :raises InputError: naming the joints that a joint state lacks
        :raises AbsentInputError: naming the topic, once ``input_timeout`` is over
        """
        waited = time.monotonic() - self._began
        time_is_over = waited >= self._wait
        absent = [topic for topic in self._wanted if not self._is_published(topic)]
        if absent:
            self._complete_at = None
            if time_is_over:
                raise AbsentInputError('input-unpublished', self._absence(absent[0]))
            return f'waiting for {", ".join(absent)} for {waited:.1f} of {self._wait:g} s'
        if self._check_joints():
            return ''
        self._complete_at = self._complete_at or time.monotonic()
        if time_is_over and time.monotonic() - self._complete_at >= JOINT_TIMEOUT:
            raise AbsentInputError(
                'joint-states-silent',
                f'{self._topic} has a publisher, but no message arrived: check the driver',
            )
        return f'waiting for a message on {self._topic} for {waited:.1f} of {self._wait:g} s'

    def _is_published(self, topic: str) -> bool:
        """Return whether a topic has a publisher; raise on another type."""
        kind = self._wanted[topic]
        types = {info.topic_type for info in self._node.get_publishers_info_by_topic(topic)}
        if types and kind not in types:
            raise ConfigurationError(
                'topic-type',
                f'{topic} is of type {", ".join(sorted(types))}, must be {kind}: check '
                + PARAMETERS.get(kind, 'the parameters transport and camera_topics'),
            )
        return bool(types)

    def _absence(self, topic: str) -> str:
        """Return a text that names a missing topic, and the published topics of its type."""
        kind = self._wanted[topic]
        others = [
            name for name, kinds in self._node.get_topic_names_and_types() if kind in kinds
            and self._node.count_publishers(name)
        ]  # fmt: skip
        return (
            f'no publisher of {topic} after {self._wait:g} s; {kind} is published on '
            f'{", ".join(others) or "no topic"}: start the camera or robot driver, or remap the '
            'topic'
        )

    def _check_joints(self) -> bool:
        """
        Return whether joint states with all of the engine's joints have arrived.

        Raise on a joint that is missing for JOINT_TIMEOUT after the last new name.
        """
        now = time.monotonic()
        with self._joints.handle:
            while (taken := self._joints.handle.take_message(JointState, False)) is not None:
                found = joint_positions(taken[0], self._topic)
                if not found.keys() <= self._positions.keys():
                    self._named_at = now
                self._positions |= found
        if not self._positions:
            return False
        complete = set(self._names) <= self._positions.keys()
        if not complete and now - self._named_at < JOINT_TIMEOUT:
            return False
        match_joints(self._positions, self._names, self._topic)
        return True


def _check_name(text: str, topic: str) -> None:
    try:
        validate_topic_name(topic)
        expand_topic_name(topic, 'monitor', '/')  # raises on an unknown substitution
    except (InvalidTopicNameException, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise ConfigurationError('topic-name', f'{text}: {reason}') from error
