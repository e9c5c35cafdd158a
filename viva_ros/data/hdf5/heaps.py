# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Global heaps of an HDF5 file, in which texts and files of their own lengths lie.

HDF5 2.0 walks through the objects of a heap without end where a free one has no size: a damaged
file makes a reader hang, in a library that nothing can interrupt.
"""

import mmap
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from viva_ros.core.regular_file import open_regular

HEAD: Final = b'GCOL\x01\x00\x00\x00'  # signature, version, and what is reserved
STEP: Final = 8  # bytes to which content is aligned


def check_heaps(path: Path, size_bytes: int = 8) -> None:
    """
    Refuse a file with a heap that has no end, or with heaps that overlap.

    :param size_bytes: bytes of a size in the file
    :raises ValueError: if it has one
    """
    stat = path.stat()
    _check(path, size_bytes, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)  # each dataset of texts asks for it
def _check(path: Path, size_bytes: int, size: int, modified: int) -> None:
    with open_regular(path) as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file
            return
        with content:
            place, left = content.find(HEAD), len(content) // STEP
            while place >= 0:
                after, steps = _walk(content, place, size_bytes, left)
                place, left = content.find(HEAD, after), left - steps


def _walk(content: Any, place: int, size_bytes: int, left: int) -> tuple[int, int]:
    """
    Return the end of the objects of a heap, and their number.

    :param left: number of objects that the file has room for, without those of the heaps before
    """
    first = place + len(HEAD) + size_bytes
    end = place + int.from_bytes(content[first - size_bytes : first], 'little')
    head = _aligned(8 + size_bytes)  # index, count, what is reserved, and the size
    at, steps = place + _aligned(len(HEAD) + size_bytes), 0
    while at + head <= min(end, len(content)):
        number = int.from_bytes(content[at : at + 2], 'little')
        size = int.from_bytes(content[at + 8 : at + 8 + size_bytes], 'little')
        if number == 0 and size == 0:
            raise ValueError(f'a free object of its heap at byte {place} has no size')
        at, steps = at + (head + _aligned(size) if number else size), steps + 1
        if steps > left:
            raise ValueError(f'its heap at byte {place} overlaps with others')
    after = place + len(HEAD) if at > len(content) else max(at, place + len(HEAD))
    return after, steps


def _aligned(size: int) -> int:
    return -(-size // STEP) * STEP
