# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One source of a robot as a process: a camera, or the arm with its joints, reports and retries.

The joint 'worth' is the value of the engine. It rises; now and then it falls, and stays low until
the supervisor requests a retry, or the task is begun again.

usage: python -m benchmarks.chaos.robot head|wrist|robot
"""

import sys
import time
from random import Random
from typing import Any, Final

import numpy as np
import rclpy
import rclpy.utilities
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Header
from std_srvs.srv import Trigger

from benchmarks.chaos.history import NEEDS_OPERATOR, OK
from viva_ros.msg import Episode, SupervisorState
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header, to_image, to_joint_state
from viva_ros.srv import StartEpisode

PERIOD: Final = 0.1  # s
#: A reliable publisher fits the subscribers of the monitor, and loses nothing for the recorder.
SENT: Final = QoSProfile(depth=20)
LOWEST, HIGHEST = -0.6, 0.7  # value
RISE: Final = 0.015  # of each period
FALL: Final = 0.15
HOME: Final = 1.0  # s, way home of a retry
FAILURE: Final = 0.04  # probability of a failure in each period
GIVEN_UP: Final = 12.0  # s after a failure
EPISODE: Final = 40.0  # s
CALM: Final = 3.0  # s between two calls of a service of the supervisor


class Camera:
    """Publishes noise at 10 Hz."""

    def __init__(self, node: Any, name: str) -> None:
        self._node, self._name, self._random = node, name, np.random.default_rng()
        self._publisher = node.create_publisher(Image, f'{name}/image_raw', SENT)

    def step(self, stamp: int) -> None:
        """Publish an image."""
        pixels = self._random.integers(60, 190, (32, 32, 3), dtype=np.uint8)
        self._publisher.publish(to_image(pixels, stamp, self._name))


class Arm:
    """Publishes joints, reports execution, serves retries, and begins episodes."""

    def __init__(self, node: Any, name: str) -> None:
        self._node, self._random = node, Random()
        self._joints = node.create_publisher(JointState, 'joint_states', SENT)
        self._executing = node.create_publisher(Bool, 'executing', qos.RELIABLE)
        self._calls = node.create_publisher(Header, 'retry_calls', qos.RELIABLE)
        node.create_service(Trigger, 'retry', self._retry)
        node.create_subscription(Episode, 'episode', self._note_episode, qos.LATCHED_READER)
        node.create_subscription(
            SupervisorState, 'supervisor/state', self._note_state, qos.LATCHED_READER
        )
        self._start = node.create_client(StartEpisode, 'supervisor/start_episode')
        self._acknowledge = node.create_client(Trigger, 'supervisor/acknowledge')
        self._worth, self._failed_at, self._home_until = LOWEST, 0.0, 0.0
        self._episode, self._begun, self._called, self._level = '', 0.0, 0.0, OK

    def step(self, stamp: int) -> None:
        """Move, and publish joints and report."""
        now = time.monotonic()
        self._move(now)
        positions = {'other': 0.1 * self._worth, 'worth': self._worth}
        self._joints.publish(to_joint_state(positions, stamp))
        self._executing.publish(Bool(data=now >= self._home_until))
        if now - self._called > CALM:
            self._supervise(now)

    def _move(self, now: float) -> None:
        if self._failed_at and now - self._failed_at > GIVEN_UP:
            self._failed_at = 0.0
        if self._failed_at:
            self._worth = max(LOWEST - 0.3, self._worth - FALL)
        elif now < self._home_until:
            self._worth = max(LOWEST, self._worth - FALL)
        else:
            self._worth = min(HIGHEST, self._worth + RISE)
            if self._worth > 0.0 and self._random.random() < FAILURE:
                self._failed_at = now

    def _supervise(self, now: float) -> None:
        """Begin an episode if there is none, or if it is long; acknowledge as an operator."""
        if not self._episode or now - self._begun > EPISODE:
            self._called = now
            if self._start.service_is_ready():
                self._start.call_async(StartEpisode.Request())
        elif self._level == NEEDS_OPERATOR and self._acknowledge.service_is_ready():
            self._called = now
            self._acknowledge.call_async(Trigger.Request())

    def _retry(self, request: Any, response: Any) -> Any:
        self._calls.publish(header(self._node.get_clock().now().nanoseconds))
        self._failed_at, self._home_until = 0.0, time.monotonic() + HOME
        response.success = True
        return response

    def _note_episode(self, message: Episode) -> None:
        if message.id != self._episode:
            self._episode, self._begun = message.id, time.monotonic()

    def _note_state(self, message: SupervisorState) -> None:
        self._level = message.level


def main() -> None:
    """Publish at 10 Hz until the end of the process."""
    name = rclpy.utilities.remove_ros_args(sys.argv)[1]
    rclpy.init()
    node = rclpy.create_node(f'source_{name}')
    source = (Arm if name == 'robot' else Camera)(node, name)
    step = round(PERIOD * 1e9)
    while rclpy.ok():
        due = time.time_ns() // step * step + step
        while (left := due - time.time_ns()) > 0:
            rclpy.spin_once(node, timeout_sec=left * 1e-9)
        now = node.get_clock().now().nanoseconds
        source.step(now // step * step)


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        pass
