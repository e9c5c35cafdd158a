# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A nearly idle lifecycle node, to measure the response time of this machine.

usage: idle_node.py [SECONDS]; CPU time that it uses at 10 Hz, like the rendering of a simulated
robot.
"""

import sys
import time

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode

BUSY = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0


def work() -> None:
    end = time.thread_time() + BUSY
    while time.thread_time() < end:
        pass


rclpy.init()
executor = SingleThreadedExecutor()
node = LifecycleNode('idle')
node.create_timer(0.1, work)
executor.add_node(node)
try:
    executor.spin()
except ExternalShutdownException:
    pass
