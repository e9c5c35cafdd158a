# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot's reports on two topics of std_msgs/Bool, where they are configured."""

import time
from collections.abc import Callable
from functools import partial

from rclpy.node import Node
from std_msgs.msg import Bool

from viva_ros.core.robot_state import RobotReport, RobotSettings, executes, stopped
from viva_ros.nodes import qos


class RobotWords:
    """Hears whether the robot executes a task, and whether it is stopped or at fault."""

    def __init__(self, node: Node, settings: RobotSettings, notify: Callable[[], None]) -> None:
        """
        Hear from now on.

        :param notify: called after each report
        """
        self._node, self._notify = node, notify
        self.reports_execution = bool(settings.executing_topic)
        self._words = [
            RobotReport(node.resolve_topic_name(topic) if topic else '', settings.word_timeout,
                        time.monotonic())
            for topic in (settings.executing_topic, settings.stopped_topic)
        ]  # fmt: skip
        self._subscriptions = [
            node.create_subscription(Bool, word.topic, partial(self._hear, word), qos.RELIABLE)
            for word in self._words
            if word.topic
        ]

    def destroy(self) -> None:
        """Hear no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    @property
    def executing(self) -> bool | None:
        """Whether a task is executed; None where that is reported, but no report has come."""
        return executes(self._words[0], time.monotonic())

    @property
    def execution_unknown(self) -> str:
        """Why it is not known whether a task is executed; '' if it is known."""
        return self._words[0].stale_text(time.monotonic())

    @property
    def stopped(self) -> str:
        """Why nothing may be requested from the robot; '' if nothing speaks against it."""
        return stopped(self._words[1], time.monotonic())

    def _hear(self, word: RobotReport, message: Bool) -> None:
        word.receive(message.data, time.monotonic())
        self._notify()
