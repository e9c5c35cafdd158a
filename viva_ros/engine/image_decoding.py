# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decode raw and compressed images to RGB: the one route of live messages and recordings.

The field ``format`` of a compressed image is read before its data, by the rules of
compressed_image_transport, so that an image has the colours that RViz shows.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Image
from viva_ros.engine.image_encodings import (
    DEPTH_REMEDY,
    ENCODINGS,
    check_image,
    check_size,
    exact_name,
    find_encoding,
    is_matrix,
    read_image,
    to_rgb,
)
from viva_ros.engine.jpeg import check_pixels, decode_jpeg, decode_samples

Data = bytes | memoryview | NDArray[np.uint8]
Size = tuple[int, int]

JPEG: Final = 'jpeg'
PNG: Final = 'png'
COLOR_ORDERS: Final = ('rgb', 'bgr')


@dataclass(frozen=True)
class ImageOptions:
    """
    Overrides of the description in image messages.

    :param encoding: read instead of the field ``encoding`` of a raw image and of the whole field
        ``format`` of a compressed one: an encoding, or 'jpeg' or 'png'; '' for what the message
        says
    :param color_order: 'rgb' or 'bgr': true order of the three colour channels, in the data of a
        raw image that stores them (rgb8, bgra16, 8UC3 ...), else in the image that a decoder of
        the codec or encoding makes (JPEG, PNG, Bayer, YUV): 'rgb' if an image viewer shows true
        colours, 'bgr' if it shows red and blue exchanged; '' for what the message says. Grey
        images have no order
    :raises ValueError: with the allowed values
    """

    encoding: str = ''
    color_order: str = ''

    def __post_init__(self) -> None:
        """Check the values."""
        for name, value, allowed in (
            ('encoding', self.encoding, (*ENCODINGS, JPEG, PNG)),
            ('color_order', self.color_order, COLOR_ORDERS),
        ):
            if value and value not in allowed:
                raise ValueError(f"{name} is {value!r}, must be '' or one of {', '.join(allowed)}")


AS_DECLARED: Final = ImageOptions()


@dataclass(frozen=True)
class CompressedFormat:
    """
    Content of the field ``format`` of a sensor_msgs/CompressedImage.

    :param codec: in lower case, such as 'jpeg'; '' if it is not named
    :param mosaic: Bayer encoding of a grey file that holds a mosaic; '' for other files
    :param color_order: of the file: 'bgr' if red and blue are exchanged in it
    :param wide_grey: whether one channel of 16 bits is known to be grey, not depth
    """

    text: str
    codec: str
    mosaic: str = ''
    color_order: str = 'rgb'
    wide_grey: bool = False


PNG_START: Final = b'\x89PNG'
PNG_MAGIC: Final = b'\x89PNG\r\n\x1a\n'
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
    encoding: str, height: int, width: int, step: int, data: Data, is_bigendian: bool = False,
    options: ImageOptions = AS_DECLARED,
) -> Image:  # fmt: skip
    """Decode the fields of a sensor_msgs/Image as ``view_image``, into an array of its own."""
    return np.array(view_image(encoding, height, width, step, data, is_bigendian, options))


def view_image(
    encoding: str, height: int, width: int, step: int, data: Data, is_bigendian: bool = False,
    options: ImageOptions = AS_DECLARED,
) -> Image:  # fmt: skip
    """
    Decode the fields of a sensor_msgs/Image; RGB data are not copied.

    :param step: bytes per row, padding included
    :param is_bigendian: byte order of 16-bit channels
    :returns: (height, width, 3) RGB uint8; the upper 8 of 16 bits
    :raises InputError: with the encoding, size or step that is invalid
    """
    encoding, is_exchanged = _stored(options.encoding or encoding, options.color_order)
    check_image(encoding, height, width, step, len(data))
    image = read_image(encoding, height, width, step, data, is_bigendian)
    return to_rgb(image, 'bgr8') if is_exchanged else image


def _stored(encoding: str, order: str) -> tuple[str, bool]:
    """Return the encoding in a colour order, and whether red and blue are exchanged after it."""
    if not order:
        return encoding, False
    layout = find_encoding(encoding)
    if layout.kind != 'channels':
        return encoding, order == 'bgr'
    if layout.samples == 1:
        return encoding, False
    return f'{order}{"a" if layout.samples == 4 else ""}{8 * layout.depth}', False


def decode_compressed(
    format_text: str, data: Data, size: Size | None = None, options: ImageOptions = AS_DECLARED
) -> Image:
    """
    Decode the fields of a sensor_msgs/CompressedImage.

    :param size: (height, width) that it will be fitted into, px; None decodes the full size
    :returns: (height, width, 3) RGB, at least as large as after fitting
    :raises InputError: if it is depth, not a JPEG or PNG, not what the format says, or damaged
    """
    described = parse_format(options.encoding or format_text)
    if options.encoding == 'mono16':
        described = replace(described, wide_grey=True)
    if not len(data):
        raise InputError(
            'compressed-empty',
            f'compressed image of format {format_text!r} has no data: check the log of the '
            'publisher, which could not compress the image',
        )
    decode = DECODERS[_codec_of(described, data)]
    image = decode(described, data, size)
    order = options.color_order or described.color_order
    return to_rgb(image, 'bgr8') if order == 'bgr' else image


def reordered(image: Image, options: ImageOptions) -> Image:
    """Return a decoded picture of a video in the true order of its channels."""
    return to_rgb(image, 'bgr8') if options.color_order == 'bgr' else image


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
        raise InputError(
            'compressed-contradiction',
            f'format is {described.text!r}, but the data are '
            f'{UNSUPPORTED.get(found, found.upper())}: {_format_remedy(found)}',
        )
    if codec:
        raise InputError(
            'compressed-format',
            f'format is {described.text!r}, must name JPEG or PNG: {_format_remedy(found)}',
        )
    raise InputError(
        'compressed-data',
        f'compressed image begins with {begin[:4].hex()!r} and its format is {described.text!r}, '
        'neither of which is JPEG or PNG: set the publisher to one of them',
    )


def _format_remedy(found: str) -> str:
    """Return the remedy for a wrong format, by the codec of the data."""
    if found in DECODERS:
        return f'correct the publisher, or set "encoding: {found}" for this camera in the map'
    return 'set the publisher to JPEG or PNG, or choose another topic of that camera'


def _from_jpeg(described: CompressedFormat, data: Data, size: Size | None) -> Image:
    if described.mosaic:
        return _demosaic(decode_samples(data), described, JPEG)
    return decode_jpeg(data, size)


def _damaged_png(data: Data) -> InputError:
    return InputError(
        'png-damaged',
        f'PNG of {len(data)} bytes is damaged or truncated: check the network and the driver',
    )


PNG_TEXTS: Final = (b'zTXt', b'iTXt', b'iCCP')  # compressed: each may be 8 MB in memory
TEXTS: Final = 16  # of these in a file
PNG_END: Final = b'IEND'  # kind of the last chunk
PNG_HEADER: Final = 26  # bytes, to the bits and the kind of a sample
PNG_GREY: Final = (0, 4)  # kinds: without and with alpha


def _from_png(described: CompressedFormat, data: Data, size: Size | None) -> Image:
    """Decode a PNG; of 16 bits the upper 8 are kept, and alpha has no effect."""
    header = bytes(data[:PNG_HEADER])
    if not header.startswith(PNG_START):
        raise InputError(
            'png-format', f'compressed image begins with {header[:4].hex()!r}: it is not a PNG'
        )
    content = _checked_chunks(data)
    is_wide = len(header) == PNG_HEADER and header[24] == 16
    is_known = described.mosaic or described.wide_grey
    if is_wide and header[25] in PNG_GREY and not is_known:
        raise InputError(
            'png-depth',
            f'PNG has one channel of 16 bits (format {described.text!r}), which is depth: '
            f'{DEPTH_REMEDY}; or, if it is grey, set "encoding: mono16" for this camera in the '
            'map',
        )
    form = cv2.IMREAD_UNCHANGED if is_wide or described.mosaic else cv2.IMREAD_COLOR
    try:
        pixels = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), form)
    except cv2.error as error:  # such as a size beyond the limit of OpenCV
        raise _damaged_png(data) from error
    if pixels is None:
        raise _damaged_png(data)
    if is_wide:
        pixels = np.asarray(pixels, dtype=np.uint16) >> 8
    samples = np.asarray(pixels, dtype=np.uint8)
    if described.mosaic:
        return _demosaic(samples, described, PNG)
    channels = samples.shape[2] if samples.ndim == 3 else 1
    return to_rgb(samples, {1: 'mono8', 3: 'bgr8', 4: 'bgra8'}[channels])


def _checked_chunks(data: Data) -> memoryview:
    """
    Return the chunks of a PNG, without what follows the last.

    OpenCV takes as much memory as a chunk has bytes by its length, so each must be in the data.

    :raises InputError: if a chunk is not whole, one has a size above the limit, or there are too
        many compressed texts
    """
    view, at, texts, kind = np.frombuffer(data, dtype=np.uint8).data, len(PNG_MAGIC), 0, b''
    while kind != PNG_END and at + 8 <= len(view):
        length, kind = int.from_bytes(view[at : at + 4]), bytes(view[at + 4 : at + 8])
        begin = at + 8 + (4 if kind == b'fcTL' else 0)  # behind the number of a frame
        if kind in (b'IHDR', b'fcTL') and begin + 8 <= len(view):
            width, height = struct.unpack_from('>II', view, begin)
            check_pixels('PNG', height, width)
        texts += kind in PNG_TEXTS
        at += 12 + length
    if texts > TEXTS:
        raise InputError(
            'png-texts',
            f'PNG of {len(view)} bytes has {texts} compressed texts, at most {TEXTS} are read: '
            'save it without metadata, or leave the recording out',
        )
    if kind != PNG_END or at > len(view):
        raise _damaged_png(data)
    return view[:at]


def _demosaic(samples: NDArray[np.uint8], described: CompressedFormat, codec: str) -> Image:
    """Convert a grey file that the format describes as a mosaic."""
    if samples.ndim != 2:
        raise InputError(
            'compressed-mosaic',
            f'format is {described.text!r}, a mosaic in grey, but the data have colours: correct '
            f'the publisher, or set "encoding: {codec}" for this camera in the map',
        )
    check_size(described.mosaic, *samples.shape)
    return to_rgb(samples, described.mosaic)


DECODERS: Final[dict[str, Callable[[CompressedFormat, Data, Size | None], Image]]] = {
    JPEG: _from_jpeg, PNG: _from_png,
}  # fmt: skip
