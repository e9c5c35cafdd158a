# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of recorded images on access."""

from collections.abc import Sequence
from typing import Any, Final, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Image
from viva_ros.data.messages import deserialise
from viva_ros.engine.image_decoding import decode_image, decode_jpeg

COMPRESSED: Final = 'sensor_msgs/msg/CompressedImage'
RAW: Final = 'sensor_msgs/msg/Image'
PNG_START: Final = b'\x89PNG'
SUFFIXES: Final = {COMPRESSED: '/image_raw/compressed', RAW: '/image_raw'}


def decode(message: Any, size: tuple[int, int] | None = None) -> Image:
    """
    Decode an image message.

    :param size: (height, width) to which the caller resizes it, px; None for full resolution
    :returns: (H, W, 3) RGB
    :raises InputError: if the image is damaged or its encoding is unknown
    """
    if message.__msgtype__ == COMPRESSED:
        if _is_png(message.data):
            return _decode_png(message.data)
        return decode_jpeg(message.data, size)
    return decode_image(
        message.encoding, message.height, message.width, message.step, message.data,
        bool(message.is_bigendian),
    )  # fmt: skip


def _is_png(data: NDArray[np.uint8]) -> bool:
    return bytes(data[: len(PNG_START)]) == PNG_START


def _decode_png(data: NDArray[np.uint8]) -> Image:
    pixels = cv2.imdecode(np.asarray(data), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError('png-damaged', f'PNG of {len(data)} bytes is damaged')
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


class Pictures(Sequence[Image]):
    """
    The images of one topic; each is read and decoded on every access, as ``decode`` does.

    :param data: all messages of the topic, serialised
    :param size: as in ``decode``
    :param rows: of ``data``, in the order of the images; None for all
    """

    def __init__(
        self, type_name: str, data: Sequence[bytes], size: tuple[int, int] | None = None,
        rows: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        self._type_name, self._data, self._size = type_name, data, size
        self._rows = range(len(data)) if rows is None else rows

    def fitting(self, size: tuple[int, int]) -> 'Pictures':
        """Return the same images for a caller that resizes them to (height, width), px."""
        return Pictures(self._type_name, self._data, size, self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Image: ...

    @overload
    def __getitem__(self, index: slice) -> 'Pictures': ...

    def __getitem__(self, index: int | slice) -> 'Image | Pictures':
        if isinstance(index, slice):
            return Pictures(self._type_name, self._data, self._size, self._rows[index])
        return decode(deserialise(self._type_name, self._data[self._rows[index]]), self._size)
