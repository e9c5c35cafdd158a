# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reading ROS 1 bags through ``rosbags.highlevel.AnyReader``.

Messages become CDR, as ROS 2 writes them, on access; they are in the order of the file. A file
without its index, or with damage, is refused: ``rosbag reindex`` of ROS 1 writes the index. Chunks
and definitions are read up to the limits of ``core.input_limits``.
"""

import os
import shlex
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, Nodetype
from rosbags.rosbag1 import Reader
from rosbags.rosbag1.reader import Chunk, ChunkInfo, Header, IndexData, RecordType, read_uint32
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from viva_ros.core.errors import RecordingError
from viva_ros.core.foreign_text import shown
from viva_ros.core.input_limits import CHUNK_LIMIT, DEFINITION_LIMIT
from viva_ros.data.bag.decompression import DamageError, decompress
from viva_ros.data.bag.salvage import HEAD, OpenedChunks, SmallMessages, two_types
from viva_ros.data.bag.topic_count import check_topics
from viva_ros.data.definition_check import check_definition
from viva_ros.data.messages import Definition, without_comments
from viva_ros.data.recording import Recording, Track

ALL_DEFINITIONS: Final = 1 << 20  # characters of the definitions of all topics
SUFFIX: Final = '.bag'
ACTIVE: Final = '.active'  # further suffix of a file that a recorder has not finished
MESSAGE, CONNECTION = b'\x04\x00\x00\x00op=\x02', b'\x04\x00\x00\x00op=\x07'
HEADER: Final = 'std_msgs/msg/Header'  # its number is dropped by the conversion
Place = tuple[int, int]  # offset of the chunk in the file, of the message in the chunk


def read_ros1(path: Path) -> Recording:
    """
    Read a ROS 1 bag; large messages stay on disk.

    :raises RecordingError: if it has no index or no messages, or is damaged
    """
    if path.suffix != SUFFIX:
        raise RecordingError(
            'ros1-unfinished',
            f'recording {path} is not finished: run "rosbag reindex {path.name}" of ROS 1, and '
            f'rename it to {path.name.removesuffix(ACTIVE)}',
        )
    try:
        bag = AnyReader([path])
        bag.readers = [LimitedReader(path)]
        with bag as reader:
            return _read(path, reader)
    except RecordingError:
        raise
    except Exception as error:  # parsers and decompressors raise errors of many types
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> RecordingError:
    try:
        with LimitedReader(path):
            is_indexed = not isinstance(error, DamageError)
    except Exception:  # as above
        is_indexed = False
    if is_indexed:
        return RecordingError(
            'ros1-definitions',
            f'the message definitions of recording {path} cannot be used ({error}): convert it '
            f'with "rosbags-convert --src {path} --dst {path.with_suffix("")}"',
        )
    return RecordingError(
        'ros1-damaged',
        f'recording {path} ({path.stat().st_size} bytes) is damaged or has no index '
        f'({type(error).__name__}: {error}): run "rosbag reindex {path}" of ROS 1, and move the '
        f'old file that it keeps as {path.stem}.orig.bag to another folder',
    )


def ros1_times(path: Path) -> tuple[int, int] | None:
    """
    Return the first and the last receive time of a bag, ns; None if it has no messages.

    :raises Exception: if it is damaged
    """
    with LimitedReader(path) as reader:
        return (reader.start_time, reader.end_time - 1) if reader.chunk_infos else None


def has_no_messages(path: Path) -> bool:
    """Return whether a bag is intact, and has no messages."""
    try:
        return path.suffix == SUFFIX and ros1_times(path) is None
    except Exception:  # as above
        return False


class LimitedReader(Reader):
    """
    Reads a bag without trust in its sizes.

    Its chunks are decompressed up to the size that they declare. An index that lists a chunk
    twice, or whose parts overlap, is refused: it would take all memory.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._listed: set[int] = set()  # places of chunks
        self._topics = self._definitions = 0
        self._left = path.stat().st_size  # bytes that the index may still have

    def read_chunk_info(self) -> ChunkInfo:
        """Return what the index says about a chunk."""
        info = super().read_chunk_info()
        if info.pos in self._listed:
            raise DamageError(f'the index has the chunk at byte {info.pos} twice')
        self._listed.add(info.pos)
        return info

    def read_chunk(self) -> Chunk:
        """
        Return sizes and place of a chunk.

        :raises RecordingError: if it is above the limit
        """
        assert self.bio is not None
        at = self.bio.tell()
        header = Header.read(self.bio, RecordType.CHUNK)
        compression, size = header.get_string('compression'), header.get_uint32('size')
        stored = read_uint32(self.bio)
        if (largest := max(size, stored)) > CHUNK_LIMIT:
            out = Path(str(self.path)).with_suffix('.filtered.bag')
            files = shlex.join([str(self.path), str(out)])
            raise RecordingError(
                'ros1-chunk-size',
                f'recording {self.path}: the chunk at byte {at} has {largest} bytes, at most '
                f'{CHUNK_LIMIT} are read: write it again, with chunks of the usual size, by '
                f'"rosbag filter {files} True" of ROS 1',
            )
        place = self.bio.tell()
        self.bio.seek(stored, os.SEEK_CUR)
        kind = '' if compression == 'none' else compression
        return Chunk(stored, place, partial(decompress, compression=kind, size=size))

    def read_index_data(self, pos: int, indexes: dict[int, list[IndexData]]) -> None:
        """Read where the messages of a topic are in a chunk."""
        assert self.bio is not None
        begin = self.bio.tell()
        super().read_index_data(pos, indexes)
        self._left -= self.bio.tell() - begin
        if self._left < 0:
            raise DamageError('the parts of the index overlap')

    def read_connection(self) -> Connection:
        """
        Return a topic with its definition.

        :raises RecordingError: if the definition, or the number of topics, is above the limit
        """
        self._topics += 1
        check_topics(self.path, self._topics)
        found = super().read_connection()
        text = without_comments(found.msgdef.data)
        self._definitions += len(text)
        if self._definitions > ALL_DEFINITIONS:
            raise RecordingError(
                'ros1-definitions-size',
                f'recording {self.path}: the definitions of its topics have more than '
                f'{ALL_DEFINITIONS} characters, which is the limit: write the topics of the robot '
                'to another bag with "rosbag filter" of ROS 1, or leave it out',
            )
        if (size := len(found.msgdef.data)) > DEFINITION_LIMIT:
            raise RecordingError(
                'ros1-definition-size',
                f'recording {self.path}: the definition of {shown(found.msgtype)} has {size} '
                f'characters, at most {DEFINITION_LIMIT} are read: no package of ROS has such a '
                'type; check where the recording comes from, and leave it out',
            )
        return found._replace(msgdef=found.msgdef._replace(data=text))


def _read(path: Path, reader: AnyReader) -> Recording:
    bag: Any = reader.readers[0]
    indexed = Counter({one.id: len(bag.indexes[one.id]) for one in reader.connections})
    counted: Counter[int] = Counter()
    for info in bag.chunk_infos:
        counted.update(info.connection_counts)
    if counted != indexed or not indexed.total():
        raise DamageError(f'the index has {indexed.total()} messages of {counted.total()}')
    store = _with_header(reader.typestore)
    small = SmallMessages()
    chunks = _Chunks(path, {place: tuple(one) for place, one in bag.chunks.items()})
    tracks: dict[str, Track] = {}
    data: dict[int, _Messages] = {}
    for one in reader.connections:
        topic = f'/{one.topic.lstrip("/")}'
        check_definition(store.fielddefs, one.msgtype)
        known = tracks.get(topic)
        if known is not None and known.type_name != one.msgtype:
            raise two_types(path, topic, sorted({known.type_name, one.msgtype}))
        track = known or _track(topic, one, _Messages(path, chunks, one.msgtype, store, small))
        tracks[topic] = track
        data[one.id] = track.data  # type: ignore[assignment]
    entries = sorted(
        (entry.chunk_pos, entry.offset, entry.time, one.id)
        for one in reader.connections for entry in bag.indexes[one.id]
    )  # fmt: skip
    for chunk, offset, time, connection in entries:
        data[connection].add((chunk, offset), time)
    chunks.opened.clear()
    return Recording(path, tracks, {}, ())


def _track(topic: str, connection: Connection, data: '_Messages') -> Track:
    definition = Definition('ros2msg', connection.msgdef.data)
    return Track(topic, connection.msgtype, data.times, data, definition)


class _Chunks:
    """The chunks of one bag."""

    def __init__(self, path: Path, places: Mapping[int, tuple[Any, ...]]) -> None:
        self._path = path
        self._places = places  # offset to size, offset of the data, decompressor
        self.opened = OpenedChunks(self._open)

    def message(self, place: Place, time: int) -> bytes:
        """Return the bytes of a message as ROS 1 has written them."""
        chunk, offset = place
        return _message(self.opened[chunk], offset, time)

    def _open(self, chunk: int) -> tuple[bytes, int]:
        size, start, decompress = self._places[chunk]
        with self._path.open('rb') as file:
            file.seek(start)
            found = bytes(decompress(file.read(size)))
        return found, len(found)


def _message(chunk: bytes, offset: int, time: int) -> bytes:
    """Return a message of a chunk; descriptions of connections before it are skipped."""
    while True:
        (size,) = struct.unpack_from('<I', chunk, offset)
        fields = chunk[offset + 4 : offset + 4 + size]
        (length,) = struct.unpack_from('<I', chunk, offset + 4 + size)
        begin = offset + 8 + size
        if CONNECTION not in fields:
            break
        offset = begin + length
    stamp = b'time=' + struct.pack('<II', *divmod(time, 10**9))
    if MESSAGE not in fields or stamp not in fields or begin + length > len(chunk):
        raise DamageError('the index and the messages differ')
    return chunk[begin : begin + length]


class _Messages(Sequence[bytes]):
    """The messages of one topic as CDR, in the order of the file; large ones stay on disk."""

    def __init__(
        self, path: Path, chunks: _Chunks, type_name: str, store: Typestore, small: SmallMessages
    ) -> None:  # fmt: skip
        self.times: list[int] = []  # ns
        self.heads: list[bytes] = []
        self._path, self._chunks, self._type, self._store = path, chunks, type_name, store
        self._messages: list[bytes | Place] = []
        self._differs, self._small = _differing(store, type_name), small

    def add(self, place: Place, time: int) -> None:
        """Append a message."""
        cdr = b'' if self._differs else self._convert(place, time)
        self.times.append(time)
        self.heads.append(cdr[:HEAD])
        self._messages.append(cdr if self._small.keeps(len(cdr)) else place)

    def _convert(self, place: Place, time: int) -> bytes:
        return bytes(self._store.ros1_to_cdr(self._chunks.message(place, time), self._type))

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if self._differs:
            raise RecordingError(
                'ros1-type',
                f'recording {self._path}: {self._type} has {self._differs} with other fields in '
                'ROS 1 than in ROS 2: leave its topic out of the map, or convert the recording '
                'with "rosbags-convert"',
            )
        message = self._messages[index]
        if isinstance(message, bytes):
            return message
        try:
            return self._convert(message, self.times[index])
        except Exception as error:  # as in ``read_ros1``
            raise RecordingError(
                'ros1-changed',
                f'recording {self._path} has changed since it was opened ({error}): open it again',
            ) from error


@cache
def _ros2_types() -> Typestore:
    return get_typestore(Stores.ROS2_KILTED)


def _with_header(recorded: Typestore) -> Typestore:
    """Return the recorded types with the header of ROS 2, which the conversion writes."""
    store = get_typestore(Stores.EMPTY)
    store.register({**recorded.fielddefs, HEADER: _ros2_types().fielddefs[HEADER]})
    return store


def _differing(store: Typestore, type_name: str) -> str:
    """Return the first type of ROS 2, of a message or its fields, that was different in ROS 1."""
    known = _ros2_types()
    fields = store.fielddefs[type_name][1]
    if type_name in known.types:
        ours = known.fielddefs[type_name][1]
        if [kind for _, kind in fields] != [kind for _, kind in ours]:
            return type_name
    for _, kind in fields:
        base: Any = kind[1][0] if kind[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE) else kind
        if base[0] == Nodetype.NAME and (found := _differing(store, base[1])):
            return found
    return ''
