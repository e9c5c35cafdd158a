# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Search for the monitor's inputs: their publishers, types and joint names."""

import time
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.normalize import match_joints
from viva_ros.nodes import qos
from viva_ros.nodes.callback_groups import PolledGroup
from viva_ros.nodes.lifecycle import AbsentInputError
from viva_ros.nodes.malformed_messages import take_all
from viva_ros.nodes.robot_topics import (
    IMAGE_TYPES,
    JOINT_STATE,
    JointTopic,
    RobotTopics,
    joint_topics_text,
    joint_type,
    published_types,
)

JOINT_TIMEOUT = 0.5  # s, for the first message of a publisher found at the time-out


class InputSearch:
    """
    Checks that every input is published with the right type and joint names.

    ``poll`` never blocks: it queries the graph, and takes a joint state if one has arrived.
    """

    def __init__(
        self, node: Node, robot: RobotTopics, timeout: float, joints: Sequence[str]
    ) -> None:
        """
        Begin.

        :param timeout: for publishers of all inputs, s
        :param joints: names that must be among the joint states
        """
        self._node, self._robot, self._wait, self._names = node, robot, timeout, joints
        self._topic = joint_topics_text(robot.joints, node)
        self._wanted: dict[str, tuple[str, ...]] = {
            node.resolve_topic_name(source.topic): (robot.kinds[name],)
            if robot.kinds[name]
            else IMAGE_TYPES
            for name, source in robot.cameras.items()
        }
        self._wanted |= {
            node.resolve_topic_name(joint.source.topic): ()
            if joint.source.path
            else (JOINT_STATE,)
            for joint in robot.joints
        }
        self._subscriptions: dict[str, tuple[JointTopic, Any, Any]] = {}
        self._began = time.monotonic()
        self._complete_at: float | None = None
        self._positions: dict[str, float] = {}
        self._named_at = 0.0  # when a message with another joint arrived

    def destroy(self) -> None:
        """Unsubscribe."""
        for _, _, subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)

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
        absent = [
            topic
            for topic in self._wanted
            if not is_published(self._node, topic, self._wanted[topic])
        ]
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

    def _absence(self, topic: str) -> str:
        """Return a text that names a missing topic, and the published topics of its type."""
        wanted = self._wanted[topic]
        others = [
            name for name, kinds in self._node.get_topic_names_and_types()
            if set(wanted) & set(kinds) and self._node.count_publishers(name)
        ]  # fmt: skip
        return (
            f'no publisher of {topic} after {self._wait:g} s; {" or ".join(wanted)} is published '
            f'on {", ".join(others) or "no topic"}: start the camera or robot driver, or remap '
            'the topic'
        )

    def _check_joints(self) -> bool:
        """
        Return whether joint states with all of the engine's joints have arrived.

        Raise on a joint that is missing for JOINT_TIMEOUT after the last new name.
        """
        now = time.monotonic()
        self._subscribe()
        for joint, _, subscription in self._subscriptions.values():
            topic = subscription.topic_name
            for message, _ in take_all(self._node, subscription):
                found = joint.positions(message, topic)
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

    def _subscribe(self) -> None:
        """Subscribe to the topics with joints, whose types are known by now."""
        for joint in self._robot.joints:
            if joint.name not in self._subscriptions:
                kind = joint_type(self._node, joint)
                subscription = self._node.create_subscription(
                    kind,
                    joint.source.topic,
                    lambda _: None,
                    qos.JOINTS,
                    callback_group=PolledGroup(),
                )
                self._subscriptions[joint.name] = joint, kind, subscription


def is_published(node: Node, topic: str, kinds: Sequence[str]) -> bool:
    """
    Return whether a topic has a publisher.

    :param kinds: types that it may have; empty for any
    :raises ConfigurationError: if it has another type
    """
    types = published_types(node, topic)
    if types and kinds and not set(kinds) & set(types):
        parameters = 'the parameters transport and camera_topics'
        if tuple(kinds) == (JOINT_STATE,):
            parameters = 'the parameter joint_states_topic'
        raise ConfigurationError(
            'topic-type',
            f'{topic} is of type {", ".join(types)}, must be {" or ".join(kinds)}: check '
            f'{parameters}, or the robot file',
        )
    return bool(types)
