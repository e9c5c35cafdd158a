# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import time

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from viva_ros.nodes.callback_groups import Seldom, Taken


def test_what_is_seldom_looked_at_is_waited_for_only_a_moment_after_it_was_opened():
    group = Seldom()
    assert not group.can_execute(None)
    group.open()
    assert group.can_execute(None)
    time.sleep(group.MOMENT)
    assert not group.can_execute(None)


def test_messages_that_are_to_be_taken_wake_nobody_and_can_be_taken(domain):
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('taker', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    called: list[String] = []
    subscription = node.create_subscription(
        String, 'words', called.append, QoSProfile(depth=10), callback_group=Taken()
    )
    publisher = node.create_publisher(String, 'words', 10)
    taken, turns, end = None, 0, time.monotonic() + 20.0
    while taken is None and time.monotonic() < end:
        publisher.publish(String(data='hello'))
        executor.spin_once(timeout_sec=0.1)
        turns += 1
        taken = subscription.handle.take_message(String, False)
    began = time.monotonic()
    publisher.publish(String(data='again'))
    executor.spin_once(timeout_sec=0.3)  # is not cut short by the message that waits
    waited = time.monotonic() - began
    node.destroy_node()
    rclpy.shutdown(context=context)
    assert taken[0].data == 'hello' and not called
    assert waited > 0.25, f'{turns} turns, then {waited:.3f} s'
