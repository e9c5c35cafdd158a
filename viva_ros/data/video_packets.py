# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Recorded video packets: the images that they give, by the decoder that runs live.

All packets of a topic are decoded once to find those with an image: a lost or damaged packet takes
the images until the next key frame with it. An image is then decoded on access, from the key frame
before it, or from the last image on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, overload

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Image
from viva_ros.data.messages import Definition, deserialise
from viva_ros.engine.image_decoding import AS_DECLARED, ImageOptions, reordered
from viva_ros.engine.video_decoding import (
    DOUBTFUL,
    VideoDecoder,
    check_library,
    packet_of,
    to_image,
)

FFMPEG: Final = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
FOXGLOVE: Final = 'foxglove_msgs/msg/CompressedVideo'
VIDEO: Final = (FFMPEG, FOXGLOVE)


@dataclass(frozen=True)
class PacketIndex:
    """
    The packets of a topic that give an image.

    :param starts: row of such a packet to the row of its key frame, and the parameters that this
        may lack
    :param faults: row of each other packet to the reason and its code, but for those of parameters
    """

    starts: Mapping[int, tuple[int, bytes]]
    faults: Mapping[int, InputError]

    def lost_text(self, rows: Sequence[int]) -> str:
        """Return how many of some packets have no image, and why; '' if all have one."""
        found = [self.faults[row] for row in rows if row in self.faults]
        if not found:
            return ''
        counts = Counter(error.code for error in found)
        last = {error.code: str(error) for error in found}
        each = '; '.join(f'{count} x {last[code]}' for code, count in counts.items())
        return f'{len(found)} of {len(rows)} packets have no image: {each}'


class VideoMessages(Sequence[bytes]):
    """
    The messages of a topic with video packets, serialised.

    :param messages: as read from the file
    """

    def __init__(
        self, type_name: str, messages: Sequence[bytes], definition: Definition | None
    ) -> None:
        self.messages, self.definition, self._type_name = messages, definition, type_name
        self._stamps: list[int] = []
        self._index: PacketIndex | None = None

    @property
    def heads(self) -> Sequence[bytes]:
        """Return the beginning of each."""
        heads: Sequence[bytes] = getattr(self.messages, 'heads', self.messages)
        return heads

    def __len__(self) -> int:
        return len(self.messages)

    def __getitem__(self, index: Any) -> Any:
        return self.messages[index]

    def decode(self, row: int, stamp: int, decoder: VideoDecoder) -> Any:
        """Decode a packet as ``VideoDecoder.decode``."""
        message = deserialise(self._type_name, self.messages[row], self.definition)
        return decoder.decode(packet_of(message, stamp))

    def packets(self, stamps: Sequence[int]) -> PacketIndex:
        """
        Return the packets that give an image.

        :param stamps: of all messages, ns
        :raises ConfigurationError: if PyAV is not installed
        """
        if self._index is None or self._stamps != list(stamps):
            self._stamps, self._index = list(stamps), self._scan(stamps)
        return self._index

    def _scan(self, stamps: Sequence[int]) -> PacketIndex:
        check_library()
        starts: dict[int, tuple[int, bytes]] = {}
        faults: dict[int, InputError] = {}
        decoder, start = VideoDecoder(), (0, b'')
        for row, stamp in enumerate(stamps):
            before = decoder.parameters
            try:
                frame = self.decode(row, stamp, decoder)
            except InputError as error:
                faults[row] = error.fresh()  # without the packet
                continue
            if frame is not None:
                start = (row, before) if decoder.is_key else start
                starts[row] = start
        doubt = next((one for one in faults.values() if one.code in DOUBTFUL), None)
        if doubt is not None:  # also of key frames, which may lack their other parts
            faults, starts = faults | dict.fromkeys(starts, doubt), {}
        return PacketIndex(starts, faults)


class VideoPictures(Sequence[Image]):
    """
    Images of a topic with video packets, decoded on access; sequential access is the fastest.

    :param rows: of packets that give an image
    """

    def __init__(
        self, messages: VideoMessages, index: PacketIndex, rows: Sequence[int],
        options: ImageOptions = AS_DECLARED,
    ) -> None:  # fmt: skip
        self._messages, self._index, self._rows = messages, index, rows
        self._options = options
        self._decoder: VideoDecoder | None = None
        self._reached = -1  # row that was decoded last
        self._image: Image | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Image: ...

    @overload
    def __getitem__(self, index: slice) -> 'VideoPictures': ...

    def __getitem__(self, index: int | slice) -> 'Image | VideoPictures':
        if isinstance(index, slice):
            return VideoPictures(self._messages, self._index, self._rows[index], self._options)
        return self.at(self._rows[index])

    def at(self, row: int) -> Image:
        """Return the image of a packet."""
        if self._image is None or row != self._reached:
            key, parameters = self._index.starts[row]
            if self._decoder is None or not key <= self._reached < row:
                self._decoder, self._reached = VideoDecoder(parameters), key - 1
            frame = None
            for number in range(self._reached + 1, row + 1):
                frame = self._messages.decode(number, 0, self._decoder)
            self._reached = row
            self._image = reordered(to_image(frame), self._options)
        return self._image


@dataclass(frozen=True)
class RecordedFrame:
    """
    A video packet of a recording as an input of a monitor.

    :param stamp: ns
    :param fault: why it has no image; '' if it has one
    """

    stamp: int
    row: int
    fault: str
    pictures: VideoPictures

    @property
    def data(self) -> Image:
        """The image, (H, W, 3) RGB: the packets of a camera that is frozen differ."""
        return self.pictures.at(self.row)


def as_video(
    type_name: str, data: Sequence[bytes], definition: Definition | None
) -> Sequence[bytes]:
    """Return the messages of a topic as ``VideoMessages`` if its type is one of VIDEO."""
    if type_name not in VIDEO:
        return data
    if isinstance(data, VideoMessages):
        return data if data.definition == definition else as_video(
            type_name, data.messages, definition
        )  # fmt: skip
    return VideoMessages(type_name, data, definition)
