# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SQLite files with the logs of a killed recorder."""

import gc
import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from support.bag_parts import (
    CAMERA,
    EPOCH,
    JOINTS,
    STEP,
    payload,
    reindex,
    steps,
    write_killed,
    write_part,
    write_split,
)
from support.errors import raises

from viva_ros.data.bag.database import StoredBag
from viva_ros.data.bag.indexed import read_intact
from viva_ros.data.bag.reader import salvage
from viva_ros.data.bag.split import PartSpan, part_span
from viva_ros.data.open import identity, open_recording, resolve


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize('read', [read_intact, salvage])
@pytest.mark.parametrize('stored', [0, 40])
def test_messages_of_a_write_ahead_log_are_read(tmp_path: Path, stored: int, read) -> None:
    path = write_killed(tmp_path / 'run.db3', stored, 60)
    before = content(tmp_path)
    assert sorted(before) == ['run.db3', 'run.db3-wal']
    recording = read(path)
    assert recording.path == path
    assert steps(recording) == list(range(stored + 60))
    assert recording.tracks[CAMERA].data[-1] == payload(CAMERA, stored + 59)
    assert (recording.losses, recording.whole) == ((), True)
    assert content(tmp_path) == before


def test_copy_is_deleted_with_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
    recording = open_recording(write_killed(tmp_path / 'run.db3', 4, 6))
    assert len(os.listdir(temporary)) == 1
    track = recording.tracks[CAMERA]
    del recording
    assert track.data[9] == payload(CAMERA, 9)
    del track
    gc.collect()
    assert os.listdir(temporary) == []


def test_log_in_a_read_only_folder_is_read(tmp_path: Path) -> None:
    path = write_killed(tmp_path / 'run/run.db3', 4, 6)
    path.parent.chmod(0o555)
    try:
        assert steps(open_recording(path)) == list(range(10))
    finally:
        path.parent.chmod(0o755)


def test_logs_of_a_listed_bag_are_read(tmp_path: Path) -> None:
    bag = tmp_path / 'run'
    write_killed(bag / 'run_0.db3', 40, 60)
    write_part(bag / 'run_1.db3', range(100, 150))
    reindex(bag, 150)
    recording = open_recording(bag)
    assert steps(recording) == list(range(150))
    assert (recording.losses, recording.whole) == ((), True)


def test_log_of_the_last_part_is_read(tmp_path: Path) -> None:
    bag = tmp_path / 'run'
    write_split(bag, count=2, suffix='.db3')
    last = write_killed(bag / 'run_2.db3', 0, 60, first=200)
    assert part_span(last) == PartSpan(EPOCH + 200 * STEP, EPOCH + 259 * STEP)
    assert steps(open_recording(bag)) == list(range(260))


@pytest.mark.parametrize('size', [0, 32])
def test_log_without_pages_is_no_log(tmp_path: Path, size: int) -> None:
    path = write_part(tmp_path / 'run.db3', range(10))
    (tmp_path / 'run.db3-wal').write_bytes(bytes(size))
    stored = StoredBag(path)
    assert stored.path == path
    assert steps(open_recording(path)) == list(range(10))


def test_torn_log_is_read_up_to_its_last_transaction(tmp_path: Path) -> None:
    path = write_killed(tmp_path / 'run.db3', 40, 60)
    log = tmp_path / 'run.db3-wal'
    os.truncate(log, log.stat().st_size - 1)
    assert steps(open_recording(path)) == list(range(40))


def test_log_that_cannot_be_applied_is_refused_with_a_remedy(tmp_path: Path) -> None:
    draft, path = write_part(tmp_path / 'draft.db3', range(10)), tmp_path / 'run.db3'
    with closing(sqlite3.connect(draft)) as base:
        base.execute('PRAGMA journal_mode = WAL')
        base.execute('UPDATE messages SET timestamp = timestamp + 1 WHERE id = 20')
        base.commit()
        for suffix in ('', '-wal'):
            shutil.copyfile(f'{draft}{suffix}', f'{path}{suffix}')
    intact = path.read_bytes()
    path.write_bytes(b'x' * 100 + intact[100:])
    with raises('sqlite-log-damaged', path, 'run.db3-wal', 'run.db3 alone'):
        open_recording(path)
    path.write_bytes(intact)
    (tmp_path / 'run.db3-wal').unlink()
    assert steps(open_recording(path)) == list(range(10))


def test_full_temporary_folder_is_named_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_killed(tmp_path / 'run.db3', 4, 6)

    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(shutil, 'copyfile', full)
    with raises('sqlite-log-copy', path, 'No space left', 'TMPDIR'):
        open_recording(path)


def test_database_that_grows_while_it_is_copied_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_killed(tmp_path / 'run.db3', 4, 6)
    real = shutil.copyfile

    def grow(source: Path, target: Path) -> None:
        real(source, target)
        with source.open('ab') as file:
            file.write(bytes(4096))

    monkeypatch.setattr(shutil, 'copyfile', grow)
    with raises('sqlite-recording', path, 'wait until it ends'):
        open_recording(path)


def test_hot_journal_is_refused_and_its_remedy_works(tmp_path: Path) -> None:
    path = write_killed(tmp_path / 'run.db3', 40, 60, mode='DELETE')
    before = content(tmp_path)
    assert sorted(before) == ['run.db3', 'run.db3-journal']
    with raises('sqlite-journal', path, 'run.db3-journal') as caught:
        open_recording(path)
    assert content(tmp_path) == before
    copy = tmp_path / 'copy'
    copy.mkdir()
    for name in before:
        shutil.copyfile(tmp_path / name, copy / name)
    command = str(caught.value).split('"')[1]
    done = subprocess.run(command, shell=True, check=True, cwd=copy, capture_output=True)
    assert done.stdout == b'ok\n'
    assert steps(open_recording(copy / 'run.db3')) == list(range(40))


@pytest.mark.parametrize('head', [b'', bytes(512)])
def test_journal_without_effect_is_read_past(tmp_path: Path, head: bytes) -> None:
    path = write_part(tmp_path / 'run.db3', range(10))
    (tmp_path / 'run.db3-journal').write_bytes(head)
    assert steps(open_recording(path)) == list(range(10))


def test_identity_changes_with_the_log(tmp_path: Path) -> None:
    path = write_killed(tmp_path / 'run.db3', 4, 6)
    log = tmp_path / 'run.db3-wal'
    with_log = identity(resolve(path))
    log.write_bytes(log.read_bytes() + b'x')
    changed = identity(resolve(path))
    log.unlink()
    without = identity(resolve(path))
    assert len({str(one) for one in (with_log, changed, without)}) == 3


def test_file_name_with_special_characters_is_read(tmp_path: Path) -> None:
    path = tmp_path / 'run %41?#.db3'
    for file in write_killed(tmp_path / 'run.db3', 4, 6).parent.iterdir():
        file.rename(tmp_path / file.name.replace('run', 'run %41?#'))
    assert steps(open_recording(path)) == list(range(10))


def test_database_whose_tables_are_in_the_log_is_read(tmp_path: Path) -> None:
    draft, path = write_part(tmp_path / 'draft.db3', range(10)), tmp_path / 'run.db3'
    with closing(sqlite3.connect(draft)) as base:
        script = '\n'.join(base.iterdump())
    with closing(sqlite3.connect(tmp_path / 'new.db3')) as base:
        base.execute('PRAGMA journal_mode = WAL')
        base.execute('PRAGMA wal_autocheckpoint = 0')
        base.executescript(script)
        for suffix in ('', '-wal'):
            shutil.copyfile(f'{tmp_path}/new.db3{suffix}', f'{path}{suffix}')
    assert path.stat().st_size <= 4096
    assert steps(open_recording(path)) == list(range(10))
    path.write_bytes(b'')  # SQLite does not apply a log to an empty file
    with raises('recording-format', path, 'is empty'):
        open_recording(path)


def test_two_rows_of_a_topic_are_joined(tmp_path: Path) -> None:
    path = write_part(tmp_path / 'run.db3', range(10))
    with closing(sqlite3.connect(path)) as base:
        row = "name, type, serialization_format, '- history: 1', type_description_hash"
        base.execute(f"INSERT INTO topics SELECT 9, {row} FROM topics WHERE name = '{JOINTS}'")
        base.execute(
            'UPDATE messages SET topic_id = 9 WHERE id % 3 = 0 AND topic_id = '
            f"(SELECT id FROM topics WHERE name = '{JOINTS}' LIMIT 1)"
        )
        base.commit()
    for read in (open_recording, salvage):
        assert steps(read(path)) == list(range(10))


def test_topic_with_two_types_is_refused(tmp_path: Path) -> None:
    path = write_part(tmp_path / 'run.db3', range(10))
    with closing(sqlite3.connect(path)) as base:
        base.execute(f"UPDATE topics SET name = '{JOINTS}'")
        base.commit()
    with raises('topic-types', path, JOINTS, 'CompressedImage and sensor_msgs/msg/JointState'):
        open_recording(path)
