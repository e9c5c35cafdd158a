# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
SQLite files of rosbag2, and the logs that a killed recorder leaves with them.

Readers open a database as immutable, so that SQLite neither writes nor replays anything. The
messages of a write-ahead log are read from a temporary copy, in which the log is applied.
"""

import os
import shutil
import sqlite3
import tempfile
import weakref
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from viva_ros.core.errors import RecordingError
from viva_ros.core.input_limits import MESSAGE_LIMIT
from viva_ros.core.regular_file import check_regular, open_regular

SUFFIX: Final = '.db3'
WAL, JOURNAL = '-wal', '-journal'
WAL_HEADER: Final = 32  # bytes; a log of this size has no pages


def open_database(path: Path) -> sqlite3.Connection:
    """
    Open a database read-only, without its logs: SQLite neither writes nor replays them.

    A row above ``MESSAGE_LIMIT`` is an error of SQLite.
    """
    check_regular(path)
    base = sqlite3.connect(f'file:{quote(str(path.resolve()))}?immutable=1', uri=True)
    base.text_factory = lambda raw: raw.decode(errors='replace')
    base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MESSAGE_LIMIT)
    base.execute('PRAGMA writable_schema = ON')  # required to read a truncated file
    base.execute('PRAGMA trusted_schema = OFF')
    return base


def log_of(path: Path, suffix: str) -> Path:
    """Return the path of a log of a database; the file need not exist."""
    return path.with_name(path.name + suffix)


def check_tables(base: sqlite3.Connection) -> None:
    """
    Refuse a database whose topics or messages are computed: a view could have rows without end.

    :raises sqlite3.DatabaseError: if one of them is no table, or has computed columns
    """
    for name in ('topics', 'messages', 'message_definitions'):
        query = 'SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE'
        kinds = {kind for (kind,) in base.execute(query, (name,))}
        if kinds - {'table'}:
            raise sqlite3.DatabaseError(f'{name} is a {"".join(sorted(kinds))}, must be a table')
        if any(row[-1] for row in base.execute(f'PRAGMA table_xinfo({name})')):
            raise sqlite3.DatabaseError(f'{name} has computed columns')


class StoredBag:
    """
    A bag with its write-ahead logs applied.

    :ivar path: of the bag itself, or of a temporary copy if it has logs; it is deleted with this
        object, which therefore must be kept as long as the copy is read
    """

    def __init__(self, path: Path) -> None:
        """
        Apply the logs of a file, or of the files in a folder.

        :raises RecordingError: if a file has a rollback journal, or a log cannot be applied
        """
        self.path = path
        files = sorted(path.glob(f'*{SUFFIX}')) if path.is_dir() else [path]
        files = [file for file in files if file.suffix == SUFFIX]
        for file in files:
            _check_journal(file)
        logged = [file for file in files if _size(log_of(file, WAL)) > WAL_HEADER]
        if not logged:
            return
        folder = Path(tempfile.mkdtemp(prefix='viva_bag_'))
        weakref.finalize(self, delete_folder, folder, os.getpid())
        if path.is_dir():
            folder /= path.name
            folder.mkdir()
            for other in path.iterdir():
                if other.is_file() and other not in logged:
                    (folder / other.name).symlink_to(other.resolve())
        for file in logged:
            _apply(file, folder / file.name)
        self.path = folder if path.is_dir() else folder / path.name


def delete_folder(folder: Path, process: int) -> None:
    """Delete a temporary folder in the process that has made it."""
    if os.getpid() == process:  # not at the end of a forked process
        shutil.rmtree(folder, ignore_errors=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _check_journal(path: Path) -> None:
    """
    Refuse a database with a journal that SQLite would roll back: it may have half-written pages.

    As in SQLite, a journal is of no effect if it is empty or its first byte is zero.

    :raises RecordingError: if it has one
    """
    journal = log_of(path, JOURNAL)
    if not journal.is_file():  # none, or a pipe: SQLite does not look for it in our readers
        return
    with open_regular(journal) as file:
        is_hot = file.read(1).strip(b'\0') != b''
    if is_hot:
        raise RecordingError(
            'sqlite-journal',
            f'recording {path} has an unfinished transaction in {journal.name}: copy both files '
            f'to another folder, and run "sqlite3 {path.name} \'PRAGMA integrity_check\'" there, '
            'which rolls it back; then use the copy',
        )


def _apply(path: Path, copy: Path) -> None:
    """
    Copy a database, and apply its write-ahead log to the copy.

    :raises RecordingError: if the disk is full, the files change, or the log cannot be applied
    """
    log = log_of(path, WAL)
    before = _state(path), _state(log)
    try:
        shutil.copyfile(path, copy)
        shutil.copyfile(log, log_of(copy, WAL))
    except OSError as error:
        raise RecordingError(
            'sqlite-log-copy',
            f'recording {path} has a write-ahead log, which is applied to a copy in '
            f'{copy.parent}, and that cannot be written ({error}): set TMPDIR to a folder on a '
            'disk with space for the recording',
        ) from error
    if before != (_state(path), _state(log)):
        raise RecordingError(
            'sqlite-recording', f'recording {path} is being recorded: wait until it ends'
        )
    try:
        with closing(sqlite3.connect(copy)) as base:
            base.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchone()
            base.execute('PRAGMA journal_mode = DELETE').fetchone()
    except sqlite3.Error as error:
        raise RecordingError(
            'sqlite-log-damaged',
            f'{log} cannot be applied to recording {path} ({error}): to read the recording '
            f'without the messages in the log, use a copy of {path.name} alone',
        ) from error


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
