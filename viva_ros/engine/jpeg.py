# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decode JPEG files, at 1/2, 1/4 or 1/8 of their size where that suffices.

A JPEG holds frequencies of blocks of 8 x 8 pixels; a reduced image needs only the low ones. A
truncated JPEG is refused, as the decoder would fill the rest with grey. Bytes behind the end
marker are ignored: drivers send fixed buffers, and a stereo camera a second image.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import InputError
from viva_ros.core.input_limits import PIXEL_LIMIT
from viva_ros.core.observation import Image

START: Final = b'\xff\xd8\xff'
FORMS: Final = {
    8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}  # fmt: skip
SCANS: Final = 200  # of a progressive JPEG, which has about 10
MIN_SIDE: Final = 64  # px, of the shorter side: for the checks of black and covered images
START_OF_SCAN: Final = 0xDA
NO_LENGTH: Final = {0x01, *range(0xD0, 0xD8)}  # markers without a length
FRAMES: Final = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of segments with the size
START_OF_IMAGE: Final = 0xD8
END_OF_IMAGE: Final = 0xD9
# Not 0xFF before 0x00, a data byte of 0xFF; nor before 0xFF, padding; nor restart markers.
SEGMENT: Final = re.compile(rb'\xff[^\x00\x01\xd0-\xd7\xff]')


def decode_jpeg(
    data: bytes | memoryview | NDArray[np.uint8], size: tuple[int, int] | None = None
) -> Image:
    """
    Decode a JPEG; bytes behind its end are ignored.

    :param size: (height, width) that it will be fitted into, px; None decodes the full size
    :returns: (height, width, 3) RGB, at least as large as after fitting
    :raises InputError: if it is not a JPEG, or is truncated or damaged
    """
    content = complete(data)
    form = FORMS[1 if size is None else reduction(sent_size(content), size)]
    return np.asarray(cv2.cvtColor(_decode(content, form), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def decode_samples(data: bytes | memoryview | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """
    Decode a JPEG at full size to the samples that it stores, not rotated.

    :returns: (height, width) of a grey JPEG, else (height, width, 3) BGR
    :raises InputError: as ``decode_jpeg``
    """
    return _decode(complete(data), cv2.IMREAD_UNCHANGED)


def complete(data: bytes | memoryview | NDArray[np.uint8]) -> memoryview:
    """
    Return the first JPEG in some bytes, without what follows its end marker and without a copy.

    :raises InputError: if it is not a JPEG, or has no end marker
    """
    content = np.frombuffer(data, dtype=np.uint8).data
    begin = bytes(content[:3])
    if begin != START:
        raise InputError(
            'jpeg-format', f'compressed image begins with {begin.hex()!r}: it is not a JPEG'
        )
    end = end_of_image(content)
    if end is None:
        raise InputError(
            'jpeg-truncated', f'JPEG of {len(content)} bytes has no end marker: it is truncated'
        )
    _check_segments(content[:end])
    return content[:end]


def check_pixels(name: str, height: int, width: int) -> None:
    """
    Refuse an image by the size in its header, before memory is allocated for it.

    :param name: of the image, such as 'JPEG'
    :raises InputError: if it has more than PIXEL_LIMIT
    """
    if height * width > PIXEL_LIMIT:
        raise InputError(
            'image-pixels',
            f'{name} has {width} x {height} pixels by its header, at most {PIXEL_LIMIT} are '
            'decoded: set a smaller size in the driver, or leave the recording out',
        )


def _check_segments(content: memoryview) -> None:
    """
    Check the sizes in all headers of a complete JPEG, and the number of its scans.

    :raises InputError: if one is above the limit
    """
    scans = 0
    for code, place in segments(content):
        if code in FRAMES and place + 7 <= len(content):
            check_pixels('JPEG', *struct.unpack_from('>HH', content, place + 3))
        scans += code == START_OF_SCAN
    if scans > SCANS:
        raise InputError(
            'jpeg-scans',
            f'JPEG of {len(content)} bytes has {scans} scans, at most {SCANS} are decoded: '
            'convert it, or leave the recording out',
        )


def _decode(content: memoryview, form: int) -> NDArray[np.uint8]:
    """Return the pixels of a complete JPEG as OpenCV decodes them."""
    try:
        pixels = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), form)
    except cv2.error as error:
        raise InputError(
            'jpeg-damaged', f'JPEG of {len(content)} bytes is damaged: {error}'
        ) from error
    if pixels is None:
        raise InputError('jpeg-damaged', f'JPEG of {len(content)} bytes is damaged')
    return np.asarray(pixels, dtype=np.uint8)


def end_of_image(content: bytes | memoryview) -> int | None:
    """
    Return the place behind the end marker of the first JPEG, bytes; None if it has none.

    The walk skips segments by their length, as a preview image in one has an end marker of its
    own, and the data of each scan to the next marker (ISO/IEC 10918-1, B.1.1). A second image
    that begins before the end shows that the first is truncated.
    """
    for code, place in segments(content):
        if code == END_OF_IMAGE:
            return place
        if code == START_OF_IMAGE:
            return None
    return None


def segments(content: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """Yield the code of each marker behind the first, and the place behind it."""
    place = 2
    while found := SEGMENT.search(content, place):
        place = found.end()
        code = content[place - 1]
        yield code, place
        place += int.from_bytes(content[place : place + 2])


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


def sent_size(content: bytes | memoryview) -> tuple[int, int] | None:
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
