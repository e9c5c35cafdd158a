# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.errors import RecordingError
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import make, serialise, to_time
from viva_ros.data.open import open_recording
from viva_ros.data.recording import Recording, Track
from viva_ros.data.segmentation import episodes_of
from viva_ros.engine.image_decoding import ImageOptions

EPOCH, FRAME = 1_000_000_000_000, 50_000_000  # ns
ANY = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def test_recording_is_read_as_written(small: Path) -> None:
    recording = open_recording(small)
    assert recording.losses == ()
    assert {topic: len(track.data) for topic, track in recording.tracks.items()} == {
        '/joint_states': 6, '/head/image_raw/compressed': 6, '/wrist/image_raw/compressed': 6,
    }  # fmt: skip
    times = [time for time, _ in recording.messages('joint_states')]
    assert times == [EPOCH + number * FRAME for number in range(6)]
    assert recording.metadata['viva_episode']['times'] == {'manifest': 0.1}


def test_truncated_file_is_read_and_reports_the_loss(large: Path) -> None:
    whole = large.read_bytes()
    large.write_bytes(whole[: len(whole) // 2])
    recording = open_recording(large)
    count = len(recording.messages('joint_states'))
    assert 12 <= count <= 30  # half, minus at most one chunk of 13 frames
    assert 0.4 < recording.readable <= 1.0  # of the bytes of the file
    last = EPOCH + (count - 1) * FRAME
    assert recording.losses == (
        f'the rest is lost after stamp {last * 1e-9:.3f} s (the file ends early)',
    )


def test_only_the_damaged_chunk_is_lost(large: Path) -> None:
    data = bytearray(large.read_bytes())
    data[len(data) // 2] ^= 0xFF
    large.write_bytes(data)
    recording = open_recording(large)
    values = [message.position[0] for _, message in recording.messages('joint_states')]
    assert values[0] == 0.0
    assert values[-1] == 59.0
    assert 45 <= len(values) < 60
    assert 's of messages is lost after stamp' in recording.losses[0]
    lost = 60 - len(values)
    assert recording.lost == {'/joint_states': lost, '/head/image_raw/compressed': lost}
    assert recording.losses[1:] == (
        f'{2 * lost} messages are lost: {lost} of /head/image_raw/compressed, {lost} of '
        '/joint_states',
    )


def readable(path: Path) -> Recording | None:
    try:
        return open_recording(path)
    except RecordingError:
        return None


@ANY
@given(share=st.floats(0.0, 1.0))
def test_truncated_file_is_read_or_refused(small: Path, share: float) -> None:
    whole = small.read_bytes()
    torn = small.with_name('torn.mcap')
    torn.write_bytes(whole[: int(share * len(whole))])
    recording = readable(torn)
    if recording is not None and share < 0.5:
        assert recording.losses


@ANY
@given(share=st.floats(0.0, 1.0, exclude_max=True), flipped=st.integers(1, 255))
def test_file_with_a_wrong_byte_is_read_or_refused(
    small: Path, share: float, flipped: int
) -> None:
    data = bytearray(small.read_bytes())
    data[int(share * len(data))] ^= flipped
    torn = small.with_name('torn.mcap')
    torn.write_bytes(data)
    readable(torn)


@ANY
@given(content=st.binary(max_size=200).map(lambda found: b'other' + found))
def test_file_of_random_bytes_is_refused(small: Path, content: bytes) -> None:
    other = small.with_name('other.mcap')
    other.write_bytes(content)
    with raises('mcap-empty', 'other.mcap', f'{len(content)} bytes', 'is it an MCAP file'):
        open_recording(other)


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with raises('recording-missing', 'none.mcap'):
        open_recording(tmp_path / 'none.mcap')


def test_topics_are_found_in_any_namespace(tmp_path: Path, fill) -> None:
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        fill(writer, '/cell/left')
    recording = open_recording(tmp_path / 'r.mcap')
    track = recording.find('joint_states')
    assert track is not None
    assert track.topic == '/cell/left/joint_states'
    assert recording.find('states') is None
    assert sorted(episodes_of(recording)[0].cameras) == ['head', 'wrist']


def test_two_robots_in_one_file_are_refused(tmp_path: Path, fill) -> None:
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        fill(writer, '/one')
        fill(writer, '/two')
    with raises(
        'topic-ambiguous', '/one/joint_states, /two/joint_states', 'in a map', 'one robot per file'
    ):
        open_recording(tmp_path / 'r.mcap').messages('joint_states')


def test_reading_does_not_change_the_file(small: Path) -> None:
    before = small.read_bytes()
    episodes_of(open_recording(small))
    assert small.read_bytes() == before
    assert os.listdir(small.parent) == ['small.mcap']


class Counted(Sequence[bytes]):
    """Messages that count how often they are read."""

    def __init__(self, messages: list[bytes]) -> None:
        self._messages = messages
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, index):
        self.read.append(index)
        return self._messages[index]


def grey(level: int) -> bytes:
    """Return an image that shows a level in all channels."""
    header = make('std_msgs/msg/Header', stamp=to_time(level), frame_id='')
    return serialise(
        'sensor_msgs/msg/Image',
        make(
            'sensor_msgs/msg/Image', header=header, height=1, width=2, encoding='mono8',
            is_bigendian=0, step=2, data=np.full(2, level, np.uint8),
        ),
    )  # fmt: skip


def test_pictures_of_a_track_are_read_on_access_only() -> None:
    data = Counted([grey(level) for level in range(6)])
    track = Track('/head/image_raw', 'sensor_msgs/msg/Image', list(range(6)), data)
    pictures = track.pictures([1, 3, 4])
    assert len(pictures) == 3 and data.read == []
    assert pictures[-1].tolist() == [[[4] * 3] * 2] and data.read == [4]
    assert [int(one[0, 0, 0]) for one in pictures[:2]] == [1, 3] and data.read == [4, 1, 3]
    frames = track.frames(2, 5)
    data.read.clear()
    assert int(frames.images[0][0, 0, 0]) == 2 and data.read == [2]


def test_options_of_a_track_are_used_for_its_pictures() -> None:
    track = Track(
        '/head/image_raw', 'sensor_msgs/msg/Image', [1], [grey(7)],
        options=ImageOptions(encoding='8UC1', color_order='bgr'),
    )  # fmt: skip
    assert track.pictures([0])[0].tolist() == [[[7] * 3] * 2]
    wide = replace(track, options=ImageOptions(encoding='mono16'))
    with raises('image-step', 'mono16'):
        wide.pictures([0])[0]
    with raises('image-step', 'mono16'):
        wide.pictures([0])[:1].fitting((1, 2))[0]
    with raises('image-step', 'mono16'):
        wide.frames(0, 9).images[0]
