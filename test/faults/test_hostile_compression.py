# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed bags whose sizes cannot be believed: refused by name, in bounded memory and disk."""

import bz2
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from mcap.reader import make_reader
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from support.errors import raises
from support.hostile_mcap import write_foreign

from viva_ros.core.input_limits import CHUNK_LIMIT, DEFINITION_LIMIT, MESSAGE_LIMIT
from viva_ros.data.bag import compressed_bag, indexed, ros1
from viva_ros.data.bag.decompression import DamageError, decompress
from viva_ros.data.bag.indexed import SIZES, NotIntactError, read_intact
from viva_ros.data.bag.reader import read_bag
from viva_ros.data.messages import joint_state, schema, serialise, typestore

EPOCH = 1_700_000_000_000_000_000  # ns
JOINTS = 'sensor_msgs/msg/JointState'
BLOCK = bytes(16 << 20)
BLOCKS = 64  # 1 GiB
MD5 = 'ac9c931aaf6ce145ea0383362e83c70b'  # of int8[] data


# Bags


def write_ros1(
    path: Path, compression: str = '', pack: Callable[[bytes], bytes] | None = None,
    definition: str = 'int8[] data\n',
) -> Path:  # fmt: skip
    """
    Write a bag with a message in each of two chunks.

    :param pack: compresses a chunk instead of its compression
    """
    writer = Ros1Writer(path)
    if compression:
        writer.set_compression(Ros1Writer.CompressionFormat[compression])
    if pack is not None:
        writer.compressor = pack
    writer.chunk_threshold = 1
    with writer:
        one = writer.add_connection('/x', 'acme/msg/X', msgdef=definition, md5sum=MD5)
        for number in range(2):
            writer.write(one, EPOCH + number, struct.pack('<I', 3) + b'abc')
    return path


def write_ros2(path: Path, data: Sequence[bytes], mode: str = '') -> Path:
    """Write a bag with bytes as messages; its metadata state the compression."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        one = writer.add_connection('/joint_states', JOINTS, typestore=typestore())
        for number, message in enumerate(data):
            writer.write(one, EPOCH + number, message)
    text = (path / 'metadata.yaml').read_text()
    text = text.replace("compression_format: ''", 'compression_format: zstd')
    (path / 'metadata.yaml').write_text(
        text.replace("compression_mode: ''", f'compression_mode: {mode or "none"}')
    )
    return path


def joints(number: int) -> bytes:
    return serialise(JOINTS, joint_state(EPOCH + number, ['a'], np.array([0.1 * number])))


def write_packed(path: Path, content: Callable[[bytes], bytes] = zstandard.compress) -> Path:
    """
    Write a bag that is compressed by file.

    :param content: makes the compressed file of the plain one
    """
    write_ros2(path, [joints(number) for number in range(5)], 'file')
    text = (path / 'metadata.yaml').read_text()
    name = f'{path.name}.db3'
    (path / 'metadata.yaml').write_text(text.replace(name, f'{name}.zstd'))
    (path / f'{name}.zstd').write_bytes(content((path / name).read_bytes()))
    (path / name).unlink()
    return path


@cache
def zeros() -> bytes:
    """Return zstd of 1 GiB, which declares no size."""
    packer = zstandard.ZstdCompressor().compressobj()
    return b''.join([*(packer.compress(BLOCK) for _ in range(BLOCKS)), packer.flush()])


def zeros_of_bz2(content: bytes) -> bytes:
    return bz2.compress(content) + BLOCKS * bz2.compress(BLOCK)


def zeros_of_lz4(content: bytes) -> bytes:
    packer = lz4.frame.LZ4FrameCompressor()
    parts = [packer.begin(), packer.compress(content)]
    return b''.join([*parts, *(packer.compress(BLOCK) for _ in range(BLOCKS)), packer.flush()])


def declaring(size: int) -> bytes:
    """Return a frame of zstd with one zero, which declares another size."""
    return (
        b'\x28\xb5\x2f\xfd\xe0' + struct.pack('<Q', size) + struct.pack('<I', 0b1011)[:3] + b'\0'
    )


def without_chunk_index(path: Path) -> Path:
    """Write an MCAP file with a chunk of 1 GiB that its valid summary does not list."""
    name = b'sensor_msgs/msg/JointState'
    text = schema(JOINTS).encode()
    known = struct.pack('<HI', 1, len(name)) + name + struct.pack('<I', 7) + b'ros2msg'
    known += struct.pack('<I', len(text)) + text
    data = zeros()
    size = BLOCKS * len(BLOCK)
    chunk = struct.pack('<QQQII', 1, 2, size, 0, 4) + b'zstd' + struct.pack('<Q', len(data)) + data

    def record(kind: int, content: bytes) -> bytes:
        return struct.pack('<BQ', kind, len(content)) + content

    head = struct.pack('<I', 4) + b'ros2' + bytes(4)
    body = b'\x89MCAP0\r\n' + record(1, head) + record(6, chunk) + record(15, bytes(4))
    summary = record(3, known)
    footer = record(2, struct.pack('<QQI', len(body), 0, 0))
    path.write_bytes(body + summary + footer + b'\x89MCAP0\r\n')
    return path


# Each in one process: what it says, its memory, and what it leaves in the temporary folder

BOMBS: dict[str, tuple[Callable[[Path], Path], str]] = {
    'bz2': (lambda path: write_ros1(path / 'a.bag', 'BZ2', zeros_of_bz2), 'ros1-damaged'),
    'lz4': (lambda path: write_ros1(path / 'b.bag', 'LZ4', zeros_of_lz4), 'ros1-damaged'),
    'message': (
        lambda path: write_ros2(path / 'c', [zeros()], 'message'), 'bag-message-size',
    ),
    'declared message': (
        lambda path: write_ros2(path / 'd', [declaring(1 << 40)], 'message'), 'bag-message-size',
    ),
    'lying message': (
        lambda path: write_ros2(path / 'e', [zstandard.compress(b'12') + zeros()], 'message'),
        'bag-compressed',
    ),
    'file': (lambda path: write_packed(path / 'f', lambda _: zeros()), 'bag-file-size'),
    'declared file': (
        lambda path: write_packed(path / 'g', lambda _: declaring(1 << 40)), 'bag-file-size',
    ),
    'unlisted chunk': (lambda path: without_chunk_index(path / 'h.mcap'), 'mcap-empty'),
}  # fmt: skip
SCRIPT = """
import resource, sys
from pathlib import Path
from viva_ros.core.errors import VivaError
from viva_ros.data.bag.indexed import SIZES, NotIntactError, read_intact
from viva_ros.data.bag.reader import read_bag
def numbers(name):
    lines = Path('/proc/self/status').read_text().splitlines()
    return 1024 * next(int(one.split()[1]) for one in lines if one.startswith(name))
before = numbers('VmHWM')
resource.setrlimit(resource.RLIMIT_AS, (numbers('VmSize') + (1 << 30),) * 2)
for path in sys.argv[1:]:
    try:
        recording = read_bag(Path(path))
        code = 'read'
    except VivaError as error:
        code = error.code
    print(code)
print(numbers('VmHWM') - before)
"""


@pytest.mark.medium
def test_bombs_are_refused_within_half_a_gibibyte(tmp_path: Path) -> None:
    (tmp_path / 'temporary').mkdir()
    paths = [write(tmp_path) for write, _ in BOMBS.values()]
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, *map(str, paths)], capture_output=True, text=True,
        check=False, env={**os.environ, 'TMPDIR': str(tmp_path / 'temporary')},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *codes, peak = done.stdout.split()
    assert dict(zip(BOMBS, codes, strict=True)) == {
        kind: code for kind, (_, code) in BOMBS.items()
    }
    assert int(peak) < 1 << 29
    assert os.listdir(tmp_path / 'temporary') == []


# Limits by header


@pytest.mark.parametrize('kind', ['zstd', 'lz4', 'bz2'])
def test_data_of_several_frames_are_read_up_to_their_size(kind: str) -> None:
    pack = {'zstd': zstandard.compress, 'lz4': lz4.frame.compress, 'bz2': bz2.compress}[kind]
    data = pack(b'a' * 1000) + pack(b'b' * 9)
    assert decompress(data, kind, 1009) == b'a' * 1000 + b'b' * 9
    for size in (1000, 1010):
        with pytest.raises(DamageError, match='declares'):
            decompress(data, kind, size)
    with pytest.raises(DamageError):
        decompress(data[:-3], kind, 1009)


def change(path: Path, old: bytes, new: bytes) -> None:
    """Exchange the first bytes of this kind in a file."""
    data = path.read_bytes()
    assert old in data and len(old) == len(new)
    path.write_bytes(data.replace(old, new, 1))


def size_field(path: Path) -> bytes:
    data = path.read_bytes()
    place = data.index(b'size=')
    return data[place : place + 9]


@pytest.mark.parametrize('compression', ['', 'BZ2', 'LZ4'])
def test_ros1_chunk_of_a_huge_size_is_refused_by_its_header(
    tmp_path: Path, compression: str
) -> None:
    path = write_ros1(tmp_path / 'a b.bag', compression)
    assert len(read_bag(path).tracks['/x'].times) == 2
    size = CHUNK_LIMIT + 1
    change(path, size_field(path), b'size=' + struct.pack('<I', size))
    with raises('ros1-chunk-size', path, size, CHUNK_LIMIT, f"\"rosbag filter '{path}' "):
        read_bag(path)


def test_ros1_chunk_of_another_size_than_declared_is_damage(tmp_path: Path) -> None:
    path = write_ros1(tmp_path / 'a.bag', 'BZ2')
    change(path, size_field(path), b'size=' + struct.pack('<I', 9))
    with raises('ros1-damaged', 'more than 9 bytes', 'rosbag reindex'):
        read_bag(path)


def test_ros1_chunk_that_is_listed_twice_is_damage(tmp_path: Path) -> None:
    path = write_ros1(tmp_path / 'a.bag')
    data = path.read_bytes()
    first, second = (data.index(b'chunk_pos=', at) for at in (0, data.rindex(b'chunk_pos=')))
    change(path, data[second : second + 18], data[first : first + 18])
    with raises('ros1-damaged', 'twice'):
        read_bag(path)


def test_ros1_index_that_is_longer_than_the_file_is_damage(tmp_path: Path) -> None:
    path = write_ros1(tmp_path / 'a.bag')
    with ros1.LimitedReader(path) as reader:
        begin, indexes = reader.chunks[min(reader.chunks)], {0: []}
        with pytest.raises(DamageError, match='overlap'):
            for _ in range(path.stat().st_size):  # of chunks within each other
                reader.bio.seek(begin.datapos + begin.datasize)
                reader.read_index_data(0, indexes)
    assert 12 * len(indexes[0]) <= path.stat().st_size


def test_index_of_mcap_whose_parts_overlap_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_foreign(tmp_path / 'a.mcap')
    with path.open('rb') as file:
        last = make_reader(file).get_summary().chunk_indexes[-1]
    with monkeypatch.context() as patch:
        patch.setattr(indexed, 'ENTRY', path.stat().st_size)
        with pytest.raises(NotIntactError, match='indexes of its chunks overlap'):
            read_intact(path)
    assert read_intact(path)
    data = bytearray(path.read_bytes())
    place = data.rindex(struct.pack('<Q', last.compressed_size), 0, -200)
    assert place > last.chunk_start_offset + last.chunk_length
    data[place : place + 8] = struct.pack('<Q', len(data))
    data[-12:-8] = bytes(4)  # the summary has no checksum
    path.write_bytes(data)
    with pytest.raises(NotIntactError, match='its chunks overlap'):
        read_intact(path)


def test_topics_of_one_number_are_not_joined(tmp_path: Path) -> None:
    path = tmp_path / 'a.db3'
    with closing(sqlite3.connect(path)) as base:
        base.execute('CREATE TABLE topics(id, name, type, serialization_format)')
        base.execute('CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data)')
        for _ in range(2):
            base.execute('INSERT INTO topics VALUES(1, ?, ?, ?)', ('/joint_states', JOINTS, 'cdr'))
        for number in range(3):
            row = (number, EPOCH + number, joints(number))
            base.execute('INSERT INTO messages VALUES(?, 1, ?, ?)', row)
        base.commit()
    with pytest.raises(NotIntactError, match='one number'):
        read_intact(path)
    assert len(read_bag(path).tracks['/joint_states'].times) == 3


def test_ros1_definition_above_the_limit_is_refused(tmp_path: Path) -> None:
    text = f'int8[] data\n#{"x" * DEFINITION_LIMIT}\n'
    with raises('ros1-definition-size', 'acme/msg/X', len(text), DEFINITION_LIMIT):
        read_bag(write_ros1(tmp_path / 'a.bag', definition=text))


def test_sqlite_definition_above_the_limit_is_not_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_ros2(tmp_path / 'b', [joints(0)])
    assert read_intact(bag)
    monkeypatch.setattr(indexed, 'SIZES', [(*one[:2], 99) for one in indexed.SIZES[1:]])
    with pytest.raises(NotIntactError, match='message_definitions has more than 99 bytes'):
        read_intact(bag)
    assert [limit for _, _, limit in SIZES] == [MESSAGE_LIMIT, DEFINITION_LIMIT]


def test_message_of_a_bag_is_read_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [len(joints(k)) for k in range(3)]
    bag = write_ros2(tmp_path / 'b', [zstandard.compress(joints(k)) for k in range(3)], 'message')
    monkeypatch.setattr(compressed_bag, 'MESSAGE_LIMIT', max(sizes))
    assert list(read_bag(bag).tracks['/joint_states'].data) == [joints(k) for k in range(3)]
    monkeypatch.setattr(compressed_bag, 'MESSAGE_LIMIT', max(sizes) - 1)
    with raises('bag-message-size', bag, '/joint_states', max(sizes), max(sizes) - 1):
        read_bag(bag)
    assert max(sizes) < MESSAGE_LIMIT


# Disk space


def run_remedy(text: str) -> Path:
    """Run the command of an error, and return the folder that it names."""
    subprocess.run(text.split('"')[1], shell=True, check=True, capture_output=True)
    return Path(text.rpartition('and use ')[2])


@pytest.mark.skipif(shutil.which('zstd') is None, reason='the remedy is a command of zstd')
@pytest.mark.parametrize('limit', ['ratio', 'space'])
def test_file_above_a_limit_is_refused_and_its_remedy_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
    bag = write_packed(tmp_path / 'the run')
    assert len(read_bag(bag).tracks['/joint_states'].times) == 5
    if limit == 'ratio':
        monkeypatch.setattr(compressed_bag, 'expanded_limit', lambda stored: max(9, stored))
    else:
        usage = shutil.disk_usage(tmp_path)._replace(free=50_000)
        monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
    named = ['the run.db3.zstd', *([temporary, 'TMPDIR', 50_000] if limit == 'space' else [])]
    with raises('bag-file-size', bag, *named) as caught:
        read_bag(bag)
    assert os.listdir(temporary) == []
    (plain,) = run_remedy(str(caught.value)).iterdir()
    assert len(read_bag(plain).tracks['/joint_states'].times) == 5


def test_temporary_folder_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_packed(tmp_path / 'b')
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'none'))
    with raises('bag-temporary', bag, tmp_path / 'none', 'TMPDIR'):
        read_bag(bag)


def test_file_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / 'b', [joints(0)])
    text = (bag / 'metadata.yaml').read_text()
    (bag / 'metadata.yaml').write_text(text.replace('  - b.db3\n', '  - b.db3\n  - b.db3\n'))
    with raises('bag-file-twice', bag / 'metadata.yaml', 'b.db3', 'reindex'):
        read_bag(bag)
