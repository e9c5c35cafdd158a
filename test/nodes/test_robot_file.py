# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot with two arms, grippers apart, raw and video cameras, by its description alone."""

import importlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray
from support.errors import raises
from support.fake_source import picture
from support.message_packages import built
from support.ros import wait
from support.video_streams import ENCODERS, Encoder
from support.wire import wire_bytes

from viva_ros.core.errors import InputError
from viva_ros.core.image_checks import PictureSettings
from viva_ros.data.messages import schema, typestore
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.engine.api import EngineInfo
from viva_ros.msg import Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header
from viva_ros.nodes.robot_topics import JointTopic, robot_topics
from viva_ros.nodes.settings import MonitorSettings
from viva_ros.robot.topic_map import JointSource
from viva_ros.scoring.scorer import estimates, replay_for_engine

ARM = ('waist', 'shoulder', 'elbow', 'forearm_roll', 'wrist_angle', 'wrist_rotate')
ROBOT = f"""
cameras:
  head: {{topic: /front/image}}
  left_wrist: {{topic: /left/cam, transport: ffmpeg}}
  right_wrist: {{topic: /right/cam}}
joints:
  - {{topic: /left/joint_states, prefix: left_}}
  - {{topic: /right/joint_states, names: {{{', '.join(f'r_{j}: right_{j}' for j in ARM)}}}}}
  - {{topic: /grippers, field: 'position[0:2]', names: [left_gripper, right_gripper]}}
limits: {{max_gap: 0.4, max_skew: 0.15}}
task: tray_lift
"""
ENGINE = EngineInfo(('head', 'wrist'), ('a', 'b'), 1.0, (64, 64), ('fold',), 'f' * 16, 'fake')


def yuyv(rgb: np.ndarray) -> np.ndarray:
    """Return an image, (H, W, 3), as packed YUV 4:2:2, (H, W, 2)."""
    ycrcb = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb).astype(np.float64)
    y = 16.0 + ycrcb[..., 0] * 219.0 / 255.0
    chroma = 128.0 + (ycrcb[..., [2, 1]] - 128.0) * 224.0 / 255.0
    packed = np.empty((*rgb.shape[:2], 2))
    packed[..., 0] = y
    packed[:, 0::2, 1], packed[:, 1::2, 1] = chroma[:, 0::2, 0], chroma[:, 0::2, 1]
    return packed.round().astype(np.uint8)


class TwoArmRobot:
    """Publishes its topics, and keeps the messages with the time of their publication."""

    def __init__(self, node: Any) -> None:
        messages = importlib.import_module('ffmpeg_image_transport_msgs.msg')
        self._packet = messages.FFMPEGPacket
        self._encoder = Encoder('h264', (64, 64))
        kinds = {
            '/front/image': Image, '/right/cam': Image, '/left/cam/ffmpeg': self._packet,
            '/left/joint_states': JointState, '/right/joint_states': JointState,
            '/grippers': JointState,
        }  # fmt: skip
        self._publishers = {
            topic: node.create_publisher(kind, topic, qos.JOINTS) for topic, kind in kinds.items()
        }
        self.sent: list[tuple[int, str, Any]] = []
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._open = False
        self._thread.join()

    def _run(self) -> None:
        for step in range(1 << 30):
            if not self._open:
                return
            now = time.time_ns()
            for topic, message in {**self._joints(step, now), **self._images(step, now)}.items():
                self.sent.append((time.time_ns(), topic, message))
                self._publishers[topic].publish(message)
            time.sleep(0.02)

    def _joints(self, step: int, now: int) -> dict[str, Any]:
        angles = [0.3 * np.sin(0.01 * step + k) for k in range(len(ARM))]
        left = JointState(header=header(now), name=list(ARM), position=angles)
        right = JointState(
            header=header(now - 3_000_000), name=[f'r_{j}' for j in ARM], position=angles[::-1]
        )
        hands = JointState(
            header=header(now - 9_000_000), position=[0.02 + 0.0001 * (step % 50)] * 2
        )
        return {'/left/joint_states': left, '/right/joint_states': right, '/grippers': hands}

    def _images(self, step: int, now: int) -> dict[str, Any]:
        if step % 5:
            return {}
        rgb = picture(150.0, step // 5)
        height, width = rgb.shape[:2]
        front, right = (
            Image(
                header=header(now), height=height, width=width, encoding='yuv422_yuy2',
                step=2 * width, data=yuyv(image).tobytes(),
            )
            for image in (rgb, np.ascontiguousarray(rgb[:, ::-1]))
        )  # fmt: skip
        left = self._packet(
            header=header(now), height=height, width=width, encoding=ENCODERS['h264'][0],
            pts=step // 5, data=self._encoder.packet(rgb),
        )  # fmt: skip
        return {'/front/image': front, '/right/cam': right, '/left/cam/ffmpeg': left}


def write_bag(path: Path, messages: list[tuple[int, str, Any]]) -> Path:
    """Write messages of rclpy as a bag."""
    store = typestore()
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for time_ns, topic, message in sorted(messages, key=lambda one: one[0]):
            if topic not in connections:
                package, kind = type(message).__module__.split('.')[0], type(message).__name__
                name = f'{package}/msg/{kind}'
                connections[topic] = writer.add_connection(
                    topic, name, msgdef=schema(name), rihs01=store.hash_rihs01(name)
                )
            kind = connections[topic].msgtype
            writer.write(connections[topic], time_ns, wire_bytes(message, kind))
    return path


@pytest.mark.live
def test_live_values_equal_those_of_the_bag_with_one_file(
    processes: Any, listener: Any, tmp_path: Path, shipped_engine: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    site = built('ffmpeg_image_transport_msgs/msg/FFMPEGPacket')
    monkeypatch.syspath_prepend(site)
    folder = tmp_path / 'bags'
    folder.mkdir()
    file = folder / 'viva_map.yaml'
    file.write_text(ROBOT)
    values = listener.listen(Value, 'value', qos.RELIABLE)
    received: list[int] = []
    listener.create_subscription(
        Value, 'value', lambda _: received.append(time.time_ns()), qos.RELIABLE
    )
    robot = TwoArmRobot(listener)
    try:
        processes.start(
            'viva_ros.nodes.monitor', '--ros-args', '-p', f'robot:={file}', '-p', 'isolate:=false',
            PYTHONPATH=os.pathsep.join(filter(None, [str(site), os.environ.get('PYTHONPATH')])),
        )  # fmt: skip
        known = lambda: [v for v in list(values) if v.status == Value.STATUS_OK]  # noqa: E731
        wait(lambda: len(known()) >= 12, 'twelve values')
    finally:
        robot.close()
    count = min(len(values), len(received))
    published = [(received[k], '/value', values[k]) for k in range(count)]
    bag = write_bag(folder / 'run', [*robot.sent, *published])
    recording = open_recording(bag)
    samples = list(estimates(replay_for_engine(recording, shipped_engine.info), shipped_engine))
    assert len(samples) == count
    compared = 0
    for sample, message in zip(samples, values, strict=False):
        if message.status == Value.STATUS_OK:
            assert sample.reason == ''
            assert abs(sample.value - message.value) <= 1e-6
            compared += 1
    assert compared >= 12
    names = [name for v in known() for name in v.input_names]
    assert {'joint_states', 'joint_states:left_gripper', 'joint_states:right_waist'} <= set(names)
    (episode,) = episodes_of(recording)
    assert set(episode.joints.names) == set(shipped_engine.info.joint_names)


def settings(tmp_path: Path, text: str) -> MonitorSettings:
    (tmp_path / 'robot.yaml').write_text(text)
    return MonitorSettings(robot=str(tmp_path / 'robot.yaml'))


def test_robot_file_sets_topics_options_and_limits(tmp_path: Path) -> None:
    robot = robot_topics(settings(tmp_path, (
        'cameras: {head: {topic: /h, encoding: bayer_rggb8, stamp: received}, wrist: /w, x: /x}\n'
        'joints: [{topic: /a, prefix: l_}, {topic: /b, stamp: received}]\n'
        'limits: {max_gap: 0.7, max_joint_speed: {default: 9.0, a: 2.0}, frozen_after: 60}\n'
    )), ENGINE)  # fmt: skip
    assert [(name, one.topic, one.stamp) for name, one in robot.cameras.items()] == [
        ('head', '/h', 'received'), ('wrist', '/w', 'header'),
    ]  # fmt: skip
    assert robot.options['head'].encoding == 'bayer_rggb8'
    assert [(joint.name, joint.received) for joint in robot.joints] == [
        ('joint_states', False), ('joint_states:/b', True),
    ]  # fmt: skip
    sync = robot.sync
    assert (sync.max_age, sync.slop, sync.max_joint_speed) == (0.7, 0.05, 9.0)
    assert robot.joint_speeds == {'a': 2.0}
    assert robot.pictures == PictureSettings(frozen_after=60.0)


def test_each_source_of_a_topic_is_an_input_of_its_own(tmp_path: Path) -> None:
    fields = [f"{{topic: /g, field: 'data[{k}]', names: [g{k}], stamp: received}}" for k in '012']
    path = tmp_path / 'robot.yaml'
    path.write_text(f'joints: [{{topic: /arm}}, {", ".join(fields)}]\n')
    joints = robot_topics(MonitorSettings(robot=str(path)), ENGINE).joints
    assert [one.source.path for one in joints] == ['', 'data[0]', 'data[1]', 'data[2]']
    assert len({one.name for one in joints}) == 4
    assert joints[0].name == 'joint_states' and joints[1].name == 'joint_states:/g'


def test_robot_file_without_an_engine_camera_fails(tmp_path: Path) -> None:
    with raises('robot-cameras', 'has the cameras head', 'needs wrist'):
        robot_topics(settings(tmp_path, 'cameras: {head: /h}'), ENGINE)


def test_invalid_topic_of_a_robot_file_fails(tmp_path: Path) -> None:
    with raises('topic-name', 'robot.yaml', "'/a b'"):
        robot_topics(settings(tmp_path, "joints: [{topic: '/a b'}]"), ENGINE)


def test_absent_robot_file_fails_by_name(tmp_path: Path) -> None:
    with raises('map-unreadable', tmp_path / 'none.yaml'):
        robot_topics(MonitorSettings(robot=str(tmp_path / 'none.yaml')), ENGINE)


@pytest.mark.parametrize(('source', 'expected'), [
    (JointSource('/j'), {'a': 1.0, 'b': 2.0}),
    (JointSource('/j', prefix='l_'), {'l_a': 1.0, 'l_b': 2.0}),
    (JointSource('/j', names={'b': 'x', 'c': 'y'}), {'x': 2.0}),
    (JointSource('/j', path='position[1:2]', names={'hand': 'hand'}), {'hand': 2.0}),
])  # fmt: skip
def test_positions_of_a_topic_have_the_names_of_the_robot(
    source: JointSource, expected: dict[str, float]
) -> None:
    message = JointState(name=['a', 'b'], position=[1.0, 2.0])
    assert JointTopic('joint_states', source).positions(message, '/j') == expected


@pytest.mark.parametrize('path', ['positoin[0]', 'position[0].x', 'name', 'header'])
def test_field_that_is_not_there_is_refused(path: str) -> None:
    joint = JointTopic('x', JointSource('/j', path=path, names={'a': 'a'}))
    with pytest.raises(InputError, match='field'):
        joint.positions(JointState(name=['a'], position=[0.5]), '/j')


def test_message_too_short_for_a_field_has_no_positions() -> None:
    joint = JointTopic('x', JointSource('/j', path='position[0]', names={'a': 'a'}))
    assert joint.positions(JointState(), '/j') == {}


def test_field_of_another_size_is_refused() -> None:
    hand = JointTopic('x', JointSource('/hand', path='data', names={'l': 'l', 'r': 'r'}))
    assert hand.positions(Float64MultiArray(data=[0.1, 0.2]), '/hand') == {'l': 0.1, 'r': 0.2}
    assert hand.positions(Float64MultiArray(), '/hand') == {}
    with pytest.raises(InputError, match='has 3 numbers, the robot file has 2 names'):
        hand.positions(Float64MultiArray(data=[0.1, 0.2, 0.3]), '/hand')
