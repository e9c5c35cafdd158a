# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decode raw and JPEG images to RGB."""

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.observation import Image
from viva_ros.engine.image_encodings import check_image, read_image
from viva_ros.engine.jpeg import decode_jpeg

__all__ = ['decode_image', 'decode_jpeg', 'view_image']


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
    return read_image(encoding, height, width, step, data, is_bigendian)
