# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Global heaps of an HDF5 file, in which texts and files of their own lengths lie.

HDF5 2.0 walks through the objects of a heap without end where a free one has no size: a damaged
file makes a reader hang, in a library that nothing can interrupt.
"""

import mmap
from pathlib import Path
from typing import Any, Final

from viva_ros.core.regular_file import open_regular

HEAD: Final = b'GCOL\x01\x00\x00\x00'  # signature, version, and what is reserved
STEP: Final = 8  # bytes to which content is aligned


def check_heaps(path: Path, size_bytes: int = 8) -> None:
    """
    Refuse a file with a heap that has no end.

    :param size_bytes: bytes of a size in the file
    :raises ValueError: if it has one
    """
    with open_regular(path) as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file
            return
        with content:
            place = content.find(HEAD)
            while place >= 0:
                place = content.find(HEAD, _walk(content, place, size_bytes))


def _walk(content: Any, place: int, size_bytes: int) -> int:
    """Return the end of the objects of a heap."""
    first = place + len(HEAD) + size_bytes
    end = place + int.from_bytes(content[first - size_bytes : first], 'little')
    head = _aligned(8 + size_bytes)  # index, count, what is reserved, and the size
    at = place + _aligned(len(HEAD) + size_bytes)
    while at + head <= min(end, len(content)):
        number = int.from_bytes(content[at : at + 2], 'little')
        size = int.from_bytes(content[at + 8 : at + 8 + size_bytes], 'little')
        if number == 0 and size == 0:
            raise ValueError(f'a free object of its heap at byte {place} has no size')
        at += head + _aligned(size) if number else size
    return place + len(HEAD) if at > len(content) else max(at, place + len(HEAD))


def _aligned(size: int) -> int:
    return -(-size // STEP) * STEP
