# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decode raw and compressed images to RGB: the one route of live messages and recordings.

The field ``format`` of a compressed image is read before its data, by the rules of
compressed_image_transport, so that an image has the colours that RViz shows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Image
from viva_ros.engine.image_encodings import (
    DEPTH_REMEDY,
    check_image,
    check_size,
    exact_name,
    find_encoding,
    is_matrix,
    read_image,
    to_rgb,
)
from viva_ros.engine.jpeg import decode_jpeg, decode_samples

Data = bytes | memoryview | NDArray[np.uint8]
Size = tuple[int, int]


@dataclass(frozen=True)
class CompressedFormat:
    """
    Content of the field ``format`` of a sensor_msgs/CompressedImage.

    :param codec: in lower case, such as 'jpeg'; '' if it is not named
    :param mosaic: Bayer encoding of a grey file that holds a mosaic; '' for other files
    :param color_order: of the file: 'bgr' if red and blue are exchanged in it
    """

    text: str
    codec: str
    mosaic: str = ''
    color_order: str = 'rgb'


JPEG: Final = 'jpeg'
PNG: Final = 'png'
PNG_START: Final = b'\x89PNG'
ALIASES: Final = {'jpg': JPEG, 'jpe': JPEG, 'mjpeg': JPEG, 'mjpg': JPEG}
#: Codecs that are not decoded, and their names in texts.
UNSUPPORTED: Final = {
    'av1': 'AV1', 'bmp': 'BMP', 'gif': 'GIF', 'h264': 'H.264', 'h265': 'H.265', 'hevc': 'H.265',
    'jp2': 'JPEG 2000', 'jxl': 'JPEG XL', 'ogg': 'Theora', 'theora': 'Theora', 'tif': 'TIFF',
    'tiff': 'TIFF', 'vp8': 'VP8', 'vp9': 'VP9', 'webp': 'WebP', 'zstd': 'Zstandard',
}  # fmt: skip
#: First bytes of files, and the codec.
SIGNATURES: Final = (
    (b'\xff\xd8\xff', JPEG), (PNG_START, PNG), (b'RIFF', 'webp'), (b'BM', 'bmp'),
    (b'GIF8', 'gif'), (b'II*\x00', 'tiff'), (b'MM\x00*', 'tiff'), (b'OggS', 'theora'),
    (b'\x00\x00\x00\x01', 'h264'), (b'\x00\x00\x01', 'h264'), (b'(\xb5/\xfd', 'zstd'),
    (b'\x00\x00\x00\x0cjP', 'jp2'),
)  # fmt: skip


def decode_image(
    encoding: str, height: int, width: int, step: int, data: Data, is_bigendian: bool = False
) -> Image:
    """Decode the fields of a sensor_msgs/Image as ``view_image``, into an array of its own."""
    return np.array(view_image(encoding, height, width, step, data, is_bigendian))


def view_image(
    encoding: str, height: int, width: int, step: int, data: Data, is_bigendian: bool = False
) -> Image:
    """
    Decode the fields of a sensor_msgs/Image; RGB data are not copied.

    :param step: bytes per row, padding included
    :param is_bigendian: byte order of 16-bit channels
    :returns: (height, width, 3) RGB uint8; the upper 8 of 16 bits
    :raises InputError: with the encoding, size or step that is invalid
    """
    check_image(encoding, height, width, step, len(data))
    return read_image(encoding, height, width, step, data, is_bigendian)


def decode_compressed(format_text: str, data: Data, size: Size | None = None) -> Image:
    """
    Decode the fields of a sensor_msgs/CompressedImage.

    :param size: (height, width) that it will be fitted into, px; None decodes the full size
    :returns: (height, width, 3) RGB, at least as large as after fitting
    :raises InputError: if it is depth, not a JPEG or PNG, not what the format says, or damaged
    """
    described = parse_format(format_text)
    if not len(data):
        raise InputError(
            'compressed-empty',
            f'compressed image of format {format_text!r} has no data: check the log of the '
            'publisher, which could not compress the image',
        )
    decode = DECODERS[_codec_of(described, data)]
    image = decode(described, data, size)
    return to_rgb(image, 'bgr8') if described.color_order == 'bgr' else image


@lru_cache(maxsize=64)
def parse_format(text: str) -> CompressedFormat:
    """
    Parse the field ``format``: a codec, an encoding, or 'ENCODING; CODEC compressed TARGET'.

    The publisher of image_transport converts colours to the target, bgr8, from which OpenCV saves
    a correct file. With another target the channels were saved as they are, so that red and blue
    are exchanged in the file; the subscriber takes them back, and so does this package.

    :raises InputError: if it names depth, or an encoding in the wrong case
    """
    head, semicolon, tail = (part.strip() for part in text.partition(';'))
    named = head if semicolon or exact_name(head) or is_matrix(head) else ''
    if 'compresseddepth' in text.lower() or is_matrix(named):
        raise InputError('compressed-depth', f'format is {text!r}, which is depth: {DEPTH_REMEDY}')
    words = (tail if semicolon else '' if named else head).split()
    codec = words[0].lower() if words and words[0] != 'compressed' else ''
    codec = codec.removeprefix('image/').removeprefix('.')
    codec = ALIASES.get(codec, codec)
    if not exact_name(named):  # nothing depends on it
        return CompressedFormat(text, codec)
    target = tail.partition('compressed')[2].strip()
    is_bayer = find_encoding(named).kind == 'bayer'
    if is_bayer and (not target or target.startswith(('bayer', 'mono'))):
        return CompressedFormat(text, codec, mosaic=named)
    has_order = bool(semicolon) and named.startswith(('rgb', 'bgr'))
    exchanged = has_order and not target.startswith('bgr')
    return CompressedFormat(text, codec, color_order='bgr' if exchanged else 'rgb')


def _codec_of(described: CompressedFormat, data: Data) -> str:
    """
    Return the codec of the data: 'jpeg' or 'png'.

    :raises InputError: if it is another, or not the one that the format names
    """
    begin = bytes(data[:12])
    found = next((codec for start, codec in SIGNATURES if begin.startswith(start)), '')
    codec = described.codec or found
    if codec in DECODERS and found in ('', codec):
        return codec
    if codec in UNSUPPORTED:
        raise InputError(
            'compressed-codec',
            f'compressed image is {UNSUPPORTED[codec]} (format {described.text!r}), must be JPEG '
            'or PNG: set the publisher to one of them, or choose another topic of that camera',
        )
    if codec in DECODERS:
        raise _contradiction(described, found)
    if codec:
        raise InputError(
            'compressed-format',
            f'format is {described.text!r}, must name JPEG or PNG: correct the publisher, or set '
            '"encoding: jpeg" or "encoding: png" for this camera in the map',
        )
    raise InputError(
        'compressed-data',
        f'compressed image begins with {begin[:4].hex()!r} and its format is {described.text!r}, '
        'neither of which is JPEG or PNG: set the publisher to one of them',
    )


def _contradiction(described: CompressedFormat, found: str) -> InputError:
    name = UNSUPPORTED.get(found, found.upper())
    remedy = f'set "encoding: {found}" for this camera in the map'
    return InputError(
        'compressed-contradiction',
        f'format is {described.text!r}, but the data are {name}: correct the publisher, or '
        f'{remedy if found in DECODERS else "choose another topic of that camera"}',
    )


def _from_jpeg(described: CompressedFormat, data: Data, size: Size | None) -> Image:
    if described.mosaic:
        return _demosaic(decode_samples(data), described)
    return decode_jpeg(data, size)


PNG_HEADER: Final = 26  # bytes, to the bits and the kind of a sample
PNG_GREY: Final = (0, 4)  # kinds: without and with alpha


def _from_png(described: CompressedFormat, data: Data, size: Size | None) -> Image:
    """Decode a PNG; of 16 bits the upper 8 are kept, and alpha has no effect."""
    header = bytes(data[:PNG_HEADER])
    if not header.startswith(PNG_START):
        raise InputError(
            'png-format', f'compressed image begins with {header[:4].hex()!r}: it is not a PNG'
        )
    is_wide = len(header) == PNG_HEADER and header[24] == 16
    if is_wide and header[25] in PNG_GREY and not described.mosaic:
        raise InputError(
            'png-depth',
            f'PNG has one channel of 16 bits (format {described.text!r}), which is depth: '
            f'{DEPTH_REMEDY}',
        )
    form = cv2.IMREAD_UNCHANGED if is_wide or described.mosaic else cv2.IMREAD_COLOR
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), form)
    except cv2.error:  # such as a size beyond the limit of OpenCV
        pixels = None
    if pixels is None:
        raise InputError(
            'png-damaged',
            f'PNG of {len(data)} bytes is damaged or truncated: check the network and the driver',
        )
    samples = np.asarray(pixels >> 8 if pixels.dtype == np.uint16 else pixels, dtype=np.uint8)
    if described.mosaic:
        return _demosaic(samples, described)
    return to_rgb(samples, 'bgra8' if samples.shape[2] == 4 else 'bgr8')


def _demosaic(samples: NDArray[np.uint8], described: CompressedFormat) -> Image:
    """Convert a grey file that the format describes as a mosaic."""
    if samples.ndim != 2:
        raise InputError(
            'compressed-mosaic',
            f'format is {described.text!r}, a mosaic in grey, but the data have colours: correct '
            'the publisher, or set "encoding: jpeg" or "encoding: png" for this camera in the map',
        )
    check_size(described.mosaic, *samples.shape)
    return to_rgb(samples, described.mosaic)


DECODERS: Final[dict[str, Callable[[CompressedFormat, Data, Size | None], Image]]] = {
    JPEG: _from_jpeg, PNG: _from_png,
}  # fmt: skip
