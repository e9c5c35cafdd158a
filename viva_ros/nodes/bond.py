# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A node's end of a bond, by which nav2_lifecycle_manager watches the nodes that it activates.

The manager considers a node dead after 4 s without a message on the topic 'bond'. Without the
messages of the package ``bond`` the node has no bond.
"""

import uuid
from typing import Any, Final

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from std_msgs.msg import Header

try:
    from bond.msg import Status
except ImportError:
    Status = None

TOPIC: Final = 'bond'
PERIOD: Final = 0.1  # s, as in the nodes of nav2
TIMEOUT: Final = 4.0  # s


class Bond:
    """Publishes heartbeats from the executor while a node is active; a hanging node sends none."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._instance = ''
        self._publisher: Any = None if Status is None else node.create_publisher(Status, TOPIC, 5)
        self._timer = node.create_timer(
            PERIOD, self._beat, clock=Clock(clock_type=ClockType.STEADY_TIME), autostart=False
        )

    def form(self) -> None:
        """Form the bond, if the package bond is installed."""
        if self._publisher is not None:
            self._instance = str(uuid.uuid4())
            self._timer.reset()

    def sever(self) -> None:
        """End the bond orderly, so that the manager sees no failure."""
        if not self._timer.is_canceled():
            self._timer.cancel()
            self._publish(active=False)

    def _beat(self) -> None:
        self._publish(active=True)

    def _publish(self, active: bool) -> None:
        if not self._node.context.ok():  # the process ends
            return
        self._publisher.publish(
            Status(
                header=Header(stamp=self._node.get_clock().now().to_msg()),
                id=self._node.get_name(), instance_id=self._instance, active=active,
                heartbeat_timeout=TIMEOUT, heartbeat_period=PERIOD,
            )
        )  # fmt: skip
