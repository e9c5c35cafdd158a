# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of video packets: each with its own picture, or none with the reason."""

from collections.abc import Iterable
from itertools import permutations

import numpy as np
import pytest
from support.errors import raises
from support.video_streams import (
    COLOURS,
    ENCODERS,
    KEY_EVERY,
    MATRICES,
    SIZE,
    START_CODE,
    colour_packet,
    encode,
    moving,
    split_units,
    stream,
    with_b_frames,
)

from viva_ros.core.errors import InputError
from viva_ros.engine.video_bitstream import H264Bitstream, units
from viva_ros.engine.video_decoding import (
    UNSUPPORTED_VIDEO,
    VideoDecoder,
    VideoPacket,
    codec_of,
    to_image,
)

pytestmark = pytest.mark.fast
CODECS = list(ENCODERS)
WAIT = 'no image until the next key frame'


def decode(
    codec: str, packets: Iterable[tuple[int, bytes]], counted: bool = False
) -> tuple[dict[int, np.ndarray], list[InputError]]:
    """Decode numbered packets; return the images by number, and the errors."""
    decoder, images, errors = VideoDecoder(), {}, []
    for number, data in packets:
        try:
            frame = decoder.decode(
                VideoPacket(codec, 1000 + number, data, number if counted else None)
            )
        except InputError as error:
            errors.append(error)
        else:
            if frame is not None:
                images[number] = to_image(frame)
    return images, errors


def assert_own(images: dict[int, np.ndarray], size: tuple[int, int] = SIZE) -> None:
    """Check that each image shows its number: the bar moves by 4 px from one to the next."""
    for number, image in images.items():
        assert image.shape == (*size, 3)
        near = [np.abs(image.astype(int) - moving(k, size)).mean() for k in range(20)]
        assert int(np.argmin(near)) == number and near[number] < 6.0


@pytest.mark.parametrize('codec', CODECS)
def test_each_packet_gives_its_own_picture(codec: str) -> None:
    images, errors = decode(codec, enumerate(stream(codec)))
    assert not errors and list(images) == list(range(20))
    assert_own(images)


@pytest.mark.parametrize('codec', CODECS)
def test_no_picture_before_the_first_key_frame(codec: str) -> None:
    images, errors = decode(codec, list(enumerate(stream(codec)))[3:])
    assert list(images) == list(range(KEY_EVERY, 20))
    assert {error.code for error in errors} == {'video-key-frame'}
    assert 'no key frame' in str(errors[0]) and 'gop_size' in str(errors[0])
    assert_own(images)


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize('lost', [1, 6])
def test_no_picture_from_a_lost_packet_to_the_next_key(codec: str, lost: int) -> None:
    whole, _ = decode(codec, enumerate(stream(codec)))
    kept = [(k, data) for k, data in enumerate(stream(codec)) if k != lost]
    images, errors = decode(codec, kept)
    assert sorted(set(range(20)) - images.keys()) == list(range(lost, KEY_EVERY))
    assert len(errors) == KEY_EVERY - lost - 1 and all(WAIT in str(one) for one in errors)
    for number, image in images.items():
        np.testing.assert_array_equal(image, whole[number])


@pytest.mark.parametrize('codec', ['h264', 'av1'])
def test_no_picture_from_a_damaged_packet_to_the_next_key(codec: str) -> None:
    packets = list(stream(codec))
    packets[3] = packets[3][: len(packets[3]) // 2]
    images, errors = decode(codec, enumerate(packets))
    assert sorted(set(range(20)) - images.keys()) == list(range(3, KEY_EVERY))
    assert {error.code for error in errors} == {'video-damaged'}
    assert_own(images)


@pytest.mark.parametrize('codec', CODECS)
def test_packet_of_other_bytes_is_damaged(codec: str) -> None:
    packets = list(stream(codec))
    packets[3] = b'\xff\xd8\xff' + bytes(100)
    images, errors = decode(codec, enumerate(packets))
    assert sorted(set(range(20)) - images.keys()) == list(range(3, KEY_EVERY))
    assert {error.code for error in errors} == {'video-damaged'}


@pytest.mark.parametrize(('codec', 'declared'), list(permutations(CODECS, 2)))
def test_format_of_another_codec_is_refused(codec: str, declared: str) -> None:
    images, errors = decode(declared, enumerate(stream(codec)))
    assert not images
    assert {error.code for error in errors} == {'video-contradiction'}
    assert 'correct the format in the publisher' in str(errors[0])


def test_packets_counted_by_the_publisher_show_a_loss() -> None:
    kept = [(k, data) for k, data in enumerate(stream('h265')) if k != 7]
    kept[7:] = [(k, data) for k, data in kept[7:] if k != 8]  # the next key frame, too
    _, errors = decode('h265', kept, counted=True)
    assert {error.code for error in errors} == {'video-lost'}
    assert 'packet 9 follows packet 6' in str(errors[0])


@pytest.mark.parametrize('codec', CODECS)
def test_publisher_that_does_not_count_loses_no_picture(codec: str) -> None:
    decoder = VideoDecoder()
    for number, data in enumerate(stream(codec)):
        frame = decoder.decode(VideoPacket(codec, 1000 + number, data, 0))
        assert_own({number: to_image(frame)})


def test_stamp_that_goes_back_waits_for_a_key_frame() -> None:
    packets, decoder = stream('h264'), VideoDecoder()
    decoder.decode(VideoPacket('h264', 2_000_000_000, packets[0]))
    with raises('video-lost', 'stamp goes back by 1.500 s', WAIT):
        decoder.decode(VideoPacket('h264', 500_000_000, packets[1]))
    assert decoder.decode(VideoPacket('h264', 600_000_000, packets[KEY_EVERY])) is not None


def test_interruption_waits_for_a_key_frame() -> None:
    packets, decoder = stream('h265'), VideoDecoder()
    decoder.decode(VideoPacket('h265', 1, packets[0]))
    decoder.interrupt('2 packets are missing')
    with raises('video-lost', '2 packets are missing', WAIT):
        decoder.decode(VideoPacket('h265', 2, packets[1]))


def test_refusals_keep_no_packets() -> None:
    packets, decoder = stream('h264'), VideoDecoder()
    decoder.decode(VideoPacket('h264', 1, packets[0]))
    decoder.interrupt('2 packets are missing')
    for number in range(50):
        with pytest.raises(InputError) as caught:
            decoder.decode(VideoPacket('h264', 2 + number, packets[1]))
    assert len(caught.traceback) < 8  # each refusal would add some


def test_b_frames_are_refused() -> None:
    images, errors = decode('h264', enumerate(with_b_frames()))
    assert not images and {error.code for error in errors} == {'video-order'}
    assert 'tune: zerolatency' in str(errors[0])


def test_remedy_against_b_frames_helps() -> None:
    for options in ({'tune': 'zerolatency'}, {'bf': '0'}):
        packets = encode('libx264', [moving(k) for k in range(20)], {'g': '8', **options})
        images, errors = decode('h264', enumerate(packets))
        assert len(images) == 20 and not errors


def test_intra_refresh_without_key_frames_names_the_period() -> None:
    options = {'tune': 'zerolatency', 'intra-refresh': '1', 'g': '8'}
    packets = encode('libx264', [moving(k) for k in range(20)], options)
    images, errors = decode('h264', list(enumerate(packets))[1:])
    assert not images and {error.code for error in errors} == {'video-key-frame'}


@pytest.mark.parametrize('codec', ['h264', 'h265'])
def test_parameters_of_the_first_packet_serve_later_keys(codec: str) -> None:
    packets = list(stream(codec))
    heads = [(begin, end) for begin, end in units(packets[8])]
    packets[8] = b'\x00\x00\x01' + packets[8][heads[-1][0] :]  # the slice alone
    images, errors = decode(codec, [(k, p) for k, p in enumerate(packets) if k != 3])
    assert sorted(set(range(20)) - images.keys()) == list(range(3, 8))
    assert_own(images)
    _, errors = decode(codec, list(enumerate(packets))[8:9])
    assert [error.code for error in errors] == ['video-parameters']


@pytest.mark.parametrize(('codec', 'encoder', 'options'), [
    ('h264', 'libx264', {'tune': 'zerolatency', 'x264-params': 'slices=2'}),
    ('h265', 'libx265', {'tune': 'zerolatency', 'x265-params': 'slices=2:log-level=none:ctu=16'}),
])  # fmt: skip
def test_packet_with_a_part_of_a_picture_is_refused(
    codec: str, encoder: str, options: dict[str, str]
) -> None:
    size = (192, 256)
    packets = encode(encoder, [moving(k, size) for k in range(2)], options)
    assert len(decode(codec, enumerate(packets))[0]) == 2
    begin, _ = list(units(packets[1]))[-1]
    part = b'\x00\x00\x01' + packets[1][begin:]
    _, errors = decode(codec, [(0, packets[0]), (1, packets[1][:begin]), (2, part)])
    assert 'alignment=au' in str(errors[-1])
    images, errors = decode(codec, [(0, packets[0]), (1, part), (2, packets[0])])
    assert list(images) == [0] and {error.code for error in errors} == {'video-partial'}
    assert 'one whole picture' in str(errors[0])


def test_packet_of_parameters_has_no_picture() -> None:
    packets = stream('h264')
    *heads, (begin, _) = units(packets[0])
    parameters, picture = packets[0][: heads[1][1]], b'\x00\x00\x01' + packets[0][begin:]
    images, errors = decode('h264', [(0, parameters), (1, picture), (2, packets[1])])
    assert list(images) == [1, 2] and not errors


#: NAL units that are no picture: SEI, access unit delimiter, filler, end of sequence.
H264_UNITS = ('0605046162636480', '09f0', '0cffff80', '0a')
H265_UNITS = ('4e0105046162636480', '460150', '4801')


@pytest.mark.parametrize(('codec', 'unit'), [
    *(('h264', unit) for unit in H264_UNITS), *(('h265', unit) for unit in H265_UNITS),
    ('av1', ''),
])  # fmt: skip
def test_packet_without_a_picture_loses_none(codec: str, unit: str) -> None:
    other = START_CODE + bytes.fromhex(unit) if unit else b'\x12\x00'  # temporal delimiter
    packets = list(enumerate(stream(codec)))
    packets.insert(KEY_EVERY + 3, (-1, other))
    images, errors = decode(codec, packets)
    assert not errors and list(images) == list(range(20))


@pytest.mark.parametrize('codec', ['h264', 'h265'])
def test_each_parameter_set_may_have_its_own_packet(codec: str) -> None:
    packets: list[tuple[int, bytes]] = []
    for number, data in enumerate(stream(codec)):
        sets, rest = split_units(codec, data)
        packets += [*((-1, one) for one in sets if not number), (number, b''.join(rest))]
    images, errors = decode(codec, [one for one in packets if one[0] != 3])
    assert sorted(set(range(20)) - images.keys()) == list(range(3, KEY_EVERY))
    assert len(errors) == KEY_EVERY - 4
    assert_own(images)


@pytest.mark.parametrize('codec', ['h264', 'h265'])
def test_missing_parameters_are_named_until_they_come(codec: str) -> None:
    packets = list(enumerate(stream(codec)))
    packets[0] = 0, b''.join(split_units(codec, packets[0][1])[1])
    images, errors = decode(codec, packets)
    assert list(images) == list(range(KEY_EVERY, 20))
    assert {error.code for error in errors} == {'video-parameters'}


def test_units_with_lengths_are_not_annex_b() -> None:
    for size in (2, 300, 511):
        assert size.to_bytes(4)[:3] in (b'\x00\x00\x00', b'\x00\x00\x01')
        with pytest.raises(ValueError, match='no start codes'):
            list(units(size.to_bytes(4) + b'\x65' * size))


def test_av1_frames_coded_ahead_name_low_delay() -> None:
    images = [moving(k) for k in range(20)]
    options = {'preset': '8', 'crf': '20', 'g': '8', 'svtav1-params': 'lp=1'}
    shown, errors = decode('av1', enumerate(encode('libsvtav1', images, options)))
    assert {error.code for error in errors} == {'video-order'}
    assert 'pred-struct=1' in str(errors[0])
    assert_own(shown)


@pytest.mark.parametrize('codec', CODECS)
def test_size_may_change_at_a_key_frame(codec: str) -> None:
    other = (64, 160)
    packets = [*stream(codec)[:KEY_EVERY], *stream(codec, 20, other)[:3]]
    images, errors = decode(codec, enumerate(packets))
    assert not errors
    assert [image.shape[:2] for image in images.values()] == [SIZE] * 8 + [other] * 3


@pytest.mark.parametrize('is_full', [False, True])
@pytest.mark.parametrize('matrix', MATRICES)
@pytest.mark.parametrize('codec', CODECS)
def test_colours_follow_matrix_and_range(codec: str, matrix: str, is_full: bool) -> None:
    data = colour_packet(codec, matrix, is_full)
    image = to_image(VideoDecoder().decode(VideoPacket(codec, 1, data)))
    shown = image[32, 16::32].astype(int)
    assert np.abs(shown - np.array(COLOURS)).max() <= 3


def test_rgb_video_keeps_its_colours() -> None:
    images = [np.full((*SIZE, 3), COLOURS[4], np.uint8)]
    (data,) = encode('libx264rgb', images, {'tune': 'zerolatency', 'crf': '1'}, 'rgb24')
    image = to_image(VideoDecoder().decode(VideoPacket('libx264rgb', 1, data)))
    assert np.abs(image.astype(int) - images[0]).max() <= 2


@pytest.mark.parametrize(('codec', 'encoder', 'options'), [
    ('h264', 'libx264', {'tune': 'zerolatency', 'crf': '1'}),
    ('h265', 'libx265', {'tune': 'zerolatency', 'x265-params': 'log-level=none:crf=1'}),
])  # fmt: skip
def test_grey_video_keeps_its_levels(codec: str, encoder: str, options: dict[str, str]) -> None:
    levels = (4, 40, 128, 220, 252)
    image = np.repeat(np.array(levels, np.uint8), 32)[None, :, None].repeat(64, 0).repeat(3, 2)
    (data,) = encode(encoder, [image], options, 'gray')
    packet = VideoPacket(f'{codec};gray;mono8;mono8', 1, data)
    shown = to_image(VideoDecoder().decode(packet))[32, 16::32].astype(int)
    assert np.abs(shown - np.array(levels)[:, None]).max() <= 2


@pytest.mark.parametrize(('text', 'codec'), [
    ('h264', 'h264'), ('H264', 'h264'), ('libx264', 'h264'), ('h264_nvenc', 'h264'),
    ('h264;yuv420p;bgr8;bgr8', 'h264'), ('libx264;yuv420p;bgr8;rgb8', 'h264'),
    ('h264_vaapi', 'h264'), ('h265', 'h265'), ('hevc', 'h265'), ('hevc_nvenc', 'h265'),
    ('hevc;nv12;bgr8;bayer_rggb8', 'h265'), ('libx265', 'h265'), ('av1', 'av1'),
    ('libsvtav1', 'av1'), ('av1_nvenc', 'av1'),
])  # fmt: skip
def test_format_names_the_codec(text: str, codec: str) -> None:
    assert codec_of(text) == codec


@pytest.mark.parametrize('text', [*UNSUPPORTED_VIDEO, '', 'libvpx-vp9', 'jpeg'])
def test_other_codec_is_refused_with_a_remedy(text: str) -> None:
    with raises('video-codec', repr(text), 'libx264'):
        codec_of(text)


def test_depth_and_mosaics_in_video_are_refused() -> None:
    with raises('video-packet-depth', '16UC1'):
        codec_of('hevc;gray12le;16UC1;16UC1')
    with raises('video-mosaic', 'bayer_rggb8'):
        codec_of('h264;gray;mono8;bayer_rggb8')


@pytest.mark.parametrize('data', [b'', b'\x00\x00\x00\x14\x65\x88\x84', b'\xff\xd8\xff\xe0'])
def test_data_without_start_codes_are_refused(data: bytes) -> None:
    with raises('video-data', 'Annex B'):
        VideoDecoder().decode(VideoPacket('h264', 1, data))


@pytest.mark.parametrize(('options', 'pixels'), [
    ({'preset': 'slow', 'bf': '0', 'cqm': 'jvt'}, 'yuv444p'), ({'profile': 'baseline'}, 'yuv420p'),
    ({'preset': 'ultrafast', 'tune': 'zerolatency'}, 'yuv420p'),
    ({'x264-params': 'slices=4:scenecut=0', 'bf': '0'}, 'yuv420p'),
])  # fmt: skip
def test_pictures_of_h264_are_numbered(options: dict[str, str], pixels: str) -> None:
    packets = encode('libx264', [moving(k) for k in range(20)], {'g': '50', **options}, pixels)
    bitstream = H264Bitstream()
    found = [bitstream.inspect(data) for data in packets]
    assert [one.number for one in found] == [k % found[0].numbers for k in range(20)]
    assert [one.is_key for one in found] == [True] + [False] * 19
