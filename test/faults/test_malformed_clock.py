# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Row 41 of the fault table: a second publisher of /clock sends what is no time."""

import time

import pytest
from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header
from support.ros import PATIENT_MONITOR, PATIENT_SUPERVISOR, wait

from viva_ros.msg import Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_time
from viva_ros.nodes.malformed_messages import LATEST, clock_fault

SIMULATED = ('-p', 'use_sim_time:=true')
BAD = [
    Time(sec=-1), Time(sec=-(2**31)), Time(sec=-5, nanosec=999_999_999),
    Time(sec=2**31 - 1), Time(sec=5, nanosec=2**32 - 1), Time(sec=5, nanosec=10**9),
]  # fmt: skip


@pytest.mark.parametrize('stamp', BAD, ids=str)
def test_reading_that_is_no_time_is_named(stamp):
    assert f'is {stamp.sec}, must be' in clock_fault(Clock(clock=stamp)) or (
        f'is {stamp.nanosec}, must be' in clock_fault(Clock(clock=stamp))
    )


def test_zero_and_the_year_2037_are_times():
    for stamp in (Time(), Time(sec=LATEST, nanosec=999_999_999)):
        assert clock_fault(Clock(clock=stamp)) == ''


def test_malformed_clock_is_counted_and_ends_no_node(processes, listener, calibration, tmp_path):
    """Jumps within the range of a clock are row 10."""
    values = listener.listen(Value, 'value', qos.RELIABLE)
    nodes = ('monitor', 'supervisor', 'black_box')
    beats = {n: listener.listen(Header, f'{n}/heartbeat', qos.HEARTBEAT) for n in nodes}
    clock = listener.create_publisher(Clock, '/clock', qos.RELIABLE)
    listener.create_timer(0.02, lambda: clock.publish(Clock(clock=to_time(time.time_ns()))))
    processes.start(
        'fake_source.py', tmp_path, 'head', 'left_wrist', 'right_wrist', 'joint_states'
    )
    started = [
        processes.start('fake_monitor.py', '--ros-args', '-p', 'transport:=raw', *SIMULATED,
                        *PATIENT_MONITOR),
        processes.start('viva_ros.nodes.supervisor', '--ros-args', *SIMULATED,
                        '-p', f'calibration:={calibration}', *PATIENT_SUPERVISOR),
        processes.start('viva_ros.nodes.black_box', '--ros-args', *SIMULATED,
                        '-p', f'folder:={tmp_path / "box"}'),
    ]  # fmt: skip

    def alive(condition) -> bool:
        assert [process.poll() for process in started] == [None] * 3
        return bool(condition())

    def known() -> int:
        return sum(value.status == Value.STATUS_OK for value in values)

    wait(lambda: alive(known), 'a value')

    def named(process) -> bool:  # only the newest reading is kept: a busy node may miss others
        for stamp in BAD:
            clock.publish(Clock(clock=stamp))
        for data in (b'', b'\0\1\0\0\1', b'\0\1\0\0' + b'\xff' * 4):
            clock.publish(data)
        return '/clock cannot be read' in processes.log(process)

    for process in started:
        wait(lambda p=process: alive(lambda: named(p)), 'a line')
    counts = {name: len(found) for name, found in beats.items()}
    before = known()
    wait(lambda: alive(lambda: known() > before + 3), 'values of the good clock')
    for name in nodes:
        wait(lambda n=name: alive(lambda: len(beats[n]) > counts[n] + 3), f'{name} lives')
    assert abs(values[-1].header.stamp.sec - time.time()) < 60.0
