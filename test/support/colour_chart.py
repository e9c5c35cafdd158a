# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A chart of eight known colours, as each encoding of sensor_msgs/Image."""

from dataclasses import dataclass
from typing import Final

import numpy as np

COLOURS: Final = np.array(
    [
        [(210, 30, 30), (30, 200, 30), (30, 30, 210), (235, 235, 235)],
        [(20, 20, 20), (200, 180, 40), (40, 160, 190), (150, 60, 170)],
    ],
    dtype=np.uint8,
)
SIDE: Final = 13  # px, of a patch: each second one begins at an odd column
MARGIN: Final = 3  # px at the edge of a patch, where mosaics and shared colours mix
GREY: Final = ('mono8', 'mono16', '8UC1')
ORDERS: Final = {
    'rgb': 'rgb', 'bgr': 'bgr', 'rgba': 'rgba', 'bgra': 'bgra', '8UC3': 'bgr', '8UC4': 'bgra',
}  # fmt: skip
PACKED: Final = {'yuv422': 'uyvy', 'uyvy': 'uyvy', 'yuv422_yuy2': 'yuyv', 'yuyv': 'yuyv'}
#: Levels that the inner part of a patch may differ: 8-bit luma and chroma cannot hold all colours.
YUV_ERROR: Final = 2


def chart() -> np.ndarray:
    """Return the chart, (26, 52, 3) RGB."""
    return COLOURS.repeat(SIDE, axis=0).repeat(SIDE, axis=1)


def true_image(encoding: str) -> np.ndarray:
    """Return what an image of the chart shows: grey of an encoding without colours."""
    return chart()[..., 1:2].repeat(3, axis=2) if encoding in GREY else chart()


def inner(image: np.ndarray) -> np.ndarray:
    """Return the pixels in the inner part of each patch, (2, 4, 7, 7, 3)."""
    patches = image.reshape(2, SIDE, 4, SIDE, 3).transpose(0, 2, 1, 3, 4)
    return patches[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN].astype(int)


@dataclass(frozen=True)
class RawFields:
    """Fields of a sensor_msgs/Image."""

    encoding: str
    height: int
    width: int
    step: int
    data: bytes
    is_bigendian: bool = False


def raw_chart(encoding: str, padding: int = 0, is_bigendian: bool = False) -> RawFields:
    """Return the chart in an encoding; rows have some more bytes, of which none are read."""
    rgb = chart()
    if encoding in ('nv12', 'nv21', 'nv24'):
        luma, chroma = planes(encoding, rgb)
        # Rows of chroma are padded like the ones of luma; those of nv24 have twice as many bytes.
        rows = [padded(luma, padding), padded(chroma, padding * (2 if encoding == 'nv24' else 1))]
    else:
        rows = [padded(packed(encoding, rgb, is_bigendian), padding)]
    step = rows[0].shape[1]
    data = b''.join(one.tobytes() for one in rows)
    return RawFields(encoding, *rgb.shape[:2], step, data, is_bigendian)


def padded(rows: np.ndarray, padding: int) -> np.ndarray:
    rows = rows.reshape(len(rows), -1)
    return np.concatenate([rows, np.full((len(rows), padding), 99, np.uint8)], axis=1)


def packed(encoding: str, rgb: np.ndarray, is_bigendian: bool) -> np.ndarray:
    """Return the rows of an encoding without planes, as bytes."""
    if encoding in PACKED:
        return alternating(rgb, PACKED[encoding])
    bits, name = (16, encoding[:-2]) if encoding.endswith('16') else (8, encoding.rstrip('8'))
    if encoding in GREY:
        samples = rgb[..., 1]
    elif name.startswith('bayer_'):
        samples = mosaic(rgb, name.removeprefix('bayer_'))
    else:
        channels = np.dstack([rgb, np.full(rgb.shape[:2], 7, np.uint8)])  # alpha has no effect
        samples = channels[..., ['rgba'.index(one) for one in ORDERS[name]]]
    if bits == 16:  # the lower byte differs from the upper, so that a swap is found
        wide = samples.astype(np.uint16) * 256 + (255 - samples)
        ordered = np.ascontiguousarray(wide, dtype='>u2' if is_bigendian else '<u2')
        return ordered.reshape(len(rgb), -1).view(np.uint8)
    return samples


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """Return one sample per pixel: the pattern is that of the first two rows and columns."""
    samples = np.empty(rgb.shape[:2], rgb.dtype)
    for place, colour in enumerate(pattern):
        row, column = divmod(place, 2)
        samples[row::2, column::2] = rgb[row::2, column::2, 'rgb'.index(colour)]
    return samples


def luma_and_chroma(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Y, U, V by ITU-R BT.601, video range, not rounded."""
    red, green, blue = (rgb.astype(float) / 255).transpose(2, 0, 1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return 16 + 219 * y, 128 + 224 * (blue - y) / 1.772, 128 + 224 * (red - y) / 1.402


def rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype(np.uint8)


def alternating(rgb: np.ndarray, order: str) -> np.ndarray:
    """Return rows of Y with U and V in turn, each the mean of two pixels."""
    y, u, v = luma_and_chroma(rgb)
    height, width = y.shape
    shared = [one.reshape(height, width // 2, 2).mean(axis=2) for one in (u, v)]
    rows = np.empty((height, width, 2), np.uint8)
    luma = order.index('y')
    rows[..., luma] = rounded(y)
    rows[:, 0::2, 1 - luma], rows[:, 1::2, 1 - luma] = map(rounded, shared)
    return rows


def planes(encoding: str, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the luma plane and the plane of U and V, or V and U, in turn."""
    y, u, v = luma_and_chroma(rgb)
    if encoding != 'nv24':
        height, width = y.shape
        blocks = (height // 2, 2, width // 2, 2)
        u, v = (one.reshape(blocks).mean(axis=(1, 3)) for one in (u, v))
    order = (v, u) if encoding == 'nv21' else (u, v)
    return rounded(y), np.stack([rounded(one) for one in order], axis=-1)
