# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot's own word on two topics of std_msgs/Bool, where it is asked for."""

import time
from functools import partial

from rclpy.node import Node
from std_msgs.msg import Bool

from viva_ros.core.robot_word import RobotSettings, Word, executes, stopped
from viva_ros.nodes import qos


class RobotWords:
    """Hears whether the robot executes a task, and whether it is stopped or at fault."""

    def __init__(self, node: Node, settings: RobotSettings) -> None:
        self._node = node
        topics = (settings.executing_topic, settings.stopped_topic)
        self._words = [Word(bool(topic), settings.word_timeout) for topic in topics]
        self._subscriptions = [
            node.create_subscription(Bool, topic, partial(self._hear, word), qos.RELIABLE)
            for topic, word in zip(topics, self._words, strict=True)
            if topic
        ]

    def destroy(self) -> None:
        """Hear no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    @property
    def executing(self) -> bool:
        """Whether a task is executed."""
        return executes(self._words[0], time.monotonic())

    @property
    def stopped(self) -> str:
        """Why nothing may be asked of the robot; '' if nothing speaks against it."""
        return stopped(self._words[1], time.monotonic())

    def _hear(self, word: Word, message: Bool) -> None:
        word.hear(message.data, time.monotonic())
