# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Encodings of sensor_msgs/Image: layout of the bytes, and conversion to RGB by OpenCV.

The names are those of ``sensor_msgs/image_encodings.hpp``, and nv12. The conversions are those of
cv_bridge: YUV is BT.601 in the video range (luma 16 to 235), Bayer mosaics are interpolated
linearly. Of 16 bits the upper 8 are read, within 1 level of cv_bridge's scale of 255 / 65535.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Image


@dataclass(frozen=True)
class ImageEncoding:
    """
    Layout and conversion of an encoding.

    :param kind: 'channels', 'bayer', 'yuv422', 'yuv420' or 'yuv444'
    :param conversion: OpenCV code to RGB; None for RGB itself
    :param samples: per pixel in a row; of YUV with planes, in the luma plane
    :param depth: bytes per sample
    """

    kind: str
    conversion: int | None
    samples: int = 1
    depth: int = 1

    @property
    def planes(self) -> int | Fraction:
        """Size of all planes, relative to the first."""
        return PLANES.get(self.kind, 1)


PLANES: Final = {'yuv420': Fraction(3, 2), 'yuv444': Fraction(3)}
# Smallest and divisor of (height, width), px: a mosaic is interpolated from both sides.
SMALLEST: Final = {'bayer': 3}
DIVISORS: Final = {'yuv422': (1, 2), 'yuv420': (2, 2)}

_MONO: Final = ('channels', cv2.COLOR_GRAY2RGB, 1)
_BGR: Final = ('channels', cv2.COLOR_BGR2RGB, 3)
_BGRA: Final = ('channels', cv2.COLOR_BGRA2RGB, 4)
_UYVY: Final = ImageEncoding('yuv422', cv2.COLOR_YUV2RGB_UYVY, 2)
_YUYV: Final = ImageEncoding('yuv422', cv2.COLOR_YUV2RGB_YUY2, 2)
# OpenCV names a mosaic after the second pixel of the second row.
_MOSAICS: Final = {
    'bayer_rggb': cv2.COLOR_BayerBG2RGB, 'bayer_bggr': cv2.COLOR_BayerRG2RGB,
    'bayer_gbrg': cv2.COLOR_BayerGR2RGB, 'bayer_grbg': cv2.COLOR_BayerGB2RGB,
}  # fmt: skip
ENCODINGS: Final[Mapping[str, ImageEncoding]] = {
    'rgb8': ImageEncoding('channels', None, 3),
    'bgr8': ImageEncoding(*_BGR),
    'rgba8': ImageEncoding('channels', cv2.COLOR_RGBA2RGB, 4),
    'bgra8': ImageEncoding(*_BGRA),
    'mono8': ImageEncoding(*_MONO),
    'rgb16': ImageEncoding('channels', None, 3, 2),
    'bgr16': ImageEncoding(*_BGR, 2),
    'rgba16': ImageEncoding('channels', cv2.COLOR_RGBA2RGB, 4, 2),
    'bgra16': ImageEncoding(*_BGRA, 2),
    'mono16': ImageEncoding(*_MONO, 2),
    '8UC1': ImageEncoding(*_MONO),
    '8UC3': ImageEncoding(*_BGR),  # channels ordered as in OpenCV
    '8UC4': ImageEncoding(*_BGRA),
    **{f'{name}8': ImageEncoding('bayer', code) for name, code in _MOSAICS.items()},
    **{f'{name}16': ImageEncoding('bayer', code, depth=2) for name, code in _MOSAICS.items()},
    'yuv422': _UYVY, 'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV, 'yuyv': _YUYV,
    'nv12': ImageEncoding('yuv420', cv2.COLOR_YUV2RGB_NV12),
    'nv21': ImageEncoding('yuv420', cv2.COLOR_YUV2RGB_NV21),
    'nv24': ImageEncoding('yuv444', cv2.COLOR_YUV2RGB_YUY2),
}  # fmt: skip
MATRIX: Final = re.compile(r'(8|16|32|64)[USF](C\d*)?', re.IGNORECASE)  # types of OpenCV
DEPTH_REMEDY: Final = 'choose the colour topic of that camera, such as .../color/image_raw'


def find_encoding(name: str) -> ImageEncoding:
    """
    Return the encoding with a name.

    :raises InputError: with a remedy, if it is unknown, or a matrix such as a depth image
    """
    if name in ENCODINGS:
        return ENCODINGS[name]
    if is_matrix(name):
        raise InputError(
            'image-depth',
            f'encoding is {name!r}, which is depth or another matrix, not colours: {DEPTH_REMEDY}',
        )
    if meant := exact_name(name):
        raise InputError(
            'image-encoding-case',
            f'encoding is {name!r}, must be {meant!r}: correct it in the driver, or set '
            f'"encoding: {meant}" for this camera in the map',
        )
    raise InputError(
        'image-encoding',
        f'encoding is {name!r}, must be one of {", ".join(ENCODINGS)}: set the driver to one of '
        'them, or set the one that describes the data as "encoding" of this camera in the map',
    )


def exact_name(name: str) -> str:
    """Return the encoding that a name in upper or lower case means; '' if there is none."""
    return next((known for known in ENCODINGS if known.lower() == name.lower()), '')


def is_matrix(name: str) -> bool:
    """Return whether an encoding is an OpenCV type without colours, such as 16UC1."""
    return MATRIX.fullmatch(name) is not None and not exact_name(name)


def check_image(encoding: str, height: int, width: int, step: int, size: int) -> None:
    """
    Check the fields of a sensor_msgs/Image before its data are read.

    :param size: of the data, bytes
    :raises InputError: with the encoding, size or step that is invalid
    """
    layout = find_encoding(encoding)
    check_size(encoding, height, width)
    row = width * layout.samples * layout.depth
    if step < row:
        raise InputError(
            'image-step', f'step is {step} bytes, must be at least {row} for {width} {encoding}'
        )
    expected = layout.planes * step * height
    if size != expected and not _is_tight(encoding, height, width, step, size):
        rows = f'{step} x {layout.planes * height} rows'
        raise InputError(
            'image-data-size', f'image has {size} bytes, must have {expected} ({rows})'
        )


def check_size(encoding: str, height: int, width: int) -> None:
    """
    Check the size of an image, px.

    :raises InputError: if its encoding cannot have that size
    """
    kind = ENCODINGS[encoding].kind
    if height < 1 or width < 1:
        raise InputError(
            'image-empty', f'image is {width} x {height} pixels, must be at least 1 x 1'
        )
    smallest = SMALLEST.get(kind, 1)
    if min(height, width) < smallest:
        raise InputError(
            'image-mosaic-size',
            f'{encoding} image is {width} x {height} pixels, must be at least {smallest} x '
            f'{smallest}: its colours are interpolated',
        )
    rows, columns = DIVISORS.get(kind, (1, 1))
    if height % rows or width % columns:
        even = 'width and height' if rows > 1 else 'width'
        raise InputError(
            'image-odd-size',
            f'{encoding} image is {width} x {height} pixels, its {even} must be even, as pixels '
            'share their colour: set another size or encoding in the driver',
        )


def _is_tight(encoding: str, height: int, width: int, step: int, size: int) -> bool:
    """
    Return whether planes without padding are described as ``height`` rows of all planes.

    sensor_msgs/Image defines the size of the data as step x height, which has no meaning for
    planes; drivers send the step of the first plane or the share of each image row in the data.
    """
    planes = ENCODINGS[encoding].planes
    return planes > 1 and size == step * height == planes * width * height


def read_image(
    encoding: str, height: int, width: int, step: int,
    data: bytes | memoryview | NDArray[np.uint8], is_bigendian: bool,
) -> Image:  # fmt: skip
    """
    Convert the data of a sensor_msgs/Image whose fields ``check_image`` accepts.

    :returns: (height, width, 3) RGB; a view of the data if they are RGB with 8 bits
    """
    layout = ENCODINGS[encoding]
    raw = np.frombuffer(data, dtype=np.uint8)
    if layout.planes > 1:
        tight = _is_tight(encoding, height, width, step, len(raw))
        return _from_planes(raw, encoding, height, width, width if tight else step)
    row = width * layout.samples * layout.depth
    shape = height, width, layout.samples, layout.depth
    pixels = raw.reshape(height, step)[:, :row].reshape(shape)
    return to_rgb(pixels[..., 0 if is_bigendian else layout.depth - 1], encoding)


def _from_planes(
    raw: NDArray[np.uint8], encoding: str, height: int, width: int, step: int
) -> Image:
    """Convert a luma plane and a plane of alternating U and V."""
    layout = ENCODINGS[encoding]
    if layout.kind == 'yuv420':
        return to_rgb(raw.reshape(-1, step)[:, :width], encoding)
    luma = raw[: height * step].reshape(height, step)[:, :width]
    chroma = raw[height * step :].reshape(height, 2 * step)[:, : 2 * width]
    # OpenCV has no 4:4:4 with planes: as 4:2:2 with each pixel twice, so no colours are shared.
    packed = np.empty((height, width, 2, 2), dtype=np.uint8)
    packed[..., 0] = luma[..., None]
    packed[..., 1] = chroma.reshape(height, width, 2)
    return np.ascontiguousarray(to_rgb(packed.reshape(height, 2 * width, 2), encoding)[:, ::2])


def to_rgb(pixels: NDArray[np.uint8], encoding: str) -> Image:
    """
    Convert the samples of an encoding to red, green, blue.

    :param pixels: (height, width, samples) or, with one sample, (height, width); with planes,
        the rows of all planes; of 16 bits, the upper 8
    :returns: (height, width, 3); ``pixels`` itself if they are RGB with 8 bits
    """
    layout = ENCODINGS[encoding]
    if layout.conversion is None:
        return pixels if layout.depth == 1 else np.ascontiguousarray(pixels)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), layout.conversion), np.uint8)
