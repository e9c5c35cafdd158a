# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pictures as video: H.264 in MP4, which every player and LeRobot read. It is lossy.

A key frame every few frames and no frame that looks ahead: any picture is near a key frame, and
videos are joined by copying packets. A side of an odd number of pixels rules out 4:2:0 colour,
then 4:4:4 is written.
"""

import collections
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, overload

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.observation import Image

CODEC: Final = 'libx264'
KEY_EVERY: Final = 4  # frames
QUALITY: Final = 18  # CRF: lower is better; 18 is seen as lossless by most
OPTIONS: Final = {
    'crf': str(QUALITY), 'preset': 'veryfast', 'g': str(KEY_EVERY), 'bf': '0', 'sc_threshold': '0',
    'threads': '1',
}  # fmt: skip
KEPT: Final = 8  # decoded pictures of one camera


def pixel_format(height: int, width: int) -> str:
    """Return the format in which a size can be written."""
    return 'yuv444p' if height % 2 or width % 2 else 'yuv420p'


def encode(path: Path, images: Iterable[Image], fps: int) -> int:
    """
    Write images of one size as a video; image i is shown at i / fps s.

    :param images: (H, W, 3) RGB each
    :returns: number of images
    :raises OSError: if the file cannot be written
    """
    count = 0
    with av.open(str(path), 'w', options={'movflags': '+faststart'}) as out:
        stream: Any = None
        for image in images:
            if stream is None:
                stream = _stream(out, fps, *image.shape[:2])
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = count, Fraction(1, fps)
            out.mux(stream.encode(frame))
            count += 1
        if stream is not None:
            out.mux(stream.encode(None))
    _check(path, count)
    return count


def _check(path: Path, expected: int) -> None:
    """
    Look whether all is in the file: a disk that is full as a file is closed goes unnoticed else.

    :raises OSError: if images are missing
    """
    try:
        with av.open(str(path)) as container:
            there = sum(packet.dts is not None for packet in container.demux(video=0))
    except FFmpegError as error:
        raise OSError(f'{path} is not whole ({error})') from error
    if there != expected:
        raise OSError(f'{path} has {there} images of {expected}')


def _stream(out: Any, fps: int, height: int, width: int) -> Any:
    stream = out.add_stream(CODEC, rate=fps, options=OPTIONS)
    stream.width, stream.height = width, height
    stream.pix_fmt = pixel_format(height, width)
    stream.time_base = stream.codec_context.time_base = Fraction(1, fps)
    return stream


def join(parts: Sequence[Path], counts: Sequence[int], out: Path, fps: int) -> None:
    """
    Put videos one after the other without encoding them again.

    :param counts: images of each
    :raises RecordingError: if they were not encoded alike
    """
    with av.open(str(out), 'w', options={'movflags': '+faststart'}) as target:
        stream: Any = None
        before, head = 0, b''
        for part, count in zip(parts, counts, strict=True):
            with av.open(str(part)) as source:
                given = source.streams.video[0]
                if stream is None:
                    stream, head = target.add_stream_from_template(given), given_head(given)
                if given_head(given) != head:
                    raise RecordingError(f'{part} is encoded otherwise than {parts[0]}')
                _copy(source, given, target, stream, Fraction(before, fps))
            before += count
    _check(out, sum(counts))


def given_head(stream: Any) -> bytes:
    """Return what a decoder must know before the first frame."""
    return bytes(stream.codec_context.extradata or b'')


def _copy(source: Any, given: Any, target: Any, stream: Any, later: Fraction) -> None:
    ticks = round(later / given.time_base)
    for packet in source.demux(given):
        if packet.dts is None:  # the end
            continue
        packet.pts += ticks
        packet.dts += ticks
        packet.stream = stream
        target.mux(packet)


class VideoImages(Sequence[Image]):
    """
    Some pictures of a video, decoded on access; quick in order, and near a key frame else.

    :param times: of the pictures in the file, (N,), s
    """

    def __init__(self, path: Path, times: NDArray[np.float64], fps: float) -> None:
        self._path, self._times, self._tolerance = path, times, 0.5 / fps
        self._container: Any = None
        self._frames: Any = None
        self._reached = -np.inf  # s; time of the last frame decoded
        self._kept: collections.OrderedDict[int, Image] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    @overload
    def __getitem__(self, index: int) -> Image: ...

    @overload
    def __getitem__(self, index: slice) -> 'VideoImages': ...

    def __getitem__(self, index: int | slice) -> 'Image | VideoImages':
        if isinstance(index, slice):
            return self.some(range(len(self))[index])
        index = range(len(self))[index]
        if index not in self._kept:
            self._kept[index] = self._decode(float(self._times[index]))
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[index]

    def some(self, rows: Sequence[int]) -> 'VideoImages':
        """Return the pictures in some places."""
        return VideoImages(self._path, self._times[list(rows)], 0.5 / self._tolerance)

    def __reduce__(self) -> tuple[Any, ...]:  # an open file does not travel to another process
        return VideoImages, (self._path, self._times, 0.5 / self._tolerance)

    def _decode(self, time: float) -> Image:
        try:
            ahead = time - self._reached
            if self._container is None or not 0.0 < ahead < 4 * KEY_EVERY * self._tolerance:
                self._seek(time)
            for frame in self._frames:
                self._reached = float(frame.time)
                if self._reached >= time - self._tolerance:
                    break
            else:
                self._reached = np.inf
        except (FFmpegError, OSError, IndexError) as error:
            raise RecordingError(
                f'video {self._path} cannot be read at {time:.3f} s ({error}): fetch it again'
            ) from error
        if abs(self._reached - time) > self._tolerance:
            raise RecordingError(
                f'video {self._path} has no frame at {time:.3f} s: fetch it again, or leave it out'
            )
        return np.asarray(frame.to_ndarray(format='rgb24'), dtype=np.uint8)

    def _seek(self, time: float) -> None:
        if self._container is None:
            self._container = av.open(str(self._path))
            self._container.streams.video[0].codec_context.thread_count = 1
        stream = self._container.streams.video[0]
        target = max(0, round((time - self._tolerance) / stream.time_base))
        self._container.seek(target, stream=stream, backward=True)
        self._frames = self._container.decode(stream)
        self._reached = -np.inf
