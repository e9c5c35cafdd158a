# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Video of camera images in MP4, lossy: AV1 by default, which browsers and LeRobot read.

Frequent key frames and no B-frames: a seek decodes few frames, and videos are joined by copying
packets. AV1 has the values of LeRobot's own writer and a free encoder (SVT-AV1); H.264 is decoded
faster, and its encoder (x264) is under the GPL. Videos of all codecs are read.
"""

import collections
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, overload

import av
import numpy as np
from av.error import ArgumentError, ExternalError, FFmpegError
from numpy.typing import NDArray

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.input_limits import PIXEL_LIMIT
from viva_ros.core.memory import REMEDY
from viva_ros.core.observation import Image
from viva_ros.core.regular_file import check_regular
from viva_ros.data.lerobot.thread_priority import without_real_time
from viva_ros.data.video_file import open_video, unreadable

AV1_LEAST: Final = (4, 4)  # width and height, px
AV1_MOST: Final = (16384, 8704)  # px


@dataclass(frozen=True)
class VideoEncoder:
    """
    An encoder of FFmpeg, with the options of datasets.

    :param library: name of the encoder
    :param key_every: distance of key frames
    :param quality: CRF; lower is better
    """

    library: str
    key_every: int
    quality: int
    options: Mapping[str, str]

    def pixel_format(self, height: int, width: int) -> str:
        """Return the pixel format for an image size, px."""
        odd = height % 2 or width % 2  # AV1 has 4:2:0 of odd sizes, H.264 has not
        return 'yuv444p' if odd and self.library == 'libx264' else 'yuv420p'

    def all_options(self) -> dict[str, str]:
        """Return all options for FFmpeg."""
        return {'crf': str(self.quality), 'g': str(self.key_every), **self.options}


CODEC: Final = 'av1'  # default
#: Codecs by the name of ``--codec``, which is also that of FFmpeg and of ``video.codec``.
ENCODERS: Final[Mapping[str, VideoEncoder]] = {
    'av1': VideoEncoder('libsvtav1', 2, 30, {
        'preset': '9',  # the fastest without a warning of SVT-AV1 of visible artefacts
        'svtav1-params': 'pred-struct=1:lp=1',  # no B-frames; the bytes do not depend on lp
    }),
    'h264': VideoEncoder('libx264', 4, 18, {
        'preset': 'veryfast', 'bf': '0', 'sc_threshold': '0', 'tune': 'fastdecode', 'threads': '1',
    }),
}  # fmt: skip
GREY_DEPTH: Final = re.compile(r'gr[ae]y(9|1\d)')  # pixel formats with more than 8 bits
INSTALL: Final = 'install the wheel, "pip install --force-reinstall --no-deps --only-binary av av"'
KEPT: Final = 8  # decoded images of one camera in memory


def check_codec(codec: str) -> None:
    """
    Check that the installed FFmpeg encodes a codec.

    :raises ConfigurationError: if it does not; the text names the codecs that it encodes
    """
    if ENCODERS[codec].library in av.codecs_available:
        return
    usable = [f'use --codec {n}' for n, e in ENCODERS.items() if e.library in av.codecs_available]
    raise ConfigurationError(
        'video-encoder-missing',
        f'FFmpeg of PyAV {av.__version__} has no encoder {ENCODERS[codec].library} for codec '
        f'{codec}: {", or ".join([*usable, INSTALL])}',
    )


def encode(path: Path, images: Iterable[Image], fps: int, codec: str = CODEC) -> int:
    """
    Write images of one size as a video; image i has the time i / fps, s.

    :param images: (H, W, 3) RGB each
    :param fps: Hz
    :param codec: one of ``ENCODERS``
    :returns: number of images
    :raises OSError: if the file cannot be written
    :raises RecordingError: if an image cannot be encoded
    """
    count = 0
    with av.open(str(path), 'w', options={'movflags': '+faststart'}) as out:
        stream: Any = None
        for image in images:
            if stream is None:
                stream = _stream(out, fps, codec, *image.shape[:2])
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = count, Fraction(1, fps)
            out.mux(_encoded(stream, frame))
            count += 1
        if stream is not None:
            out.mux(_encoded(stream, None))
    _check(path, count)
    return count


def _encoded(stream: Any, frame: av.VideoFrame | None) -> Any:
    """Return the packets of an image, or the last ones."""
    try:
        return stream.encode(frame)
    except (ArgumentError, ExternalError) as error:
        raise _not_encoded(stream, error) from error


def _not_encoded(stream: Any, error: Exception) -> RecordingError:
    """Return the error of an encoder, which does not tell a lack of memory from others."""
    return RecordingError(
        'image-encoder',
        f'images of {stream.width} x {stream.height} pixels cannot be encoded ({error}): '
        f'memory does not suffice, or they are too large; {REMEDY}',
    )


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


def _stream(out: Any, fps: int, codec: str, height: int, width: int) -> Any:
    encoder = ENCODERS[codec]
    sides = zip(AV1_LEAST, (width, height), AV1_MOST, strict=True)
    if codec == 'av1' and not all(least <= side <= most for least, side, most in sides):
        raise RecordingError(
            'video-image-size',
            f'images of {width} x {height} pixels cannot be written as AV1, which has '
            f'{AV1_LEAST[0]} x {AV1_LEAST[1]} to {AV1_MOST[0]} x {AV1_MOST[1]}: use --codec h264',
        )
    os.environ.setdefault('SVT_LOG', '0')  # it prints its settings for each video
    stream = out.add_stream(encoder.library, rate=fps, options=encoder.all_options())
    stream.width, stream.height = width, height
    stream.pix_fmt = encoder.pixel_format(height, width)
    stream.time_base = stream.codec_context.time_base = Fraction(1, fps)
    try:
        with without_real_time():  # SVT-AV1 asks for it when it is opened
            stream.codec_context.open()
    except (ArgumentError, ExternalError) as error:
        raise _not_encoded(stream, error) from error
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
            source, video = open_video(part)
            with source:
                if stream is None:  # opaque: FFmpeg's decoder of AV1 has no encoder of its name
                    stream = target.add_stream_from_template(video, opaque=True)
                    head = codec_header(video)
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


@dataclass(frozen=True)
class VideoIndex:
    """
    The frames of a video in the order in which they are shown.

    :param times: presentation times, (N,), in units of ``unit``, ascending
    :param keys: those of the key frames, from which decoding can begin
    :param unit: s
    """

    times: NDArray[np.int64]
    keys: NDArray[np.int64]
    unit: Fraction

    def __len__(self) -> int:
        return len(self.times)


def index_of(path: Path) -> VideoIndex:
    """
    Return the frames of a video; it is read once for each process and content.

    :raises RecordingError: if it cannot be read
    """
    try:
        check_regular(path)
        stat = path.stat()
        return _index(path, stat.st_size, stat.st_mtime_ns)
    except (FFmpegError, OSError, IndexError) as error:
        raise unreadable(path, error) from error


@lru_cache(maxsize=256)
def _index(path: Path, size: int, modified: int) -> VideoIndex:
    container, stream = open_video(path)
    with container:
        packets = [
            (packet.pts, packet.is_keyframe) for packet in container.demux(stream)
            if packet.pts is not None and packet.size and not packet.is_discard
        ]  # fmt: skip
        unit = Fraction(stream.time_base or 1)
        if container.format.name == 'avi' and stream.codec_context.has_b_frames:
            raise RecordingError(
                'video-untimed',
                f'video {path} has B-frames, and AVI files have no times of frames: convert it, '
                f'ffmpeg -i {shlex.quote(str(path))} {shlex.quote(str(path.with_suffix(".mp4")))}'
                ', and move it away; or record it without B-frames, or as MP4 or MKV',
            )
    times = np.unique(np.array([pts for pts, _ in packets], dtype=np.int64))
    if len(times) != len(packets):
        raise RecordingError(
            'video-times', f'video {path} has {len(packets)} frames with {len(times)} times'
        )
    keys = np.unique(np.array([pts for pts, is_key in packets if is_key], dtype=np.int64))
    return VideoIndex(times, keys, unit)


class VideoImages(Sequence[Image]):
    """
    Images of a video, decoded on access; sequential access is the fastest.

    :param frames: of the file in the order in which they are shown, (N,)
    """

    def __init__(self, path: Path, frames: Sequence[int] | NDArray[np.int64]) -> None:
        self._path, self._rows = path, np.asarray(frames, dtype=np.int64)
        self._container: Any = None
        self._stream: Any = None
        self._frames: Any = None
        self._reached = -1  # frame that was decoded last; -1 for none
        self._kept: collections.OrderedDict[int, Image] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Image: ...

    @overload
    def __getitem__(self, index: slice) -> 'VideoImages': ...

    def __getitem__(self, index: int | slice) -> 'Image | VideoImages':
        if isinstance(index, slice):
            return self.subset(range(len(self))[index])
        index = range(len(self))[index]
        if index not in self._kept:
            self._kept[index] = self._decode(int(self._rows[index]))
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[index]

    def subset(self, rows: Sequence[int]) -> 'VideoImages':
        """Return the images at some indices."""
        return VideoImages(self._path, self._rows[list(rows)])

    def __reduce__(self) -> tuple[Any, ...]:  # an open file cannot be pickled
        return VideoImages, (self._path, self._rows)

    def _decode(self, number: int) -> Image:
        index = index_of(self._path)
        try:
            time = int(index.times[number])
            frame = self._read(time) if self._is_near(index, number) else None
            for back in () if frame is not None else (0, 1, len(index.keys)):
                frame = self._seek(index, time, back)
                if frame is not None:
                    break
        except (FFmpegError, OSError, IndexError) as error:
            raise unreadable(self._path, error) from error
        if frame is None:
            raise RecordingError(
                'video-frame-missing',
                f'video {self._path}: frame {number} cannot be decoded: copy it from the '
                'original, or leave its episodes out',
            )
        self._reached = number
        if GREY_DEPTH.match(frame.format.name):
            raise RecordingError(
                'video-depth',
                f'video {self._path} has the pixel format {frame.format.name}: it is a depth map, '
                'no colour camera; name the cameras in the map',
            )
        return np.asarray(frame.to_ndarray(format='rgb24'), dtype=np.uint8)

    def _is_near(self, index: VideoIndex, number: int) -> bool:
        """Return whether a frame is reached by decoding on, with no more frames than a seek."""
        key = int(np.searchsorted(index.keys, index.times[number], side='right')) - 1
        first = int(np.searchsorted(index.times, index.keys[key])) if key >= 0 else 0
        return max(0, first - 1) <= self._reached < number

    def _read(self, time: int) -> Any:
        """Return the frame of a time among those that follow; None if it is not there."""
        for frame in self._frames:
            if frame.pts is not None and frame.pts >= time:
                return frame if frame.pts == time else None
        return None

    def _seek(self, index: VideoIndex, time: int, back: int) -> Any:
        """Return the frame of a time, decoded from a key frame before it."""
        if self._container is None:
            self._container, self._stream = open_video(self._path)
            context = self._stream.codec_context
            context.thread_count, context.options = 1, {'max_pixels': str(PIXEL_LIMIT)}
        stream = self._stream
        key = int(np.searchsorted(index.keys, time, side='right')) - 1 - back
        target = int(index.keys[max(0, key)]) if len(index.keys) else 0
        self._container.seek(target, stream=stream, backward=True)
        self._frames = self._container.decode(stream)
        self._reached = -1
        return self._read(time)
