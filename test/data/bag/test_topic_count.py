# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics and definitions of a bag are limited before there is work for each of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from support.errors import raises
from support.hostile_mcap import write_foreign

from viva_ros.core.input_limits import DEFINITION_LIMIT
from viva_ros.data.bag import indexed, mcap_salvage, ros1, topic_count
from viva_ros.data.messages import typestore
from viva_ros.data.open import open_unmapped

TEXT, KIND = b'\0\1\0\0\2\0\0\0a\0', 'std_msgs/msg/String'
COUNT = 21


def write_mcap(path: Path) -> Path:
    return write_channels(path.with_suffix('.mcap'), 'string data\n')


def write_torn(path: Path) -> Path:
    whole = write_mcap(path)
    whole.write_bytes(whole.read_bytes()[:-60])
    return whole


def write_folder(path: Path, plugin: StoragePlugin = StoragePlugin.SQLITE3) -> Path:
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        for k in range(COUNT):
            one = writer.add_connection(f'/t{k}', KIND, typestore=typestore())
            writer.write(one, k, TEXT)
    return path


def write_sqlite(path: Path) -> Path:
    (file,) = write_folder(path).glob('*.db3')
    return file.rename(path.with_suffix('.db3'))


def write_torn_sqlite(path: Path) -> Path:
    whole = write_sqlite(path)
    whole.write_bytes(whole.read_bytes()[:-4096])
    return whole


def write_ros1(path: Path) -> Path:
    store = get_typestore(Stores.ROS1_NOETIC)
    with Ros1Writer(path.with_suffix('.bag')) as writer:
        for k in range(COUNT):
            one = writer.add_connection(f'/t{k}', KIND, typestore=store)
            writer.write(one, k, b'\1\0\0\0a')
    return path.with_suffix('.bag')


WRITERS = {
    'mcap': write_mcap, 'torn mcap': write_torn, 'mcap folder':
    lambda path: write_folder(path, StoragePlugin.MCAP), 'sqlite': write_sqlite,
    'torn sqlite': write_torn_sqlite, 'sqlite folder': write_folder, 'ros1': write_ros1,
}  # fmt: skip


@pytest.mark.parametrize('write', WRITERS.values(), ids=WRITERS)
def test_bag_with_too_many_topics_is_refused(
    tmp_path: Path, write: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / 'bag')
    monkeypatch.setattr(topic_count, 'CHANNEL_LIMIT', COUNT - 1)
    with raises('bag-topics', path, COUNT, COUNT - 1, 'leave it out'):
        open_unmapped(path)


def write_channels(path: Path, definition: str) -> Path:
    with path.open('wb') as file:
        writer = McapWriter(file)
        writer.start('ros2', 'other')
        known = writer.register_schema(KIND, 'ros2msg', definition.encode())
        for k in range(COUNT):
            writer.add_message(writer.register_channel(f'/t{k}', 'cdr', known), k, TEXT, k)
        writer.finish()
    return path


def test_definition_of_an_unused_topic_is_not_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rosbags.highlevel import anyreader

    parsed: list[str] = []
    monkeypatch.setattr(
        anyreader, 'get_types_from_msg', lambda text, name: [parsed.append(name), {}][1]
    )
    path = write_channels(tmp_path / 'a.mcap', 'string data\n' + '\n' * (DEFINITION_LIMIT // 2))
    assert len(open_unmapped(path).tracks) == COUNT
    assert not parsed


def test_ros1_definitions_are_limited_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ros1, 'ALL_DEFINITIONS', COUNT * len('string data') - 1)
    path = write_ros1(tmp_path / 'bag')
    with raises('ros1-definitions-size', path, ros1.ALL_DEFINITIONS, 'rosbag filter'):
        open_unmapped(path)


@pytest.mark.parametrize('ends_early', [False, True])
def test_chunks_that_grow_too_much_are_lost(
    tmp_path: Path, ends_early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_foreign(tmp_path / 'a.mcap', CompressionType.ZSTD)
    if ends_early:
        path.write_bytes(path.read_bytes()[:-100])
    whole = open_unmapped(path)
    for module in (mcap_salvage, indexed):
        monkeypatch.setattr(module, 'expanded_limit', lambda size: 4500)  # of two chunks
    found = open_unmapped(path)
    assert (
        0
        < sum(len(one.times) for one in found.tracks.values())
        < len([time for one in whole.tracks.values() for time in one.times])
    )
    assert 'bytes decompressed, at most 1000 times its size' in ' '.join(found.losses)


def test_more_records_than_bytes_are_lost(tmp_path: Path) -> None:
    path = tmp_path / 'a.mcap'
    with path.open('wb') as file:
        writer = McapWriter(file, chunk_size=1 << 22)
        writer.start('ros2', 'other')
        known = writer.register_schema(KIND, 'ros2msg', b'string data')
        channel = writer.register_channel('/t', 'cdr', known)
        for _ in range(20_000):
            writer.add_message(channel, 1, b'', 1)
        writer.finish()
    content = path.read_bytes()
    end = content.index(b'\x07', 100) if len(content) < 300 else 0
    path.write_bytes(content[: -(20_000 * 16) - 200] if not end else content)
    with raises('mcap-empty', path, 'more records than bytes'):
        open_unmapped(path)
