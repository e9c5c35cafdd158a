# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Salvage of rosbag2's SQLite files: row by row, so that a damaged file yields what it still holds.

Large messages stay on disk until they are accessed.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, overload

from viva_ros.core.errors import RecordingError
from viva_ros.data.messages import Definition
from viva_ros.data.recording import Recording, Track

HEAD: Final = 12  # bytes of a message up to and with the stamp in its header
QUERY: Final = 'SELECT id, topic_id, timestamp, data FROM messages'


def read_sqlite(path: Path) -> Recording:
    """
    Read a .db3 file, as far as it can be read.

    :raises RecordingError: if nothing in it can be read
    """
    if not path.is_file():
        raise RecordingError(f'recording {path} is not there')
    try:
        base = open_database(path)
        topics = base.execute('SELECT id, name, type, serialization_format FROM topics').fetchall()
        definitions = _definitions(base)
    except (sqlite3.Error, RecordingError) as error:
        raise RecordingError(
            f'recording {path} ({path.stat().st_size} bytes) has nothing to read ({error}): is it '
            'a rosbag2 file? "ros2 bag reindex" does not mend it'
        ) from error
    tracks, losses, rows = {}, [], {}
    for number, name, type_name, coding in topics:
        if coding != 'cdr':
            losses.append(f'{name} is lost (serialised as {coding!r}, must be cdr)')
            continue
        rows[number] = _Rows(path)
        tracks[number] = Track(name, type_name, [], rows[number], definitions.get(type_name))
    readable, damage = _index(base, path, tracks, rows)
    base.close()
    if damage:
        losses.append(damage)
    if not any(track.times for track in tracks.values()):
        raise RecordingError(f'recording {path} has no messages ({"; ".join(losses) or "empty"})')
    by_topic = {track.topic: track for track in tracks.values()}
    return Recording(path, by_topic, {}, tuple(losses), readable, not damage)


def open_database(path: Path) -> sqlite3.Connection:
    """Open without ever writing: no journal is made or played back."""
    base = sqlite3.connect(f'file:{path.resolve()}?immutable=1', uri=True)
    base.text_factory = lambda raw: raw.decode(errors='replace')
    base.execute('PRAGMA writable_schema = ON')  # else a file shorter than it says is not read
    return base


def _definitions(base: sqlite3.Connection) -> dict[str, Definition]:
    """Give the types that the bag defines; bags before Iron define none."""
    query = 'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions'
    try:
        return {name: Definition(kind, text) for name, kind, text in base.execute(query)}
    except sqlite3.Error:
        return {}


def _index(
    base: sqlite3.Connection, path: Path, tracks: dict[int, Track], rows: dict[int, '_Rows']
) -> tuple[float, str]:
    """
    Note where every message is, and stop at the damage.

    :returns: share of the messages that are there, and what is lost
    """
    seen, newest = 0, None
    try:
        for row, topic, time, data in base.execute(QUERY):  # the data too: they may be damaged
            seen += 1
            if topic in tracks:
                tracks[topic].times.append(time)
                rows[topic].ids.append(row)
                rows[topic].heads.append(data[:HEAD])
                newest = time if newest is None else max(newest, time)
    except sqlite3.Error as error:
        after = '' if newest is None else f' after stamp {newest * 1e-9:.3f} s'
        return _share(base, path, seen), f'the rest is lost{after} ({error})'
    return 1.0, ''


def _share(base: sqlite3.Connection, path: Path, seen: int) -> float:
    """
    Give the share of messages read, by the last id given.

    Where that is lost too, by the size that the file says it had.
    """
    try:
        (last,) = base.execute('SELECT max(id) FROM messages').fetchone()
        return min(1.0, seen / max(int(last or 0), 1))
    except sqlite3.Error:
        with path.open('rb') as file:
            head = file.read(32)
        page = int.from_bytes(head[16:18], 'big')
        expected = int.from_bytes(head[28:32], 'big') * (page if page > 1 else 1 << 16)
        return min(1.0, path.stat().st_size / max(expected, 1))


class _Rows(Sequence[bytes]):
    """The messages of one topic, read from disk on access; their heads are in memory."""

    def __init__(self, path: Path) -> None:
        self.ids: list[int] = []
        self.heads: list[bytes] = []
        self._path = path
        self._base: sqlite3.Connection | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> '_Rows': ...

    def __getitem__(self, index: int | slice) -> 'bytes | _Rows':
        if isinstance(index, slice):
            part = _Rows(self._path)
            part.ids, part.heads = self.ids[index], self.heads[index]
            return part
        if self._base is None:
            self._base = open_database(self._path)
        try:
            query = 'SELECT data FROM messages WHERE id = ?'
            return bytes(self._base.execute(query, (self.ids[index],)).fetchone()[0])
        except (sqlite3.Error, TypeError) as error:
            raise RecordingError(
                f'{self._path} is damaged at message {self.ids[index]} ({error}): leave it out'
            ) from error
