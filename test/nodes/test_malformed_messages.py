# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The guard of the executor in this process; faults/test_malformed_messages.py has real nodes."""

import time

import pytest
import rclpy
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import serialize_message
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from support.ros import PATIENCE

from viva_ros.nodes.diagnostics import OK, WARN, Report
from viva_ros.nodes.malformed_messages import (
    GuardedExecutor,
    is_raised_by_rclpy,
    malformed_messages,
    take_all,
)


@pytest.fixture
def spinning(domain):
    """Return a node, and a function that spins until a condition holds."""
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('reader', context=context)
    executor = GuardedExecutor(context=context)
    executor.add_node(node)

    def spin(condition, act=lambda: None) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end
            act()
            executor.spin_once(timeout_sec=0.1)

    yield node, spin
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_overridden_methods_are_those_of_this_rclpy():
    names = [name for name in vars(GuardedExecutor) if name.startswith('_take_')]
    own = {'_take_bytes'}
    assert {name for name in names if not hasattr(SingleThreadedExecutor, name)} == own
    assert hasattr(Subscription, 'CallbackType')


def test_good_messages_arrive_with_and_without_information(spinning):
    node, spin = spinning
    heard, infos = [], []
    node.create_subscription(String, 'words', heard.append, 10)
    node.create_subscription(String, 'words', lambda message, info: infos.append(info), 10)

    async def later(message: String) -> None:
        heard.append(message)

    node.create_subscription(String, 'words', later, 10)
    publisher = node.create_publisher(String, 'words', 10)
    spin(lambda: len(heard) > 4 and infos, lambda: publisher.publish(String(data='a')))
    assert {message.data for message in heard} == {'a'}
    assert malformed_messages(node).counts == {}


def test_exception_of_a_callback_is_not_swallowed(spinning):
    node, spin = spinning

    def fail(message: String) -> None:
        raise UnicodeDecodeError('utf-8', b'x', 0, 1, 'ours')

    node.create_subscription(String, 'words', fail, 10)
    publisher = node.create_publisher(String, 'words', 10)
    with pytest.raises(UnicodeDecodeError, match='ours'):
        spin(lambda: False, lambda: publisher.publish(String(data='a')))
    assert malformed_messages(node).counts == {}


def test_exception_of_our_code_in_a_service_of_rclpy_is_not_swallowed(spinning):
    node, spin = spinning

    def check(parameters):
        raise ValueError('ours')

    node.declare_parameter('rate', 1.0)
    node.add_on_set_parameters_callback(check)
    client = node.create_client(SetParameters, 'reader/set_parameters')
    spin(client.service_is_ready)

    def request(kind: int) -> None:
        value = ParameterValue(type=kind, double_value=2.0)
        client.call_async(SetParameters.Request(parameters=[Parameter(name='rate', value=value)]))

    request(77)  # rclpy's own error
    spin(lambda: malformed_messages(node).counts)
    assert malformed_messages(node).counts == {'/reader/set_parameters': 1}
    request(3)
    with pytest.raises(ValueError, match='ours') as caught:
        spin(lambda: False)
    assert not is_raised_by_rclpy(caught.value)


def test_half_images_are_counted_and_good_ones_arrive(spinning):
    node, spin = spinning
    heard = []
    node.create_subscription(Image, 'head/image_raw', heard.append, 10)
    publisher = node.create_publisher(Image, 'head/image_raw', 10)
    good = Image(height=2, width=2, step=6, encoding='rgb8', data=bytes(range(12)))
    half = bytes(serialize_message(good))[:-8]
    spin(lambda: malformed_messages(node).counts, lambda: publisher.publish(half))
    assert heard == [] and set(malformed_messages(node).counts) == {'/head/image_raw'}
    spin(lambda: len(heard) > 10, lambda: publisher.publish(good))
    assert bytes(heard[-1].data) == bytes(range(12))


@pytest.mark.parametrize('kind', [String, Image, CompressedImage])
@pytest.mark.parametrize('head', [b'\0\1\0\1', b'\0\1\0\2', b'\0\0\0\3', b'\0\1\0\0', b''])
def test_message_without_content_is_counted_by_its_topic(spinning, kind, head):
    node, spin = spinning
    heard = []
    node.create_subscription(kind, 'words', heard.append, 10)
    publisher = node.create_publisher(kind, 'words', 10)
    spin(lambda: malformed_messages(node).counts or heard, lambda: publisher.publish(head))
    assert heard == []
    assert set(malformed_messages(node).counts) == {'/words'}


def test_report_warns_with_topic_reason_and_publishers(spinning):
    node, _ = spinning
    counter = malformed_messages(node)
    node.create_publisher(String, 'alert', 10)
    report = Report('/reader', '/')
    counter.diagnose(report)
    counter.add('/alert', ValueError('bytes\nare missing' + 'x' * 1000))
    counter.add('/alert', ValueError('bytes\nare missing'))
    counter.diagnose(report)
    before, after = report.message(node.get_clock().now().to_msg()).status
    assert (before.level, before.message) == (OK, 'all are readable')
    assert after.level == WARN and after.name == '/reader: messages'
    assert after.message.startswith(
        '2 messages on /alert cannot be read (ValueError: bytes are missing); '
        '1 publishers of /alert: /reader: build the message packages'
    )
    assert [(pair.key, pair.value) for pair in after.values] == [('/alert', '2')]


def test_polled_messages_skip_what_cannot_be_read(spinning):
    node, _ = spinning
    subscription = node.create_subscription(String, 'words', print, 10)
    publisher = node.create_publisher(String, 'words', 10)
    found, end = [], time.monotonic() + PATIENCE
    while len(found) < 3 and time.monotonic() < end:
        publisher.publish(b'\0\1\0\0\xff\xff\xff\x7f')
        publisher.publish(String(data='good'))
        time.sleep(0.01)
        found += [message.data for message, _ in take_all(node, subscription)]
    assert set(found) == {'good'} and malformed_messages(node).counts['/words'] >= 2
