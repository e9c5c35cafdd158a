# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The preparation of a monitor, between the request to configure and the transition."""

import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from support.ros import PATIENCE, TRIES, wait

from viva_ros.msg import Value
from viva_ros.nodes import qos

ALL = ('head', 'left_wrist', 'right_wrist', 'joint_states')
RAW = ('--ros-args', '-p', 'transport:=raw')
QUICK = (*RAW, '-p', 'input_timeout:=0.5')


@pytest.fixture
def values(listener):
    return listener.listen(Value, 'value', qos.RELIABLE)


@pytest.fixture
def source(processes, tmp_path):
    def start(*arguments: str):
        (tmp_path / 'level').write_text('160')
        return processes.start('fake_source.py', tmp_path, *ALL, *arguments)

    return start


def is_known(values) -> bool:
    return any(value.status == Value.STATUS_OK for value in values)


def state(listener) -> int:
    return listener.call(GetState, 'monitor/get_state', GetState.Request()).current_state.id


def configure(listener) -> bool:
    request = ChangeState.Request(transition=Transition(label='configure'))  # as ros2cli does
    return listener.call(ChangeState, 'monitor/change_state', request).success


def test_late_inputs_are_found_with_one_engine_load(processes, said, values, source):
    monitor = processes.start('fake_monitor.py', *QUICK)
    wait(lambda: any(text.startswith('no publisher of') for text in said()), 'the refusal')
    source()
    wait(lambda: is_known(values), 'a value')
    log = processes.log(monitor)
    assert log.count('the fake engine is loaded') == 1
    assert log.count('cannot configure: no publisher of /head/image_raw after 0.5 s') == 1


def test_configure_call_fails_while_autostart_waits(processes, listener, said, values, source):
    processes.start('fake_monitor.py', *RAW, '-p', 'input_timeout:=3.0')
    waits = ('waiting for', 'no publisher of')  # the latter once input_timeout is over
    wait(lambda: any(text.startswith(waits) for text in said()), 'the wait')
    assert not configure(listener)
    assert state(listener) == State.PRIMARY_STATE_UNCONFIGURED
    source()
    wait(lambda: is_known(values), 'a value')
    assert state(listener) == State.PRIMARY_STATE_ACTIVE


def test_configure_call_takes_over_autostart(processes, listener, source, tmp_path):
    source()
    gate = tmp_path / 'gate'
    processes.start('fake_monitor.py', *RAW, FAKE_GATE=str(gate))
    client = listener.create_client(ChangeState, 'monitor/change_state')
    assert client.wait_for_service(PATIENCE)
    request = ChangeState.Request(transition=Transition(label='configure'))
    calls = []

    def answered():
        return [call for call in calls if call.done()]

    for _ in range(TRIES):  # the first requests are lost if the server is not connected yet
        calls += [client.call_async(request) for _ in range(2)]
        end = time.monotonic() + PATIENCE / TRIES
        while not answered() and time.monotonic() < end:
            time.sleep(0.02)
        if answered():
            break
    assert [call.result().success for call in answered()[:1]] == [False], 'the other one waits'
    assert len(answered()) < len(calls)
    gate.touch()
    wait(lambda: any(call.result().success for call in answered()), 'the answer')
    assert state(listener) == State.PRIMARY_STATE_INACTIVE, 'autostart does not activate it'


def test_parameter_change_restarts_configure(processes, listener, said, values, source):
    monitor = processes.start('fake_monitor.py', *QUICK, '-p', 'camera_topics:=[/a, /b, /c]')
    source()
    wait(lambda: any('no publisher of /a after' in text for text in said()), 'the refusal')
    mended = Parameter('camera_topics', value=['']).to_parameter_msg()
    request = SetParameters.Request(parameters=[mended])
    assert listener.call(SetParameters, 'monitor/set_parameters', request).results[0].successful
    wait(lambda: is_known(values), 'a value')
    assert 'Traceback' not in processes.log(monitor)


def test_missing_engine_ends_autostart(processes, listener, said):
    processes.start('viva_ros.nodes.monitor', '--ros-args', '-p', 'engine:=/nowhere')
    wait(lambda: any('/nowhere' in text for text in said()), 'the refusal')
    assert state(listener) == State.PRIMARY_STATE_UNCONFIGURED
    assert not any(text.startswith('waiting for') for text in said())


def test_joint_states_topic_is_configurable(processes, listener, said, values, source):
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    topic = ('-p', 'joint_states_topic:=/arms/states')
    processes.start('fake_monitor.py', *RAW, *topic)
    wait(lambda: any('/arms/states' in text for text in said()), 'the wait')
    source('--ros-args', '-r', 'joint_states:=/arms/states')
    wait(lambda: is_known(values), 'a value')

    def told() -> set[str]:
        entries = [s for d in list(diagnoses) for s in d.status if 'joint_states' in s.name]
        return {value.value for entry in entries for value in entry.values}

    wait(lambda: '/arms/states' in told(), 'the topic in /diagnostics')
    assert list(values[-1].input_names)[-1:] in ([], ['joint_states'])


@pytest.mark.parametrize(
    ('topic', 'reason'),
    [('a b', 'must not contain characters'), ('{x}/a', 'unknown substitution')],
)
def test_invalid_joint_states_topic_fails_configure(processes, listener, said, topic, reason):
    arguments = ('-p', 'autostart:=false', '-p', f"joint_states_topic:='{topic}'")
    monitor = processes.start('fake_monitor.py', *RAW, *arguments)
    assert not configure(listener)
    text = f'joint_states_topic is {topic!r}, must be a valid topic name'
    wait(lambda: any(t.startswith(text) and reason in t for t in said()), 'the refusal')
    assert 'Traceback' not in processes.log(monitor)
