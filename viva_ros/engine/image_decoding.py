# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decode raw and JPEG images to RGB."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Image
from viva_ros.engine.jpeg import decode_jpeg

__all__ = ['check_image', 'decode_image', 'decode_jpeg', 'to_rgb', 'view_image']

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
