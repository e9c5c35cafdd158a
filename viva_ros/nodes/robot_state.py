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


class RobotReports:
    """Subscribes to the reports whether the robot executes a task, and whether it is stopped."""

    def __init__(self, node: Node, settings: RobotSettings, notify: Callable[[], None]) -> None:
        """
        Subscribe to the configured topics.

        :param notify: called after each report
        """
        self._node, self._notify = node, notify
        self.reports_execution = bool(settings.executing_topic)
        self._reports = [
            RobotReport(node.resolve_topic_name(topic) if topic else '', settings.report_timeout,
                        time.monotonic())
            for topic in (settings.executing_topic, settings.stopped_topic)
        ]  # fmt: skip
        self._subscriptions = [
            node.create_subscription(
                Bool, report.topic, partial(self._store, report), qos.RELIABLE
            )
            for report in self._reports
            if report.topic
        ]

    def destroy(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    @property
    def executing(self) -> bool | None:
        """Whether a task is executed; None if the report is configured but missing."""
        return executes(self._reports[0], time.monotonic())

    @property
    def execution_unknown(self) -> str:
        """Why the execution is unknown; '' if it is known."""
        return self._reports[0].stale_text(time.monotonic())

    @property
    def stopped(self) -> str:
        """Why no retry may be requested; '' if one may."""
        return stopped(self._reports[1], time.monotonic())

    def _store(self, report: RobotReport, message: Bool) -> None:
        report.receive(message.data, time.monotonic())
        self._notify()
