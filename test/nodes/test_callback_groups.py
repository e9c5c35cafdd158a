# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import time
from types import SimpleNamespace

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from support.ros import PATIENCE

from viva_ros.nodes import callback_groups
from viva_ros.nodes.callback_groups import EventGroup, PolledGroup


def test_event_group_executes_only_briefly_after_open(monkeypatch):
    now = 100.0  # s
    monkeypatch.setattr(callback_groups, 'time', SimpleNamespace(monotonic=lambda: now))
    group = EventGroup()
    assert not group.can_execute(None)
    group.open()
    assert group.can_execute(None)
    now += group.MOMENT
    assert not group.can_execute(None)


def test_polled_messages_do_not_wake_the_executor(domain):
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('poller', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    called: list[String] = []
    subscription = node.create_subscription(
        String, 'words', called.append, QoSProfile(depth=10), callback_group=PolledGroup()
    )
    publisher = node.create_publisher(String, 'words', 10)
    taken, turns, end = None, 0, time.monotonic() + PATIENCE
    while taken is None and time.monotonic() < end:
        publisher.publish(String(data='hello'))
        executor.spin_once(timeout_sec=0.1)
        turns += 1
        taken = subscription.handle.take_message(String, False)
    began = time.monotonic()
    publisher.publish(String(data='again'))
    executor.spin_once(timeout_sec=0.3)  # the message does not wake the executor
    waited = time.monotonic() - began
    node.destroy_node()
    rclpy.shutdown(context=context)
    assert taken[0].data == 'hello' and not called
    assert waited > 0.25, f'{turns} turns, then {waited:.3f} s'
