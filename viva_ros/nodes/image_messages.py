# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Image messages, read from their serialized bytes (CDR) without a copy of the pixels.

rclpy takes a message either deserialized, where Fast CDR reads beyond the end of some malformed
messages and ends the process, or as bytes. An Image or CompressedImage is read from the bytes
here, with every length checked. The fields have the names and values of the ROS message.
"""

import ctypes
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from viva_ros.core.errors import InputError

ENCAPSULATION: Final = 4  # bytes: two of the format, two of options
BYTE_ORDERS: Final[Mapping[bytes, str]] = {b'\0\0': '>', b'\0\1': '<'}
PADDING: Final = 3  # bits of the options: number of bytes appended to the content
MIB: Final = 1 << 20
#: Parameters of glibc's mallopt, bytes: the largest values that glibc itself may choose.
ALLOCATION: Final[Mapping[int, int]] = {-1: 64 * MIB, -3: 32 * MIB}  # trim, mmap threshold


@dataclass(frozen=True, slots=True)
class ImageView:
    """
    The fields of a sensor_msgs/Image.

    :param data: read-only view of the serialized message
    """

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class CompressedImageView:
    """
    The fields of a sensor_msgs/CompressedImage.

    :param data: read-only view of the serialized message
    """

    header: Header
    format: str
    data: memoryview


class CdrReader:
    """Reads the fields of one message in their order; each begins at a multiple of its size."""

    def __init__(self, cdr: bytes) -> None:
        """
        Begin after the encapsulation header.

        :raises InputError: if the message has no content, or is not plain CDR
        """
        self._end = end_of_content(cdr)
        if cdr[:2] not in BYTE_ORDERS:
            raise InputError(
                'cdr-format',
                f'the format of the message is 0x{cdr[:2].hex()}, must be 0x0000 or 0x0001 (CDR)',
            )
        self._view = memoryview(cdr).toreadonly()
        self._order = BYTE_ORDERS[cdr[:2]]
        self._at = ENCAPSULATION

    def number(self, kind: str) -> int:
        """
        Return the next integer.

        :param kind: character of the struct module
        :raises InputError: if the message ends before it
        """
        size = struct.calcsize(f'={kind}')
        self._at += -(self._at - ENCAPSULATION) % size
        return int(struct.unpack(f'{self._order}{kind}', self._next(size))[0])

    def bytes(self) -> memoryview:
        """
        Return a view of the next sequence of bytes.

        :raises InputError: if the message ends before it
        """
        return self._next(self.number('I'))

    def text(self) -> str:
        """
        Return the next string; bytes that are not UTF-8 are replaced, as by rclpy.

        :raises InputError: if the message ends before it, or if it contains a null character
        """
        data = bytes(self.bytes())
        text = data[:-1] if data.endswith(b'\0') else data
        if b'\0' in text:
            raise InputError(
                'cdr-text', f'text is {data[:40]!r}, must have one null character, at its end'
            )
        return text.decode(errors='replace')

    def _next(self, size: int) -> memoryview:
        begin, self._at = self._at, self._at + size
        if self._at > self._end:
            raise InputError(
                'cdr-truncated',
                f'the content of the message has {self._end - ENCAPSULATION} bytes, must have '
                f'{self._at - ENCAPSULATION} or more',
            )
        return self._view[begin : self._at]


def end_of_content(cdr: bytes) -> int:
    """
    Return the position after the content of a serialized message of any type.

    Fast CDR subtracts the announced padding without a check: of a message without content, its
    remaining length becomes nearly 2**64. The content of no ROS message is empty; then at least
    one byte of it is left, as padding is only present in a message of a multiple of 4 bytes.

    :raises InputError: if the message has no content
    """
    length = len(cdr)
    if length <= ENCAPSULATION:
        raise InputError(
            'cdr-empty',
            f'the message has {length} bytes (0x{cdr.hex()}), must have more than the '
            f'{ENCAPSULATION} of its header',
        )
    return length if length % 4 else length - (cdr[3] & PADDING)


def reuse_freed_memory() -> bool:
    """
    Let this process keep up to 64 MiB of freed memory, for the next images.

    By default glibc returns the memory of a freed raw image, and the kernel clears each page of
    the next one: taking 640 x 480 RGB as bytes then takes three times as long.

    :returns: whether it has an effect: other C libraries have no such parameters
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    return mallopt is not None and all(mallopt(*setting) for setting in ALLOCATION.items())


def read_image(cdr: bytes) -> ImageView:
    """
    Read a sensor_msgs/Image.

    :raises InputError: if it is malformed
    """
    reader = CdrReader(cdr)
    return ImageView(
        header=read_header(reader), height=reader.number('I'), width=reader.number('I'),
        encoding=reader.text(), is_bigendian=reader.number('B'), step=reader.number('I'),
        data=reader.bytes(),
    )  # fmt: skip


def read_compressed_image(cdr: bytes) -> CompressedImageView:
    """
    Read a sensor_msgs/CompressedImage.

    :raises InputError: if it is malformed
    """
    reader = CdrReader(cdr)
    return CompressedImageView(read_header(reader), reader.text(), reader.bytes())


def read_header(reader: CdrReader) -> Header:
    """
    Read a std_msgs/Header.

    :raises InputError: if the message ends before it
    """
    stamp = Time(sec=reader.number('i'), nanosec=reader.number('I'))
    return Header(stamp=stamp, frame_id=reader.text())


#: Reader of each type that is not deserialized by rclpy.
IMAGE_READERS: Final[Mapping[type, Callable[[bytes], Any]]] = {
    Image: read_image, CompressedImage: read_compressed_image,
}  # fmt: skip
