# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packets of video cameras, encoded by FFmpeg; picture k shows the number k."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, Final

import av
import numpy as np
from av.error import FFmpegError

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
        'preset': '12', 'g': str(KEY_EVERY), 'svtav1-params': 'pred-struct=1:lp=1',
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
    try:
        context: Any = av.CodecContext.create(encoder, 'w')
    except (ValueError, FFmpegError) as error:
        raise AssertionError(f'the wheel of av has no {encoder}') from error
    context.height, context.width = images[0].shape[:2]
    context.pix_fmt, context.framerate = pixels, Fraction(30)
    context.time_base, context.options = Fraction(1, 30), dict(options)
    packets = []
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format='rgb24')
        frame.pts = number
        packets += context.encode(frame)
    return [bytes(packet) for packet in packets + context.encode(None)]


@cache
def stream(codec: str, count: int = 20, size: tuple[int, int] = SIZE) -> tuple[bytes, ...]:
    """Return packets without delay, with a key frame every KEY_EVERY."""
    encoder, options = ENCODERS[codec]
    packets = encode(encoder, [moving(k, size) for k in range(count)], options)
    assert len(packets) == count
    return tuple(packets)


@cache
def with_b_frames() -> tuple[bytes, ...]:
    """Return H.264 packets that are decoded in another order than shown."""
    options = {'bf': '2', 'g': str(KEY_EVERY), 'preset': 'medium', 'b-adapt': '0'}
    return tuple(encode('libx264', [moving(k) for k in range(20)], options))
