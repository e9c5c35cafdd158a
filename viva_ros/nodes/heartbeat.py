# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A sign of life that a hung process cannot give.

Automatic liveliness is asserted by a thread of the middleware, which lives on while a node hangs.
This one is asserted by hand from the executor, on the steady clock, and only while the node says
that it is well: whoever listens is told by the middleware when the lease runs out. A node that was
not well stays quiet for longer than the lease, so that this is never missed.
"""

import time
from collections.abc import Callable

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from std_msgs.msg import Header

from viva_ros.nodes import qos

TOPIC = '~/heartbeat'
PERIOD = 0.2  # s; a fifth of the lease
QUIET = 1.3  # s; more than the lease


class Heartbeat:
    """Publishes the time while a node is well."""

    def __init__(self, node: Node, is_well: Callable[[], bool]) -> None:
        self._node, self._is_well = node, is_well
        self._quiet_until = 0.0
        self._publisher = node.create_publisher(Header, TOPIC, qos.HEARTBEAT)
        self._timer = node.create_timer(
            PERIOD, self._beat, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _beat(self) -> None:
        now = time.monotonic()
        if not self._is_well():
            self._quiet_until = now + QUIET
        elif now >= self._quiet_until:
            stamp = self._node.get_clock().now().to_msg()
            self._publisher.publish(Header(stamp=stamp, frame_id=self._node.get_name()))
