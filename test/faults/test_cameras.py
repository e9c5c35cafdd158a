# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows 1, 4 to 6 and 8 of the fault table: cameras."""

import re
import signal
import time

import pytest
from support.ros import wait

from viva_ros.msg import Value
from viva_ros.nodes.convert import to_ns, to_time

FLAT = 64 * 64 * 3
FROZEN = bytes(range(256)) * 48


def fill(byte):
    def change(message):
        message.data = bytes([byte]) * FLAT
        return message

    return change


def freeze(message):
    message.data = FROZEN
    return message


def shift(message):
    stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    message.header.stamp = to_time(stamp - 50_000_000)
    return message


def cut(message):
    message.data = message.data[:1000]
    return message


def of(**fields):
    def change(message):
        for name, value in fields.items():
            setattr(message, name, value)
        return message

    return change


@pytest.mark.parametrize('number', [signal.SIGSTOP, signal.SIGKILL])
def test_stopped_or_killed_camera_is_stale_and_recovers(
    robot, running, tmp_path, record_property, number
):
    _, processes = running
    robot.wait_for_values()
    robot.change = {'head': lambda _: None}
    camera = processes.start('fake_source.py', tmp_path, 'head')
    count = len(robot.values)
    reason = 'newest message of /head/image_raw is'

    def has_values() -> bool:
        newest = robot.values[-3:]
        return len(robot.values) > count + 5 and all(v.status == Value.STATUS_OK for v in newest)

    wait(has_values, 'values of the other camera')
    begun = len(robot.values)
    camera.send_signal(number)
    wait(lambda: any(reason in value.reason for value in robot.values[begun:]), 'the loss')
    found = next(value for value in robot.values[begun:] if reason in value.reason)
    # The reason contains the age of the last frame. The value may be unknown before that reason,
    # when the stamps of the other cameras are newer.
    age = float(re.search(r'is ([\d.]+) s old', found.reason).group(1))
    lost = next(value for value in robot.values[begun:] if value.status == Value.STATUS_UNKNOWN)
    earlier = (to_ns(found.header.stamp) - to_ns(lost.header.stamp)) * 1e-9
    record_property('detection_s', round(age - earlier, 3))
    record_property('named_s', age)
    if number == signal.SIGSTOP:
        camera.send_signal(signal.SIGCONT)
    camera.kill()
    robot.wait_for_values()


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (freeze, '/head/image_raw: frozen: same picture for'),
        (fill(2), '/head/image_raw: black'),
        (fill(252), '/head/image_raw: saturated'),
        (fill(120), '/head/image_raw: covered'),
    ],
)
def test_frozen_dark_bright_or_covered_image_is_unknown(robot, record_property, change, reason):
    record_property('detection_s', round(robot.inject_fault({'head': change}, reason), 3))


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (of(width=80, step=240), 'image has 12288 bytes, must have 15360'),
        (of(encoding='yuv420p'), "encoding is 'yuv420p', must be one of"),
        (of(encoding='16UC1'), "encoding is '16UC1', which is depth"),
        (of(step=10), 'step is 10 bytes, must be at least 192'),
        (cut, 'image has 1000 bytes, must have 12288'),
        (of(height=0, data=b''), 'image is 64 x 0 pixels'),
    ],
)
def test_invalid_image_message_is_dropped_and_named(robot, record_property, change, reason):
    begun = time.monotonic()
    record_property('detection_s', round(robot.inject_fault({'left_wrist': change}, reason), 3))
    assert robot.process.poll() is None
    largest = 2 + (time.monotonic() - begun) // 5.0
    assert robot.log().count(reason) <= largest, 'throttled: once in five seconds'


def test_lagging_camera_is_unknown_with_measured_skew(robot, record_property):
    delay = robot.inject_fault({'right_wrist': shift}, 'at most 0.02 s is allowed')
    record_property('detection_s', round(delay, 3))
    # If the joint states are late, the reason names their skew, a multiple of 100 ms.
    begun, lag = len(robot.values), r'is 0\.050 s newer than \S*right_wrist/image_raw'
    robot.change = {'right_wrist': shift}
    wait(lambda: any(re.search(lag, value.reason) for value in robot.values[begun:]), 'the lag')
    robot.wait_for_values()
