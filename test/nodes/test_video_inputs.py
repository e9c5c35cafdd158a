# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video cameras of the monitor: packets in order, losses, and what must be installed."""

import importlib
import importlib.util
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from support.errors import raises
from support.message_packages import built
from support.ros import wait
from support.video_bags import EPOCH, PERIOD, packet_message, write_video_bag
from support.video_streams import ENCODERS, KEY_EVERY, stream

from viva_ros.core.observation import Unknown
from viva_ros.data.open import open_recording
from viva_ros.data.video_packets import FFMPEG, FOXGLOVE, VIDEO
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.image_decoding import ImageOptions
from viva_ros.engine.video_decoding import DecodedPicture, VideoPacket, packet_of
from viva_ros.nodes import qos, video_inputs
from viva_ros.nodes.convert import decode, header, image_bytes, stamp_of, to_ns
from viva_ros.nodes.diagnostics import WARN
from viva_ros.nodes.inputs import Inputs
from viva_ros.nodes.robot_topics import image_type, message_class, robot_topics
from viva_ros.nodes.settings import MonitorSettings
from viva_ros.nodes.video_inputs import OTHER_PUBLISHER, VideoInputs, check_camera, video_qos

Delivered = list[tuple[str, int, DecodedPicture | str]]
ENGINE = EngineInfo(('cam',), ('a',), 1.0, (64, 64), ('fold',), 'f' * 16, 'fake')


def made(listener: Any) -> tuple[VideoInputs, Delivered]:
    delivered: Delivered = []
    video = VideoInputs(listener, ['cam'], lambda *one: delivered.append(one))
    return video, delivered


@pytest.mark.parametrize('kind', VIDEO)
@pytest.mark.parametrize('codec', ENCODERS)
def test_video_is_equal_live_and_recorded(
    listener: Any, tmp_path: Path, kind: str, codec: str
) -> None:
    frames = open_recording(write_video_bag(tmp_path / 'bag', kind, codec)).cameras['cam']
    recorded = frames.frames(0, 1 << 62)
    video, delivered = made(listener)
    for number, data in enumerate(stream(codec)):
        message = packet_message(kind, codec, number, data)
        video.put('cam', packet_of(message, stamp_of(message)))
    wait(lambda: len(delivered) == 20, 'all pictures')
    video.destroy()
    options = ImageOptions(color_order='bgr')
    for k, (_, stamp, picture) in enumerate(delivered):
        assert isinstance(picture, DecodedPicture) and stamp == recorded.stamps[k]
        image = decode(picture, (8, 8))
        np.testing.assert_array_equal(image, recorded.images[k])
        np.testing.assert_array_equal(decode(picture, options=options), image[..., ::-1])
        assert image_bytes(picture).tobytes() == image.tobytes()


def test_gap_is_refused_until_the_next_key_frame(listener: Any) -> None:
    video, delivered = made(listener)
    for number, data in enumerate(stream('h265')[: KEY_EVERY + 1]):
        gap = ('3 packets are missing',) if number == 5 else ()
        video.put('cam', VideoPacket('h265', 1 + number, data), gap)
    wait(lambda: len(delivered) == KEY_EVERY + 1, 'all results')
    video.destroy()
    texts = [one for _, _, one in delivered if isinstance(one, str)]
    assert [stamp for _, stamp, one in delivered if isinstance(one, str)] == [6, 7, 8]
    assert all(text.startswith('3 packets are missing: no image until') for text in texts)


def test_packet_of_another_publisher_names_the_remedy(listener: Any) -> None:
    video, delivered = made(listener)
    video.put('cam', VideoPacket('h264', 1, stream('h264')[0]))
    video.put('cam', VideoPacket('h264', 2, stream('h264')[1]), OTHER_PUBLISHER)
    wait(lambda: len(delivered) == 2, 'all results')
    video.destroy()
    assert 'end all but one publisher of that topic' in str(delivered[1][2])


def test_decoder_that_is_too_slow_waits_for_a_key_frame(
    listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    inner = video_inputs.VideoDecoder.decode

    def slow(self: Any, packet: VideoPacket) -> Any:
        if packet.stamp > 1:
            gate.wait(30.0)
        return inner(self, packet)

    monkeypatch.setattr(video_inputs.VideoDecoder, 'decode', slow)
    monkeypatch.setattr(video_inputs, 'MAX_WAITING', 3)
    video, delivered = made(listener)
    packets = [VideoPacket('h264', 1 + k, data) for k, data in enumerate(stream('h264'))]
    video.put('cam', packets[0])
    wait(lambda: len(delivered) == 1, 'the key frame')
    for packet in packets[1:6]:  # one is being decoded, three wait: the fifth drops them
        video.put('cam', packet)
    gate.set()
    wait(lambda: delivered[-1][1] == 6, 'the last packet')
    video.destroy()
    assert 'decoding is slower than the cameras' in str(delivered[-1][2])
    assert 'reduce their rate or size' in str(delivered[-1][2])


def test_reliable_publishers_are_subscribed_reliably(listener: Any) -> None:
    assert video_qos(listener, '/packets') == qos.VIDEO
    listener.create_publisher(JointState, '/packets', QoSProfile(depth=1))
    wait(lambda: video_qos(listener, '/packets') == qos.RELIABLE_VIDEO, 'the publisher')
    listener.create_publisher(JointState, '/packets', qos.IMAGE)
    wait(lambda: video_qos(listener, '/packets') == qos.VIDEO, 'the second publisher')


def test_type_that_is_not_installed_names_its_package() -> None:
    with raises('message-type-missing', 'apt-get install ros-$ROS_DISTRO-foxglove-msgs'):
        message_class(FOXGLOVE)


def test_type_follows_the_name_of_a_silent_topic(listener: Any) -> None:
    names = ('/a/ffmpeg', '/a/foxglove', '/a/compressed', '/a')
    assert [image_type(listener, name, '') for name in names] == [
        FFMPEG, FOXGLOVE, 'sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/Image',
    ]  # fmt: skip


def test_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    check_camera('cam', ImageOptions())
    monkeypatch.setattr(importlib.util, 'find_spec', lambda _: None)
    with raises('video-library', 'need PyAV', 'run: ', 'pip install'):
        check_camera('cam', ImageOptions())


def test_encoding_of_a_live_video_camera_is_refused() -> None:
    with raises('video-encoding-option', 'encoding: jpeg', 'leave it out'):
        check_camera('cam', ImageOptions('jpeg'))


def test_stamp_of_a_compressed_video_is_its_timestamp() -> None:
    assert stamp_of(SimpleNamespace(timestamp=Time(sec=2, nanosec=5))) == 2_000_000_005


def test_transport_parameter_names_topic_and_type() -> None:
    for transport, kind in (('ffmpeg', FFMPEG), ('foxglove', FOXGLOVE)):
        robot = robot_topics(MonitorSettings(transport=transport), ENGINE)
        assert robot.cameras['cam'].topic == f'cam/image_raw/{transport}'
        assert robot.kinds == {'cam': kind}


@pytest.mark.live
def test_camera_is_unknown_after_a_lost_packet_over_dds(
    listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(built(FFMPEG))
    kind = importlib.import_module('ffmpeg_image_transport_msgs.msg').FFMPEGPacket
    publisher = listener.create_publisher(kind, 'cam/image_raw/ffmpeg', 10)
    joints = listener.create_publisher(JointState, 'joint_states', qos.JOINTS)
    settings = MonitorSettings(transport='ffmpeg')
    heard: list[None] = []
    wait(lambda: listener.count_publishers('cam/image_raw/ffmpeg'), 'the publisher')
    robot = robot_topics(settings, ENGINE)
    inputs = Inputs(listener, robot, settings, ENGINE, lambda: heard.append(None))
    wait(lambda: joints.get_subscription_count() and publisher.get_subscription_count(), 'inputs')

    def publish(number: int) -> None:
        stamp = header(EPOCH + number * PERIOD)
        joints.publish(JointState(header=stamp, name=['a'], position=[0.1]))
        publisher.publish(kind(
            header=stamp, encoding='libx264', pts=number, data=stream('h264')[number]
        ))  # fmt: skip

    def reason(number: int) -> str:
        selection = inputs.select(EPOCH + number * PERIOD)
        return selection.reason if isinstance(selection, Unknown) else ''

    publish(1)
    wait(lambda: 'no key frame of H.264' in reason(1), 'the wait for a key frame')
    for number in (8, 9):
        publish(number)
        wait(lambda number=number: reason(number) == '', f'picture {number}')
    publish(11)
    wait(lambda: 'packet 11 follows packet 9: no image until' in reason(11), 'the loss')
    assert reason(11).startswith('/cam/image_raw/ffmpeg: ')
    reported: dict[str, tuple[bytes, str]] = {}

    def add(name: str, level: bytes, text: str, _: Any) -> None:
        reported[name] = level, text

    inputs.diagnose(SimpleNamespace(add=add), EPOCH + 11 * PERIOD)
    assert reported['cam'][0] == WARN and 'no image until' in reported['cam'][1]
    publish(16)
    wait(lambda: reason(16) == '', 'the next key frame')
    selection = inputs.select(EPOCH + 16 * PERIOD)
    assert not isinstance(selection, Unknown) and len(heard) == 3
    assert selection.stamps['cam'] == to_ns(header(EPOCH + 16 * PERIOD).stamp)
    inputs.destroy()
