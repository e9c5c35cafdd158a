# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Salvage of MCAP files: read from front to back, past each damage, up to the end.

Schemas and channels come from the summary, if its checksum is right, and from all chunks: a
damaged chunk takes its own messages with it and no others. The messages that are lost are counted
by topic: by the statistics of the summary, else by the index behind each chunk. What no index
counts is told as a loss of unknown size.
"""

import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO, Final

from mcap.opcode import Opcode
from mcap.records import Channel, Schema

from viva_ros.core.errors import RecordingError
from viva_ros.core.foreign_text import shown
from viva_ros.core.input_limits import CHUNK_LIMIT
from viva_ros.core.regular_file import open_regular
from viva_ros.data.bag.decompression import RATIO, DamageError, expanded_limit
from viva_ros.data.bag.mcap_records import (
    HEAD,
    MAGIC,
    MESSAGE_HEAD,
    ChunkRecord,
    FileSummary,
    index_counts,
    metadata_content,
    next_chunk,
    parse_chunk,
    parse_record,
    read_summary,
    records_in,
)
from viva_ros.data.bag.salvage import MessageData, OpenedChunks, Place, SmallMessages, two_types
from viva_ros.data.bag.topic_count import check_topics
from viva_ros.data.messages import Definition
from viva_ros.data.recording import Recording, Track

STORED_LIMIT: Final = CHUNK_LIMIT + (1 << 16)  # bytes of a record in memory, with the head of one
BLOCK: Final = 1 << 20  # bytes of an attachment that are read at once
PRIVATE: Final = 0x80  # kinds of record from here on belong to other tools
DAY: Final = 86_400_000_000_000  # ns; a longer chunk has damaged times
LOSSES: Final = 20  # texts on single losses
UNKNOWN_TOPIC: Final = 'an unknown topic'


def read_mcap(path: Path) -> Recording:
    """
    Read an MCAP file, as far as it can be read.

    :raises RecordingError: if the file does not exist, or nothing in it can be read
    """
    reading = _Reading(path)
    try:
        with open_regular(path) as file:
            size = path.stat().st_size
            reading.run(file, size)
    except OSError as error:
        raise RecordingError(
            'mcap-unreadable', f'recording {path} cannot be read ({error})'
        ) from error
    if not any(track.times for track in reading.tracks.values()):
        reason = '; '.join(reading.losses) or 'it has no messages'
        raise RecordingError(
            'mcap-empty',
            f'recording {path} ({size} bytes) has no readable messages ({reason}): is it an MCAP '
            'file of ROS 2 messages?',
        )
    return Recording(
        path, reading.tracks, reading.metadata, tuple(reading.losses), reading.readable(size),
        not reading.losses_of_data, lost=reading.lost,
    )  # fmt: skip


class StoredMessages:
    """The messages of one file on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = OpenedChunks(self._open)

    def message(self, place: Place) -> bytes:
        """
        Return the bytes of a message.

        :raises RecordingError: if the file has changed
        """
        offset, number = place
        try:
            return self._opened[offset][number]
        except IndexError as error:
            raise self._changed(error) from error

    def _open(self, offset: int) -> tuple[list[bytes], int]:
        """Return the messages in the record at an offset: a chunk, or one message."""
        try:
            with open_regular(self._path) as file:
                file.seek(offset)
                kind, length = HEAD.unpack(file.read(HEAD.size))
                if length > STORED_LIMIT:
                    raise DamageError(f'a record has {length} bytes')
                content = file.read(length)
            if kind == Opcode.MESSAGE:
                return [content[MESSAGE_HEAD.size :]], length
            inside = parse_chunk(content).records()
            found = [
                inside[begin + MESSAGE_HEAD.size : end]
                for kind, begin, end in records_in(inside) if kind == Opcode.MESSAGE
            ]  # fmt: skip
        except (OSError, ValueError, KeyError, struct.error) as error:
            raise self._changed(error) from error
        return found, sum(map(len, found))

    def _changed(self, error: object) -> RecordingError:
        return RecordingError(
            'mcap-changed',
            f'recording {self._path} has changed since it was opened ({error}): open it again',
        )


class _Reading:
    """
    Collects the records of a file.

    :ivar lost: topic to the number of its messages that are known to be lost; '' for no topic
    :ivar losses_of_data: whether messages or metadata are lost, not only a topic of another kind
    """

    def __init__(self, path: Path) -> None:
        self.tracks: dict[str, Track] = {}
        self.metadata: dict[str, dict[str, Any]] = {}
        self.losses: list[str] = []
        self.lost: dict[str, int] = {}
        self.losses_of_data = False
        self._path, self._small = path, SmallMessages()
        self._stored = StoredMessages(path)
        self._data: dict[str, MessageData] = {}  # of the tracks
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._topics: dict[int, Track | None] = {}  # of the channels; None for those not read
        self._read: Counter[int] = Counter()  # messages of each channel, with those of no track
        self._indexed: Counter[int] = Counter()
        self._missing: Counter[int] = Counter()  # messages without a channel
        self._last: int | None = None
        self._summary: FileSummary | None = None
        self._at, self._intact, self._end = len(MAGIC), 0, 0
        self._checksum: int | None = 0
        self._uncounted = False
        self._more = 0  # losses without a text
        self._size = self._expanded = self._records = 0  # bytes, decompressed bytes, records

    def run(self, file: BinaryIO, size: int) -> None:
        """Read all records up to the end of the data."""
        self._summary, self._size = read_summary(file), size
        self._end = self._summary.start if self._summary else size
        if self._summary:
            self._schemas |= self._summary.schemas
            self._channels |= self._summary.channels
            check_topics(self._path, len(self._channels))
        file.seek(0)
        begin = file.read(len(MAGIC))
        self._checksum = zlib.crc32(begin)
        if begin != MAGIC:
            self._damaged(file, 0, DamageError('the file does not begin as an MCAP file'))
        while 0 <= self._at < self._end:
            at = self._at
            try:
                if not self._record(file):
                    break
            except DamageError as error:
                self._damaged(file, at, error)
        else:
            if self._at == self._end == size and self._summary is None:
                self._lose('the rest', 'the file ends early')
        self._count()

    def readable(self, size: int) -> float:
        """Return the share that was read: of the messages if they are counted, else of bytes."""
        counts = self._summary.counts if self._summary else None
        if not self.losses_of_data:
            return 1.0
        if counts and sum(counts.values()):
            found = sum(min(self._read[one], counts[one]) for one in counts)
            return found / sum(counts.values())
        return min(1.0, self._intact / max(size, 1))

    def _record(self, file: BinaryIO) -> bool:
        """
        Read one record, and go behind it; return False at the end of the data.

        :raises DamageError: if it is damaged, or longer than the file
        """
        file.seek(self._at)
        head = file.read(HEAD.size)
        if len(head) < HEAD.size:
            raise DamageError('the file ends early')
        kind, length = HEAD.unpack(head)
        end = self._at + HEAD.size + length
        if kind == Opcode.DATA_END and length == 4:
            self._check_sum(int.from_bytes(file.read(4), 'little'))
            return False
        if kind == Opcode.FOOTER and length == 20 and end == self._end - len(MAGIC):
            return False
        if end > self._end:
            raise DamageError('the file ends early')
        if kind == Opcode.ATTACHMENT or kind >= PRIVATE:
            self._skip(file, head, length)
        else:
            if length > STORED_LIMIT:
                raise DamageError(f'a record has {length} bytes, at most {CHUNK_LIMIT} are read')
            content = file.read(length)
            self._add(kind, content)
            if self._checksum is not None:
                self._checksum = zlib.crc32(content, zlib.crc32(head, self._checksum))
            self._intact += HEAD.size + length
        self._at = end
        return True

    def _skip(self, file: BinaryIO, head: bytes, length: int) -> None:
        """
        Go past an attachment, or a record of another tool.

        :raises DamageError: if the lengths in an attachment contradict each other
        """
        if head[0] == Opcode.ATTACHMENT:
            begin = file.read(min(length, BLOCK))
            at = 16  # behind its times
            for _ in range(2):  # its name, and its kind
                at += 4 + int.from_bytes(begin[at : at + 4], 'little')
            if (
                at + 8 > len(begin)
                or at + 8 + int.from_bytes(begin[at : at + 8], 'little') + 4 != length
            ):
                raise DamageError('an attachment is damaged')
            file.seek(self._at + HEAD.size)
        self._sum(head)
        while length and (part := file.read(min(length, BLOCK))):
            self._sum(part)
            length -= len(part)
        self._intact += HEAD.size

    def _sum(self, part: bytes) -> None:
        if self._checksum is not None:
            self._checksum = zlib.crc32(part, self._checksum)

    def _check_sum(self, stated: int) -> None:
        """Compare the records with the checksum of the data, if the file has one."""
        if stated and self._checksum is not None and stated != self._checksum:
            self._lose('a record outside of the chunks', 'the checksum of the data differs')

    def _damaged(self, file: BinaryIO, at: int, reason: DamageError) -> None:
        """Note the damage of the record at an offset, and go to the next record or chunk."""
        known = self._summary.chunks if self._summary else frozenset[int]()
        found = self._following(file, at)
        if found < 0:
            found = next_chunk(file, at + 1, self._end, known)
        self._checksum = None
        self._uncounted = True
        self._at = found
        self._lose('the rest' if found < 0 else f'a part of {found - at} bytes', reason)

    def _following(self, file: BinaryIO, at: int) -> int:
        """Return the offset behind a record whose length leads to another one; -1 for none."""
        file.seek(at)
        head = file.read(HEAD.size)
        end = at + HEAD.size + (HEAD.unpack(head)[1] if len(head) == HEAD.size else self._end)
        if end + HEAD.size > self._end:
            return -1
        file.seek(end)
        kind, length = HEAD.unpack(file.read(HEAD.size))
        is_record = Opcode.HEADER <= kind <= Opcode.DATA_END
        return end if is_record and end + HEAD.size + length <= self._end else -1

    def _add(self, kind: int, content: bytes, inside: bool = False) -> None:
        if kind == Opcode.CHUNK and not inside:
            self._add_chunk(content)
        elif kind == Opcode.SCHEMA:
            schema = parse_record(kind, content)
            self._schemas.setdefault(schema.id, schema)
        elif kind == Opcode.CHANNEL:
            channel = parse_record(kind, content)
            self._channels.setdefault(channel.id, channel)
            check_topics(self._path, len(self._channels))
        elif kind == Opcode.MESSAGE and not inside:  # of a file without chunks
            self._add_message(content, (self._at, 0))
        elif kind == Opcode.METADATA and not inside:
            record = parse_record(kind, content)
            self.metadata[record.name] = metadata_content(record)
        elif kind == Opcode.MESSAGE_INDEX and not inside:
            channel, count = index_counts(content)
            self._indexed[channel] += count
        elif not Opcode.HEADER <= kind <= Opcode.DATA_END:
            raise DamageError(f'a record has the unknown kind {kind}')

    def _add_chunk(self, content: bytes) -> None:
        chunk = parse_chunk(content)
        try:
            self._expanded += chunk.size
            if self._expanded > expanded_limit(self._size):
                raise DamageError(
                    f'{self._expanded} bytes decompressed, at most {RATIO} times its size are read'
                )
            records = chunk.records()
            for _ in records_in(records):
                self._records += 1
            if self._records > self._size:  # each takes a byte at least, or it is a bomb
                raise DamageError(f'the file has {self._size} bytes and more records than bytes')
        except DamageError as error:
            self._lose(_duration(chunk), error)
            self._uncounted, self._checksum = True, None
            self._intact -= len(content)
            return
        number = 0
        for kind, begin, end in records_in(records):
            if kind == Opcode.MESSAGE:
                self._add_message(records[begin:end], (self._at, number))
                number += 1
            else:
                self._add(kind, records[begin:end], True)

    def _add_message(self, content: bytes, place: Place) -> None:
        if len(content) < MESSAGE_HEAD.size:
            raise DamageError('a message is truncated')
        number, _, time, _ = MESSAGE_HEAD.unpack_from(content)
        if number not in self._topics:
            channel = self._channels.get(number)
            if channel is None or (channel.schema_id and channel.schema_id not in self._schemas):
                self._missing[number] += 1  # its channel or schema may come later
                return
            self._topics[number] = self._track(channel)
        self._read[number] += 1
        track = self._topics[number]
        if track is not None:
            track.times.append(time)
            self._data[track.topic].add(content[MESSAGE_HEAD.size :], place)
            self._last = time

    def _track(self, channel: Channel) -> Track | None:
        schema = self._schemas.get(channel.schema_id)
        if schema is None or channel.message_encoding != 'cdr':
            encoding = f'encoding {channel.message_encoding!r}'
            self._lose(
                channel.topic, f'{encoding}, must be cdr with a ROS 2 schema', of_data=False
            )
            return None
        known = self.tracks.get(channel.topic)
        if known is not None and known.type_name != schema.name:
            raise two_types(self._path, channel.topic, sorted({known.type_name, schema.name}))
        definition = Definition(schema.encoding, schema.data.decode(errors='replace'))
        data = self._data.setdefault(channel.topic, MessageData(self._stored.message, self._small))
        track = Track(channel.topic, schema.name, data=data, definition=definition)
        return self.tracks.setdefault(channel.topic, track)

    def _count(self) -> None:
        """Count the messages that are lost, by the statistics or by the indexes of the chunks."""
        for number, channel in self._channels.items():
            if number not in self._topics and (
                not channel.schema_id or channel.schema_id in self._schemas
            ):
                self._topics[number] = self._track(channel)  # a topic without messages
        counts = self._summary.counts if self._summary else None
        expected = Counter(self._indexed if counts is None else counts)
        for number in {*expected, *self._missing}:
            missed = max(expected[number] - self._read[number], self._missing[number])
            if missed <= 0:
                continue
            topic = self._channels[number].topic if number in self._channels else ''
            self.lost[topic] = self.lost.get(topic, 0) + missed
        if self._more:
            self.losses.append(f'{self._more} more parts are lost')
        if self.lost:
            each = ', '.join(
                f'{count} of {shown(topic) or UNKNOWN_TOPIC}'
                for topic, count in sorted(self.lost.items())
            )
            at_least = 'at least ' if counts is None and self._uncounted else ''
            self.losses.append(f'{at_least}{sum(self.lost.values())} messages are lost: {each}')
            self.losses_of_data = True

    def _lose(self, part: str, reason: object, of_data: bool = True) -> None:
        self.losses_of_data = self.losses_of_data or of_data
        if len(self.losses) >= LOSSES:
            self._more += 1
            return
        after = '' if self._last is None else f' after stamp {self._last * 1e-9:.3f} s'
        self.losses.append(f'{shown(part)} is lost{after} ({shown(reason)})')


def _duration(chunk: ChunkRecord) -> str:
    """Return the duration of a chunk as text; its times may be damaged, too."""
    duration = chunk.end - chunk.start
    return f'{duration * 1e-9:.1f} s of messages' if 0 <= duration < DAY else 'a chunk of messages'
