# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What does not fit is refused at configure: the thing, its value, what is allowed, the remedy."""

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, JointState
from support.ros import wait

from viva_ros.core.detection.thresholds import load as load_calibration
from viva_ros.engine.manifest import named
from viva_ros.engine.resources import engine_folder
from viva_ros.nodes import qos

MANUAL = ('--ros-args', '-p', 'autostart:=false')
QUICK = ('-p', 'input_timeout:=1.0', '-p', 'transport:=raw')


def configure(listener, node: str):
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    return listener.call(ChangeState, f'{node}/change_state', request).success


def state(listener, node: str) -> int:
    return listener.call(GetState, f'{node}/get_state', GetState.Request()).current_state.id


def set_parameter(listener, node: str, name: str, value: object):
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    return listener.call(SetParameters, f'{node}/set_parameters', request).results[0]


@pytest.fixture
def refused(processes, listener):
    """Start a node that shall refuse to be configured; give what it says."""

    def refuse(script: str, *arguments: object) -> str:
        diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
        node = script.removesuffix('.py').split('_')[-1].split('.')[-1]
        process = processes.start(script, *MANUAL, *arguments)
        assert not configure(listener, node)
        assert state(listener, node) == State.PRIMARY_STATE_UNCONFIGURED
        wait(
            lambda: any(s.level == DiagnosticStatus.ERROR for d in diagnoses for s in d.status),
            'the diagnosis',
        )
        errors = (s for d in diagnoses for s in d.status if s.level == DiagnosticStatus.ERROR)
        text = next(errors).message
        assert process.poll() is None
        assert text in processes.log(process)
        return text

    return refuse


def test_nonsense_parameters(refused):
    text = refused('fake_monitor.py', '-p', 'rate:=0.0')
    assert text == 'rate is 0.0, must be above 0 and at most 100'


def test_a_parameter_of_another_type(refused):
    text = refused('fake_monitor.py', '-p', 'task:=7')
    assert text == 'task is 7, must be a text: put it in quotes'


def test_a_name_that_no_topic_can_have(refused):
    text = refused('fake_monitor.py', '-p', 'camera_topics:=[/a, a b, /c]')
    assert text.startswith("camera_topics has 'a b', must be names of topics")


def test_an_engine_that_is_not_there(refused):
    text = refused('viva_ros.nodes.monitor', '-p', 'engine:=/nowhere')
    assert '/nowhere' in text


def test_another_set_of_cameras_than_the_engine_has(refused):
    text = refused('fake_monitor.py', '-p', 'cameras:=[head, belly]')
    assert text.startswith("cameras is ['head', 'belly'], this engine needs ['head', 'left_wrist'")


def test_a_topic_too_few(refused):
    text = refused('fake_monitor.py', '-p', 'camera_topics:=[/a, /b]')
    assert text.startswith("camera_topics is ['/a', '/b'], must have 3 entries")


def test_a_camera_that_nobody_publishes_names_those_that_there_are(refused, listener):
    listener.create_publisher(Image, 'chest/image_raw', qos.IMAGE)
    text = refused('fake_monitor.py', *QUICK)
    assert text.startswith('nothing publishes /head/image_raw after 1 s')
    assert 'sensor_msgs/msg/Image is published on /chest/image_raw' in text


def test_a_camera_topic_of_another_type(refused, listener):
    for camera in ('head', 'left_wrist', 'right_wrist'):
        listener.create_publisher(JointState, f'{camera}/image_raw', qos.IMAGE)
    text = refused('fake_monitor.py', *QUICK)
    assert text.startswith('/head/image_raw is of type sensor_msgs/msg/JointState, must be')


def test_joint_names_that_do_not_match_the_engine(refused, listener):
    for camera in ('head', 'left_wrist', 'right_wrist'):
        listener.create_publisher(Image, f'{camera}/image_raw', qos.IMAGE)
    joints = listener.create_publisher(JointState, 'joint_states', qos.JOINTS)
    message = JointState(name=['left_waist', 'elbow'], position=[0.0, 1.0])
    listener.create_timer(0.1, lambda: joints.publish(message))
    text = refused('fake_monitor.py', *QUICK)
    assert text == '/joint_states lacks right_waist; it has left_waist, elbow'


def test_a_calibration_that_is_not_there(refused):
    text = refused('viva_ros.nodes.supervisor', '-p', 'calibration:=/nowhere.json')
    assert 'calibration /nowhere.json cannot be read' in text


def test_a_calibration_for_other_rules(refused, calibration):
    text = refused(
        'viva_ros.nodes.supervisor', '-p', f'calibration:={calibration}',
        '-p', 'rules.drop_window:=3.0',
    )  # fmt: skip
    assert 'calibration was made with drop_window 4.0, the setting is 3.0' in text


def test_a_refused_value_keeps_the_old_one(processes, listener):
    processes.start('fake_monitor.py', *MANUAL)
    result = set_parameter(listener, 'monitor', 'sync.slop', -1.0)
    assert not result.successful
    assert 'sync.slop out of range' in result.reason and 'value: -1.0' in result.reason
    request = GetParameters.Request(names=['sync.slop'])
    answer = listener.call(GetParameters, 'monitor/get_parameters', request)
    assert answer.values[0].double_value == 0.05
    assert set_parameter(listener, 'monitor', 'rate', 5).successful, 'a whole number will do'


def test_what_was_refused_can_be_mended_and_configured(processes, listener, calibration):
    processes.start('viva_ros.nodes.supervisor', *MANUAL, '-p', 'calibration:=/nowhere.json')
    assert not configure(listener, 'supervisor')
    assert set_parameter(listener, 'supervisor', 'calibration', str(calibration)).successful
    assert configure(listener, 'supervisor')
    assert state(listener, 'supervisor') == State.PRIMARY_STATE_INACTIVE
    late = set_parameter(listener, 'supervisor', 'retry.hourly', 5)
    assert not late.successful
    assert 'deactivate and clean up the node first' in late.reason


@pytest.mark.usefixtures('simulator')
@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (('-p', 'seed:=-1'), 'seed is -1, must be at least 0'),
        (('-p', 'robot:=arm'), "robot is 'arm', must be one of 'viperx'"),
        (('-p', 'failure:=earthquake'), "failure is 'earthquake', must be one of"),
        (('-p', 'engine:='), 'see the arguments after --ros-args'),
        (('--params-file', '/nowhere.yaml'), 'see the arguments after --ros-args'),
    ],
)
def test_what_a_process_cannot_begin_with_is_one_line_and_exit_code_1(processes, arguments, said):
    process = processes.start('viva_ros.nodes', 'sim', '--ros-args', *arguments)
    assert process.wait(60.0) == 1
    assert said in processes.log(process)
    assert 'Traceback' not in processes.log(process)


@pytest.mark.usefixtures('simulator')
def test_the_robot_refuses_a_failure_that_its_task_does_not_have(processes, listener):
    processes.start('viva_ros.nodes.sim')
    result = set_parameter(listener, 'sim', 'failure', 'earthquake')
    assert not result.successful
    assert "failure is 'earthquake', must be one of" in result.reason


def test_a_calibration_of_another_engine(refused, calibration):
    shipped = engine_folder('', 'tray_lift')
    text = refused(
        'viva_ros.nodes.supervisor', '-p', f'calibration:={calibration}',
        '-p', f'engine:={shipped}',
    )  # fmt: skip
    own = load_calibration(calibration).engine
    assert text == (
        f"calibration is for engine '{own}', not for '{named(shipped)}': run 'viva calibrate' "
        'for it'
    )
