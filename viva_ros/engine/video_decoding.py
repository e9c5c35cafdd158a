# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decode the packets of an H.264, H.265 or AV1 camera, by FFmpeg through PyAV.

Each packet gives its own picture, or none: there is no picture before the first key frame, and
after a lost or damaged packet none before the next one. FFmpeg would conceal the loss, and show a
smeared picture until then. Streams that are decoded in another order than shown (B frames) are
refused: a picture would be late, live, by as many packets.
"""

import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import ConfigurationError, InputError
from viva_ros.core.input_limits import PIXEL_LIMIT
from viva_ros.core.libraries import remedy
from viva_ros.core.observation import Image
from viva_ros.engine.image_encodings import DEPTH_REMEDY, is_matrix
from viva_ros.engine.video_bitstream import (
    Av1Bitstream,
    Bitstream,
    H264Bitstream,
    H265Bitstream,
    PacketContent,
    PartialPictureError,
    PictureSizeError,
)

H264: Final = 'h264'
H265: Final = 'h265'
AV1: Final = 'av1'
#: Name in texts, decoder of FFmpeg, and reader of the headers of each codec.
CODECS: Final[dict[str, tuple[str, str, Callable[[], Bitstream]]]] = {
    H264: ('H.264', 'h264', H264Bitstream),
    H265: ('H.265', 'hevc', H265Bitstream),
    AV1: ('AV1', 'libdav1d', Av1Bitstream),
}
#: Parameters of a key frame.
PARAMETERS: Final = {H264: 'SPS and PPS', H265: 'VPS, SPS and PPS', AV1: 'sequence header'}
#: Names of codecs and of encoders of FFmpeg; an encoder of a device has the codec before '_'.
NAMES: Final = {
    'av1': AV1, 'libaom-av1': AV1, 'librav1e': AV1, 'libsvtav1': AV1,
    'avc': H264, 'h264': H264, 'libopenh264': H264, 'libx264': H264, 'libx264rgb': H264,
    'h265': H265, 'hevc': H265, 'libx265': H265,
}  # fmt: skip
#: Codecs of packets that are not decoded.
UNSUPPORTED_VIDEO: Final = ('mjpeg', 'mpeg4', 'theora', 'vp8', 'vp9')
ONE_PERIOD: Final = (
    'set a period in its publisher, such as gop_size of ffmpeg_image_transport, without intra '
    'refresh'
)
UNTIL_KEY: Final = 'no image until the next key frame'
WHOLE: Final = 1000  # pictures in a row after which a stream with parts, or a mixed one, is used
MIXED: Final = 200_000_000  # ns
VIDEO_RANGE, FULL_RANGE = 1, 2  # of FFmpeg
#: Codes of faults that make earlier images of the stream doubtful, too.
DOUBTFUL: Final = ('video-partial', 'video-mixed')


@dataclass(frozen=True)
class VideoPacket:
    """
    One packet of a camera.

    :param format: of the message: the codec or encoder, with or without ';' and pixel formats
    :param stamp: of its picture, ns
    :param number: of its picture, counted by the publisher; None if it does not count
    """

    format: str
    stamp: int
    data: bytes
    number: int | None = None


def packet_of(message: Any, stamp: int) -> VideoPacket:
    """
    Return the packet of a message of ffmpeg_image_transport_msgs or foxglove_msgs.

    :param stamp: of the picture, ns
    """
    data = bytes(message.data)
    if hasattr(message, 'pts'):
        return VideoPacket(message.encoding, stamp, data, int(message.pts))
    return VideoPacket(message.format, stamp, data)


def check_library() -> None:
    """
    Check that PyAV is installed.

    :raises ConfigurationError: if it is not
    """
    if importlib.util.find_spec('av') is None:
        raise ConfigurationError(
            'video-library', f'video topics need PyAV, which is not installed; {remedy(["av"])}'
        )


@lru_cache(maxsize=64)
def codec_of(text: str) -> str:
    """
    Return the codec of a format: 'h264', 'h265' or 'av1'.

    :param text: of foxglove_msgs, such as 'h264', or of ffmpeg_image_transport_msgs, such as
        'libx264' or 'hevc;yuv420p;bgr8;bgr8'
    :raises InputError: if it is another codec, or not a colour image
    """
    tokens = [one.strip().lower() for one in text.split(';')]
    name, source = tokens[0], tokens[3] if len(tokens) > 3 else ''
    codec = NAMES.get(name) or NAMES.get(name.partition('_')[0])
    if codec is None:
        raise InputError(
            'video-codec',
            f'video has the format {text!r}, must be H.264, H.265 or AV1: set the encoding of the '
            'publisher to one of them, such as libx264, or choose another topic of that camera',
        )
    if is_matrix(text.split(';')[-1].strip()):
        raise InputError(
            'video-packet-depth', f'format is {text!r}, which is depth: {DEPTH_REMEDY}'
        )
    if source.startswith('bayer') and tokens[2].startswith(('bayer', 'mono')):
        raise InputError(
            'video-mosaic',
            f'format is {text!r}, a mosaic in grey, which lossy video damages: publish the colour '
            'image of that camera, or choose its raw topic',
        )
    return codec


def is_grey(text: str) -> bool:
    """Return whether a format says that grey images were encoded as they are, 0 to 255."""
    return text.split(';')[1:2] == ['gray']


class VideoDecoder:
    """
    Decodes the packets of one camera in order.

    :param parameters: parameter sets that the first key frame may lack, see ``parameters``
    """

    def __init__(self, parameters: bytes = b'') -> None:
        self.parameters = parameters
        self._codec = ''
        self._bitstream: Bitstream = H264Bitstream()
        self._context: Any = None
        self._fault: InputError | None = None
        self._is_complete = False
        self._between = b''  # parameters since the last picture
        self._waited = self._doubted = 0
        self._last: VideoPacket | None = None
        self._step = 0
        self._number: int | None = None
        self._count = 0
        self.is_key = False

    def interrupt(
        self, reason: str, cure: str = 'check the network, or publish with reliable QoS'
    ) -> None:
        """Note that packets are missing before the next one, with the reason and the remedy."""
        if self._context is not None:
            self._stop(InputError('video-lost', f'{reason}: {UNTIL_KEY}; {cure}'))

    def decode(self, packet: VideoPacket) -> Any:
        """
        Return the picture of a packet, for ``to_image``; None for a packet without a picture.

        ``is_key`` then tells whether decoding can begin with this packet, given ``parameters``.

        :raises InputError: with the reason for which there is no picture
        """
        codec = codec_of(packet.format)
        if codec != self._codec:
            self.parameters = b'' if self._codec else self.parameters
            self._codec, self._bitstream = codec, CODECS[codec][2]()
            self._context, self._last, self._number, self._step = None, None, None, 0
            self._fault, self._doubted, self._between = None, 0, b''
        content = self._inspect(packet.data)
        if not content.has_picture:
            self._between, _ = self._bitstream.merge(self._between, content.parameters)
            return None
        self._check_order(packet, content)
        self._last, self.is_key = packet, content.is_key
        if self._context is None:
            self._begin(packet, content)
        if content.is_ahead:
            raise self._stop(
                InputError(
                    'video-order',
                    'a packet has an image that is coded ahead of others, which a loss would '
                    'exchange: set the encoder to low delay (pred-struct=1 of libsvtav1, '
                    'lag-in-frames=0 of libaom-av1)',
                )
            )
        before, self._between = self._between, b''
        if content.is_key:
            before = b'' if content.parameters == self.parameters else self.parameters
        return self._picture(packet, before + packet.data)

    def _inspect(self, data: bytes) -> PacketContent:
        try:
            if not data:
                raise ValueError('it is empty')
            content = self._bitstream.inspect(data)
            self.parameters, self._is_complete = self._bitstream.merge(
                self.parameters, content.parameters
            )
            return content
        except PartialPictureError as error:
            self._doubted = WHOLE
            fault = InputError('video-partial', f'packet of {len(data)} bytes {error}')
            raise self._stop(fault) from error
        except PictureSizeError as error:
            raise self._stop(
                InputError(
                    'video-size',
                    f'{CODECS[self._codec][0]} has images of {error.size[1]} x {error.size[0]} '
                    f'pixels by its parameters, at most {PIXEL_LIMIT} are decoded: set a '
                    'smaller size in the driver, or leave the recording out',
                )
            ) from error
        except ValueError as error:
            name, found = CODECS[self._codec][0], recognised(data)
            if found not in ('', self._codec):
                raise self._contradiction(found) from error
            text = f'packet of {len(data)} bytes is not {name} ({error})'
            if self._context is None and self._fault is not None:
                raise self._refusal() from error
            if self._context is None:
                raise InputError(
                    'video-data',
                    f'{text}: correct the format in the publisher; {name} must be in the format '
                    f'{"of low overhead (OBU)" if self._codec == AV1 else "of Annex B"}',
                ) from error
            raise self._stop(
                InputError(
                    'video-damaged', f'{text}: {UNTIL_KEY}; check the network and the driver'
                )
            ) from error

    def _check_order(self, packet: VideoPacket, content: PacketContent) -> None:
        """Stop decoding if a packet does not follow the last one."""
        last, self._waited = self._last, self._waited + 1
        if self._context is None or last is None:
            self._step = 0
            self._number = content.number if content.is_key else None
            return
        if 0 < packet.stamp < last.stamp:
            self.interrupt(f'stamp goes back by {(last.stamp - packet.stamp) * 1e-9:.3f} s')
        if packet.number is not None and last.number is not None:
            step = packet.number - last.number
            if step < 0 or (self._step == 1 and step != 1):
                self.interrupt(f'packet {packet.number} follows packet {last.number}')
            self._step = step
        if content.is_key:
            self._number = content.number
        elif content.has_picture and content.number is not None and self._number is not None:
            if content.number == self._number and packet.data != last.data:
                self._check_mixed(packet.stamp - last.stamp)
            if content.number != (self._number + 1) % content.numbers:
                self.interrupt(f'picture {content.number} follows picture {self._number}')
            if content.is_counted:
                self._number = content.number

    def _check_mixed(self, interval: int) -> None:
        """
        Refuse the stream if two pictures with one number follow each other.

        :param interval: between them, ns; a long one may hide as many losses as there are numbers
        """
        if 0 <= interval < MIXED:
            self._doubted = WHOLE
            raise self._stop(
                InputError(
                    'video-mixed',
                    'two pictures in a row have the same number: several publishers are on one '
                    'topic, whose images would mix; end all but one, or record each on its own',
                )
            )

    def _begin(self, packet: VideoPacket, content: PacketContent) -> None:
        """
        Begin with a key frame.

        :raises InputError: if the packet is none, or the stream is doubtful
        """
        if self._doubted:
            self._doubted -= 1
            raise self._refusal()
        if not content.is_key or not self._is_complete:
            found = recognised(packet.data)
            if self._fault is None and found not in ('', self._codec):
                raise self._contradiction(found)
            raise self._refusal(content.is_key)
        self._context, self._fault = _context(CODECS[self._codec][1]), None
        self._waited = self._count = self._step = 0
        self._number = content.number

    def _send(self, data: bytes) -> list[Any]:
        import av

        packet: Any = av.Packet(data)
        packet.pts = self._count = self._count + 1
        try:
            return list(self._context.decode(packet))
        except av.error.FFmpegError as error:
            raise self._stop(
                InputError(
                    'video-damaged',
                    f'packet of {len(data)} bytes is damaged, or one that it needs is missing '
                    f'({error.strerror}): {UNTIL_KEY}; check the network and the driver',
                )
            ) from error

    def _picture(self, packet: VideoPacket, data: bytes) -> Any:
        frames = self._send(data)
        if [frame.pts for frame in frames] != [self._count]:
            raise self._stop(
                InputError(
                    'video-order',
                    f'a packet gives {len(frames)} images, or that of another packet: the stream '
                    'has B frames, which are late; set B frames to 0 in the publisher '
                    '(tune: zerolatency, or bf: 0)',
                )
            )
        if frames[0].is_corrupt:
            raise self._stop(
                InputError(
                    'video-damaged',
                    f'image of a packet of {len(data)} bytes is damaged: {UNTIL_KEY}; check the '
                    'network and the driver',
                )
            )
        if is_grey(packet.format) and int(frames[0].color_range) not in (VIDEO_RANGE, FULL_RANGE):
            frames[0].color_range = FULL_RANGE
        return frames[0]

    def _stop(self, fault: InputError) -> InputError:
        """Wait for a key frame; return the reason, which holds until then."""
        self._context, self._fault, self._waited = None, fault.fresh(), 0
        return fault

    def _refusal(self, is_key: bool = False) -> InputError:
        """Return why a packet has no image, where decoding cannot begin with it."""
        name = CODECS[self._codec][0]
        if is_key:
            return self._stop(
                InputError(
                    'video-parameters',
                    f'key frame of {name} has no {PARAMETERS[self._codec]}: let the publisher '
                    'repeat them with each one',
                )
            )
        if self._fault is not None:
            return self._fault.fresh()
        return InputError(
            'video-key-frame',
            f'no key frame of {name} in {self._waited} packets, images begin with the next one: '
            f'if none comes, {ONE_PERIOD}',
        )

    def _contradiction(self, found: str) -> InputError:
        return self._stop(
            InputError(
                'video-contradiction',
                f'format is {CODECS[self._codec][0]}, but the data are {CODECS[found][0]}: '
                'correct the format in the publisher',
            )
        )


def _context(name: str) -> Any:
    """
    Return a decoder of FFmpeg.

    :raises InputError: if this FFmpeg has none of this name
    """
    import av

    try:
        context: Any = av.CodecContext.create(name, 'r')
    except ValueError as error:
        raise InputError(
            'video-decoder',
            f'FFmpeg of PyAV {av.__version__} has no decoder {name}: install PyAV by pip, whose '
            'wheel has it',
        ) from error
    context.thread_count = 1  # threads would delay each picture by some packets
    context.flags |= av.codec.context.Flags.low_delay
    context.options = {'err_detect': 'explode', 'max_pixels': str(PIXEL_LIMIT)}
    return context


def recognised(data: bytes) -> str:
    """Return the codec of a key frame with its parameters; '' if it is none that is clear."""
    for codec, (_, _, bitstream) in CODECS.items():
        try:
            content = bitstream().inspect(data)
        except ValueError:
            continue
        if content.is_key and content.parameters:
            return codec
    return ''


_converters = threading.local()


def to_image(frame: Any) -> Image:
    """
    Return a decoded picture as (H, W, 3) RGB.

    FFmpeg converts by the matrix and the range that the stream names; BT.601 in the video range if
    it names none, as ffmpeg_image_transport encodes.
    """
    if not hasattr(_converters, 'own'):  # one for each frame would take twice as long
        from av.video.reformatter import VideoReformatter

        _converters.own = VideoReformatter()
    known = FULL_RANGE if int(frame.color_range) == FULL_RANGE else VIDEO_RANGE
    shown = _converters.own.reformat(
        frame, format='rgb24', src_color_range=known, dst_color_range=FULL_RANGE
    )
    return np.ascontiguousarray(shown.to_ndarray(), dtype=np.uint8)


class DecodedPicture:
    """A decoded picture, which is converted when it is used."""

    def __init__(self, frame: Any) -> None:
        """:param frame: of ``VideoDecoder.decode``."""
        self._frame = frame

    @cached_property
    def data(self) -> Image:
        """The picture, (H, W, 3) RGB."""
        return to_image(self._frame)
