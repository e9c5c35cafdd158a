# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The image topics of a recording; pictures are decoded when they are looked at."""

import struct
from collections.abc import Sequence
from typing import Any, Final, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import InputError, RecordingError
from viva_ros.core.observation import Image
from viva_ros.data.episode import Frames
from viva_ros.data.messages import SECOND, deserialise
from viva_ros.data.recording import Recording, Track
from viva_ros.engine.image_decoding import decode_image, decode_jpeg

COMPRESSED: Final = 'sensor_msgs/msg/CompressedImage'
RAW: Final = 'sensor_msgs/msg/Image'
PNG_START: Final = b'\x89PNG'
SUFFIXES: Final = {COMPRESSED: '/image_raw/compressed', RAW: '/image_raw'}


def stamp_of(cdr: bytes) -> int:
    """Give the stamp in the header that a serialised message begins with, ns."""
    if len(cdr) < 12:
        raise RecordingError(f'a message of {len(cdr)} bytes has no header: leave it out')
    sec, nanosec = struct.unpack_from('<iI' if cdr[1] & 1 else '>iI', cdr, 4)
    return int(sec) * SECOND + int(nanosec)


def decode(message: Any, size: tuple[int, int] | None = None) -> Image:
    """
    Decode an image message.

    :param size: (height, width) that it will be fitted into, px; None: it is wanted as sent
    :returns: (H, W, 3) RGB
    :raises InputError: if the picture is damaged or of an encoding that is not known
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
        raise InputError(f'PNG of {len(data)} bytes is damaged')
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


class Pictures(Sequence[Image]):
    """The images of one topic; each is decoded on every access, as ``decode`` does."""

    def __init__(
        self, type_name: str, data: Sequence[bytes], size: tuple[int, int] | None = None
    ) -> None:
        self._type_name, self._data, self._size = type_name, data, size

    def fitting(self, size: tuple[int, int]) -> 'Pictures':
        """Give the same images, as they are needed to be fitted into (height, width), px."""
        return Pictures(self._type_name, self._data, size)

    def __len__(self) -> int:
        return len(self._data)

    @overload
    def __getitem__(self, index: int) -> Image: ...

    @overload
    def __getitem__(self, index: slice) -> 'Pictures': ...

    def __getitem__(self, index: int | slice) -> 'Image | Pictures':
        if isinstance(index, slice):
            return Pictures(self._type_name, self._data[index], self._size)
        return decode(deserialise(self._type_name, self._data[index]), self._size)


def camera_tracks(recording: Recording) -> dict[str, Track]:
    """
    Give the image topic of each camera; of one recorded both ways, the compressed topic.

    :raises RecordingError: if a camera is there in two namespaces
    """
    found: dict[str, Track] = {}
    for track in recording.tracks.values():
        suffix = SUFFIXES.get(track.type_name)
        if suffix is None or not track.topic.endswith(suffix):
            continue
        camera = track.topic.removesuffix(suffix).rpartition('/')[2]
        other = found.get(camera)
        if other is not None and other.type_name == track.type_name:
            raise RecordingError(
                f'{recording.path} has {other.topic} and {track.topic}: record one robot to a file'
            )
        if other is None or track.type_name == COMPRESSED:
            found[camera] = track
    return dict(sorted(found.items()))


def frames(track: Track, begin: int, end: int) -> Frames:
    """Give the frames with stamps in [begin, end), ascending, each stamp once."""
    stamps, first = np.unique(np.array(track.stamps(), dtype=np.int64), return_index=True)
    kept = (stamps >= begin) & (stamps < end)
    return Frames(stamps[kept], track.pictures(first[kept].tolist()))
