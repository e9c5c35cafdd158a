# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decompression of data of others, without trust in their sizes.

A declared size is checked before anything is decoded; the real one after each step. A frame of
zstd whose window is above 128 MiB is damage: its decoder would allocate the window.
"""

import bz2
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import lz4.frame  # type: ignore[import-untyped]
import zstandard

from viva_ros.core.input_limits import CHUNK_LIMIT

STEP: Final = 4 << 20  # bytes that are decompressed at once
RATIO: Final = 1000  # raw images of a dark room reach a few hundred; a bomb has 30,000
COMPRESSIONS: Final = ('zstd', 'lz4', 'bz2')
FRAME_HEAD: Final = 18  # bytes of the longest head of a zstd frame


def expanded_limit(stored: int) -> int:
    """Return the most bytes that a file of a size, bytes, may be decompressed to."""
    return max(CHUNK_LIMIT, RATIO * stored)


class DamageError(ValueError):
    """Data are not what their head says, or are larger than the limit."""


def decompress(data: bytes, compression: str, size: int) -> bytes:
    """
    Return decompressed data, of which never more than declared is in memory.

    :param compression: '', 'lz4', 'zstd' or 'bz2'
    :param size: declared, bytes
    :raises DamageError: if the size is above the limit or a wrong one, or the data are damaged
    """
    if size > CHUNK_LIMIT:
        raise DamageError(f'a chunk has {size} bytes, at most {CHUNK_LIMIT} are read')
    if not compression:
        found = data
    elif compression in COMPRESSIONS:
        found = collected(data, compression, size)
    else:
        allowed = ' or '.join(COMPRESSIONS)
        raise DamageError(f'the chunk has the compression {compression!r}, must be {allowed}')
    if len(found) != size:
        more = 'more than ' if len(found) > size else ''
        raise DamageError(f'a chunk has {more}{min(len(found), size)} bytes, it declares {size}')
    return found


def collected(data: bytes, compression: str, limit: int) -> bytes:
    """
    Return decompressed data up to a limit; longer ones are a step longer at most.

    :param limit: bytes
    :raises DamageError: if they are damaged
    """
    found = io.BytesIO()
    try:
        for part in _parts(data, compression):
            found.write(part)
            if found.tell() > limit:
                break
    except (MemoryError, DamageError):
        raise
    except Exception as error:  # decompressors raise errors of many types
        raise DamageError(f'it cannot be decompressed ({error})') from error
    return found.getvalue()


def zstd_size(head: bytes) -> int | None:
    """
    Return the size that the first frame of zstd declares, bytes; None if it declares none.

    :param head: the beginning of the data
    :raises DamageError: if they are no zstd
    """
    try:
        found = int(zstandard.frame_content_size(head[:FRAME_HEAD]))
    except zstandard.ZstdError as error:
        raise DamageError(f'it is no zstd ({error})') from error
    return None if found < 0 else found


def zstd_parts(source: bytes | BinaryIO) -> Iterator[bytes]:
    """
    Yield the decompressed content of all frames.

    :raises DamageError: if they are damaged
    """
    with zstandard.ZstdDecompressor().stream_reader(
        source, read_across_frames=True, closefd=False
    ) as reader:
        try:
            while part := reader.read(STEP):
                yield part
        except zstandard.ZstdError as error:
            raise DamageError(f'it cannot be decompressed ({error})') from error


def _parts(data: bytes, compression: str) -> Iterator[bytes]:
    if compression == 'zstd':
        yield from zstd_parts(data)
        return
    rest = data
    while rest:
        decoder: Any = (
            bz2.BZ2Decompressor() if compression == 'bz2' else lz4.frame.LZ4FrameDecompressor()
        )
        part = decoder.decompress(rest, STEP)
        while part or not (decoder.eof or decoder.needs_input):
            yield part
            part = b'' if decoder.eof else decoder.decompress(b'', STEP)
        if not decoder.eof:
            raise DamageError('it ends early')
        rest = decoder.unused_data or b''
