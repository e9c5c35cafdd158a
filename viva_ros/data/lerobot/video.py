# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Video of camera images: H.264 in MP4, lossy, which all players and LeRobot read.

A key frame every ``KEY_EVERY`` frames and no B-frames: a seek decodes few frames, and videos are
joined by copying packets. Images with an odd width or height are written with 4:4:4 chroma instead
of 4:2:0.
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
QUALITY: Final = 18  # CRF; lower is better, 18 is visually almost lossless
OPTIONS: Final = {
    'crf': str(QUALITY), 'preset': 'veryfast', 'g': str(KEY_EVERY), 'bf': '0', 'sc_threshold': '0',
    'threads': '1',
}  # fmt: skip
KEPT: Final = 8  # decoded images of one camera in memory


def pixel_format(height: int, width: int) -> str:
    """Return the pixel format for an image size, px."""
    return 'yuv444p' if height % 2 or width % 2 else 'yuv420p'


def encode(path: Path, images: Iterable[Image], fps: int) -> int:
    """
    Write images of one size as a video; image i has the time i / fps, s.

    :param images: (H, W, 3) RGB each
    :param fps: Hz
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
    Check the number of images in a file; PyAV does not report a full disk on close.

    :raises OSError: if images are missing
    """
    try:
        with av.open(str(path)) as container:
            count = sum(packet.dts is not None for packet in container.demux(video=0))
    except FFmpegError as error:
        raise OSError(f'{path} is incomplete ({error})') from error
    if count != expected:
        raise OSError(f'{path} has {count} images of {expected}')


def _stream(out: Any, fps: int, height: int, width: int) -> Any:
    stream = out.add_stream(CODEC, rate=fps, options=OPTIONS)
    stream.width, stream.height = width, height
    stream.pix_fmt = pixel_format(height, width)
    stream.time_base = stream.codec_context.time_base = Fraction(1, fps)
    return stream


def join(parts: Sequence[Path], counts: Sequence[int], out: Path, fps: int) -> None:
    """
    Concatenate videos without encoding them again.

    :param counts: number of images of each
    :raises RecordingError: if their encodings differ
    """
    with av.open(str(out), 'w', options={'movflags': '+faststart'}) as target:
        stream: Any = None
        before, head = 0, b''
        for part, count in zip(parts, counts, strict=True):
            with av.open(str(part)) as source:
                video = source.streams.video[0]
                if stream is None:
                    stream, head = target.add_stream_from_template(video), codec_header(video)
                if codec_header(video) != head:
                    raise RecordingError(
                        'video-encoding', f'{part} has another encoding than {parts[0]}'
                    )
                _copy(source, video, target, stream, Fraction(before, fps))
            before += count
    _check(out, sum(counts))


def codec_header(stream: Any) -> bytes:
    """Return the codec parameters that a decoder needs before the first frame."""
    return bytes(stream.codec_context.extradata or b'')


def _copy(source: Any, video: Any, target: Any, stream: Any, offset: Fraction) -> None:
    ticks = round(offset / video.time_base)
    for packet in source.demux(video):
        if packet.dts is None:  # the end
            continue
        packet.pts += ticks
        packet.dts += ticks
        packet.stream = stream
        target.mux(packet)


class VideoImages(Sequence[Image]):
    """
    Images of a video, decoded on access; sequential access is the fastest.

    :param times: of the images in the file, (N,), s
    :param fps: Hz
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
            return self.subset(range(len(self))[index])
        index = range(len(self))[index]
        if index not in self._kept:
            self._kept[index] = self._decode(float(self._times[index]))
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[index]

    def subset(self, rows: Sequence[int]) -> 'VideoImages':
        """Return the images at some indices."""
        return VideoImages(self._path, self._times[list(rows)], 0.5 / self._tolerance)

    def __reduce__(self) -> tuple[Any, ...]:  # an open file cannot be pickled
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
                'video-unreadable',
                f'video {self._path} cannot be read at {time:.3f} s ({error}): download it again',
            ) from error
        if abs(self._reached - time) > self._tolerance:
            raise RecordingError(
                'video-frame-missing',
                f'video {self._path} has no frame at {time:.3f} s: download it again, or leave it '
                'out',
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
