# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which topics a monitor needs, and whether they are there, of the right type and joint names."""

import time
from collections.abc import Mapping, Sequence

import rclpy
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.validate_topic_name import validate_topic_name
from sensor_msgs.msg import CompressedImage, Image, JointState

from viva_ros.core.errors import ConfigurationError, InputError
from viva_ros.core.inputs import JOINTS
from viva_ros.core.joints import match_joints
from viva_ros.nodes import qos
from viva_ros.nodes.convert import joint_positions
from viva_ros.nodes.managed import AbsentInputError
from viva_ros.nodes.settings import MonitorSettings
from viva_ros.runtime.engine import EngineInfo

TYPES = {'raw': ('sensor_msgs/msg/Image', Image)}
TYPES['compressed'] = ('sensor_msgs/msg/CompressedImage', CompressedImage)
JOINT_TYPE = 'sensor_msgs/msg/JointState'


def camera_topics(settings: MonitorSettings, info: EngineInfo) -> dict[str, str]:
    """
    Give the topic of each of the engine's cameras.

    :raises ConfigurationError: if the cameras are not those of the engine
    """
    cameras = tuple(name for name in settings.cameras if name) or info.cameras
    if sorted(cameras) != sorted(info.cameras):
        raise ConfigurationError(
            f'cameras is {list(cameras)}, this engine needs {list(info.cameras)}: '
            'name each of them once, or leave it empty'
        )
    topics = tuple(topic for topic in settings.camera_topics if topic)
    topics = topics or tuple(f'{camera}/image_raw' for camera in cameras)
    if len(topics) != len(cameras):
        raise ConfigurationError(
            f'camera_topics is {list(topics)}, must have {len(cameras)} entries, one for each of '
            f'{list(cameras)}'
        )
    for topic in topics:
        _check_name(topic)
    suffix = '/compressed' if settings.transport == 'compressed' else ''
    by_name = {camera: topic + suffix for camera, topic in zip(cameras, topics, strict=True)}
    return {camera: by_name[camera] for camera in info.cameras}


def check_inputs(
    node: Node, topics: Mapping[str, str], kind: str, joints: Sequence[str], wait: float
) -> None:
    """
    Look whether every input is published, with the right type and joint names.

    :param topics: camera to topic
    :param kind: 'raw' or 'compressed'
    :param joints: names that must be among the joint states
    :param wait: for publishers to appear, s
    :raises ConfigurationError: naming the topic, and what there is instead
    """
    end = time.monotonic() + wait
    wanted = dict.fromkeys(topics.values(), TYPES[kind][0]) | {JOINTS: JOINT_TYPE}
    for topic, type_name in wanted.items():
        while rclpy.ok() and not node.count_publishers(topic) and time.monotonic() < end:
            time.sleep(0.05)
        if not rclpy.ok():
            raise AbsentInputError('told to end while waiting for inputs')
        _check_publishers(node, topic, type_name, wait)
    _check_joints(node, joints, max(0.5, end - time.monotonic()))


def _check_name(topic: str) -> None:
    try:
        validate_topic_name(topic)
    except InvalidTopicNameException as error:
        reason = ' '.join(str(error).split())
        raise ConfigurationError(
            f'camera_topics has {topic!r}, must be names of topics: {reason}'
        ) from error


def _check_joints(node: Node, joints: Sequence[str], wait: float) -> None:
    topic = node.resolve_topic_name(JOINTS)
    message = _take(node, wait)
    if message is None:
        raise AbsentInputError(f'{topic} has a publisher, but nothing came: look at the driver')
    try:
        match_joints(joint_positions(message), joints, topic)
    except InputError as error:
        raise ConfigurationError(str(error)) from error


def _take(node: Node, wait: float) -> JointState | None:
    """Wait for a message while the executor is busy with us."""
    subscription = node.create_subscription(JointState, JOINTS, lambda _: None, qos.JOINTS)
    end = time.monotonic() + wait
    try:
        while rclpy.ok() and time.monotonic() < end:
            taken = subscription.handle.take_message(JointState, False)
            if taken is not None:
                return taken[0]
            time.sleep(0.02)
    finally:
        node.destroy_subscription(subscription)
    return None


def _check_publishers(node: Node, topic: str, type_name: str, wait: float) -> None:
    resolved = node.resolve_topic_name(topic)
    types = {info.topic_type for info in node.get_publishers_info_by_topic(topic)}
    if not types:
        others = [
            name for name, kinds in node.get_topic_names_and_types() if type_name in kinds
            and node.count_publishers(name)
        ]  # fmt: skip
        there = f'{type_name} is published on {", ".join(others) or "no topic"}'
        raise AbsentInputError(
            f'nothing publishes {resolved} after {wait:g} s; {there}: start the camera or robot '
            'driver, or remap the topic'
        )
    if type_name not in types:
        raise ConfigurationError(
            f'{resolved} is of type {", ".join(types)}, must be {type_name}: see the parameters '
            'transport and camera_topics'
        )
