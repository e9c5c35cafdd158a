# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Intact bags are read equally by ``rosbags`` and by salvage, all others by salvage alone."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from support.errors import raises

from viva_ros.data.bag.compressed_bag import UncompressedBag
from viva_ros.data.bag.indexed import NotIntactError, Source, read_intact
from viva_ros.data.bag.reader import read_bag, salvage
from viva_ros.data.messages import header, joint_state, make, serialise, typestore
from viva_ros.data.recording import Recording

EPOCH, FRAME = 1_700_000_000_000_000_000, 50_000_000  # ns
JOINTS, CAMERA = '/joint_states', '/head/image_raw/compressed'
MCAP, SQLITE = StoragePlugin.MCAP, StoragePlugin.SQLITE3
TYPES = {JOINTS: 'sensor_msgs/msg/JointState', CAMERA: 'sensor_msgs/msg/CompressedImage'}


def cdr(topic: str, stamp: int, number: int) -> bytes:
    if topic == JOINTS:
        return serialise(TYPES[topic], joint_state(stamp, ['a', 'b'], np.array([number, 0.5])))
    noise = np.random.default_rng(number).integers(0, 255, 30_000 + number, dtype=np.uint8)
    image = make(TYPES[topic], header=header(stamp), format='jpeg', data=noise)
    return serialise(TYPES[topic], image)


def write(
    path: Path, plugin: StoragePlugin = MCAP, compression: CompressionMode | None = None,
    steps: Sequence[int] = range(80),
) -> Path:  # fmt: skip
    """Write a bag of 2.4 MB, in MCAP three chunks; two images have the same receive time."""
    writer = Writer(path, version=9, storage_plugin=plugin)
    if compression is not None:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        topics = {
            name: writer.add_connection(name, kind, typestore=typestore())
            for name, kind in TYPES.items()
        }
        for number, step in enumerate(steps):
            stamp = EPOCH + step * FRAME
            writer.write(topics[JOINTS], stamp, cdr(JOINTS, stamp, number))
            received = stamp - FRAME if number == 50 else stamp
            writer.write(topics[CAMERA], received, cdr(CAMERA, stamp, number))
    return path


def storage(bag: Path) -> Path:
    (file,) = (one for one in bag.iterdir() if one.suffix != '.yaml')
    return file


def bare(bag: Path) -> Path:
    file = storage(bag)
    return file.rename(bag.with_suffix(file.suffix))


def split(bag: Path, second: Path) -> Path:
    """Add the file of a second bag to the first one."""
    other = storage(second)
    other.rename(bag / other.name)
    about, rest = (yaml.safe_load((b / 'metadata.yaml').read_text()) for b in (bag, second))
    one, two = (content['rosbag2_bagfile_information'] for content in (about, rest))
    one['relative_file_paths'] += two['relative_file_paths']
    one['message_count'] += two['message_count']
    for topic, more in zip(
        one['topics_with_message_count'], two['topics_with_message_count'], strict=True
    ):
        topic['message_count'] += more['message_count']
    (bag / 'metadata.yaml').write_text(yaml.safe_dump(about))
    return bag


def assert_same(one: Recording, other: Recording) -> None:
    assert one.tracks.keys() == other.tracks.keys()
    for topic, track in one.tracks.items():
        twin = other.tracks[topic]
        assert track.type_name == twin.type_name
        assert track.times == twin.times
        assert list(track.data) == list(twin.data)
        assert track.stamps() == twin.stamps()
        assert track.definition == twin.definition
    assert one.metadata == other.metadata
    assert (one.losses, one.readable, one.whole) == (other.losses, other.readable, other.whole)


BAGS: dict[str, Callable[[Path], Path]] = {
    'mcap': lambda path: write(path / 'b'),
    'mcap_zstd': lambda path: write(path / 'b', compression=CompressionMode.STORAGE),
    'sqlite': lambda path: write(path / 'b', SQLITE),
    'bare_mcap': lambda path: bare(write(path / 'b')),
    'bare_sqlite': lambda path: bare(write(path / 'b', SQLITE)),
    'split_mcap': lambda path: split(
        write(path / 'b'), write(path / 'c', steps=range(100, 180))
    ),
    'split_sqlite': lambda path: split(
        write(path / 'b', SQLITE), write(path / 'c', SQLITE, steps=range(100, 180))
    ),
}  # fmt: skip


@pytest.mark.parametrize('kind', BAGS)
def test_intact_bag_is_equal_through_both_readers(tmp_path: Path, kind: str) -> None:
    bag = BAGS[kind](tmp_path)
    intact = read_intact(bag)
    assert len(intact.tracks[CAMERA].data) == (160 if 'split' in kind else 80)
    assert_same(intact, salvage(bag))


def test_own_recording_is_equal_through_both_readers(small: Path, large: Path) -> None:
    for path in (small, large):
        assert_same(read_intact(path), salvage(path))
    assert read_intact(small).metadata['viva_episode']['failure'] == 'slip'


@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize('plugin', [MCAP, SQLITE])
def test_compressed_bag_equals_the_uncompressed(
    tmp_path: Path, plugin: StoragePlugin, mode: CompressionMode
) -> None:
    plain = read_bag(write(tmp_path / 'plain', plugin))
    packed = read_bag(write(tmp_path / 'packed', plugin, mode))
    assert storage(tmp_path / 'packed').stat().st_size > 0
    for topic, track in plain.tracks.items():
        assert packed.tracks[topic].times == track.times
        assert list(packed.tracks[topic].data) == list(track.data)
    assert packed.losses == ()


def test_decompressed_files_are_removed_with_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temporary'))
    (tmp_path / 'temporary').mkdir()
    recording = read_bag(write(tmp_path / 'b', SQLITE, CompressionMode.FILE))
    assert len(os.listdir(tmp_path / 'temporary')) == 1
    del recording
    assert os.listdir(tmp_path / 'temporary') == []


@pytest.mark.parametrize('plugin', [MCAP, SQLITE])
def test_damaged_compressed_bag_is_refused_with_a_remedy(
    tmp_path: Path, plugin: StoragePlugin
) -> None:
    bag = write(tmp_path / 'b', plugin, CompressionMode.FILE)
    file = storage(bag)
    file.write_bytes(file.read_bytes()[:-5000])
    with raises('bag-compressed', bag, 'zstd', 'file', '"ros2 bag convert"'):
        read_bag(bag)


@pytest.mark.parametrize('plugin', [MCAP, SQLITE])
def test_clock_set_back_keeps_the_order_of_the_file(tmp_path: Path, plugin) -> None:
    bag = write(tmp_path / 'b', plugin, steps=[*range(40), *range(20, 60)])
    with pytest.raises(NotIntactError, match='receive times go back'):
        read_intact(bag)
    recording = read_bag(bag)
    numbers = [message.position[0] for _, message in recording.messages('joint_states')]
    assert numbers == list(range(80))
    assert recording.losses == ()


@pytest.mark.parametrize('plugin', [MCAP, SQLITE])
def test_clock_set_back_between_files_keeps_their_order(tmp_path: Path, plugin) -> None:
    bag = split(
        write(tmp_path / 'b', plugin, steps=range(100, 180)), write(tmp_path / 'c', plugin)
    )
    with pytest.raises(NotIntactError, match='receive times go back'):
        read_intact(bag)
    stamps = read_bag(bag).tracks[CAMERA].stamps()
    assert stamps == [EPOCH + step * FRAME for step in (*range(100, 180), *range(80))]


def test_message_that_the_index_omits_is_not_lost(tmp_path: Path) -> None:
    path = bare(write(tmp_path / 'b'))
    before, data = salvage(path), bytearray(path.read_bytes())
    # The last occurrence of the start time is in the statistics, the one before in the index.
    start = EPOCH.to_bytes(8, 'little')
    place = data.rindex(start, 0, data.rindex(start))
    data[place : place + 8] = (EPOCH + 10 * FRAME).to_bytes(8, 'little')
    path.write_bytes(data)
    with pytest.raises(NotIntactError, match='140 messages of 160'):
        read_intact(path)
    assert_same(read_bag(path), before)


def test_index_that_fails_its_checksum_is_not_trusted(small: Path) -> None:
    before, data = salvage(small), bytearray(small.read_bytes())
    place = data.rindex(b'/joint_states')
    data[place + 1] ^= 1
    small.write_bytes(data)
    with pytest.raises(NotIntactError, match='checksum'):
        read_intact(small)
    assert_same(read_bag(small), before)


def test_damaged_sqlite_file_reports_its_loss(tmp_path: Path) -> None:
    path = bare(write(tmp_path / 'b', SQLITE))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(NotIntactError):
        read_intact(path)
    recording = read_bag(path)
    assert 0.3 < recording.readable < 0.7
    assert not recording.whole
    assert 'the rest is lost after stamp' in recording.losses[0]


@pytest.mark.parametrize('kind', ['mcap', 'sqlite', 'split_mcap'])
def test_messages_are_read_in_any_order(tmp_path: Path, kind: str) -> None:
    bag = BAGS[kind](tmp_path)
    data, expected = read_intact(bag).tracks[CAMERA].data, list(salvage(bag).tracks[CAMERA].data)
    for place in (49, 50, 51, 3, 4, 50, 49, 79, -1, -80, 7, 13):
        assert data[place] == expected[place]
    assert data[60:40:-3] == expected[60:40:-3]
    with pytest.raises(IndexError):
        data[len(expected)]


@pytest.mark.parametrize('kind', ['bare_mcap', 'bare_sqlite'])
def test_large_message_is_read_from_disk_on_access(tmp_path: Path, kind: str) -> None:
    path = BAGS[kind](tmp_path)
    recording = read_intact(path)
    with path.open('r+b') as file:
        file.write(bytes(path.stat().st_size))
    assert len(list(recording.tracks[JOINTS].messages())) == 80
    with raises('bag-changed', path, 'open it again'):
        recording.tracks[CAMERA].data[40]


def opened(folder: Path) -> list[str]:
    links = [Path('/proc/self/fd') / name for name in os.listdir('/proc/self/fd')]
    paths = [os.readlink(link) for link in links if link.is_symlink()]
    return sorted(Path(path).name for path in paths if path.startswith(str(folder)))


def test_files_are_closed_with_the_recording(tmp_path: Path) -> None:
    bags = [write(tmp_path / 'one'), write(tmp_path / 'two', SQLITE)]
    recordings = [read_bag(bag) for bag in bags]
    assert all(len(one.tracks[CAMERA].data[9]) > 30_000 for one in recordings)
    assert opened(tmp_path) == ['one.mcap', 'two.db3']
    del recordings
    assert opened(tmp_path) == []


def test_forked_process_opens_the_bag_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(UncompressedBag(write(tmp_path / 'b')))
    first = source.reader
    assert source.reader is first
    monkeypatch.setattr(os, 'getpid', lambda: 1)
    assert source.reader is not first
