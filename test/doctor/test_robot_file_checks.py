# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`viva doctor --robot`: a robot file against a running robot and against recordings."""

import importlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from support.foreign_robot import write_old_lerobot_dataset
from support.message_packages import built
from support.ros import wait
from support.scripted_robot import (
    ARM,
    GRIPPERS,
    HEAD,
    LEFT,
    RIGHT,
    ROBOT,
    WRIST,
    EndlessRobot,
    Fault,
    Player,
    beside,
    change,
    joint_message,
    jpeg_message,
    late,
    slot_messages,
    without,
    write_stream,
)
from support.video_streams import stream, with_b_frames

from viva_ros.cli import doctor
from viva_ros.doctor.findings import like_names
from viva_ros.engine.api import EngineInfo
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header
from viva_ros.nodes.robot_topics import robot_topics
from viva_ros.nodes.settings import MonitorSettings

BEGIN = 1_700_000_000_000_000_000  # ns


def robot_file(folder: Path, text: str = ROBOT) -> Path:
    path = folder / 'robot.yaml'
    path.write_text(text)
    return path


def bag(folder: Path, fault: Fault = lambda slot, sent: sent) -> Path:
    sent = [one for slot in range(20) for one in fault(slot, slot_messages(slot))]
    return write_stream(folder / 'bag', sent, BEGIN)


def test_recording_that_fits_has_no_finding(tmp_path: Path, capsys: Any) -> None:
    code = doctor.main(['--robot', str(robot_file(tmp_path)), str(bag(tmp_path))])
    output = capsys.readouterr().out
    assert code == 0, output
    assert 'OK    camera head: /front/image (sensor_msgs/msg/Image), 64 x 64 pixels' in output
    assert '20 messages, 10.0 Hz' in output
    assert 'OK    joints /grippers: 100 messages, 50.0 Hz, 2 joints: left_gripper' in output
    assert 'OK    episode bag: 20 frames in 1.9 s' in output
    assert '0 errors, 0 warnings' in output


def test_part_of_a_contract_without_effect_is_noted(tmp_path: Path, capsys: Any) -> None:
    align = 'align: {strategy: hold, timeline: header}'
    contract = f"""\
robot_interface: ros2
fps: 10
observations:
  observation.images.head:
    channel: {{topic: /front/image, type: sensor_msgs/msg/Image}}
    {align}
    apply: [resize: [8, 8]]
  observation.state:
    channel: {{topic: /left/joint_states, type: sensor_msgs/msg/JointState}}
    {align}
    select: [{', '.join(f'position.{name}' for name in ARM)}]
"""
    file = robot_file(tmp_path, contract)
    assert doctor.main(['--robot', str(file), str(bag(tmp_path))]) == 0
    note = f'{file}: resize of observation.images.head is not applied'
    assert f'WARN  robot file: {note}' in capsys.readouterr().out
    engine = EngineInfo(('head',), ARM, 1.0, (64, 64), ('fold',), 'f' * 16, 'fake')
    (told,) = robot_topics(MonitorSettings(robot=str(file)), engine).notes
    assert told.startswith(note)


def test_faults_of_a_recording_are_all_named(tmp_path: Path, capsys: Any) -> None:
    text = ROBOT.replace('/front/image', '/front/Image').replace('r_elbow:', 'r_elbo:')
    torn = change(WRIST, lambda slot, one: replace(one, make=partial(jpeg_message, 3, share=0.5)))
    jumping = beside(LEFT, ARM, [1.5, 1.5])
    path = bag(tmp_path, lambda slot, sent: torn(slot, jumping(slot, sent)))
    file = robot_file(tmp_path, text)
    assert doctor.main(['--robot', str(file), str(path)]) == 1
    output = capsys.readouterr().out
    assert 'ERROR camera head: ' in output and 'lacks topic /front/Image' in output
    assert '-> there is /front/image: if it is meant, name it in the robot file' in output
    assert 'ERROR camera wrist: /wrist/cam/compressed: ' in output
    assert 'ERROR joints /right/joint_states: ' in output and 'lacks joint r_elbo' in output
    assert 'OK    joints /grippers: ' in output

    assert doctor.main(['--robot', str(robot_file(tmp_path)), str(path)]) == 1
    assert 'jumped from' in capsys.readouterr().out


def test_limits_and_clock_of_a_recording_are_checked(tmp_path: Path, capsys: Any) -> None:
    def fault(slot: int, sent: list[Any]) -> list[Any]:
        sent = without(GRIPPERS)(slot, sent) if 5 <= slot < 12 else sent
        sent = change(HEAD, late(450_000_000))(slot, sent) if slot >= 15 else sent
        return change(RIGHT, lambda _, one: replace(one, stamp=None))(slot, sent[:1]) + sent[1:]

    path = bag(tmp_path, fault)
    assert doctor.main(['--robot', str(robot_file(tmp_path)), str(path)]) == 1
    output = capsys.readouterr().out
    assert 'is silent for 0.720 s, at most 0.4 s is allowed (max_gap)' in output
    assert 'stamps of head go back by 0.350 s' in output


def test_engine_of_a_recording_must_have_its_inputs(tmp_path: Path, capsys: Any) -> None:
    arguments = ['--robot', str(robot_file(tmp_path)), str(bag(tmp_path))]
    shipped = Path(__file__).parents[2] / 'engines' / 'viperx'
    assert doctor.main([*arguments, '--engine', str(shipped)]) == 1
    output = capsys.readouterr().out
    assert 'ERROR engine cameras: ' in output and 'this engine needs left_wrist' in output
    assert 'ERROR engine joints: robot lacks' in output and 'left_forearm_roll' in output


def test_recordings_without_a_robot_file_are_refused(tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        doctor.main([str(tmp_path)])
    assert 'add --robot FILE' in capsys.readouterr().err


@pytest.mark.parametrize(('wanted', 'name', 'is_like'), [
    ('/cam_high/image_raw', '/robot/CamHigh/image_raw/compressed', True),
    ('/joint_states', '/left/joint_states', True),
    ('/camhigh/image', '/cam_high/image', True),
    ('/left/joint_states', '/right/joint_states', False),
    ('/cam_1/image', '/cam_2/image', False),
    ('/cat', '/at', False),
    ('/cam/image_raw', '/camera/image_raw/foxglove', True),
    ('/joint_states', '/joint_state', True),
    ('left_j1', 'left_j10', False),
])  # fmt: skip
def test_names_are_like_by_words(wanted: str, name: str, is_like: bool) -> None:
    assert (like_names(wanted, [name, wanted]) == [name]) == is_like


@pytest.mark.live
def test_doctor_finds_all_faults_of_a_running_robot(
    listener: Any, tmp_path: Path, capsys: Any
) -> None:
    other = rclpy.create_node('zero_publisher', context=listener.context)
    player = Player({'driver': listener, 'other': other}, qos.JOINTS)
    robot = EndlessRobot(player)
    try:
        wait(lambda: listener.count_publishers(HEAD), 'the robot')
        arguments = ['--seconds', '2', '--robot']
        code = doctor.main([*arguments, str(robot_file(tmp_path))])
        good = capsys.readouterr().out
        assert code == 0, good
        assert 'OK    camera head: ' in good and 'rgb8, 64 x 64 pixels' in good
        assert '2 joints: left_gripper, right_gripper' in good
        assert 'listener: best effort, volatile' in good
        assert 'moments have all inputs' in good

        torn = change(
            WRIST, lambda slot, one: replace(one, make=partial(jpeg_message, 3, share=0.5))
        )
        unstamped = change(HEAD, lambda slot, one: replace(one, stamp=None))
        renamed = change(
            RIGHT,
            lambda slot, one: replace(one, make=partial(joint_message, ARM, [0.1, 0.1])),
        )
        zeros = beside(LEFT, ARM, [2.0, 2.0])
        robot.fault = lambda slot, sent: torn(
            slot, unstamped(slot, renamed(slot, zeros(slot, sent)))
        )
        text = ROBOT + '  # more\n'
        text = text.replace(
            'cameras:\n', 'cameras:\n  top: {topic: /Front/Image_}\n  arm: {topic: /grippers}\n'
        )
        wait(lambda: listener.count_publishers(LEFT) == 2, 'the second publisher')
        assert doctor.main([*arguments, str(robot_file(tmp_path, text))]) == 1
    finally:
        robot.close()
        other.destroy_node()
    output = capsys.readouterr().out
    for expected in (
        'ERROR camera top: /Front/Image_ has no publisher\n'
        '      -> there is /front/image: if it is meant',
        'ERROR camera arm: /grippers is of type sensor_msgs/msg/JointState, must be ',
        'ERROR camera head: stamp of /front/image is 0',
        'ERROR camera wrist: /wrist/cam/compressed: ',
        'ERROR joints /left/joint_states: 2 publishers of /left/joint_states: /listener, '
        '/zero_publisher: joint left_waist, left_elbow comes from several',
        ' jumped from ',
        'ERROR joints /right/joint_states: /right/joint_states lacks joint right_waist, '
        'right_elbow, it has waist, elbow',
        '-> there is waist, elbow: if it is meant',
    ):  # fmt: skip
        assert expected in output, expected
    print(output)


def test_dataset_is_checked_by_its_features(tmp_path: Path, capsys: Any) -> None:
    dataset = write_old_lerobot_dataset(tmp_path / 'set')
    text = (
        'cameras: {top: {feature: observation.images.cam_high}}\n'
        'joints: [{feature: observation.state, names: [left_waist, left_grip]}]\n'
    )
    file = robot_file(tmp_path, text)
    assert doctor.main(['--robot', str(file), str(dataset)]) == 0
    output = capsys.readouterr().out
    assert 'OK    episode_000001: camera top: ' in output and '96 x 48 pixels' in output
    assert '25 messages, 10.0 Hz, 2 joints: left_waist, left_grip' in output

    file = robot_file(tmp_path, text.replace('cam_high', 'camHigh').replace('grip]', 'hand]'))
    assert doctor.main(['--robot', str(file), str(dataset / 'episode_000000')]) == 1
    output = capsys.readouterr().out
    assert '-> there is observation.images.cam_high: if it is meant' in output
    assert 'lacks joint left_hand, it has left_waist, left_grip, right_waist' in output


@pytest.mark.live
def test_stamps_are_compared_with_a_published_clock(
    listener: Any, tmp_path: Path, capsys: Any
) -> None:
    clock = listener.create_publisher(Clock, '/clock', 10)
    joints = listener.create_publisher(JointState, '/joint_states', qos.JOINTS)
    numbers = itertools.count(1)

    def publish() -> None:
        stamp = header(next(numbers) * 20_000_000)
        clock.publish(Clock(clock=stamp.stamp))
        joints.publish(JointState(header=stamp, name=['a'], position=[0.1]))

    listener.create_timer(0.02, publish)
    path = robot_file(tmp_path, 'joints: [{topic: /joint_states}]\n')
    code = doctor.main(['--seconds', '2', '--robot', str(path)])
    output = capsys.readouterr().out
    assert code == 0 and 'OK    joints /joint_states: ' in output, output
    assert 'start the monitor with use_sim_time:=true' in output
    listener.destroy_publisher(clock)


@pytest.mark.live
def test_slow_topic_names_the_limit_to_raise(listener: Any, tmp_path: Path, capsys: Any) -> None:
    joints = listener.create_publisher(JointState, '/joint_states', qos.JOINTS)

    def publish() -> None:
        joints.publish(JointState(header=header(time.time_ns()), name=['a'], position=[0.1]))

    listener.create_timer(0.6, publish)
    text = 'joints: [{topic: /joint_states}]\n'
    arguments = ['--seconds', '1.2', '--robot', str(robot_file(tmp_path, text))]
    assert doctor.main(arguments) == 1
    assert 'raise max_gap under "limits" of the robot file' in capsys.readouterr().out
    robot_file(tmp_path, text + 'limits: {max_gap: 3.0}\n')
    code = doctor.main(arguments)
    assert code == 0, capsys.readouterr().out


@pytest.fixture
def ffmpeg_packet(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the message class of a video packet."""
    monkeypatch.syspath_prepend(built('ffmpeg_image_transport_msgs/msg/FFMPEGPacket'))
    return importlib.import_module('ffmpeg_image_transport_msgs.msg').FFMPEGPacket


def publish_video(node: Any, kind: Any, packets: Sequence[bytes]) -> None:
    """Publish packets and joints at 20 Hz."""
    video = node.create_publisher(kind, '/cam/ffmpeg', 10)
    joints = node.create_publisher(JointState, '/joint_states', qos.JOINTS)
    numbers = itertools.count()

    def publish() -> None:
        number = next(numbers)
        stamp = header(time.time_ns())
        joints.publish(JointState(header=stamp, name=['a'], position=[0.001 * number]))
        data = packets[number % len(packets)]
        video.publish(kind(header=stamp, encoding='libx264', pts=number, data=data))

    node.create_timer(0.05, publish)


@pytest.mark.live
def test_video_camera_without_a_picture_has_the_reason(
    listener: Any, ffmpeg_packet: Any, tmp_path: Path, capsys: Any
) -> None:
    publish_video(listener, ffmpeg_packet, with_b_frames())
    text = 'cameras: {cam: {topic: /cam/ffmpeg}}\njoints: [{topic: /joint_states}]\n'
    assert doctor.main(['--seconds', '1.5', '--robot', str(robot_file(tmp_path, text))]) == 1
    output = capsys.readouterr().out
    assert 'has packets, but no picture: ' in output and 'set B frames to 0' in output


@pytest.mark.live
def test_video_camera_is_decoded_after_its_key_frame(
    listener: Any, ffmpeg_packet: Any, tmp_path: Path, capsys: Any
) -> None:
    publish_video(listener, ffmpeg_packet, stream('h264'))
    text = 'cameras: {cam: {topic: /cam/ffmpeg}}\njoints: [{topic: /joint_states}]\n'
    code = doctor.main(['--seconds', '2.5', '--robot', str(robot_file(tmp_path, text))])
    output = capsys.readouterr().out
    assert 'OK    camera cam: ' in output, output
    assert '/cam/ffmpeg, video, 128 x 96 pixels' in output
    assert code == 0 and 'moments have all inputs' in output, output
