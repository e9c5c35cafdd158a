# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 1 bags, as `rosbag record` writes them."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from support.errors import raises

from viva_ros.cli.main import main
from viva_ros.data.messages import from_time
from viva_ros.data.open import find, open_recording, resolve
from viva_ros.data.segmentation import episodes_of

EPOCH, STEP = 1_700_000_000_000_000_000, 20_000_000  # ns
JOINT, IMAGE = 'sensor_msgs/msg/JointState', 'sensor_msgs/msg/CompressedImage'
GRIPPER = 'acme_msgs/msg/Gripper'
OPENING = 'Header header\ntime opened\nfloat32[] opening\nacme_msgs/Finger finger\n'
FINGER = 'uint8 state\nduration age\n'
STORE = get_typestore(Stores.ROS1_NOETIC)
STORE.register(get_types_from_msg(FINGER, 'acme_msgs/msg/Finger'))
STORE.register(get_types_from_msg(OPENING, GRIPPER))
T = STORE.types


def header(stamp: int) -> object:
    time = T['builtin_interfaces/msg/Time'](stamp // 10**9, stamp % 10**9)
    return T['std_msgs/msg/Header'](7, time, 'base')


def joints(number: int) -> object:
    none = np.empty(0)
    return T[JOINT](header(EPOCH + number * STEP), ['a', 'b'], np.array([number, 0.5]), none, none)


def picture(number: int) -> np.ndarray:
    """Return noise, whose JPEG is longer than a message that is kept in memory."""
    return np.random.default_rng(number).integers(0, 255, (64, 48, 3), dtype=np.uint8)


def image(number: int) -> object:
    jpeg = cv2.imencode('.jpg', picture(number))[1].ravel()
    return T[IMAGE](header(EPOCH + number * STEP), 'jpeg', jpeg)


def gripper(number: int) -> object:
    time = T['builtin_interfaces/msg/Time'](number, 9)
    finger = T['acme_msgs/msg/Finger'](3, T['builtin_interfaces/msg/Duration'](1, 5))
    opening = np.array([number], dtype=np.float32)
    return T[GRIPPER](header(EPOCH + number * STEP), time, opening, finger)


TOPICS: dict[str, tuple[str, Callable[[int], object]]] = {
    'joint_states': (JOINT, joints), '/head/image_raw/compressed': (IMAGE, image),
    '/gripper': (GRIPPER, gripper),
}  # fmt: skip


def write(
    path: Path, numbers: Sequence[int] = range(200), compression: str = '', late: int = 0
) -> Path:
    """
    Write a bag; the joints have two publishers in turn.

    :param late: number of messages after which receive times go back by 2 s; 0 for none
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = Writer(path)
    if compression:
        writer.set_compression(Writer.CompressionFormat[compression])
    writer.chunk_threshold = 100_000
    with writer:
        connections = {
            (topic, turn): writer.add_connection(topic, kind, typestore=STORE, callerid=str(turn))
            for topic, (kind, _) in TOPICS.items()
            for turn in range(1 + (kind == JOINT))
        }
        for place, number in enumerate(numbers):
            time = EPOCH + number * STEP - (2 * 10**9 if late and place >= late else 0)
            for topic, (kind, make) in TOPICS.items():
                connection = connections[topic, number % (1 + (kind == JOINT))]
                writer.write(connection, time, STORE.serialize_ros1(make(number), kind))
    return path


@pytest.mark.parametrize('compression', ['', 'BZ2', 'LZ4'])
def test_messages_are_read_as_those_of_ros2(tmp_path: Path, compression: str) -> None:
    recording = open_recording(write(tmp_path / 'run.bag', compression=compression))
    assert {topic: track.type_name for topic, track in recording.tracks.items()} == {
        '/joint_states': JOINT, '/head/image_raw/compressed': IMAGE, '/gripper': GRIPPER,
    }  # fmt: skip
    stamps = [EPOCH + n * STEP for n in range(200)]
    for track in recording.tracks.values():
        assert track.times == track.stamps() == stamps
        assert [from_time(message.header.stamp) for _, message in track.messages()] == stamps
    states = [message for _, message in recording.messages('joint_states')]
    assert [message.position.tolist() for message in states] == [[n, 0.5] for n in range(200)]
    assert states[0].name == ['a', 'b'] and states[0].header.frame_id == 'base'
    grippers = [message for _, message in recording.messages('gripper')]
    assert [float(message.opening[0]) for message in grippers] == list(range(200))
    assert (grippers[7].opened.sec, grippers[7].opened.nanosec) == (7, 9)
    assert (grippers[7].finger.state, grippers[7].finger.age.nanosec) == (3, 5)
    data = recording.tracks['/head/image_raw/compressed'].data
    for number in (150, 3, 199, 0, 151):
        assert bytes(image(number).data) in data[number]
    assert data[5:2:-1] == [data[5], data[4], data[3]]
    assert (recording.losses, recording.readable, recording.whole) == ((), 1.0, True)


def test_images_of_a_bag_are_decoded(tmp_path: Path) -> None:
    (episode,) = episodes_of(open_recording(write(tmp_path / 'run.bag')))
    frames = episode.cameras['head']
    assert len(frames.images) == 200
    jpeg = cv2.imencode('.jpg', picture(30))[1]
    assert (frames.images[30] == cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]).all()
    assert episode.joints.names == ('a', 'b')
    assert episode.joints.positions[:, 0].tolist() == list(range(200))


def test_bags_of_a_folder_are_recordings(tmp_path: Path) -> None:
    paths = [write(tmp_path / f'{name}.bag', range(5)) for name in 'ab']
    assert find([tmp_path]) == paths
    assert resolve(paths[0]).format == 'bag'


def test_bag_is_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag, out = write(tmp_path / 'run.bag'), tmp_path / 'set'
    (tmp_path / 'map.yaml').write_text(
        'rate: 10\ntask: lift\ncameras: {head: /head/image_raw/compressed}\njoints:\n'
        '  - {topic: /joint_states}\n'
        "  - {topic: /gripper, field: 'msg.opening[0:1]', names: [gripper]}\n"
        'limits: {max_joint_speed: {a: 60.0}}\n'  # it counts the messages, at 50 Hz
    )
    command = ['import', str(bag), '--map', str(tmp_path / 'map.yaml'), '--out', str(out)]
    assert main([*command, '--success']) == 0, capsys.readouterr()
    (episode,) = episodes_of(open_recording(find([out])[0]))
    assert episode.joints.names == ('a', 'b', 'gripper')
    steps = episode.joints.positions[:, 0]
    assert steps.tolist() == episode.joints.positions[:, 2].tolist()
    assert np.diff(steps).tolist() == [5.0] * (len(steps) - 1)


def test_receive_times_that_go_back_keep_the_order_of_the_file(tmp_path: Path) -> None:
    recording = open_recording(write(tmp_path / 'run.bag', late=150))
    assert recording.tracks['/joint_states'].times[149:151] == [
        EPOCH + 149 * STEP, EPOCH + 150 * STEP - 2 * 10**9,
    ]  # fmt: skip
    positions = [message.position[0] for _, message in recording.messages('joint_states')]
    assert positions == list(range(200))


def test_split_bag_is_one_recording(tmp_path: Path) -> None:
    for part in range(3):
        write(tmp_path / f'run/run_{part}.bag', range(part * 50, part * 50 + 50))
    assert find([tmp_path]) == [tmp_path / 'run']
    assert len(open_recording(tmp_path / 'run').messages('joint_states')) == 150
    with raises('bag-part', 'run_1.bag'):
        open_recording(tmp_path / 'run/run_1.bag')
    with Writer(tmp_path / 'run/run_3.bag'):
        pass
    assert open_recording(tmp_path / 'run').whole
    (tmp_path / 'run/run_3.bag').rename(tmp_path / 'run/run_3.bag.active')
    recording = open_recording(tmp_path / 'run')
    assert not recording.whole
    assert 'run_3.bag.active is not finished' in recording.losses[0]


def test_unfinished_bag_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = write(tmp_path / 'run.bag').rename(tmp_path / 'run.bag.active')
    assert find([tmp_path]) == [path]
    with raises('ros1-unfinished', path, '"rosbag reindex run.bag.active"', 'rename'):
        open_recording(path)


@pytest.mark.parametrize('damage', ['empty', 'truncated', 'no index', 'zeros'])
def test_damaged_bag_is_refused_with_a_remedy(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / 'run.bag')
    data = bytearray(path.read_bytes())
    if damage == 'empty':
        data = data[:13] + bytes(4096)
    elif damage == 'truncated':
        data = data[:-200]
    elif damage == 'no index':
        place = data.index(b'index_pos=') + len('index_pos=')
        data[place : place + 8] = bytes(8)
    else:
        data[200_000:250_000] = bytes(50_000)
    path.write_bytes(data)
    with raises('ros1-damaged', path, f'"rosbag reindex {path}"'):
        open_recording(path)


def test_bag_without_messages_is_refused(tmp_path: Path) -> None:
    with Writer(tmp_path / 'run.bag'):
        pass
    with raises('ros1-damaged', tmp_path / 'run.bag', '0 messages'):
        open_recording(tmp_path / 'run.bag')


def test_topic_with_two_types_is_refused(tmp_path: Path) -> None:
    with Writer(tmp_path / 'run.bag') as writer:
        for kind, make in ((JOINT, joints), (IMAGE, image)):
            one = writer.add_connection('/x', kind, typestore=STORE)
            writer.write(one, EPOCH, STORE.serialize_ros1(make(0), kind))
    with raises('topic-types', '/x', f'{IMAGE} and {JOINT}'):
        open_recording(tmp_path / 'run.bag')


def test_type_that_differs_in_ros1_is_refused_on_access(tmp_path: Path) -> None:
    kind = 'sensor_msgs/msg/Range'  # ROS 2 has a variance, too
    message = T[kind](header(EPOCH), 1, 0.1, 0.2, 3.0, 1.0)
    with Writer(tmp_path / 'run.bag') as writer:
        for topic, name, one in (('/range', kind, message), ('/joint_states', JOINT, joints(0))):
            connection = writer.add_connection(topic, name, typestore=STORE)
            writer.write(connection, EPOCH, STORE.serialize_ros1(one, name))
    recording = open_recording(tmp_path / 'run.bag')
    assert len(recording.messages('joint_states')) == 1
    with raises('ros1-type', kind, 'out of the map'):
        recording.messages('range')


def test_unusable_definition_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with Writer(tmp_path / 'run.bag') as writer:
        one = writer.add_connection('/x', GRIPPER, msgdef='float32 y\n', md5sum='0' * 32)
        writer.write(one, EPOCH, bytes(4))
    with raises('ros1-definitions', tmp_path / 'run.bag', 'rosbags-convert'):
        open_recording(tmp_path / 'run.bag')


def test_bag_that_changes_after_it_is_opened_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / 'run.bag')
    data = open_recording(path).tracks['/head/image_raw/compressed'].data
    path.write_bytes(bytes(path.stat().st_size))
    with raises('ros1-changed', path, 'open it again'):
        list(data)


def test_reading_does_not_change_the_folder(tmp_path: Path) -> None:
    path = write(tmp_path / 'run.bag')
    before = path.read_bytes()
    open_recording(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ['run.bag']
