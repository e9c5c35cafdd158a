# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of recorded images on access."""

from collections.abc import Sequence
from typing import Any, Final, overload

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Image
from viva_ros.data.messages import deserialise
from viva_ros.data.video_packets import FFMPEG, FOXGLOVE, RecordedFrame
from viva_ros.engine.image_decoding import (
    AS_DECLARED,
    ImageOptions,
    decode_compressed,
    decode_image,
)

COMPRESSED: Final = 'sensor_msgs/msg/CompressedImage'
RAW: Final = 'sensor_msgs/msg/Image'
#: Suffix of a camera's topic by its type; of several topics of a camera, the first is read.
SUFFIXES: Final = {
    COMPRESSED: '/image_raw/compressed', RAW: '/image_raw',
    FFMPEG: '/image_raw/ffmpeg', FOXGLOVE: '/image_raw/foxglove',
}  # fmt: skip


def decode(
    message: Any, size: tuple[int, int] | None = None, options: ImageOptions = AS_DECLARED
) -> Image:
    """
    Decode an image message.

    :param size: (height, width) to which the caller resizes it, px; None for full resolution
    :param options: overrides of what the message says
    :returns: (H, W, 3) RGB
    :raises InputError: if the image is damaged or its encoding or format is not supported
    """
    if isinstance(message, RecordedFrame):
        return message.data
    if message.__msgtype__ == COMPRESSED:
        return decode_compressed(message.format, message.data, size, options)
    return decode_image(
        message.encoding, message.height, message.width, message.step, message.data,
        bool(message.is_bigendian), options,
    )  # fmt: skip


def decode_stored(content: bytes) -> Image:
    """
    Decode an image in a data file, which has no description of its own.

    :returns: (H, W, 3) RGB
    :raises InputError: if it is damaged, depth, or no JPEG or PNG
    """
    try:
        return decode_compressed('', content)
    except InputError as error:
        if error.code != 'png-depth':
            raise
        raise InputError(
            'stored-image-depth',
            'PNG has one channel of 16 bits, which is depth: name the colour cameras in the map; '
            'or, if it is grey, convert it to 8 bits',
        ) from error


class Pictures(Sequence[Image]):
    """
    The images of one topic; each is read and decoded on every access, as ``decode`` does.

    :param data: all messages of the topic, serialised
    :param size: as in ``decode``
    :param options: as in ``decode``
    :param rows: of ``data``, in the order of the images; None for all
    """

    def __init__(
        self, type_name: str, data: Sequence[bytes], size: tuple[int, int] | None = None,
        options: ImageOptions = AS_DECLARED, rows: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        self._type_name, self._data, self._size, self._options = type_name, data, size, options
        self._rows = range(len(data)) if rows is None else rows

    def fitting(self, size: tuple[int, int]) -> 'Pictures':
        """Return the same images for a caller that resizes them to (height, width), px."""
        return Pictures(self._type_name, self._data, size, self._options, self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Image: ...

    @overload
    def __getitem__(self, index: slice) -> 'Pictures': ...

    def __getitem__(self, index: int | slice) -> 'Image | Pictures':
        if isinstance(index, slice):
            rows = self._rows[index]
            return Pictures(self._type_name, self._data, self._size, self._options, rows)
        return self.read(index)[1]

    def read(self, index: int) -> tuple[memoryview, Image]:
        """Return the bytes of an image as received, and the image."""
        message = deserialise(self._type_name, self._data[self._rows[index]])
        return memoryview(message.data), decode(message, self._size, self._options)
