# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Salvage of damaged SQLite files of ROS 2 messages, and what the readers of all bags share.

A file is read from front to back without its index, up to the damage. ``Recording.losses``
describes the unreadable parts. For MCAP files see ``mcap_salvage``.
"""

import sqlite3
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, overload

from mcap.exceptions import McapError

from viva_ros.core.errors import RecordingError
from viva_ros.core.foreign_text import shown
from viva_ros.core.regular_file import open_regular
from viva_ros.data.bag.database import StoredBag, check_tables, open_database
from viva_ros.data.bag.mcap_records import read_summary
from viva_ros.data.bag.topic_count import check_topics
from viva_ros.data.messages import Definition
from viva_ros.data.recording import Recording, Track

T = TypeVar('T')

LARGE: Final = 2048  # bytes: longer messages stay on disk
SMALL_LIMIT: Final = 16 << 20  # bytes of shorter messages of one file; further ones stay on disk
HEAD: Final = 12  # bytes: CDR header and the stamp of a message header
OPENED: Final = 8 << 20  # bytes of decoded chunks in memory; the last one is kept in any case
Place = tuple[int, int]  # offset of a chunk or message in the file, number of the message in it


class SmallMessages:
    """Decides for one file which messages are kept in memory: short ones, up to a limit."""

    def __init__(self) -> None:
        self._left = SMALL_LIMIT

    def keeps(self, size: int) -> bool:
        """Return whether a message of a size, bytes, is kept; it then counts."""
        if size > min(LARGE, self._left):
            return False
        self._left -= size
        return True


class OpenedChunks(Generic[T]):
    """
    Decoded chunks of one file: the last ones read, up to ``OPENED`` bytes.

    :param read: returns the chunk at an offset in the file, and its size, bytes
    """

    def __init__(self, read: Callable[[int], tuple[T, int]]) -> None:
        self._read = read
        self._kept: OrderedDict[int, tuple[T, int]] = OrderedDict()

    def __getitem__(self, offset: int) -> T:
        if offset not in self._kept:
            self._kept[offset] = self._read(offset)
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > OPENED:
                self._kept.popitem(last=False)
        self._kept.move_to_end(offset)
        return self._kept[offset][0]

    def clear(self) -> None:
        """Forget all chunks."""
        self._kept.clear()


class MessageData(Sequence[bytes]):
    """
    The messages of one topic, in the order of the file.

    :param read: returns a message that is on disk
    """

    def __init__(self, read: Callable[[Place], bytes], small: SmallMessages) -> None:
        self._read, self._small = read, small
        self._messages: list[bytes | Place] = []
        self.heads: list[bytes] = []

    def add(self, data: bytes, place: Place) -> None:
        """Append a message; it stays on disk if it is not small."""
        self._messages.append(data if self._small.keeps(len(data)) else place)
        self.heads.append(bytes(data[:HEAD]))

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        message = self._messages[index]
        return message if isinstance(message, bytes) else self._read(message)


# Errors of libraries for intact files when they read a truncated one.
TORN: Final = (
    McapError, ValueError, KeyError, IndexError, TypeError, EOFError, OverflowError, OSError,
    struct.error,
)  # fmt: skip


def is_empty(path: Path) -> bool:
    """Return whether a file is intact, and has no messages: a recorder stopped after a split."""
    try:
        if path.suffix == '.db3':
            stored = StoredBag(path)
            with closing(open_database(stored.path)) as base:
                return base.execute('SELECT 1 FROM messages LIMIT 1').fetchone() is None
        with open_regular(path) as file:
            summary = read_summary(file)
    except (*TORN, MemoryError, sqlite3.Error, RecordingError):
        return False
    return summary is not None and summary.counts is not None and not sum(summary.counts.values())


def two_types(path: Path, topic: str, types: Sequence[str]) -> RecordingError:
    """Return the error for a topic with several types."""
    return RecordingError(
        'topic-types',
        f'recording {path}: topic {topic} has the types {" and ".join(types)}, must have one: '
        'leave the recording out, or convert it with "ros2 bag convert" and "topics" without it',
    )


QUERY: Final = 'SELECT id, topic_id, timestamp, data FROM messages'


def read_sqlite(path: Path) -> Recording:
    """
    Read a .db3 file, as far as it can be read.

    :raises RecordingError: if nothing in it can be read
    """
    if not path.is_file():
        raise RecordingError('sqlite-missing', f'recording {path} does not exist')
    stored = StoredBag(path)
    try:
        base = open_database(stored.path)
        check_tables(base)
        check_topics(path, base.execute('SELECT count(*) FROM topics').fetchone()[0])
        topics = base.execute('SELECT id, name, type, serialization_format FROM topics').fetchall()
        definitions = _definitions(base)
    except (sqlite3.Error, OSError) as error:
        raise RecordingError(
            'sqlite-unreadable',
            f'recording {path} ({path.stat().st_size} bytes) has no readable messages ({error}): '
            'is it a rosbag2 file? "ros2 bag reindex" does not repair it',
        ) from error
    tracks: dict[int, Track] = {}
    by_topic: dict[str, Track] = {}
    losses, rows = [], {}
    for number, name, type_name, coding in topics:
        if not (isinstance(name, str) and isinstance(type_name, str)):
            losses.append(f'topic {number} is lost (name {shown(name)}, type {shown(type_name)})')
            continue
        if coding != 'cdr':
            losses.append(f'{shown(name)} is lost (serialised as {shown(coding)}, must be cdr)')
            continue
        if name in by_topic and by_topic[name].type_name != type_name:
            raise two_types(path, name, sorted({by_topic[name].type_name, type_name}))
        if name not in by_topic:  # several publishers of one topic may have a row each
            rows[name] = _Rows(path, stored)
            definition = definitions.get(type_name)
            by_topic[name] = Track(name, type_name, [], rows[name], definition)
        tracks[number] = by_topic[name]
    readable, damage = _index(base, stored.path, tracks, rows)
    base.close()
    if damage:
        losses.append(damage)
    if not any(track.times for track in by_topic.values()):
        raise RecordingError(
            'sqlite-empty', f'recording {path} has no messages ({"; ".join(losses) or "empty"})'
        )
    return Recording(path, by_topic, {}, tuple(losses), readable, not damage)


def _definitions(base: sqlite3.Connection) -> dict[str, Definition]:
    """Return the type definitions of the bag; bags before Iron have none."""
    query = 'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions'
    try:
        return {
            name: Definition(kind, text) for name, kind, text in base.execute(query)
            if isinstance(kind, str) and isinstance(text, str)
        }  # fmt: skip
    except sqlite3.Error:
        return {}


def _index(
    base: sqlite3.Connection, path: Path, tracks: dict[int, Track], rows: dict[str, '_Rows']
) -> tuple[float, str]:
    """
    Add the messages to the tracks, up to the damage.

    :returns: share of the messages that can be read, in [0, 1], and the loss; '' for none
    """
    count, invalid, newest = 0, 0, None
    try:
        for row, topic, time, data in base.execute(QUERY):  # with the data, which may be damaged
            count += 1
            if not (isinstance(time, int) and isinstance(data, bytes)):
                invalid += 1
            elif topic in tracks:
                tracks[topic].times.append(time)
                rows[tracks[topic].topic].ids.append(row)
                rows[tracks[topic].topic].heads.append(data[:HEAD])
                newest = time if newest is None else max(newest, time)
    except sqlite3.Error as error:
        after = '' if newest is None else f' after stamp {newest * 1e-9:.3f} s'
        return _share(base, path, count), f'the rest is lost{after} ({error})'
    if invalid:
        share = (count - invalid) / count
        return share, f'{invalid} messages are lost (no time, or no bytes)'
    return 1.0, ''


def _share(base: sqlite3.Connection, path: Path, count: int) -> float:
    """
    Return the share of messages read, in [0, 1].

    The total is the last message id; if that is lost, the file size in the header is used.
    """
    try:
        (last,) = base.execute('SELECT max(id) FROM messages').fetchone()
        return min(1.0, count / max(int(last or 0), 1))
    except sqlite3.Error:
        with path.open('rb') as file:
            head = file.read(32)
        page = int.from_bytes(head[16:18], 'big')
        expected = int.from_bytes(head[28:32], 'big') * (page if page > 1 else 1 << 16)
        return min(1.0, path.stat().st_size / max(expected, 1))


class _Rows(Sequence[bytes]):
    """The messages of one topic, read from disk on access; their heads are in memory."""

    def __init__(self, path: Path, stored: StoredBag) -> None:
        self.ids: list[int] = []
        self.heads: list[bytes] = []
        self._path, self._stored = path, stored
        self._base: sqlite3.Connection | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> '_Rows': ...

    def __getitem__(self, index: int | slice) -> 'bytes | _Rows':
        if isinstance(index, slice):
            part = _Rows(self._path, self._stored)
            part.ids, part.heads = self.ids[index], self.heads[index]
            return part
        if self._base is None:
            self._base = open_database(self._stored.path)
        try:
            query = 'SELECT data FROM messages WHERE id = ?'
            return bytes(self._base.execute(query, (self.ids[index],)).fetchone()[0])
        except (sqlite3.Error, TypeError) as error:
            raise RecordingError(
                'sqlite-damaged',
                f'{self._path} is damaged at message {self.ids[index]} ({error}): leave it out',
            ) from error
