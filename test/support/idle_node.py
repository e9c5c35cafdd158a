# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A lifecycle node with hardly anything to do: how fast this machine answers at present.

usage: idle_node.py [SECONDS]; processor time that it uses ten times a second, as a simulated robot
does to render.
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
