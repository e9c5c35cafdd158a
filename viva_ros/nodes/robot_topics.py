# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Topics of a robot: those of its description, or those of the monitor's parameters.

Types of messages are those that the publishers have.
"""

import importlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from rclpy.exceptions import InvalidTopicNameException
from rclpy.expand_topic_name import expand_topic_name
from rclpy.node import Node
from rclpy.validate_topic_name import validate_topic_name
from sensor_msgs.msg import JointState

from viva_ros.core.errors import ConfigurationError, InputError
from viva_ros.core.image_checks import PictureSettings
from viva_ros.core.inputs import JOINTS, SyncSettings
from viva_ros.core.joint_states import positions_by_name
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.image_decoding import ImageOptions
from viva_ros.nodes.settings import MonitorSettings
from viva_ros.robot.field_path import numbers
from viva_ros.robot.topic_map import (
    RAW,
    RECEIVED,
    CameraSource,
    JointSource,
    TopicMap,
    load_map,
)

#: Type of the messages of each transport.
TRANSPORT_TYPES: Final[Mapping[str, str]] = {
    RAW: 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage',
    'ffmpeg': 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket',
    'foxglove': 'foxglove_msgs/msg/CompressedVideo',
}  # fmt: skip
IMAGE_TYPES: Final = tuple(TRANSPORT_TYPES.values())
VIDEO_TYPES: Final = (TRANSPORT_TYPES['ffmpeg'], TRANSPORT_TYPES['foxglove'])
JOINT_STATE: Final = 'sensor_msgs/msg/JointState'


@dataclass(frozen=True)
class JointTopic:
    """
    A topic with joints.

    :param name: of the input: 'joint_states', or 'joint_states:TOPIC' for each further one,
        with its number if it is not the first of that topic
    :param received: whether its messages are stamped with the receive time
    """

    name: str
    source: JointSource
    received: bool = False

    def positions(self, message: Any, topic: str) -> dict[str, float]:
        """
        Return the positions of a message by the joint names of the robot; empty if it has none.

        :param topic: resolved, for error texts
        :raises InputError: if a joint is there twice, or the field has another size
        """
        source = self.source
        if source.path:
            try:
                row = numbers(message, source.path)
            except ConfigurationError as error:
                if isinstance(error.__cause__, IndexError):  # of an empty list: it has none
                    return {}
                raise InputError('joint-field-missing', f'{topic}: {error}') from error
            if row.size not in (0, len(source.names)):
                raise InputError(
                    'joint-field-length',
                    f'field {source.path!r} of {topic} has {row.size} numbers, the robot file has '
                    f'{len(source.names)} names',
                )
            return dict(zip(source.names.values(), row.tolist(), strict=False))
        found = positions_by_name(message.name, message.position, topic)
        if source.names:
            return {source.names[name]: at for name, at in found.items() if name in source.names}
        return {f'{source.prefix}{name}': at for name, at in found.items()}


class JointOrigins:
    """The topic that each joint comes from."""

    def __init__(self) -> None:
        self._topic_of: dict[str, str] = {}

    def check(self, topic: str, names: Iterable[str]) -> None:
        """
        Note the joints of a message.

        :raises InputError: if a joint comes from two topics
        """
        others: dict[str, list[str]] = {}
        for name in names:
            other = self._topic_of.setdefault(name, topic)
            if other != topic:
                others.setdefault(other, []).append(name)
        if others:
            other, shared = next(iter(others.items()))
            raise InputError(
                'joint-on-two-topics',
                f'joint {", ".join(shared)} is on {other} and on {topic}: set "prefix" or "names" '
                'for them in the robot file',
            )


@dataclass(frozen=True)
class RobotTopics:
    """
    Inputs of the monitor.

    :param cameras: of the engine, by name
    :param kinds: message type of each camera; '' for that of its publisher
    :param sync: limits of the stamps
    :param joint_speeds: limits of single joints, rad/s or m/s
    :param notes: texts on parts of the robot file that have no effect
    :param pictures: limits of images
    """

    cameras: Mapping[str, CameraSource]
    joints: tuple[JointTopic, ...]
    kinds: Mapping[str, str]
    sync: SyncSettings
    joint_speeds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    pictures: PictureSettings = field(default_factory=PictureSettings)

    @property
    def options(self) -> dict[str, ImageOptions]:
        """Overrides of the description in the images of each camera."""
        return {name: source.options for name, source in self.cameras.items()}


def robot_topics(settings: MonitorSettings, info: EngineInfo) -> RobotTopics:
    """
    Return the topics of the robot file, or those of the parameters.

    :raises ConfigurationError: if the file is invalid, or does not match the engine
    """
    if settings.robot:
        return _described(Path(settings.robot).expanduser(), settings, info)
    kind = TRANSPORT_TYPES[settings.transport]
    cameras = {name: CameraSource(topic) for name, topic in camera_topics(settings, info).items()}
    topic = settings.joint_states_topic
    check_name(f'joint_states_topic is {topic!r}, must be a valid topic name', topic)
    joints = (JointTopic(JOINTS, JointSource(topic)),)
    kinds = dict.fromkeys(cameras, kind)
    return RobotTopics(cameras, joints, kinds, settings.sync, pictures=settings.image)


def _described(path: Path, settings: MonitorSettings, info: EngineInfo) -> RobotTopics:
    robot = load_map(path)
    check_cameras(path, robot, info.cameras)
    suffix = '' if settings.transport == RAW else f'/{settings.transport}'
    cameras = {
        name: robot.cameras.get(name) or CameraSource(f'{name}/image_raw{suffix}')
        for name in info.cameras
    }
    sources = robot.joints or (JointSource(settings.joint_states_topic),)
    for topic in [one.topic for one in cameras.values()] + [one.topic for one in sources]:
        check_name(f'{path} has {topic!r}, must be valid topic names', topic)
    joints = tuple(
        JointTopic(name, source, (source.stamp or robot.stamp) == RECEIVED)
        for name, source in zip(_input_names(sources), sources, strict=True)
    )
    cameras = {name: replace(one, stamp=one.stamp or robot.stamp) for name, one in cameras.items()}
    kinds = dict.fromkeys(cameras, '')
    sync = robot.limits.live(settings.sync)
    free: dict[str, float] = {}
    if robot.limits.max_joint_speed is None:  # a field has no known unit
        free = {name: math.inf for one in sources if one.path for name in one.names.values()}
    speeds = {**free, **robot.limits.joint_speeds}
    notes = tuple(f'{path}: {text}' for text in robot.notes)
    pictures = robot.limits.pictures(settings.image)
    return RobotTopics(cameras, joints, kinds, sync, speeds, notes, pictures)


def _input_names(sources: Sequence[JointSource]) -> list[str]:
    """Return the name of the input of each source; several may be of one topic."""
    names: list[str] = []
    for k, source in enumerate(sources):
        name = f'{JOINTS}:{source.topic}' if k else JOINTS
        names.append(name if name not in names else f'{name} ({k + 1})')
    return names


def check_cameras(path: Path, robot: TopicMap, cameras: Sequence[str]) -> None:
    """
    Check that a robot file has all cameras of an engine.

    :raises ConfigurationError: naming those that it lacks
    """
    missing = [name for name in cameras if robot.cameras and name not in robot.cameras]
    if missing:
        raise ConfigurationError(
            'robot-cameras',
            f'{path} has the cameras {", ".join(robot.cameras)}, this engine needs '
            f'{", ".join(missing)}: add them to "cameras"',
        )


def camera_topics(settings: MonitorSettings, info: EngineInfo) -> dict[str, str]:
    """
    Return the topic of each of the engine's cameras by the parameters.

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
        check_name(f'camera_topics has {topic!r}, must be valid topic names', topic)
    suffix = '' if settings.transport == RAW else f'/{settings.transport}'
    by_name = {camera: topic + suffix for camera, topic in zip(cameras, topics, strict=True)}
    return {camera: by_name[camera] for camera in info.cameras}


def check_name(text: str, topic: str) -> None:
    """
    Check the name of a topic.

    :raises ConfigurationError: with the text and the reason
    """
    try:
        validate_topic_name(topic)
        expand_topic_name(topic, 'monitor', '/')  # raises on an unknown substitution
    except (InvalidTopicNameException, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise ConfigurationError('topic-name', f'{text}: {reason}') from error


def published_types(node: Node, topic: str) -> list[str]:
    """Return the types with which a topic is published, in order."""
    infos = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    return sorted({info.topic_type for info in infos})


def image_type(node: Node, topic: str, kind: str) -> str:
    """
    Return the message type of a camera.

    :param kind: its type; '' for that of the publisher, or by the name of the topic without one
    """
    found = [one for one in published_types(node, topic) if one in IMAGE_TYPES]
    if kind or len(found) == 1:
        return kind or found[0]
    return TRANSPORT_TYPES.get(topic.rpartition('/')[2], TRANSPORT_TYPES[RAW])


def joint_type(node: Node, joint: JointTopic) -> Any:
    """
    Return the message class of a topic with joints.

    :raises ConfigurationError: if its type is unknown, or does not fit the robot file
    """
    topic, types = joint.source.topic, published_types(node, joint.source.topic)
    if not types and not joint.source.path:
        return JointState
    if len(types) != 1:
        raise ConfigurationError(
            'joint-topic-type',
            f'{topic} has the types {", ".join(types) or "of no publisher"}, must have one: start '
            'its driver, and set input_timeout above 0',
        )
    kind = message_class(types[0])
    if types[0] != JOINT_STATE and not joint.source.path:
        raise ConfigurationError(
            'joint-topic-field',
            f'{topic} is of type {types[0]}, no JointState: set its "field" in the robot file',
        )
    if not joint.received and not hasattr(kind(), 'header'):
        raise ConfigurationError(
            'joint-topic-header',
            f'{topic} of type {types[0]} has no header, so no stamp: set "stamp: received" for it '
            'in the robot file',
        )
    return kind


def message_class(name: str) -> Any:
    """
    Return the class of a message type, such as 'sensor_msgs/msg/JointState'.

    :raises ConfigurationError: if its package is not installed here
    """
    package, _, kind = name.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), kind)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            'message-type-missing',
            f'{name} cannot be loaded ({error}): source the workspace of {package}, or run: '
            f'sudo apt-get install ros-$ROS_DISTRO-{package.replace("_", "-")}',
        ) from error


def publishers_text(node: Node, topic: str) -> str:
    """
    Return the nodes that publish a topic.

    :param topic: resolved
    """
    found = node.get_publishers_info_by_topic(topic)
    names = sorted(f'{one.node_namespace.rstrip("/")}/{one.node_name}' for one in found)
    return f'{len(names)} publishers of {topic}: {", ".join(names)}'


def joint_topics_text(joints: Sequence[JointTopic], node: Node) -> str:
    """Return the resolved topics of all joints, for reasons."""
    return ' + '.join(
        dict.fromkeys(node.resolve_topic_name(joint.source.topic) for joint in joints)
    )
