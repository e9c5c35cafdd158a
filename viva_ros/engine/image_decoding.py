# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decode raw and JPEG images to RGB; JPEG at 1/2, 1/4 or 1/8 of its size where that suffices.

A JPEG holds frequencies of blocks of 8 x 8 pixels; a reduced image needs only the low ones. A
truncated JPEG is refused, as the decoder would fill the rest with grey.
"""

import struct
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Image

# Encoding: (bytes per channel, channels, OpenCV conversion to RGB).
_ENCODINGS: Final = {
    'rgb8': (1, 3, None),
    'bgr8': (1, 3, cv2.COLOR_BGR2RGB),
    'rgba8': (1, 4, cv2.COLOR_RGBA2RGB),
    'bgra8': (1, 4, cv2.COLOR_BGRA2RGB),
    'mono8': (1, 1, cv2.COLOR_GRAY2RGB),
    'mono16': (2, 1, cv2.COLOR_GRAY2RGB),
}


def decode_image(
    encoding: str, height: int, width: int, step: int,
    data: bytes | memoryview | NDArray[np.uint8], is_bigendian: bool = False,
) -> Image:  # fmt: skip
    """Decode the fields of a sensor_msgs/Image as ``view_image``, into an array of its own."""
    return np.array(view_image(encoding, height, width, step, data, is_bigendian))


def view_image(
    encoding: str, height: int, width: int, step: int,
    data: bytes | memoryview | NDArray[np.uint8], is_bigendian: bool = False,
) -> Image:  # fmt: skip
    """
    Decode the fields of a sensor_msgs/Image; RGB data are not copied.

    :param step: bytes per row, padding included
    :param is_bigendian: byte order of 16-bit channels
    :returns: (height, width, 3) RGB uint8; the upper 8 of 16 bits
    :raises InputError: with the encoding, size or step that is invalid
    """
    check_image(encoding, height, width, step, len(data))
    depth, channels, _ = _ENCODINGS[encoding]
    row = width * channels * depth
    raw = np.frombuffer(data, dtype=np.uint8)
    pixels = raw.reshape(height, step)[:, :row].reshape(height, width, channels, depth)
    return to_rgb(pixels[..., 0 if is_bigendian else depth - 1], encoding)


def check_image(encoding: str, height: int, width: int, step: int, size: int) -> None:
    """
    Check the fields of a sensor_msgs/Image before its data are read.

    :param size: of the data, bytes
    :raises InputError: with the encoding, size or step that is invalid
    """
    if encoding not in _ENCODINGS:
        raise InputError(
            'image-encoding', f'encoding is {encoding!r}, must be one of {", ".join(_ENCODINGS)}'
        )
    depth, channels, _ = _ENCODINGS[encoding]
    if height < 1 or width < 1:
        raise InputError(
            'image-empty', f'image is {width} x {height} pixels, must be at least 1 x 1'
        )
    row = width * channels * depth
    if step < row:
        raise InputError(
            'image-step', f'step is {step} bytes, must be at least {row} for {width} {encoding}'
        )
    if size != step * height:
        raise InputError(
            'image-data-size',
            f'image has {size} bytes, must have {step * height} ({step} x {height} rows)',
        )


def to_rgb(pixels: NDArray[np.uint8], encoding: str) -> Image:
    """
    Convert the channels of an encoding to red, green, blue.

    :param pixels: (height, width, channels) or, with one channel, (height, width)
    :returns: (height, width, 3); ``pixels`` itself if they are RGB
    """
    conversion = _ENCODINGS[encoding][2]
    if conversion is None:
        return pixels
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), conversion), dtype=np.uint8)


@dataclass(frozen=True)
class ImageOptions:
    """Overrides."""

    encoding: str = ''
    color_order: str = ''


START: Final = b'\xff\xd8\xff'
END: Final = b'\xff\xd9'
FORMS: Final = {
    8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}  # fmt: skip
MIN_SIDE: Final = 64  # px, of the shorter side: for the checks of black and covered images
NO_LENGTH: Final = {0x01, *range(0xD0, 0xD8)}  # markers without a length
FRAMES: Final = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of segments with the size


def decode_jpeg(
    data: bytes | memoryview | NDArray[np.uint8], size: tuple[int, int] | None = None
) -> Image:
    """
    Decode the data of a sensor_msgs/CompressedImage in JPEG.

    :param size: (height, width) that it will be fitted into, px; None decodes the full size
    :returns: (height, width, 3) RGB, at least as large as after fitting
    :raises InputError: if it is not a JPEG, or is truncated or damaged
    """
    content = bytes(data)
    if not content.startswith(START):
        raise InputError(
            'jpeg-format', f'compressed image begins with {content[:3].hex()!r}: it is not a JPEG'
        )
    if not content.rstrip(b'\x00').endswith(END):
        raise InputError(
            'jpeg-truncated', f'JPEG of {len(content)} bytes has no end marker: it is truncated'
        )
    form = FORMS[1 if size is None else reduction(sent_size(content), size)]
    try:
        pixels = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), form)
    except cv2.error as error:
        raise InputError(
            'jpeg-damaged', f'JPEG of {len(content)} bytes is damaged: {error}'
        ) from error
    if pixels is None:
        raise InputError('jpeg-damaged', f'JPEG of {len(content)} bytes is damaged')
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def reduction(sent: tuple[int, int] | None, size: tuple[int, int]) -> int:
    """
    Return the factor by which a JPEG can be reduced: 1, 2, 4 or 8.

    :param sent: its (height, width), px; None if unknown. Decoding may rotate the image, so both
        orientations count
    :param size: (height, width) that it will be fitted into, px
    """
    if sent is None:
        return 1
    upright = min(size[0] / sent[0], size[1] / sent[1])
    turned = min(size[0] / sent[1], size[1] / sent[0])
    needed = max(upright, turned, MIN_SIDE / min(sent))
    return next((factor for factor in FORMS if factor * needed <= 1.0), 1)


def sent_size(content: bytes) -> tuple[int, int] | None:
    """Return (height, width) from the header of a JPEG, px; None if it has none."""
    place = 2
    while place + 9 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker in FRAMES:
            height, width = struct.unpack_from('>HH', content, place + 5)
            return (height, width) if height and width else None
        if marker == 0xFF:  # padding before a marker
            place += 1
        elif marker in NO_LENGTH:
            place += 2
        else:
            place += 2 + int.from_bytes(content[place + 2 : place + 4])
    return None
