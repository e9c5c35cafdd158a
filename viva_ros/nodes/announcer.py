# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the supervisor says: alerts and episodes, both latched."""

from datetime import UTC, datetime

from rclpy.node import Node
from std_msgs.msg import String

from viva_ros.core.events import ALARMING, Event
from viva_ros.msg import Alert
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_alert


class Announcer:
    """
    Publishes alerts and episode ids.

    :param session: start of this supervisor, ns: tells its alerts from those of one before
    """

    def __init__(self, node: Node, session: int, budget: int) -> None:
        self.session, self.episode = session, ''
        self._node, self._budget = node, budget
        self._count = 0
        self._alert = node.create_publisher(Alert, 'alert', qos.LATCHED)
        self._episode = node.create_publisher(String, 'episode', qos.LATCHED)

    def destroy(self) -> None:
        """Say no more."""
        self._node.destroy_publisher(self._alert)
        self._node.destroy_publisher(self._episode)

    def begin_episode(self) -> str:
        """Announce a new episode; returns its id."""
        self._count += 1
        began = datetime.fromtimestamp(self.session * 1e-9, UTC)
        self.episode = f'{began:%Y%m%dT%H%M%S}-{self.session % 10**6:06d}-{self._count:03d}'
        self._episode.publish(String(data=self.episode))
        return self.episode

    def say(self, event: Event, stamp: int, retries: int) -> None:
        """
        Publish an event, and log it.

        :param stamp: for the header, ns
        :param retries: asked for in this episode so far
        """
        message = to_alert(event, stamp)
        message.retries, message.retry_budget = retries, self._budget
        message.session_id = self.session
        self._alert.publish(message)
        text = f'{event.level.name} {event.kind}: {event.text}'
        if event.level in ALARMING:  # two calls: rclpy ties a severity to the place
            self._node.get_logger().warning(text)
        else:
            self._node.get_logger().info(text)
