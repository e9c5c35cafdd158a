# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mcap.reader import make_reader
from support.errors import raises

from viva_ros.data.bag.writer import HASH, QOS, RecordingWriter, part_path
from viva_ros.data.messages import make, type_hash
from viva_ros.data.open import open_recording

STRING = 'std_msgs/msg/String'


def text(content: str) -> object:
    return make(STRING, data=content)


def test_recording_is_decoded_by_another_ros2_reader(small: Path) -> None:
    decoder = pytest.importorskip('mcap_ros2.decoder', reason='mcap-ros2-support is not installed')
    with small.open('rb') as file:
        reader = make_reader(file, decoder_factories=[decoder.DecoderFactory()])
        assert reader.get_header().profile == 'ros2'
        decoded = [(c.topic, m) for _, c, _, m in reader.iter_decoded_messages()]
    states = [message for topic, message in decoded if topic == '/joint_states']
    assert [round(state.position[0], 6) for state in states] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert states[1].header.stamp.nanosec == 50_000_000
    images = [message for topic, message in decoded if topic == '/head/image_raw/compressed']
    assert bytes(images[0].data[:3]) == b'\xff\xd8\xff'


def test_recording_has_an_index(small: Path) -> None:
    with small.open('rb') as file:
        summary = make_reader(file).get_summary()
    assert summary.statistics.message_count == 18
    assert {schema.encoding for schema in summary.schemas.values()} == {'ros2msg'}
    assert {channel.message_encoding for channel in summary.channels.values()} == {'cdr'}


def test_equal_messages_are_written_as_equal_files(tmp_path: Path) -> None:
    for name in ('one', 'two'):
        with RecordingWriter(tmp_path / name) as writer:
            writer.write('/episode', STRING, text('x'), 5)
    assert (tmp_path / 'one').read_bytes() == (tmp_path / 'two').read_bytes()


def rosbag2_record(path: Path) -> dict[str, object]:
    """Return rosbag2's description of the bag, parsed as YAML as rosbag2 does."""
    with path.open('rb') as file:
        (content,) = [m for m in make_reader(file).iter_metadata() if m.name == 'rosbag2']
    return yaml.safe_load(content.metadata['serialized_metadata'])


def channel_metadata(path: Path) -> dict[str, dict[str, str]]:
    with path.open('rb') as file:
        summary = make_reader(file).get_summary()
    return {channel.topic: channel.metadata for channel in summary.channels.values()}


def test_channel_metadata_is_fixed_by_the_first_message(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        writer.describe('/episode', {QOS: 'first', HASH: 'RIHS01_1'})
        writer.write('/episode', STRING, text('x'), 5)
        writer.describe('/episode', {QOS: 'too late'})
        writer.write('/episode', STRING, text('y'), 6)
    assert channel_metadata(tmp_path / 'r.mcap') == {'/episode': {HASH: 'RIHS01_1', QOS: 'first'}}


def test_channel_without_qos_has_the_hash_of_its_schema(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        writer.write('/episode', STRING, text('x'), 5)
        writer.describe('/other', {HASH: ''})  # its publishers differ
        writer.write('/other', STRING, text('x'), 5)
    # Of std_msgs/msg/String, as 'ros2 topic info --verbose' prints it.
    expected = 'RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18'
    assert type_hash(STRING) == expected
    assert channel_metadata(tmp_path / 'r.mcap') == {
        '/episode': {HASH: expected}, '/other': {HASH: ''},
    }  # fmt: skip


def test_metadata_record_is_that_of_rosbag2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        writer.describe('/episode', {QOS: '- history: 3'})
        for time in (7, 5, 9):
            writer.write('/episode', STRING, text('x'), time)
        writer.write('/other', STRING, text('x'), 8)
    # The keys that BagMetadata of version 8 must have (rosbag2_storage/yaml.hpp, Jazzy).
    assert rosbag2_record(tmp_path / 'r.mcap') == {
        'version': 8, 'storage_identifier': 'mcap',
        'duration': {'nanoseconds': 4}, 'starting_time': {'nanoseconds_since_epoch': 5},
        'message_count': 4,
        'topics_with_message_count': [
            {
                'topic_metadata': {
                    'name': name, 'type': STRING, 'serialization_format': 'cdr',
                    'offered_qos_profiles': qos, 'type_description_hash': type_hash(STRING),
                },
                'message_count': count,
            }
            for name, qos, count in (('/episode', '- history: 3', 3), ('/other', '', 1))
        ],
        'compression_format': '', 'compression_mode': '', 'relative_file_paths': [], 'files': [],
        'custom_data': {}, 'ros_distro': 'jazzy',
    }  # fmt: skip
    assert open_recording(tmp_path / 'r.mcap').losses == ()


def test_empty_file_has_the_metadata_record(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / 'r.mcap'):
        pass
    content = rosbag2_record(tmp_path / 'r.mcap')
    assert (content['message_count'], content['topics_with_message_count']) == (0, [])


def test_serialised_bytes_are_stored_unchanged(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        writer.write_cdr('/a/episode', STRING, b'\x00\x01\x00\x00\x02\x00\x00\x00x\x00', 7)
    track = open_recording(tmp_path / 'r.mcap').tracks['/a/episode']
    assert (track.times, track.data[:]) == ([7], [b'\x00\x01\x00\x00\x02\x00\x00\x00x\x00'])


def test_final_name_appears_when_the_file_is_closed(tmp_path: Path) -> None:
    target = tmp_path / 'r.mcap'
    target.write_bytes(b'old')
    writer = RecordingWriter(target)
    writer.write('/episode', STRING, text('x'), 5)
    assert target.read_bytes() == b'old'
    writer.close()
    writer.close()
    assert len(open_recording(target).messages('episode')) == 1
    assert os.listdir(tmp_path) == ['r.mcap']


def test_exception_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RecordingWriter(tmp_path / 'r.mcap'):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_second_writer_of_a_file_is_refused(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / 'r.mcap') as first:
        with raises('recording-locked', 'r.mcap', 'another name'):
            RecordingWriter(tmp_path / 'r.mcap')
        first.write('/episode', STRING, text('x'), 5)
    assert len(open_recording(tmp_path / 'r.mcap').messages('episode')) == 1


def test_missing_folder_is_refused_by_name(tmp_path: Path) -> None:
    with raises('recording-unwritable', 'absent/r.mcap', 'another folder'):
        RecordingWriter(tmp_path / 'absent' / 'r.mcap')


KILLED = """
import sys
from pathlib import Path
from viva_ros.data.messages import make, type_hash
from viva_ros.data.bag.writer import RecordingWriter
writer = RecordingWriter(Path(sys.argv[1]))
for number in range(10_000_000):
    message = make('std_msgs/msg/String', data='x' * 1000)
    writer.write('/episode', 'std_msgs/msg/String', message, number)
    if number == 2000:
        print('ready', flush=True)
"""


def test_killed_writer_leaves_a_readable_part_file(tmp_path: Path) -> None:
    target = tmp_path / 'r.mcap'
    with subprocess.Popen(
        [sys.executable, '-c', KILLED, str(target)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    recording = open_recording(part_path(target))
    assert len(recording.messages('episode')) >= 1500  # all but the last chunk of 256 KiB
    assert 'the file ends early' in recording.losses[0]
    RecordingWriter(target).discard()  # the lock ended with its process


def test_writer_without_flock_refuses_a_second_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(fcntl, 'flock', flock)
    target = tmp_path / 'r.mcap'
    with RecordingWriter(target) as first:
        with raises('recording-locked', 'r.mcap', 'another name', f'process {os.getpid()}'):
            RecordingWriter(target)
        first.write('/episode', STRING, text('x'), 5)
    assert os.listdir(tmp_path) == ['r.mcap']
    owner = tmp_path / '.r.mcap.part.owner'
    owner.write_text('{"host": "other", "boot": "", "namespace": "", "pid": 1, "begin": ""}')
    with raises('recording-lock', 'r.mcap', 'host other', owner, 'another name'):
        RecordingWriter(target)
