# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Headers of video packets: key frames, parameter sets, and the number of each picture.

H.264 (ITU-T H.264, 7.3) and H.265 (ITU-T H.265, 7.3) in Annex B format, AV1 (AV1 bitstream, 5.9)
in its low overhead format. A decoder conceals a lost H.264 or AV1 packet without a word; the
numbers of the pictures show it. H.265 needs none: its packets list the pictures that they need.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from viva_ros.core.input_limits import PIXEL_LIMIT

START: Final = b'\x00\x00\x01'
WITHIN: Final = (
    'begins within a picture: each message must have one whole picture, such as alignment=au of '
    'GStreamer'
)
UNUSED: Final = 127  # kind of a NAL unit of H.265 that is left out
SLICE_HEAD: Final = 64  # bytes with the picture number of a slice


@dataclass(frozen=True)
class PacketContent:
    """
    What the headers of a packet say.

    :param has_picture: False if it has only parameters
    :param is_key: whether decoding can begin with it, given the parameters
    :param parameters: parameter sets or sequence header in it, with their framing; may be empty
    :param number: of the picture, in [0, numbers); None if it has none
    :param is_counted: whether the next picture has the next number
    :param is_ahead: whether it has a frame that is shown later, or shows an earlier one
    """

    has_picture: bool = False
    is_key: bool = False
    parameters: bytes = b''
    number: int | None = None
    numbers: int = 1
    is_counted: bool = True
    is_ahead: bool = False


class PartialPictureError(ValueError):
    """A packet does not begin with the first slice of a picture."""


class PictureSizeError(ValueError):
    """
    The parameters of a stream declare larger pictures than are decoded.

    :ivar size: (height, width), px
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__(height, width)
        self.size = height, width


def _check_size(height: int, width: int) -> None:
    if height * width > PIXEL_LIMIT:
        raise PictureSizeError(height, width)


class Bitstream(Protocol):
    """Reads the packets of one stream in order."""

    def inspect(self, data: bytes) -> PacketContent:
        """
        Read the headers of a packet.

        :raises PartialPictureError: if it begins within a picture
        :raises ValueError: if the packet has another format
        """
        ...

    def merge(self, before: bytes, new: bytes) -> tuple[bytes, bool]:
        """Return parameters and newer ones, each id once; and whether they suffice."""
        ...


class HeaderBits:
    """Reads bits, the most significant first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def read(self, count: int) -> int:
        """Return a number of some bits."""
        self._left -= count
        if self._left < 0:
            raise ValueError('a header is truncated')
        return (self._value >> self._left) & ((1 << count) - 1)

    def golomb(self) -> int:
        """Return an unsigned number in Exp-Golomb code, which is AV1's uvlc, too."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self) -> int:
        """Return a signed number in Exp-Golomb code."""
        number = self.golomb()
        return (number + 1) // 2 if number % 2 else -(number // 2)


def units(data: bytes) -> Iterator[tuple[int, int]]:
    """
    Yield begin and end of each NAL unit of Annex B, without the start code.

    :raises ValueError: if the data do not begin with a start code
    """
    at = data.find(START)
    if at < 0 or data[:at].strip(b'\x00') or (at == 0 and _has_lengths(data)):
        raise ValueError('it has no start codes of Annex B')
    while at >= 0:
        begin = at + len(START)
        at = data.find(START, begin)
        yield begin, len(data) if at < 0 else at


def _has_lengths(data: bytes) -> bool:
    """Return whether NAL units have lengths, as in MP4: 256 to 511 look like a start code."""
    at = 0
    while 0 <= at < len(data):
        at += 4 + int.from_bytes(data[at : at + 4])
    return at == len(data)


def _merged(
    before: bytes, new: bytes, id_of: Callable[[int, bytes], int], kind_of: Callable[[int], int],
    kinds: Collection[int],
) -> tuple[bytes, bool]:  # fmt: skip
    """
    Merge parameter sets.

    :param id_of: of a kind and a NAL unit
    :param kind_of: of the first byte of a NAL unit
    :param kinds: those that a key frame needs
    """
    found: dict[tuple[int, int], bytes] = {}
    for data in filter(None, (before, new)):
        for begin, end in units(data):
            kind, unit = kind_of(data[begin]), data[begin:end].rstrip(b'\x00')
            found[kind, id_of(kind, unit)] = b'\x00' + START + unit
    ordered = [found[one] for one in sorted(found)]
    return b''.join(ordered), {kind for kind, _ in found} >= set(kinds)


def _payload(data: bytes) -> bytes:
    """Return the payload of a NAL unit without the bytes that prevent start codes."""
    return data.replace(b'\x00\x00\x03', b'\x00\x00')


class H264Bitstream:
    """H.264: an IDR picture begins a sequence, ``frame_num`` counts the reference pictures."""

    def __init__(self) -> None:
        self._bits = 0  # of frame_num; 0 before the first sequence parameter set
        self._planes = self._gaps = False

    def inspect(self, data: bytes) -> PacketContent:
        """Read the headers of a packet."""
        parameters: list[bytes] = []
        for begin, end in units(data):
            kind = data[begin] & 31 if begin < end else 0
            if kind in (7, 8):
                parameters.append(b'\x00' + START + data[begin:end].rstrip(b'\x00'))
                if kind == 7:
                    self._read_sequence(_payload(data[begin + 1 : end]))
            elif 1 <= kind <= 5:
                return self._slice(data[begin : begin + SLICE_HEAD], b''.join(parameters))
        return PacketContent(parameters=b''.join(parameters))

    def merge(self, before: bytes, new: bytes) -> tuple[bytes, bool]:
        """Merge parameter sets."""
        return _merged(before, new, _h264_id, lambda first: first & 31, (7, 8))

    def _read_sequence(self, data: bytes) -> None:
        bits = HeaderBits(data)
        profile = bits.read(8)
        bits.read(16)
        bits.golomb()  # its id
        self._planes = False
        if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135):
            chroma = bits.golomb()
            self._planes = chroma == 3 and bool(bits.read(1))
            bits.golomb()
            bits.golomb()
            bits.read(1)
            if bits.read(1):
                for number in range(12 if chroma == 3 else 8):
                    if bits.read(1):
                        _skip_scaling(bits, 16 if number < 6 else 64)
        self._bits = bits.golomb() + 4
        order = bits.golomb()
        if order == 0:
            bits.golomb()
        elif order == 1:
            bits.read(1)
            bits.signed()
            bits.signed()
            for _ in range(bits.golomb()):
                bits.signed()
        bits.golomb()  # reference frames
        self._gaps = bool(bits.read(1))
        wide, high = bits.golomb() + 1, bits.golomb() + 1
        _check_size(high * 16 * (2 - bits.read(1)), wide * 16)  # half a picture in each field

    def _slice(self, data: bytes, parameters: bytes) -> PacketContent:
        is_key, is_reference = data[0] & 31 == 5, bool(data[0] & 96)
        if not self._bits:
            return PacketContent(True, is_key, parameters)
        bits = HeaderBits(_payload(data[1:]))
        if bits.golomb():  # first macroblock
            raise PartialPictureError(WITHIN)
        bits.golomb()  # type
        bits.golomb()  # parameter set
        if self._planes:
            bits.read(2)
        number = bits.read(self._bits)
        return PacketContent(
            True, is_key, parameters, None if self._gaps and not is_key else number,
            1 << self._bits, is_reference,
        )  # fmt: skip


def _h264_id(kind: int, unit: bytes) -> int:
    """Return the id of a parameter set."""
    bits = HeaderBits(_payload(unit[1:]))
    if kind == 7:
        bits.read(24)  # profile and level
    return bits.golomb()


def _skip_scaling(bits: HeaderBits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


class H265Bitstream:
    """H.265: an IRAP picture begins a sequence."""

    def inspect(self, data: bytes) -> PacketContent:
        """Read the headers of a packet."""
        parameters: list[bytes] = []
        for begin, end in units(data):
            head = int.from_bytes(data[begin : begin + 2]) if end - begin > 1 else 0
            kind = head >> 9 if head & 7 else UNUSED  # 7: a temporal layer, from 1 on
            if 32 <= kind <= 34 and head & 511 == 1:
                parameters.append(b'\x00' + START + data[begin:end].rstrip(b'\x00'))
                if kind == 33:
                    _check_h265_size(data[begin:end])
            elif kind < 32 and not head & 504:  # 504: a layer, of which only the first is read
                if not data[begin + 2 : begin + 3] >= b'\x80':  # first slice of the picture
                    raise PartialPictureError(WITHIN)
                return PacketContent(True, 16 <= kind <= 21, b''.join(parameters))
        return PacketContent(parameters=b''.join(parameters))

    def merge(self, before: bytes, new: bytes) -> tuple[bytes, bool]:
        """Merge parameter sets."""
        return _merged(before, new, _h265_id, lambda first: first >> 1, (32, 33, 34))


def _h265_id(kind: int, unit: bytes) -> int:
    """Return the id of a parameter set."""
    bits = HeaderBits(_payload(unit[2:]))
    if kind == 32:
        return bits.read(4)
    if kind == 33:
        _skip_h265_profile(bits)
    return bits.golomb()


def _skip_h265_profile(bits: HeaderBits) -> None:
    """Go to the id of a sequence parameter set."""
    bits.read(4)
    layers = bits.read(3)
    bits.read(97)  # nesting, profile and level
    present = [bits.read(2) for _ in range(layers)]
    bits.read(2 * (8 - layers) if layers else 0)
    for one in present:
        bits.read((one >> 1) * 88 + (one & 1) * 8)


def _check_h265_size(unit: bytes) -> None:
    bits = HeaderBits(_payload(unit[2:]))
    _skip_h265_profile(bits)
    bits.golomb()  # its id
    if bits.golomb() == 3:
        bits.read(1)
    width = bits.golomb()
    _check_size(bits.golomb(), width)


@dataclass(frozen=True)
class _Av1Sequence:
    """Lengths in the frame headers of a sequence, bits; 0 if a field is absent."""

    is_still: bool
    time: int
    tools: int
    motion: int
    frame_id: int
    order: int


SELECT: Final = 2  # of a tool: each frame says whether it is used


class Av1Bitstream:
    """AV1: a key frame behind a sequence header; ``order_hint`` counts the shown frames."""

    def __init__(self) -> None:
        self._sequence: _Av1Sequence | None = None

    def inspect(self, data: bytes) -> PacketContent:
        """Read the headers of a packet."""
        parameters, has_picture, is_key, is_ahead = b'', False, False, False
        number: int | None = None
        for kind, begin, end, start in _open_units(data):
            if kind == 1:
                self._sequence = _av1_sequence(data[begin:end])
                parameters = data[start:end]
            elif kind in (3, 6) and self._sequence is not None:
                key, shown, order = _av1_frame(data[begin : begin + SLICE_HEAD], self._sequence)
                is_key, has_picture = (is_key or (key and not has_picture)), True
                number = order if shown else number
                is_ahead = is_ahead or not shown or (order is None and not self._sequence.is_still)
            elif kind in (3, 6):
                has_picture = True
        known = self._sequence is not None and self._sequence.order > 0
        numbers = 1 << self._sequence.order if self._sequence is not None else 1
        return PacketContent(
            has_picture, is_key, parameters, number if known else None, numbers, is_ahead=is_ahead
        )

    def merge(self, before: bytes, new: bytes) -> tuple[bytes, bool]:
        """Return the newest sequence header."""
        return new or before, bool(new or before)


def _open_units(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield kind, begin and end of the payload, and begin of the header of each OBU."""
    at = 0
    while at < len(data):
        start, head = at, data[at]
        if head & 0x81 or not head & 2:
            raise ValueError('it is not the low overhead format of AV1')
        at += 2 if head & 4 else 1
        size = shift = 0
        while True:
            if at >= len(data) or shift > 49:
                raise ValueError('an OBU is truncated')
            size |= (data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if not data[at - 1] & 128:
                break
        if at + size > len(data):
            raise ValueError('an OBU is truncated')
        yield (head >> 3) & 15, at, at + size, start
        at += size


def _av1_sequence(data: bytes) -> _Av1Sequence:
    bits = HeaderBits(data)
    bits.read(4)  # profile, still picture
    if bits.read(1):
        bits.read(5)  # level
        _check_av1_size(bits)
        return _Av1Sequence(True, 0, SELECT, SELECT, 0, 0)
    time = _av1_operating_points(bits)
    _check_av1_size(bits)
    frame_id = bits.read(4) + bits.read(3) + 3 if bits.read(1) else 0
    bits.read(7)  # superblocks, filters, compound and motion tools
    has_order = bits.read(1)
    if has_order:
        bits.read(2)
    tools = SELECT if bits.read(1) else bits.read(1)
    motion = SELECT
    if tools:
        motion = SELECT if bits.read(1) else bits.read(1)
    return _Av1Sequence(False, time, tools, motion, frame_id, bits.read(3) + 1 if has_order else 0)


def _check_av1_size(bits: HeaderBits) -> None:
    wide, high = bits.read(4) + 1, bits.read(4) + 1
    width = bits.read(wide) + 1
    _check_size(bits.read(high) + 1, width)


def _av1_operating_points(bits: HeaderBits) -> int:
    """Skip timing and operating points; return the length of the time in a frame, bits."""
    time = delay = has_model = 0
    if bits.read(1):
        bits.read(64)
        is_equal = bits.read(1)
        if is_equal:
            bits.golomb()
        has_model = bits.read(1)
        if has_model:
            delay = bits.read(5) + 1
            bits.read(37)
            length = bits.read(5) + 1
            time = 0 if is_equal else length
    has_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if has_model and bits.read(1):
            bits.read(2 * delay + 1)
        if has_delay and bits.read(1):
            bits.read(4)
    return time


def _av1_frame(data: bytes, sequence: _Av1Sequence) -> tuple[bool, bool, int | None]:
    """Return whether a frame is a key frame, whether it is shown, and its number."""
    if sequence.is_still:
        return True, True, None
    bits = HeaderBits(data)
    if bits.read(1):  # an earlier frame is shown
        return False, True, None
    kind, shown = bits.read(2), bool(bits.read(1))
    if shown and sequence.time:
        bits.read(sequence.time)
    if not shown:
        bits.read(1)
    if kind != 3 and not (kind == 0 and shown):
        bits.read(1)  # error resilience
    bits.read(1)
    uses_tools = bits.read(1) if sequence.tools == SELECT else sequence.tools
    if uses_tools and sequence.motion == SELECT:
        bits.read(1)
    bits.read(sequence.frame_id)
    if kind != 3:
        bits.read(1)  # another size
    return kind == 0 and shown, shown, bits.read(sequence.order)
