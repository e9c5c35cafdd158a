# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reading a recording: an MCAP file of ROS 2 messages, whole or torn.

The file is read front to back and its index is not needed, so a file that was cut short, or has a
damaged chunk in its middle, gives what it still holds; ``losses`` says what it does not.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mcap.exceptions import EndOfFile, McapError
from mcap.records import Channel, Chunk, DataEnd, McapRecord, Message, Metadata, Schema
from mcap.stream_reader import StreamReader, breakup_chunk

from viva_ros.core.errors import RecordingError
from viva_ros.data.episode import Episode
from viva_ros.data.messages import deserialise

# What a library made for whole files may meet in a torn one.
TORN: Final = (
    McapError, ValueError, KeyError, IndexError, TypeError, EOFError, OverflowError, MemoryError,
    OSError, struct.error,
)  # fmt: skip
RECORD_LIMIT: Final = 1 << 30  # bytes: a longer record is a damaged length


@dataclass(frozen=True)
class Track:
    """One topic: type, and the messages in the order of the file with receive times, ns."""

    topic: str
    type_name: str
    times: list[int] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)

    def messages(self) -> Iterator[tuple[int, Any]]:
        """Give receive times and messages."""
        for time, cdr in zip(self.times, self.data, strict=True):
            yield time, deserialise(self.type_name, cdr)


@dataclass(frozen=True)
class Recording:
    """
    What a file holds.

    :param tracks: by topic, absolute
    :param metadata: by the name of the record
    :param losses: what could not be read, for a person; empty for a whole file
    """

    path: Path
    tracks: Mapping[str, Track]
    metadata: Mapping[str, Mapping[str, Any]]
    losses: tuple[str, ...]

    def find(self, name: str) -> Track | None:
        """
        Find the topic of a relative name, in whatever namespace.

        :raises RecordingError: if two namespaces have it
        """
        found = [track for topic, track in self.tracks.items() if f'/{topic}'.endswith(f'/{name}')]
        if len(found) > 1:
            topics = ', '.join(track.topic for track in found)
            raise RecordingError(f'{self.path} has {topics}: record one robot to a file')
        return found[0] if found else None

    def messages(self, name: str) -> list[tuple[int, Any]]:
        """Give receive times and messages of a topic; empty if it was not recorded."""
        track = self.find(name)
        return list(track.messages()) if track else []

    def episodes(self) -> list[Episode]:
        """
        Give the episodes with at least one frame of some camera.

        :raises RecordingError: if there are no cameras or no joints
        """
        from viva_ros.data.episodes import episodes  # which is made of recordings

        return episodes(self)


def read(path: Path) -> Recording:
    """
    Read a recording, as far as it can be read.

    :raises RecordingError: if there is no such file, or nothing in it can be read
    """
    reading = _Reading()
    try:
        with path.open('rb') as file:
            reading.run(StreamReader(file, emit_chunks=True, record_size_limit=RECORD_LIMIT))
            size = path.stat().st_size
    except OSError as error:
        raise RecordingError(f'recording {path} cannot be read ({error})') from error
    if not reading.tracks:
        why = '; '.join(reading.losses) or 'it has no messages'
        raise RecordingError(
            f'recording {path} ({size} bytes) has nothing to read ({why}): is it an MCAP file '
            'of ROS 2 messages?'
        )
    return Recording(path, reading.tracks, reading.metadata, tuple(reading.losses))


class _Reading:
    """Gathers the records of a file."""

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.metadata: dict[str, dict[str, Any]] = {}
        self.losses: list[str] = []
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Track | None] = {}
        self._last: int | None = None

    def run(self, reader: StreamReader) -> None:
        """Take in all records up to the end, or to the damage."""
        try:
            for record in reader.records:
                self._add(record)
                if isinstance(record, DataEnd):  # only the index follows
                    return
        except EndOfFile:
            self._lose('the rest', 'the file ends early')
        except TORN as error:
            self._lose('the rest', error)

    def _add(self, record: McapRecord) -> None:
        if isinstance(record, Chunk):
            self._add_chunk(record)
        elif isinstance(record, Schema):
            self._schemas[record.id] = record
        elif isinstance(record, Channel):
            self._channels.setdefault(record.id, self._track(record))
        elif isinstance(record, Message):
            self._add_message(record)
        elif isinstance(record, Metadata):
            self._add_metadata(record)

    def _add_chunk(self, chunk: Chunk) -> None:
        try:
            records = breakup_chunk(chunk, validate_crc=True)
        except Exception as error:  # decompressors raise errors of their own
            seconds = (chunk.message_end_time - chunk.message_start_time) * 1e-9
            self._lose(f'{seconds:.1f} s of messages', error)
            return
        for record in records:
            self._add(record)

    def _track(self, channel: Channel) -> Track | None:
        schema = self._schemas.get(channel.schema_id)
        if schema is None or channel.message_encoding != 'cdr':
            encoding = f'encoding {channel.message_encoding!r}'
            self._lose(channel.topic, f'{encoding}, must be cdr with a ROS 2 schema')
            return None
        return self.tracks.setdefault(channel.topic, Track(channel.topic, schema.name))

    def _add_message(self, message: Message) -> None:
        track = self._channels.get(message.channel_id)
        if track is not None:
            track.times.append(message.log_time)
            track.data.append(message.data)
            self._last = message.log_time

    def _add_metadata(self, record: Metadata) -> None:
        try:
            content = {key: json.loads(text) for key, text in record.metadata.items()}
        except ValueError:  # written by another tool
            content = dict(record.metadata)
        self.metadata[record.name] = content

    def _lose(self, what: str, why: object) -> None:
        after = '' if self._last is None else f' after stamp {self._last * 1e-9:.3f} s'
        detail = f'{type(why).__name__}: {why}' if isinstance(why, Exception) else why
        self.losses.append(f'{what} is lost{after} ({detail})')
