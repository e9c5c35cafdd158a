# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reading intact bags, including compressed ones, through ``rosbags.rosbag2.Reader``.

It relies on the index of a file and sorts messages by receive time. This module therefore refuses
a bag whose message counts differ from the index, or in which the receive times of a topic go back:
sorting would mix two intervals and hide that the clock was set.
"""

import os
import struct
import weakref
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from mcap.opcode import Opcode
from mcap.reader import make_reader
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader

from viva_ros.core.errors import RecordingError
from viva_ros.core.input_limits import CHUNK_LIMIT, DEFINITION_LIMIT, MESSAGE_LIMIT
from viva_ros.core.regular_file import open_regular
from viva_ros.data.bag.compressed_bag import BagSizeError, UncompressedBag
from viva_ros.data.bag.database import StoredBag, check_tables, open_database
from viva_ros.data.bag.decompression import decompress, expanded_limit
from viva_ros.data.bag.mcap_records import metadata_content, read_summary
from viva_ros.data.bag.metadata import read_metadata
from viva_ros.data.bag.salvage import HEAD, SmallMessages
from viva_ros.data.bag.topic_count import TopicCountError, check_topics
from viva_ros.data.messages import Definition
from viva_ros.data.recording import Recording, Track

LANGUAGES: Final = {
    MessageDefinitionFormat.MSG: 'ros2msg', MessageDefinitionFormat.IDL: 'ros2idl',
}  # fmt: skip
CHUNK_DATA: Final = 49  # bytes of a chunk before its data, without the name of its compression
DATA_END: Final = 13  # bytes of the record behind the data
ENTRY: Final = 16  # bytes of a message in the index of a chunk
BLOCK: Final = 1 << 20  # bytes that are read at once
SKIP_LIMIT: Final = 8  # messages skipped in the stream before a new search by time
INDEXES: Final = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'messages'"
#: Table and column of a database, and the most bytes in a row.
SIZES: Final = (
    ('messages', 'data', MESSAGE_LIMIT),
    ('message_definitions', 'encoded_message_definition', DEFINITION_LIMIT),
)
STEPS_BACK: Final = """
SELECT total(step < 0) FROM (
  SELECT timestamp - lag(timestamp) OVER (PARTITION BY topic_id ORDER BY id) AS step
  FROM messages)
"""


class NotIntactError(Exception):
    """A bag that ``rosbags`` cannot read, or would return in another order."""


def read_intact(path: Path) -> Recording:
    """
    Read a bag file, or a folder with ``metadata.yaml``; large messages stay on disk.

    :raises NotIntactError: if it is damaged, or receive times go back
    :raises BagSizeError: if rosbag2 has compressed it, and it is too large
    :raises TopicCountError: if it has too many topics
    """
    try:
        return _read(path)
    except (NotIntactError, BagSizeError, TopicCountError):
        raise
    except Exception as error:  # parsers and decompressors raise errors of many types
        raise NotIntactError(f'{type(error).__name__}: {error}') from error


def _read(path: Path) -> Recording:
    bag = UncompressedBag(path)
    for file in _files(bag.path, '.mcap'):
        _check_mcap_sizes(file)
    for file in _files(bag.path, '.db3'):
        _check_sqlite_sizes(file)
    if bag.path.is_dir():
        check_topics(path, len(read_metadata(bag.path).get('topics_with_message_count') or ()))
    source, small = Source(bag), SmallMessages()
    metadata: dict[str, Any] = {}
    for file in source.files():
        metadata |= _check_sqlite(file) if file.suffix == '.db3' else _check_mcap(file)
    reader = source.reader
    data: dict[str, IndexedMessages] = {}
    tracks: dict[str, Track] = {}
    for one in reader.connections:
        if one.topic in tracks and tracks[one.topic].type_name != one.msgtype:
            raise NotIntactError(f'{one.topic} has two types')
        if one.topic not in tracks:
            data[one.topic] = IndexedMessages(path, source, one.topic, small)
            tracks[one.topic] = _track(one, data[one.topic])
    counts = Counter({_key(one): 0 for one in reader.connections})
    for connection, time, message in source.messages():
        counts[_key(connection)] += 1
        times = data[connection.topic].times
        if times and time < times[-1]:  # in a later file: within one, messages are sorted
            raise NotIntactError('receive times go back')
        data[connection.topic].add(time, message)
    expected = {_key(one): one.msgcount for one in reader.connections}
    if dict(counts) != expected or not counts.total():
        raise NotIntactError(f'{counts.total()} messages of {sum(expected.values())}')
    return Recording(path, tracks, metadata, ())


def _files(path: Path, suffix: str) -> list[Path]:
    """Return the files of a bag in a format."""
    if path.is_dir():
        return [one for one in sorted(path.iterdir()) if one.suffix == suffix]
    own = '.db3' if path.suffix == '.db3' else '.mcap'  # MCAP may have any suffix
    return [path] if own == suffix else []


def _check_sqlite_sizes(path: Path) -> None:
    """Check the tables and the sizes in them before ``rosbags`` believes them."""
    stored = StoredBag(path)  # its copy is deleted with it
    with closing(open_database(stored.path)) as base:
        check_tables(base)
        if base.execute('SELECT count(*) > count(DISTINCT id) FROM topics').fetchone()[0]:
            raise NotIntactError('two topics have one number')  # each message would be of both
        check_topics(path, base.execute('SELECT count(*) FROM topics').fetchone()[0])
        known = {name for (name,) in base.execute('SELECT name FROM sqlite_master')}
        for table, column, limit in SIZES:
            if table not in known:  # bags before Iron have no definitions
                continue
            query = f'SELECT max(length({column})) FROM {table}'
            if int(base.execute(query).fetchone()[0] or 0) > limit:
                raise NotIntactError(f'{table} has more than {limit} bytes in a row')


def _key(connection: Connection) -> tuple[int, int]:
    return id(connection.owner), connection.id


def _track(connection: Connection, data: 'IndexedMessages') -> Track:
    coding = getattr(connection.ext, 'serialization_format', '')
    if coding != 'cdr':
        raise NotIntactError(f'{connection.topic} is serialised as {coding!r}')
    language = LANGUAGES.get(connection.msgdef.format)
    definition = Definition(language, connection.msgdef.data) if language else None
    return Track(connection.topic, connection.msgtype, data.times, data, definition)


class Source:
    """An open bag; it is closed when the last topic of the recording is released."""

    def __init__(self, bag: UncompressedBag) -> None:
        self._bag, self._stored = bag, StoredBag(bag.path)
        self._open()

    def _open(self) -> None:
        self._process = os.getpid()
        self._reader = Reader(self._stored.path)  # AnyReader parses the definition of each topic
        self._reader.open()
        weakref.finalize(self, _close, self._reader)

    @property
    def reader(self) -> Reader:
        """Return the reader of this process; after a fork a file position must not be shared."""
        if self._process != os.getpid():
            self._open()
        return self._reader

    def messages(
        self, topic: str = '', start: int | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """
        Yield connection, receive time, ns, and bytes of the messages.

        :param topic: '' for all
        :param start: earliest receive time, ns; None for all
        """
        reader = self.reader
        chosen = [one for one in reader.connections if topic in ('', one.topic)]
        for connection, time, data in reader.messages(chosen, start=start):
            yield connection, time, self._bag.message(connection.topic, data)

    def files(self) -> list[Path]:
        """Return the storage files, decompressed if the bag is compressed by file."""
        storage: Any = self.reader.storage
        return [Path(one.path) for one in getattr(storage, 'storages', [storage])]


def _close(reader: Reader) -> None:
    with suppress(Exception):
        reader.close()


class IndexedMessages(Sequence[bytes]):
    """The messages of one topic, ordered by receive time; large ones are read on access."""

    def __init__(self, path: Path, source: Source, topic: str, small: SmallMessages) -> None:
        self.times: list[int] = []  # ns
        self.heads: list[bytes] = []
        self._path, self._source, self._topic, self._small = path, source, topic, small
        self._messages: list[bytes | None] = []
        # Messages after the last one read: sequential access opens each chunk once.
        self._reader: Reader | None = None
        self._stream: Iterator[bytes] = iter(())
        self._next = 0

    def add(self, time: int, message: bytes) -> None:
        """Append a message."""
        self.times.append(time)
        self.heads.append(bytes(message[:HEAD]))
        self._messages.append(bytes(message) if self._small.keeps(len(message)) else None)

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        message = self._messages[index]
        if message is not None:
            return message
        reason: object = 'a message differs'
        try:
            found = self._read(index)
            if found[:HEAD] == self.heads[index]:
                return bytes(found)
        except Exception as error:  # as in ``read_intact``
            reason = error
        raise RecordingError(
            'bag-changed',
            f'recording {self._path} has changed since it was opened ({reason}): open it again',
        )

    def _read(self, index: int) -> bytes:
        reader = self._source.reader
        if reader is not self._reader or not 0 <= index - self._next < SKIP_LIMIT:
            time = self.times[index]
            self._reader = reader
            self._stream = (one for _, _, one in self._source.messages(self._topic, time))
            self._next = bisect_left(self.times, time)
        skipped, self._next = index - self._next, index + 1
        return next(islice(self._stream, skipped, None))


def _check_sqlite(path: Path) -> Mapping[str, Any]:
    """Check the pages and the index of a file, and the order of its messages."""
    with closing(open_database(path)) as base:
        (found,) = base.execute('PRAGMA integrity_check(1)').fetchone()
        if found != 'ok':
            raise NotIntactError(str(found))
        if base.execute(INDEXES).fetchone() is None:
            raise NotIntactError('it has no index')
        (back,) = base.execute(STEPS_BACK).fetchone()
    if back:
        raise NotIntactError('receive times go back')
    return {}


def _check_mcap(path: Path) -> Mapping[str, Any]:
    """
    Check the index of a file, and the order of its messages.

    :returns: its metadata records
    """
    with open_regular(path) as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        # Without chunks ``rosbags`` reads from the front, and only one topic at a time.
        if summary is None or summary.statistics is None or not summary.chunk_indexes:
            raise NotIntactError('it has no index')
        statistics = summary.statistics
        records = list(reader.iter_metadata())
        found = (len(summary.chunk_indexes), len(records))
        if found != (statistics.chunk_count, statistics.metadata_count):
            raise NotIntactError(f'the index has {found} chunks and metadata records')
        newest: dict[str, int] = {}
        left = path.stat().st_size  # bytes that the indexes of the chunks may still have
        for chunk in sorted(summary.chunk_indexes, key=lambda one: one.chunk_start_offset):
            by_topic: dict[str, list[tuple[int, int]]] = {}
            for channel, offset in chunk.message_index_offsets.items():
                entries = by_topic.setdefault(summary.channels[channel].topic, [])
                own = _offsets_and_times(file, offset)
                entries += own
                if (left := left - ENTRY * len(own)) < 0:
                    raise NotIntactError('the indexes of its chunks overlap')
            for topic, entries in by_topic.items():
                for _, time in sorted(entries):
                    if time < newest.get(topic, 0):
                        raise NotIntactError('receive times go back')
                    newest[topic] = time
    return {record.name: metadata_content(record) for record in records}


def _check_mcap_sizes(path: Path) -> None:
    """Check the checksums and the sizes of a file before ``rosbags`` believes them."""
    with open_regular(path) as file:
        found = read_summary(file)
        if found is None:
            raise NotIntactError('it has no index, or the checksum of the index differs')
        if not found.is_indexed:  # all chunks would be decompressed, of any size
            raise NotIntactError('its index is not complete')
        check_topics(path, len(found.channels))
        for schema in found.schemas.values():
            if len(schema.data) > DEFINITION_LIMIT:
                raise NotIntactError(
                    f'the definition of {schema.name} has {len(schema.data)} bytes'
                )
        file.seek(0)
        summary = make_reader(file).get_summary()
        chunks = summary.chunk_indexes if summary else []
        if sum(chunk.compressed_size for chunk in chunks) > path.stat().st_size:
            raise NotIntactError('its chunks overlap')
        if sum(chunk.uncompressed_size for chunk in chunks) > expanded_limit(path.stat().st_size):
            raise NotIntactError('its chunks are too large, decompressed')
        for chunk in chunks:
            if max(chunk.compressed_size, chunk.uncompressed_size) > CHUNK_LIMIT:
                raise NotIntactError(f'a chunk has {chunk.uncompressed_size} bytes')
            if chunk.compression:
                file.seek(chunk.chunk_start_offset + CHUNK_DATA + len(chunk.compression))
                stored = file.read(chunk.compressed_size)
                decompress(stored, chunk.compression, chunk.uncompressed_size)
        _check_data(file, found.start)


def _check_data(file: BinaryIO, end: int) -> None:
    """Compare the records with the checksum of the data, if the file has one."""
    file.seek(end - DATA_END)
    kind, length, stated = struct.unpack('<BQI', file.read(DATA_END))
    if (kind, length) != (Opcode.DATA_END, 4):
        raise NotIntactError('its data have no end')
    if not stated:
        return
    file.seek(0)
    left, found = end - DATA_END, 0
    while left > 0 and (part := file.read(min(left, BLOCK))):
        found, left = zlib.crc32(part, found), left - len(part)
    if found != stated:
        raise NotIntactError('the checksum of the data differs')


def _offsets_and_times(file: BinaryIO, offset: int) -> list[tuple[int, int]]:
    """Return offset in the chunk and receive time, ns, of one channel's messages in a chunk."""
    file.seek(offset)
    opcode, _, _, size = struct.unpack('<BQHI', file.read(15))
    if opcode != Opcode.MESSAGE_INDEX:
        raise NotIntactError('the index is damaged')
    return [(start, time) for time, start in struct.iter_unpack('<QQ', file.read(size))]
