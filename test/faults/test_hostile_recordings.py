# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hostile recordings: each is refused by name, in bounded memory, and the others go on."""

import errno
import inspect
import json
import os
import socket
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import lz4.frame
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from rosbags.interfaces import Nodetype
from support.errors import raises
from support.hostile_batch import write_foreign_types
from support.hostile_mcap import KINDS, write_foreign
from support.recordings import make_label, write_recording

from viva_ros.cli.import_ import main as import_main
from viva_ros.core.errors import ConfigurationError, InputError, RecordingError
from viva_ros.core.input_limits import CHUNK_LIMIT
from viva_ros.core.regular_file import FileKindError
from viva_ros.data.bag.decompression import DamageError, decompress
from viva_ros.data.bag.reader import with_definitions
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.conversion.annotations import read_table
from viva_ros.data.definition_check import check_definition
from viva_ros.data.file_signature import signature_of
from viva_ros.data.lerobot.metadata import confined, filled
from viva_ros.data.messages import Definition, deserialise, joint_state, make, serialise
from viva_ros.data.open import find, open_recording
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.table_limits import check_table, open_table
from viva_ros.engine.image_decoding import decode_compressed
from viva_ros.engine.video_decoding import VideoDecoder, VideoPacket
from viva_ros.robot.yaml_reader import parse_yaml

GIB = 1 << 30
EPOCH = 1_700_000_000_000_000_000  # ns


# Images


def jpeg(height: int, width: int) -> bytes:
    """Return a small JPEG whose header declares another size."""
    data = bytearray(cv2.imencode('.jpg', np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    place = data.index(b'\xff\xc0')
    data[place + 5 : place + 9] = struct.pack('>HH', height, width)
    return bytes(data)


def second_frame(height: int, width: int) -> bytes:
    """Return a JPEG with a second header, of a huge size, behind the first."""
    data = jpeg(64, 64)
    place = data.index(b'\xff\xc0')
    (length,) = struct.unpack_from('>H', data, place + 2)
    huge = jpeg(height, width)[place : place + 2 + length]
    return data[: place + 2 + length] + huge + data[place + 2 + length :]


def png(height: int, width: int, *texts: bytes) -> bytes:
    """Return a PNG of a declared size, with compressed texts."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', checksum)

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(height * (1 + 3 * width)) if height < 1000 else b'\0' * 100)
    return b''.join([
        b'\x89PNG\r\n\x1a\n', chunk(b'IHDR', header), *(chunk(b'zTXt', one) for one in texts),
        chunk(b'IDAT', body), chunk(b'IEND', b''),
    ])  # fmt: skip


BOMB = b'a\0\0' + zlib.compress(bytes(7_000_000))
IMAGES = {
    'jpeg': (jpeg(32_000, 32_000), 'image-pixels'),
    'two headers': (second_frame(32_000, 32_000), 'image-pixels'),
    'flat': (jpeg(1001, 64_001), 'image-pixels'),
    'scans': (
        jpeg(64, 64)[:-2] + 300 * b'\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00' + b'\xff\xd9',
        'jpeg-scans',
    ),
    'png': (png(100_000, 100_000), 'image-pixels'),
    'texts': (png(8, 8, *[BOMB] * 200), 'png-texts'),
}


@pytest.mark.parametrize('kind', IMAGES)
def test_image_above_the_limits_is_refused_by_its_header(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, code = IMAGES[kind]
    monkeypatch.setattr(cv2, 'imdecode', lambda *a: pytest.fail('it must not be decoded'))
    with raises(code, of=InputError):
        decode_compressed('', data)
    with raises(code, of=InputError):
        decode_compressed('', data, (64, 64))


def test_image_below_the_limits_is_decoded() -> None:
    assert decode_compressed('', png(8, 8, BOMB)).shape == (8, 8, 3)


class Bits:
    """Writes the fields of a parameter set."""

    def __init__(self) -> None:
        self.text = ''

    def put(self, value: int, count: int) -> None:
        self.text += f'{value:0{count}b}'

    def golomb(self, value: int) -> None:
        digits = f'{value + 1:b}'
        self.text += '0' * (len(digits) - 1) + digits

    def unit(self, head: bytes) -> bytes:
        padded = self.text + '1' + '0' * (-(len(self.text) + 1) % 8)
        body = int(padded, 2).to_bytes(len(padded) // 8)
        return b'\0\0\0\1' + head + body.replace(b'\0\0', b'\0\0\3')


def h264_parameters(side: int) -> bytes:
    bits = Bits()
    bits.put(66, 8)
    bits.put(0, 8)
    bits.put(30, 8)
    for value in (0, 0, 2, 1):
        bits.golomb(value)
    bits.put(0, 1)
    bits.golomb(side // 16 - 1)
    bits.golomb(side // 16 - 1)
    bits.put(1, 1)
    return bits.unit(b'\x67')


def h265_parameters(side: int) -> bytes:
    bits = Bits()
    bits.put(0, 4 + 3)
    bits.put(1, 97)
    bits.golomb(0)
    bits.golomb(1)
    bits.golomb(side)
    bits.golomb(side)
    return bits.unit(b'\x42\x01')


@pytest.mark.parametrize('codec', ['h264', 'h265'])
def test_video_of_huge_pictures_is_refused_by_its_parameters(codec: str) -> None:
    made = {'h264': h264_parameters, 'h265': h265_parameters}[codec]
    with raises('video-size', '32000 x 32000', of=InputError):
        VideoDecoder().decode(VideoPacket(codec, 1, made(32_000)))
    assert VideoDecoder().decode(VideoPacket(codec, 1, made(640))) is None


# Chunks, definitions and messages


@pytest.mark.parametrize('size', [100, 1 << 20, 2 * CHUNK_LIMIT])
@pytest.mark.parametrize('kind', ['zstd', 'lz4'])
def test_chunk_is_decompressed_up_to_its_declared_size(kind: str, size: int) -> None:
    content = bytes(4 << 20)
    packed = (zstandard.compress if kind == 'zstd' else lz4.frame.compress)(content)
    with pytest.raises(DamageError, match='bytes'):
        decompress(packed, kind, size)
    assert decompress(packed, kind, len(content)) == content


@pytest.mark.parametrize(
    ('text', 'named'),
    [
        ('x/A a', 'contains itself'),
        ('x/B[4000000] b\n' + '=' * 80 + '\nMSG: x/B\nint32 a', 'elements'),
        ('x/E[3000000000] e\n' + '=' * 80 + '\nMSG: x/E\n', 'elements'),
        (
            'x/B0 b\n' + ''.join(
                f'{"=" * 80}\nMSG: x/B{k}\nx/B{k + 1}[90] b\n' for k in range(9)
            ) + f'{"=" * 80}\nMSG: x/B9\nint8 a\n', 'elements',
        ),
        (
            'x/B0 b\n' + ''.join(
                f'{"=" * 80}\nMSG: x/B{k}\nx/B{k + 1} b\n' for k in range(40)
            ) + f'{"=" * 80}\nMSG: x/B40\nint8 a\n', 'nested',
        ),
        ('# ' + 'x' * (2 << 20) + '\nint32 a', 'characters'),
    ],
    ids=['self', 'array', 'empty array', 'arrays', 'nested', 'long'],
)  # fmt: skip
def test_definition_that_would_not_end_is_refused(text: str, named: str) -> None:
    with raises('type-definition', 'x/msg/A', named):
        deserialise('x/msg/A', b'\0\1\0\0\xff\xff\xff\xff', Definition('ros2msg', text))


@pytest.mark.parametrize('kind', [Nodetype.ARRAY, Nodetype.SEQUENCE])
def test_list_of_messages_without_bytes_is_refused(kind: Nodetype) -> None:
    empty = (kind, ((Nodetype.NAME, 'x/msg/E'), 5))
    fields = {'x/msg/E': ([], []), 'x/msg/A': ([], [('e', empty)])}
    with pytest.raises(ValueError, match='e lists messages without a field'):
        check_definition(fields, 'x/msg/A')


def test_length_of_four_billion_in_a_message_is_damage() -> None:
    good = bytearray(serialise(KINDS['/joint_states'], joint_state(1, ['a'], np.zeros(1))))
    good[16:20] = b'\xff\xff\xff\xff'
    for kind in (KINDS['/joint_states'], 'sensor_msgs/msg/CompressedImage'):
        with raises('message-damaged', kind):
            deserialise(kind, bytes(good))


# Each recording in a process of its own: what it says, and its memory


def huge_row(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as base:
        base.execute('CREATE TABLE topics(id, name, type, serialization_format)')
        base.execute('CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data)')
        base.execute("INSERT INTO topics VALUES(1, '/a', 'std_msgs/msg/String', 'cdr')")
        base.execute('INSERT INTO messages VALUES(1, 1, 1, zeroblob(300000000))')
        base.commit()
    return path


def endless_view(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as base:
        base.execute('CREATE TABLE topics(id, name, type, serialization_format)')
        base.execute("INSERT INTO topics VALUES(1, '/a', 'std_msgs/msg/String', 'cdr')")
        base.execute(
            'CREATE VIEW messages AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id + 1 '
            "FROM r) SELECT id, 1 AS topic_id, 1 AS timestamp, x'00' AS data FROM r"
        )
        base.commit()
    return path


def chunk_bomb(path: Path, compression: str) -> Path:
    """Write a chunk of some kB whose records take 2 GiB."""
    size = 2 << 30
    if compression == 'zstd':
        packer: Any = zstandard.ZstdCompressor().compressobj()
        begin: Callable[[], bytes] = lambda: b''  # noqa: E731
        end: Callable[[], bytes] = packer.flush
    else:
        packer = lz4.frame.LZ4FrameCompressor()
        begin, end = packer.begin, packer.flush
    block, parts = bytes(16 << 20), [begin()]
    parts += [packer.compress(block) for _ in range(size // len(block))]
    data = b''.join([*parts, end()])
    kind = compression.encode()
    content = struct.pack('<QQQII', 1, 2, 1000, 0, len(kind)) + kind
    content += struct.pack('<Q', len(data)) + data
    header = b'\x01' + struct.pack('<Q', 12) + struct.pack('<I', 4) + b'ros2' + bytes(4)
    path.write_bytes(
        b'\x89MCAP0\r\n' + header + b'\x06' + struct.pack('<Q', len(content)) + content
        + b'\x0f' + struct.pack('<QI', 4, 0)
    )  # fmt: skip
    return path


def with_image(path: Path) -> Path:
    kind = 'sensor_msgs/msg/CompressedImage'
    with RecordingWriter(path) as writer:
        for k in range(3):
            stamp = EPOCH + k * 100_000_000
            state = joint_state(stamp, ['a'], np.array([0.1 * k]))
            writer.write('/joint_states', KINDS['/joint_states'], state, stamp)
            header = make('std_msgs/msg/Header', stamp=_time(stamp), frame_id='')
            image = make(kind, header=header, format='jpeg',
                         data=np.frombuffer(jpeg(32_000, 32_000), np.uint8))  # fmt: skip
            writer.write('/head/image_raw/compressed', kind, image, stamp)
        writer.metadata('viva_episode', make_label())
    return path


def _time(stamp: int) -> Any:
    return make('builtin_interfaces/msg/Time', sec=stamp // 10**9, nanosec=stamp % 10**9)


def wide_table(path: Path) -> Path:
    path.mkdir()
    (path / 'cam.mp4').write_bytes(b'')
    table = pa.table({'a': pa.array(np.zeros(20_000_000))})
    tables = [table] * 8
    with pq.ParquetWriter(path / 'joints.parquet', table.schema, compression='zstd') as writer:
        for one in tables:
            writer.write_table(one)
    return path


def empty_hdf5(path: Path) -> Path:
    import h5py

    with h5py.File(path, 'w') as file:
        group = file.create_group('data/demo_0')
        group.create_dataset('obs/joint_positions', (10**9, 7), 'f8', chunks=(1000, 7))
        shape = (10**9, 40_000, 40_000, 3)
        group.create_dataset('obs/images/head', shape, 'u1', chunks=(1, 64, 64, 3))
        group.attrs['fps'] = 30.0
    return path


BOMBS = {
    'sqlite row': (lambda folder: huge_row(folder / 'a.db3'), 'sqlite-empty'),
    'sqlite view': (lambda folder: endless_view(folder / 'a.db3'), 'sqlite-unreadable'),
    'zstd': (lambda folder: chunk_bomb(folder / 'a.mcap', 'zstd'), 'mcap-empty'),
    'lz4': (lambda folder: chunk_bomb(folder / 'a.mcap', 'lz4'), 'mcap-empty'),
    'image': (lambda folder: with_image(folder / 'a.mcap'), 'image-pixels'),
    'table': (lambda folder: wide_table(folder / 'a'), 'joint-table-unreadable'),
    'hdf5': (lambda folder: empty_hdf5(folder / 'a.hdf5'), 'hdf5-unreadable'),
}
SCRIPT = """
import sys
from pathlib import Path
from viva_ros.core.errors import VivaError
from viva_ros.data.open import find, open_recording
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import episodes_of
code = 'read'
try:
    (path,) = find([Path(sys.argv[1])])
    for episode in episodes_of(open_recording(path)):
        episode.joints.positions
        for frames in episode.cameras.values():
            frames.images[0]
except VivaError as error:
    code = error.code
status = Path('/proc/self/status').read_text().splitlines()
print(code, 1024 * next(int(one.split()[1]) for one in status if one.startswith('VmHWM')))
"""


@pytest.mark.medium
@pytest.mark.parametrize('kind', BOMBS)
def test_bomb_is_refused_within_one_gibibyte(kind: str, tmp_path: Path) -> None:
    write, expected = BOMBS[kind]
    path = write(tmp_path)
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    code, peak = done.stdout.split()
    assert code == expected and int(peak) < GIB


# Paths


@pytest.mark.parametrize(
    'template',
    [
        '{chunk_index.__class__}/a', '{chunk_index:>9999999999}', '{chunk_index!r}', '{}', '{{a}}',
        '{0}', '{chunk_index:03d', '{unknown}',
    ],
)  # fmt: skip
def test_path_template_has_names_and_digits_only(template: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        filled(template, {'chunk_index': 1})


def test_path_template_is_filled() -> None:
    assert filled('a/{chunk_index:03d}/{key}.mp4', {'chunk_index': 7, 'key': 'b'}) == 'a/007/b.mp4'


@pytest.mark.parametrize('name', ['../a', '/etc/passwd', 'a/../../b', 'a\0b'])
def test_path_that_leads_out_of_a_dataset_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='leads out'):
        confined(tmp_path, name)


def test_pipes_and_links_in_circles_are_no_recordings(tmp_path: Path) -> None:
    write_recording(tmp_path / 'good.mcap', [0.1, 0.2])
    for name in ('a.mcap', 'b.db3', 'c.bag', 'd.hdf5', 'e.csv', 'metadata.yaml'):
        os.mkfifo(tmp_path / name)
    (tmp_path / 'up').symlink_to(tmp_path)
    (tmp_path / 'circle.mcap').symlink_to(tmp_path / 'circle.mcap')
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / 's.mcap'))
        assert find([tmp_path]) == [tmp_path / 'good.mcap']
    for name in ('a.mcap', 'b.db3', 'c.bag', 'd.hdf5'):
        with raises('recording-kind', name):
            find([tmp_path / name])
        with raises('recording-kind', name):
            open_recording(tmp_path / name)


@pytest.mark.timeout(60)
def test_pipes_next_to_recordings_are_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / 'none').mkdir()
    os.mkfifo(tmp_path / 'none/notes')
    (tmp_path / 'none/data.zip').write_bytes(b'PK\x03\x04')
    with raises('recordings-missing', tmp_path / 'none', 'data.zip is a ZIP archive'):
        find([tmp_path / 'none'])
    with pytest.raises(FileKindError, match='pipe'):
        signature_of(tmp_path / 'none/notes')
    path = endless_view(tmp_path / 'a.db3')
    os.mkfifo(tmp_path / 'a.db3-journal')
    with raises('sqlite-unreadable', path, 'must be a table'):
        open_recording(path)
    (tmp_path / 'x/msg').mkdir(parents=True)
    os.mkfifo(tmp_path / 'x/msg/A.msg')
    with raises('definitions-unreadable', tmp_path, 'pipe', of=ConfigurationError):
        with_definitions(Recording(tmp_path, {}, {}, ()), tmp_path)


def test_folders_deeper_than_python_calls_are_searched(
    tmp_path: Path,
) -> None:
    write_recording(tmp_path / 'good.mcap', [0.1, 0.2])
    (tmp_path / '/'.join('a' * 250)).mkdir(parents=True)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 200)
    try:
        assert find([tmp_path]) == [tmp_path / 'good.mcap']
    finally:
        sys.setrecursionlimit(before)


def test_folder_that_cannot_be_listed_is_named_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recording(tmp_path / 'b.mcap', [0.1, 0.2])
    (tmp_path / 'a').mkdir()
    listed = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path == tmp_path / 'a':
            raise PermissionError(errno.EACCES, 'Permission denied', str(path))
        return listed(path)

    monkeypatch.setattr(Path, 'iterdir', iterdir)
    assert find([tmp_path]) == [tmp_path / 'a', tmp_path / 'b.mcap']
    with raises('recording-fault', tmp_path / 'a', 'Permission denied'):
        open_recording(tmp_path / 'a')


@pytest.mark.timeout(60)
def test_pipe_as_a_table_of_outcomes_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'labels.csv')
    with raises('table-unreadable', 'labels.csv', 'pipe', of=ConfigurationError):
        read_table(tmp_path / 'labels.csv')


def test_bag_that_lists_files_elsewhere_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / 'bag'
    folder.mkdir()
    write_foreign(tmp_path / 'other.mcap')
    text = 'rosbag2_bagfile_information: {relative_file_paths: [../other.mcap]}\n'
    (folder / 'metadata.yaml').write_text(text)
    with raises('bag-file-outside', '../other.mcap', 'reindex'):
        open_recording(folder)


# Text of others


@pytest.mark.parametrize(
    ('text', 'named'),
    [
        ('a: &a [x, x, x, x, x, x, x, x, x, x]\n' + ''.join(
            f'{chr(98 + k)}: &{chr(98 + k)} [{", ".join([f"*{chr(97 + k)}"] * 10)}]\n'
            for k in range(8)
        ), 'entries'),
        ('a: &a [*a]', 'refers to'),
        ('[' * 500, 'levels'),
        ('a: !!python/object/apply:os.system [ls]', 'constructor'),
        ('a: 1\na: 2', 'twice'),
        ('? [a, b]\n: 1', 'key'),
        ('a: 2026-01-01', 'quotes'),
        ('a: "\\0"', 'NUL'),
        (f'a: {2**70}', '64 bits'),
        ('a: 0x' + 'f' * 5000, '64 bits'),
        ('a: 1' + ':59' * 1_000_000, 'quotes'),
        ('a: 12:30.5', 'quotes'),
        ('{' + ', '.join(f'k{k}' for k in range(40_000)) + ', k39999}', 'twice'),
        ('a: !!set {b, c}', 'tag'),
        ('a: !!binary aGVsbG8=', 'tag'),
        ('a: !!omap [b: 1]', 'tag'),
        ('a: {<<: {b: 1}}', 'tag'),
        ('a: !!pairs [b: 1]', 'tag'),
        ('a: 2026-01-01T00:00:00.' + '0' * 5000, 'quotes'),
    ],
    ids=[
        'laughs', 'circle', 'deep', 'tag', 'twice', 'key', 'date', 'nul', 'integer', 'hex',
        'base60', 'base60_float', 'late_twice', 'set', 'binary', 'omap', 'merge',
        'pairs', 'long_date',
    ],
)  # fmt: skip
@pytest.mark.timeout(60)  # seconds at most; hours with what is quadratic
def test_yaml_that_no_reader_expects_is_refused(text: str, named: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_yaml(text)
    assert named in str(caught.value) and len(str(caught.value)) < 500


def test_alias_of_ordinary_yaml_is_read() -> None:
    assert parse_yaml('a: &a {b: 1}\nc: [*a, *a]') == {'a': {'b': 1}, 'c': [{'b': 1}] * 2}


@pytest.mark.parametrize('fps', ['0', '-1', 'Infinity', 'NaN', '1e999', '1e300', '"a"', '[30]'])
def test_rate_of_a_dataset_must_be_a_rate(fps: str, tmp_path: Path) -> None:
    (tmp_path / 'meta').mkdir()
    info = '{"codebase_version": "v3.0", "features": {}, "fps": ' + fps + '}'
    (tmp_path / 'meta/info.json').write_text(info)
    with raises('dataset-unreadable'):
        find([tmp_path])


# One recording among others


def test_topic_of_another_type_is_named_once_and_not_read(tmp_path: Path) -> None:
    found = open_recording(write_foreign_types(tmp_path / 'a.mcap'))
    (episode,) = episodes_of(found)
    assert episode.label is not None and sorted(episode.cameras) == ['head', 'wrist']
    for topic, kind in (
        ('/alert', 'Bool'), ('/value', 'Float32'), ('/ground_truth', 'String'),
        ('/left/joint_states', 'Float64'),
    ):  # fmt: skip
        (note,) = [one for one in found.notes if f'topic {topic} ' in one]
        assert kind in note and found.find(topic.rpartition('/')[2]) in (
            None, found.tracks['/joint_states']
        )  # fmt: skip


@pytest.mark.medium
def test_import_goes_on_past_a_recording_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'bags'
    folder.mkdir()
    for name in ('a', 'c'):
        write_recording(
            folder / f'{name}[red].mcap', [0.01 * k + len(name) for k in range(20)],
            label=make_label(),
        )  # fmt: skip
    write_foreign_types(folder / 'b.mcap')
    (folder / 'set/meta').mkdir(parents=True)
    (folder / 'set/meta/info.json').write_text('[' * 100_000)
    real = episodes_of

    def failing(recording: Any) -> Any:
        if recording.name == 'b':
            raise ZeroDivisionError('of a library\x1b[31m')
        return real(recording)

    monkeypatch.setattr('viva_ros.data.conversion.raw_episode.episodes_of', failing)
    code = import_main(
        [str(folder), '--out', str(tmp_path / 'out'), '--processes', '1', '--rate', '10']
    )
    assert code == 2
    report = json.loads((tmp_path / 'out/viva/import.json').read_text())
    codes = {Path(row['source']).name: row['codes'] for row in report['episodes']}
    assert codes['b.mcap'] == ['recording-fault'] and codes['set'] == ['dataset-unreadable']
    assert codes['a[red].mcap'] == codes['c[red].mcap'] == []
    shown = capsys.readouterr().out
    assert 'ZeroDivisionError' in shown and '\x1b[31m' not in shown and 'a[red]' in shown


def test_table_above_the_limit_is_refused_by_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / 'a.parquet'
    with pq.ParquetWriter(path, pa.schema({'a': pa.int8()}), compression='zstd') as writer:
        for _ in range(16):
            writer.write_table(pa.table({'a': pa.array(np.zeros(8_000_000, np.int8))}))
    with open_table(path) as file, pytest.raises(ValueError, match='values'):
        check_table(path, file)


@pytest.mark.parametrize('word', ['false', 'failure', 'no', 'False', '0', 'fail', '', 'perhaps'])
def test_word_of_a_failure_is_no_success(word: str, tmp_path: Path) -> None:
    path = tmp_path / 'a.mcap'
    write_recording(path, [0.1 * k for k in range(9)], label={**make_label(), 'success': word})
    try:
        (episode,) = episodes_of(open_recording(path))
    except RecordingError:
        return
    assert episode.label is None or episode.label.success is False


def test_file_twice_in_a_table_of_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'labels.csv').write_text('file,success\na.mcap,yes\na.mcap,no\n')
    with raises('table-row-twice', 'a.mcap', of=ConfigurationError):
        read_table(tmp_path / 'labels.csv')
