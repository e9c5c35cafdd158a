# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows 7 and 9 of the fault table: joints by name, and invalid stamps."""

import time

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from support.ros import wait

from viva_ros.msg import Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_time

ALL = ('head', 'left_wrist', 'right_wrist', 'joint_states')


def rename(message):
    message.name[0] = 'elbow'  # the first is right_waist
    return message


def replace_position(number):
    def change(message):
        message.position[1] = number  # left_waist
        return message

    return change


def shorten(message):
    message.position = message.position[:1]
    return message


def stamped(stamp):
    def change(message):
        message.header.stamp = to_time(stamp())
        return message

    return change


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (rename, 'newest message of /joint_states with right_waist is'),
        (replace_position(float('nan')), '/joint_states is not finite: left_waist = nan'),
        (replace_position(float('inf')), '/joint_states is not finite: left_waist = inf'),
        (shorten, 'newest message of /joint_states is'),
    ],
)
def test_missing_or_non_finite_joint_is_unknown(robot, record_property, change, reason):
    record_property('detection_s', round(robot.inject_fault({'joint_states': change}, reason), 3))


def test_reordered_and_additional_joints_change_nothing(robot):
    def turn(message):
        message.name = [*reversed(message.name), 'gripper']
        message.position = [*reversed(message.position), 9.0]
        return message

    robot.wait_for_values()
    count = len(robot.values)
    robot.change = {'joint_states': turn}

    def known_values() -> list[Value]:
        return [value for value in robot.values[count + 2 :] if value.status == Value.STATUS_OK]

    wait(lambda: len(robot.values) >= count + 8 and known_values(), 'known values')
    known = known_values()
    others = {v.reason_kind for v in robot.values[count + 2 :] if v.status != Value.STATUS_OK}
    assert others <= {'stale', 'skew'}, 'on a busy machine, in any order'
    positions = dict(zip(known[-1].joint_names, known[-1].positions, strict=True))
    # The robot moves right_waist 0.1 behind left_waist, in any order of the message.
    assert positions['left_waist'] - positions['right_waist'] == pytest.approx(0.1)
    robot.wait_for_values()


def test_future_stamp_is_unknown(robot, record_property):
    change = stamped(lambda: time.time_ns() + 3600 * 10**9)
    every = dict.fromkeys(ALL, change)
    reason = 'ahead of now, at most 0.1 s is allowed'
    record_property('detection_s', round(robot.inject_fault(every, reason), 3))


def test_zero_stamp_is_stale_and_names_the_driver(robot, record_property):
    change = {'head': stamped(lambda: 0)}
    reason = 'newest message of /head/image_raw is'
    record_property('detection_s', round(robot.inject_fault(change, reason), 3))
    assert any(
        e.level == DiagnosticStatus.WARN
        and e.message == 'stamp of /head/image_raw is 0: its driver must set it, or receive_time'
        for e in robot.entries('/monitor: head')
    )


def test_receive_time_replaces_zero_stamps_if_configured(running, robot):
    node, processes = running
    robot.wait_for_values()
    values = node.listen(Value, '/other/value', qos.RELIABLE)
    other = processes.start(
        'fake_monitor.py', '--ros-args', '-p', 'transport:=raw', '-p', 'input_timeout:=0.0',
        '-p', 'receive_time:=true', '-r', '__ns:=/other', '-r', 'joint_states:=/joint_states',
        '-p', 'camera_topics:=[/head/image_raw, /left_wrist/image_raw, /right_wrist/image_raw]',
        '-p', 'sync.slop:=0.1',
    )  # fmt: skip
    robot.change = dict.fromkeys(ALL, stamped(lambda: 0))
    wait(lambda: any(value.status == Value.STATUS_OK for value in values), 'a value')
    other.kill()
    robot.wait_for_values()
