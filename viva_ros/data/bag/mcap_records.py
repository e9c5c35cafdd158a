# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Records of MCAP files, read without trust in their sizes.

A chunk is decompressed up to ``CHUNK_LIMIT`` and to the size that it declares; a record must be as
long as its content. The summary at the end of a file counts only if its checksum is right.
"""

import io
import mmap
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata, Schema, Statistics

from viva_ros.core.input_limits import CHUNK_LIMIT
from viva_ros.core.json_reader import parse_json
from viva_ros.data.bag.decompression import DamageError, decompress

MAGIC: Final = b'\x89MCAP0\r\n'  # at the beginning of a file, and at its end
HEAD: Final = struct.Struct('<BQ')  # of a record: its kind and the length of its content
CHUNK_HEAD: Final = struct.Struct('<QQQII')  # times, size, checksum, length of the compression
MESSAGE_HEAD: Final = struct.Struct('<HIQQ')  # channel, number, receive time, time of publishing
FOOTER: Final = struct.Struct('<BQQQI8s')
#: A chunk in the middle of damaged data: its kind, sizes below 4 GiB, and its compression.
CHUNK: Final = re.compile(
    rb'\x06.{4}\x00{4}.{16}.{4}\x00{4}.{4}(?:\x00{4}|\x03\x00{3}lz4|\x04\x00{3}zstd)', re.DOTALL
)
PARSE_ERRORS: Final = (McapError, ValueError, struct.error, EOFError, KeyError)


@dataclass(frozen=True)
class ChunkRecord:
    """
    A chunk as it is stored.

    :param start: earliest receive time, ns
    :param end: latest receive time, ns
    :param size: of the records in it, bytes
    :param checksum: of the records in it; 0 for none
    :param data: compressed
    """

    start: int
    end: int
    size: int
    checksum: int
    compression: str
    data: bytes

    def records(self) -> bytes:
        """
        Return the records in it.

        :raises DamageError: if they are larger than the limit or than declared, or the checksum
            differs
        """
        content = decompress(self.data, self.compression, self.size)
        if self.checksum and zlib.crc32(content) != self.checksum:
            raise DamageError('the checksum of the chunk differs')
        return content


def parse_chunk(content: bytes) -> ChunkRecord:
    """
    Return the chunk in the content of a record.

    :raises DamageError: if its lengths contradict each other
    """
    try:
        start, end, size, checksum, length = CHUNK_HEAD.unpack_from(content)
        at = CHUNK_HEAD.size + length
        compression = content[CHUNK_HEAD.size : at].decode('ascii')
        (stored,) = struct.unpack_from('<Q', content, at)
    except (struct.error, UnicodeDecodeError) as error:
        raise DamageError(f'the chunk is damaged ({error})') from error
    if at + 8 + stored != len(content):
        raise DamageError(f'the chunk has {len(content) - at - 8} bytes, must have {stored}')
    return ChunkRecord(start, end, size, checksum, compression, content[at + 8 :])


def records_in(content: bytes) -> Iterator[tuple[int, int, int]]:
    """
    Yield kind, begin and end of the content of each record in a chunk.

    :raises DamageError: if a record ends behind the chunk
    """
    at = 0
    while at < len(content):
        if at + HEAD.size > len(content):
            raise DamageError('a record in the chunk is truncated')
        kind, length = HEAD.unpack_from(content, at)
        at += HEAD.size + length
        if at > len(content):
            raise DamageError('a record in the chunk is truncated')
        yield kind, at - length, at


def parse_record(kind: int, content: bytes) -> Any:
    """
    Return a schema, channel, statistics or metadata record.

    :raises DamageError: if it is not exactly as long as its content
    """
    types: dict[int, Any] = {
        Opcode.SCHEMA: Schema, Opcode.CHANNEL: Channel, Opcode.STATISTICS: Statistics,
        Opcode.METADATA: Metadata,
    }  # fmt: skip
    stream = ReadDataStream(io.BytesIO(content))
    try:
        found = types[kind].read(stream)
    except PARSE_ERRORS as error:
        raise DamageError(f'a record is damaged ({type(error).__name__}: {error})') from error
    if stream.count != len(content):
        raise DamageError(f'a record has {len(content)} bytes, its content {stream.count}')
    return found


def metadata_content(record: Metadata) -> dict[str, Any]:
    """Return the entries of a metadata record; decoded if all of them are JSON."""
    try:
        return {key: parse_json(text) for key, text in record.metadata.items()}
    except ValueError:  # written by another tool
        return dict(record.metadata)


def index_counts(content: bytes) -> tuple[int, int]:
    """
    Return channel and number of messages of a message index.

    :raises DamageError: if its length is not that of its entries
    """
    if len(content) < 6:
        raise DamageError('an index is truncated')
    channel, size = struct.unpack_from('<HI', content)
    if size != len(content) - 6 or size % 16:
        raise DamageError('an index is damaged')
    return int(channel), size // 16


@dataclass(frozen=True)
class FileSummary:
    """
    The summary section of a file.

    :param start: offset of the section
    :param counts: number of messages by channel; None if it has no statistics
    :param metadata_names: of the metadata records
    :param chunks: offsets of the chunks
    :param is_indexed: whether a reader needs nothing but this section to find all messages: it has
        statistics, schemas and a chunk, no chunk twice, and nothing behind its offsets
    :param span: earliest and latest receive time, ns; None without messages or statistics
    """

    start: int
    schemas: Mapping[int, Schema] = field(default_factory=dict)
    channels: Mapping[int, Channel] = field(default_factory=dict)
    counts: Mapping[int, int] | None = None
    metadata_names: tuple[str, ...] = ()
    chunks: frozenset[int] = frozenset()
    is_indexed: bool = False
    span: tuple[int, int] | None = None


def read_summary(file: BinaryIO) -> FileSummary | None:
    """Return the summary of a file; None if it has none, or its checksum differs."""
    size = file.seek(0, io.SEEK_END)
    if size < FOOTER.size + len(MAGIC):
        return None
    file.seek(size - FOOTER.size)
    kind, length, start, _, checksum, magic = FOOTER.unpack(file.read(FOOTER.size))
    is_footer = (kind, length, magic) == (Opcode.FOOTER, 20, MAGIC)
    if not is_footer or not len(MAGIC) <= start <= size - FOOTER.size:
        return None
    if size - start > CHUNK_LIMIT:
        return None
    file.seek(start)
    content = file.read(size - start)
    if checksum and zlib.crc32(content[:-12]) != checksum:
        return None
    try:
        return _parse_summary(start, content[: -FOOTER.size])
    except DamageError:
        return None


def _parse_summary(start: int, content: bytes) -> FileSummary:
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    names: list[str] = []
    chunks: list[int] = []
    kinds: list[int] = []
    counts: Mapping[int, int] | None = None
    span = None
    for kind, begin, end in records_in(content):
        kinds.append(kind)
        if kind == Opcode.SCHEMA:
            schema = parse_record(kind, content[begin:end])
            schemas[schema.id] = schema
        elif kind == Opcode.CHANNEL:
            channel = parse_record(kind, content[begin:end])
            channels[channel.id] = channel
        elif kind == Opcode.STATISTICS:
            found = parse_record(kind, content[begin:end])
            counts = dict(found.channel_message_counts)
            if found.message_count:
                span = int(found.message_start_time), int(found.message_end_time)
        elif kind == Opcode.CHUNK_INDEX:
            if end - begin < 24:
                raise DamageError('an index of a chunk is truncated')
            chunks.append(struct.unpack_from('<QQQ', content, begin)[2])
        elif kind == Opcode.METADATA_INDEX:
            if end - begin < 20:
                raise DamageError('an index of metadata is truncated')
            names.append(content[begin + 20 : end].decode(errors='replace'))
    ends = kinds.index(Opcode.SUMMARY_OFFSET) if Opcode.SUMMARY_OFFSET in kinds else len(kinds)
    is_indexed = (
        bool(chunks and schemas) and counts is not None and len({*chunks}) == len(chunks)
        and {*kinds[ends:]} <= {Opcode.SUMMARY_OFFSET} and Opcode.FOOTER not in kinds
    )  # fmt: skip
    return FileSummary(
        start, schemas, channels, counts, tuple(names), frozenset(chunks), is_indexed, span
    )


def next_chunk(file: BinaryIO, begin: int, end: int, known: frozenset[int] = frozenset()) -> int:
    """
    Return the offset of the next chunk in damaged data; -1 if there is none.

    :param begin: offset from which it is searched
    :param end: of the data
    :param known: offsets of all chunks, by the summary; empty if it is not known
    """
    if known:
        return min((at for at in known if begin <= at < end), default=-1)
    if begin >= end:
        return -1
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        for found in CHUNK.finditer(view, begin, end):
            at = found.start()
            if found.end() + 8 > end:
                return -1
            _, length = HEAD.unpack_from(view, at)
            (stored,) = struct.unpack_from('<Q', view, found.end())
            if at + HEAD.size + length <= end and found.end() + 8 + stored == at + 9 + length:
                return at
    return -1
