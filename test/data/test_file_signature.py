# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of other formats are named by their first bytes, with a remedy that works."""

import bz2
import gzip
import lzma
import shutil
import sqlite3
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rosbags.rosbag1 import Writer
from support.bag_parts import JOINTS, reindex, write_killed, write_own, write_split
from support.errors import raises

from viva_ros.data.file_signature import SIGNATURES, description, is_packed_recording, signature_of
from viva_ros.data.lerobot.video import encode
from viva_ros.data.open import find, open_recording

PLAIN = b'\x00\x01recorded' * 100


def write_sqlite(path: Path) -> None:
    base = sqlite3.connect(path)
    base.execute('CREATE TABLE a(b)')
    base.commit()
    base.close()


def write_log(path: Path, mode: str) -> None:
    draft = path.parent / 'draft'
    draft.mkdir()
    write_killed(draft / 'a.db3', 4, 60, mode)
    (draft / ('a.db3-wal' if mode == 'WAL' else 'a.db3-journal')).rename(path)
    shutil.rmtree(draft)


def write_ros1(path: Path) -> None:
    with Writer(path):
        pass


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a', PLAIN)


def write_tar(path: Path) -> None:
    path.with_name('a').write_bytes(PLAIN)
    with tarfile.open(path, 'w') as archive:
        archive.add(path.with_name('a'), 'a')


def write_video(path: Path) -> None:
    encode(path.with_suffix('.mp4'), iter([np.zeros((32, 32, 3), np.uint8)] * 4), 10)
    path.with_suffix('.mp4').rename(path)


def put(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


MAKE: dict[str, Callable[[Path], object]] = {
    'an MCAP file': lambda path: write_own(path, range(3)),
    'an SQLite database': write_sqlite,
    'a ROS 1 bag': write_ros1,
    'a write-ahead log of SQLite': lambda path: write_log(path, 'WAL'),
    'a rollback journal of SQLite': lambda path: write_log(path, 'DELETE'),
    'a ROS 1 bag of an old version': put(b'#ROSBAG V1.2\n' + PLAIN),
    'compressed with zstd': lambda path: subprocess.run(
        ['zstd', '-q', '-', '-o', path], input=PLAIN, check=True
    ),
    'compressed with gzip': put(gzip.compress(PLAIN)),
    'compressed with bzip2': put(bz2.compress(PLAIN)),
    'compressed with xz': put(lzma.compress(PLAIN)),
    'compressed with lz4': put(lz4.frame.compress(PLAIN)),
    'a ZIP archive': write_zip,
    'a 7z archive': put(b'7z\xbc\xaf\x27\x1c' + PLAIN),
    'a tar archive': write_tar,
    'a Git LFS pointer without its content': put(
        b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n'
    ),
    'a Parquet file': lambda path: pq.write_table(pa.table({'a': [1]}), path),
    'an MP4 video': write_video,
    'a Matroska or WebM video': put(b'\x1a\x45\xdf\xa3' + PLAIN),
    'a NumPy array': lambda path: np.save(path.open('wb'), np.arange(3)),
    'a web page': put(b'<!DOCTYPE html><html>404'),
}


@pytest.mark.parametrize('name', [one.name for one in SIGNATURES])
def test_format_is_known_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / 'file'
    MAKE[name](path)
    found = signature_of(path)
    assert found is not None and found.name == name
    assert description(path).startswith(f'is {name}: ')


@pytest.mark.parametrize('name', [one.name for one in SIGNATURES][3:])
@pytest.mark.parametrize('suffix', ['.mcap', '.db3', '.bag'])
def test_file_of_another_format_is_refused_by_name(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f'run{suffix}'
    MAKE[name](path)
    with raises('recording-format', path, name):
        open_recording(path)


def test_each_format_has_a_row() -> None:
    assert list(MAKE) == [one.name for one in SIGNATURES]


@pytest.mark.parametrize(
    ('name', 'suffix'),
    [('compressed with zstd', '.zstd'), ('compressed with zstd', '.zst'),
     ('compressed with gzip', '.gz'), ('compressed with bzip2', '.bz2'),
     ('compressed with xz', '.xz'), ('compressed with lz4', '.lz4')],
)  # fmt: skip
def test_compressed_recording_is_found_and_refused(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f'the run.mcap{suffix}'
    MAKE[name](path)
    assert find([tmp_path]) == [path]
    with raises('recording-format', path, name) as caught:
        open_recording(path)
    command = str(caught.value).split('"')[1]
    if not shutil.which(command.split()[0]):
        pytest.skip(f'{command.split()[0]} is not installed')
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert path.with_suffix('').read_bytes() == PLAIN
    assert find([tmp_path]) == [path.with_suffix('')]
    assert not is_packed_recording(path)


@pytest.mark.parametrize('name', ['a ZIP archive', 'a tar archive'])
def test_archive_is_unpacked_by_its_remedy(tmp_path: Path, name: str) -> None:
    path, folder = tmp_path / 'run.mcap', tmp_path / 'unpacked'
    MAKE[name](path)
    command = description(path).split('"')[1]
    folder.mkdir()
    if not shutil.which(command.split()[0]):
        pytest.skip(f'{command.split()[0]} is not installed')
    subprocess.run(command, shell=True, check=True, cwd=folder, capture_output=True)
    assert (folder / 'a').read_bytes() == PLAIN


@pytest.mark.parametrize('suffix', ['.mcap', '.db3', '.bag'])
@pytest.mark.parametrize(('size', 'text'), [(0, 'empty (0 bytes)'), (9000, 'zero bytes (9000)')])
def test_empty_file_is_refused_by_name(tmp_path: Path, suffix: str, size: int, text: str) -> None:
    path = tmp_path / f'run{suffix}'
    path.write_bytes(bytes(size))
    with raises('recording-format', path, text, 'leave it out'):
        open_recording(path)


def test_recording_with_the_name_of_another_format_is_read_when_renamed(tmp_path: Path) -> None:
    path = write_own(tmp_path / 'run.db3', range(5))
    with raises('recording-format', path, 'an MCAP file', 'rename it to *.mcap'):
        open_recording(path)
    renamed = path.rename(tmp_path / 'run.mcap')
    assert len(open_recording(renamed).tracks[JOINTS].data) == 5


def test_folder_of_other_formats_is_refused_by_name(tmp_path: Path) -> None:
    for number in range(7):
        MAKE['a NumPy array'](tmp_path / f'episode_{number}.npy')
    (tmp_path / 'notes.txt').write_text('none')
    with raises(
        'recordings-missing', tmp_path, 'episode_0.npy is a NumPy array', 'LeRobot', '...'
    ) as caught:
        find([tmp_path])
    assert str(caught.value).count('is a NumPy array') == 5


def test_empty_file_of_another_format_is_named(tmp_path: Path) -> None:
    (tmp_path / 'episode.parquet').touch()
    (tmp_path / 'notes.txt').touch()
    with raises('recordings-missing', 'episode.parquet is empty') as caught:
        find([tmp_path])
    assert 'notes.txt' not in str(caught.value)


@pytest.mark.parametrize('listed', [True, False])
def test_part_of_another_format_is_a_loss(tmp_path: Path, listed: bool) -> None:
    parts = write_split(tmp_path / 'run')
    if listed:
        reindex(tmp_path / 'run', 300)
    MAKE['a Git LFS pointer without its content'](parts[1])
    recording = open_recording(tmp_path / 'run')
    assert not recording.whole
    assert 'git lfs pull' in recording.losses[0]
