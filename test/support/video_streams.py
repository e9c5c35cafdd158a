# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packets of video cameras, encoded by FFmpeg; picture k shows the number k."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, Final

import av
import numpy as np

from viva_ros.data.lerobot.thread_priority import without_real_time
from viva_ros.engine.video_bitstream import units

KEY_EVERY: Final = 8  # packets
SIZE: Final = (96, 128)  # height, width, px
#: Format in messages to the encoder of FFmpeg and its options, for streams without delay.
ENCODERS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    'h264': ('libx264', {'tune': 'zerolatency', 'preset': 'ultrafast', 'g': str(KEY_EVERY)}),
    'h265': ('libx265', {
        'tune': 'zerolatency', 'preset': 'ultrafast',
        'x265-params': f'keyint={KEY_EVERY}:min-keyint={KEY_EVERY}:log-level=none:pools=1',
    }),
    'av1': ('libsvtav1', {
        'preset': '8', 'crf': '20', 'g': str(KEY_EVERY),
        'svtav1-params': 'pred-struct=1:lp=1',
    }),
}  # fmt: skip


def moving(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return a picture of a bar that moves by 4 px for each number, (H, W, 3) RGB."""
    height, width = size
    image = np.empty((height, width, 3), np.uint8)
    image[...] = np.linspace(40.0, 160.0, width)[None, :, None]
    image[: height // 3, :, 2] = 90
    at = 4 * number % (width - 8)
    image[:, at : at + 8] = (220, 60, 30)
    return image


def encode(
    encoder: str, images: Sequence[np.ndarray], options: Mapping[str, str], pixels: str = 'yuv420p'
) -> list[bytes]:
    """Return the packets of an encoder of FFmpeg in the order of decoding."""
    context = _context(encoder, images[0].shape[:2], options, pixels)
    packets = []
    with without_real_time():  # SVT-AV1 would give it to all threads of the test
        for number, image in enumerate(images):
            packets += context.encode(_frame(image, number))
        return [bytes(packet) for packet in packets + context.encode(None)]


def _context(encoder: str, size: tuple[int, int], options: Mapping[str, str], pixels: str) -> Any:
    context: Any = av.CodecContext.create(encoder, 'w')
    context.height, context.width = size
    context.pix_fmt, context.framerate = pixels, Fraction(30)
    context.time_base, context.options = Fraction(1, 30), dict(options)
    return context


def _frame(image: np.ndarray, number: int) -> Any:
    frame = av.VideoFrame.from_ndarray(image, format='rgb24')
    frame.pts = number
    return frame


class Encoder:
    """Encodes the pictures of a camera one by one, without delay."""

    def __init__(self, codec: str, size: tuple[int, int]) -> None:
        encoder, options = ENCODERS[codec]
        self._context, self._count = _context(encoder, size, options, 'yuv420p'), 0

    def packet(self, image: np.ndarray) -> bytes:
        """Return the packet of the next picture."""
        with without_real_time():
            (packet,) = self._context.encode(_frame(image, self._count))
        self._count += 1
        return bytes(packet)


@cache
def stream(codec: str, count: int = 20, size: tuple[int, int] = SIZE) -> tuple[bytes, ...]:
    """Return packets without delay, with a key frame every KEY_EVERY."""
    encoder, options = ENCODERS[codec]
    packets = encode(encoder, [moving(k, size) for k in range(count)], options)
    assert len(packets) == count
    return tuple(packets)


COLOURS: Final = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (200, 100, 50))
#: Weights of red and blue in luma, and the number of the matrix in FFmpeg.
MATRICES: Final = {
    'BT.601': (0.299, 0.114, 6), 'BT.709': (0.2126, 0.0722, 1), '': (0.299, 0.114, 2),
}  # fmt: skip
LOSSLESS: Final = {
    'h264': {'crf': '1'}, 'av1': {'crf': '5'},
    'h265': {'x265-params': 'keyint=8:log-level=none:pools=1:crf=1'},
}  # fmt: skip


def colour_packet(codec: str, matrix: str, is_full: bool) -> bytes:
    """Return a key frame with patches of 32 px of COLOURS, by a matrix and a range."""
    red, blue, number = MATRICES[matrix]
    rgb = np.repeat(np.array([COLOURS]) / 255.0, 64, axis=0).repeat(32, axis=1)
    luma = rgb @ (red, 1.0 - red - blue, blue)
    chroma = [(rgb[..., i] - luma) / (2.0 - 2.0 * w) for i, w in ((2, blue), (0, red))]
    span = (255.0, 255.0, 0.0) if is_full else (219.0, 224.0, 16.0)
    planes = [span[2] + span[0] * luma, *(128.0 + span[1] * one[::2, ::2] for one in chroma)]
    frame: Any = av.VideoFrame(rgb.shape[1], rgb.shape[0], 'yuv420p')
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = values.round().clip(0, 255)
        plane.update(rows)
    encoder, options = ENCODERS[codec]
    context = _context(encoder, rgb.shape[:2], {**options, **LOSSLESS[codec]}, 'yuv420p')
    frame.pts = 0
    for one in (frame, context):
        one.colorspace, one.color_range = number, 2 if is_full else 1
    with without_real_time():
        (packet,) = [*context.encode(frame), *context.encode(None)]
    return bytes(packet)


@cache
def with_b_frames() -> tuple[bytes, ...]:
    """Return H.264 packets that are decoded in another order than shown."""
    options = {'bf': '2', 'g': str(KEY_EVERY), 'preset': 'medium', 'b-adapt': '0'}
    return tuple(encode('libx264', [moving(k) for k in range(20)], options))


START_CODE: Final = b'\x00\x00\x00\x01'


def split_units(codec: str, data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the parameter sets of a packet of H.264 or H.265, and its slices and other units."""
    parts = [START_CODE + data[begin:end].rstrip(b'\x00') for begin, end in units(data)]
    kinds = [part[4] & 31 if codec == 'h264' else part[4] >> 1 for part in parts]
    found = [kind in (7, 8, 32, 33, 34) for kind in kinds]
    return (
        [part for part, one in zip(parts, found, strict=True) if one],
        [part for part, one in zip(parts, found, strict=True) if not one],
    )
