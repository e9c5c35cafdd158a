# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Invalid parameters fail the configure transition; the error names value, range and fix."""

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
RAW = ('-p', 'transport:=raw')
TIMEOUT = ('-p', 'input_timeout:=3.0')


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
    """Start a node whose configure transition must fail; return the error of /diagnostics."""

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


def test_rate_of_zero_fails_configure(refused):
    text = refused('fake_monitor.py', '-p', 'rate:=0.0')
    assert text == 'rate is 0.0, must be above 0 and at most 100'


def test_parameter_of_wrong_type_fails_configure(refused):
    text = refused('fake_monitor.py', '-p', 'task:=7')
    assert text == 'task is 7, must be a text: put it in quotes'


def test_invalid_topic_name_fails_configure(refused):
    text = refused('fake_monitor.py', '-p', 'camera_topics:=[/a, a b, /c]')
    assert text.startswith("camera_topics has 'a b', must be valid topic names")


def test_message_package_that_is_not_installed_fails_configure(refused):
    text = refused('fake_monitor.py', '-p', 'transport:=foxglove', '-p', 'input_timeout:=0.0')
    assert text.startswith('foxglove_msgs/msg/CompressedVideo cannot be loaded')
    assert 'sudo apt-get install ros-$ROS_DISTRO-foxglove-msgs' in text


def test_missing_engine_fails_configure(refused):
    text = refused('viva_ros.nodes.monitor', '-p', 'engine:=/nowhere')
    assert '/nowhere' in text


def test_cameras_unlike_the_engine_fail_configure(refused):
    text = refused('fake_monitor.py', '-p', 'cameras:=[head, belly]')
    assert text.startswith("cameras is ['head', 'belly'], this engine needs ['head', 'left_wrist'")


def test_missing_camera_topic_fails_configure(refused):
    text = refused('fake_monitor.py', '-p', 'camera_topics:=[/a, /b]')
    assert text.startswith("camera_topics is ['/a', '/b'], must have 3 entries")


def test_unpublished_camera_error_lists_published_ones(refused, listener):
    listener.create_publisher(Image, 'chest/image_raw', qos.IMAGE)
    text = refused('fake_monitor.py', *RAW, *TIMEOUT)
    assert text.startswith('no publisher of /head/image_raw after 3 s')
    assert 'sensor_msgs/msg/Image is published on /chest/image_raw' in text


def test_camera_topic_of_wrong_type_fails_configure(refused, listener):
    for camera in ('head', 'left_wrist', 'right_wrist'):
        listener.create_publisher(JointState, f'{camera}/image_raw', qos.IMAGE)
    text = refused('fake_monitor.py', *RAW)
    assert text.startswith('/head/image_raw is of type sensor_msgs/msg/JointState, must be')


def test_missing_joint_names_fail_configure(refused, listener):
    for camera in ('head', 'left_wrist', 'right_wrist'):
        listener.create_publisher(Image, f'{camera}/image_raw', qos.IMAGE)
    joints = listener.create_publisher(JointState, 'joint_states', qos.JOINTS)
    message = JointState(name=['left_waist', 'elbow'], position=[0.0, 1.0])
    listener.create_timer(0.1, lambda: joints.publish(message))
    text = refused('fake_monitor.py', *RAW)
    assert text == '/joint_states lacks right_waist; it has left_waist, elbow'


def test_missing_calibration_fails_configure(refused):
    text = refused('viva_ros.nodes.supervisor', '-p', 'calibration:=/nowhere.json')
    assert 'calibration /nowhere.json cannot be read' in text


def test_calibration_of_other_rules_fails_configure(refused, calibration):
    text = refused(
        'viva_ros.nodes.supervisor', '-p', f'calibration:={calibration}',
        '-p', 'rules.drop_window:=3.0',
    )  # fmt: skip
    assert 'calibration was made with rules.drop_window 4.0, the parameter is 3.0' in text


def test_done_level_as_parameter_fails_configure(refused, calibration):
    text = refused(
        'viva_ros.nodes.supervisor', '-p', f'calibration:={calibration}',
        '-p', 'rules.done_above:=0.9',
    )  # fmt: skip
    assert "'rules.done_above' was removed: use 'viva calibrate --done-above <value>'" in text


def test_rejected_parameter_keeps_old_value(processes, listener):
    processes.start('fake_monitor.py', *MANUAL)
    result = set_parameter(listener, 'monitor', 'sync.slop', -1.0)
    assert not result.successful
    assert 'sync.slop out of range' in result.reason and 'value: -1.0' in result.reason
    request = GetParameters.Request(names=['sync.slop'])
    answer = listener.call(GetParameters, 'monitor/get_parameters', request)
    assert answer.values[0].double_value == 0.05
    assert set_parameter(listener, 'monitor', 'rate', 5).successful, 'an integer is valid'


def test_corrected_parameter_configures_the_node(processes, listener, calibration):
    processes.start('viva_ros.nodes.supervisor', *MANUAL, '-p', 'calibration:=/nowhere.json')
    assert not configure(listener, 'supervisor')
    assert set_parameter(listener, 'supervisor', 'calibration', str(calibration)).successful
    assert configure(listener, 'supervisor')
    assert state(listener, 'supervisor') == State.PRIMARY_STATE_INACTIVE
    late = set_parameter(listener, 'supervisor', 'retry.hourly_budget', 5)
    assert not late.successful
    assert 'deactivate and clean up the node first' in late.reason


@pytest.mark.usefixtures('simulator')
@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (('-p', 'seed:=-1'), 'seed is -1, must be at least 0'),
        (('-p', 'robot:=arm'), "robot is 'arm', must be one of 'viperx'"),
        (('-p', 'failure:=earthquake'), "failure is 'earthquake', must be one of"),
        (('-p', 'engine:='), 'check the arguments after --ros-args'),
        (('--params-file', '/nowhere.yaml'), 'check the arguments after --ros-args'),
    ],
)
def test_invalid_start_of_sim_exits_1_with_one_line(processes, arguments, text):
    process = processes.start('viva_ros.nodes', 'sim', '--ros-args', *arguments)
    assert process.wait(60.0) == 1
    assert text in processes.log(process)
    assert 'Traceback' not in processes.log(process)


@pytest.mark.usefixtures('simulator')
def test_sim_rejects_failure_unknown_to_its_task(processes, listener):
    processes.start('viva_ros.nodes.sim')
    result = set_parameter(listener, 'sim', 'failure', 'earthquake')
    assert not result.successful
    assert "failure is 'earthquake', must be one of" in result.reason


def test_calibration_of_other_engine_fails_configure(refused, calibration):
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
