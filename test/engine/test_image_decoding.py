# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.colour_chart import YUV_ERROR, chart, inner, raw_chart, true_image
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.engine.image_decoding import decode_image, view_image
from viva_ros.engine.image_encodings import ENCODINGS, to_rgb

KINDS = {name: layout.kind for name, layout in ENCODINGS.items()}
WIDE = [name for name, layout in ENCODINGS.items() if layout.depth == 2]


def test_encodings_of_sensor_msgs_are_known() -> None:
    orders = ('rgb', 'bgr', 'rgba', 'bgra', 'mono')
    orders += tuple(f'bayer_{pattern}' for pattern in ('rggb', 'bggr', 'gbrg', 'grbg'))
    names = {f'{order}{bits}' for order in orders for bits in (8, 16)}
    names |= {'8UC1', '8UC3', '8UC4', 'nv12', 'nv21', 'nv24'}
    names |= {'yuv422', 'yuv422_yuy2', 'uyvy', 'yuyv'}
    assert set(ENCODINGS) == names


@pytest.mark.parametrize('padding', [0, 1, 4])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_colours_of_a_chart_are_right(encoding: str, padding: int) -> None:
    image = decode_image(*astuple(raw_chart(encoding, padding)))
    assert image.shape == chart().shape and image.dtype == np.uint8
    if KINDS[encoding] == 'channels':
        np.testing.assert_array_equal(image, true_image(encoding))
    else:
        error = np.abs(inner(image) - inner(true_image(encoding))).max()
        assert error <= (0 if KINDS[encoding] == 'bayer' else YUV_ERROR)


@pytest.mark.parametrize('padding', [0, 1])
@pytest.mark.parametrize('encoding', WIDE)
def test_sixteen_bits_are_read_in_each_byte_order(encoding: str, padding: int) -> None:
    little = decode_image(*astuple(raw_chart(encoding, padding)))
    big = raw_chart(encoding, padding, is_bigendian=True)
    np.testing.assert_array_equal(decode_image(*astuple(big)), little)
    assert not np.array_equal(decode_image(*astuple(replace(big, is_bigendian=False))), little)


@pytest.mark.parametrize('encoding', [name for name in ENCODINGS if name not in WIDE])
def test_byte_order_has_no_effect_on_eight_bits(encoding: str) -> None:
    fields = raw_chart(encoding)
    big = replace(fields, is_bigendian=True)
    np.testing.assert_array_equal(decode_image(*astuple(big)), decode_image(*astuple(fields)))


@given(levels=st.lists(st.integers(0, 65535), min_size=1, max_size=9))
def test_upper_byte_is_within_one_level_of_cv_bridge(levels: list[int]) -> None:
    wide = np.array([levels], dtype='<u2')
    image = decode_image('mono16', 1, len(levels), wide.nbytes, wide.tobytes())
    scaled = np.rint(wide[0] * (255 / 65535))  # convertTo of cv_bridge
    assert np.abs(image[0, :, 0] - scaled).max() <= 1


def test_grey_is_equal_in_all_three_channels() -> None:
    np.testing.assert_array_equal(decode_image('mono8', 2, 1, 1, b'\x07\x08')[:, 0, 1], [7, 8])


def test_sixteen_bit_image_keeps_upper_byte_of_each_order() -> None:
    assert decode_image('mono16', 1, 1, 2, b'\x01\xab').tolist() == [[[0xAB] * 3]]
    assert decode_image('mono16', 1, 1, 2, b'\xab\x01', True).tolist() == [[[0xAB] * 3]]


def test_row_padding_is_dropped() -> None:
    data = bytes([1, 2, 3, 99, 4, 5, 6, 99])
    assert decode_image('rgb8', 2, 1, 4, data).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


def test_video_range_of_luma_is_stretched() -> None:
    levels = [16, 126, 235, 235]  # black, half, white
    rows = np.array([[(level, 128) for level in levels]], np.uint8).tobytes()
    grey = decode_image('yuyv', 1, 4, 8, rows)[0, :, 1].tolist()
    assert grey == [0, 128, 255, 255]


@pytest.mark.parametrize('encoding', ['nv12', 'nv21', 'nv24'])
def test_planes_without_padding_may_have_the_step_of_all(encoding: str) -> None:
    fields = raw_chart(encoding)
    whole = replace(fields, step=len(fields.data) // fields.height)  # step x height bytes
    assert whole.step > fields.step
    np.testing.assert_array_equal(decode_image(*astuple(whole)), decode_image(*astuple(fields)))


def test_decoded_image_is_a_copy() -> None:
    data = bytearray(3)
    image = decode_image('rgb8', 1, 1, 3, memoryview(data))
    data[0] = 5
    assert image.tolist() == [[[0, 0, 0]]]


def test_rgb_is_viewed_without_a_copy() -> None:
    fields = raw_chart('rgb8', padding=1)
    image = view_image(*astuple(fields))
    assert np.shares_memory(image, np.frombuffer(fields.data, np.uint8))
    assert to_rgb(chart(), 'bgr8').tolist() == chart()[..., ::-1].tolist()


REFUSED = {
    'unknown': (('yuv420p', 1, 1, 1, b'0'), 'image-encoding', ("'yuv420p'", 'rgb8', '"encoding"')),
    'case': (('RGB8', 1, 1, 3, b'000'), 'image-encoding-case', ("'RGB8'", '"encoding: rgb8"')),
    'case of a matrix': (
        ('8uc3', 1, 1, 3, b'000'), 'image-encoding-case', ("'8uc3'", '"encoding: 8UC3"')
    ),
    'no rows': (('rgb8', 0, 4, 12, b''), 'image-empty', ('4 x 0',)),
    'step': (('rgb8', 1, 4, 11, b'0' * 11), 'image-step', ('11 bytes', 'at least 12')),
    'step of planes': (('nv12', 2, 4, 3, b'0' * 9), 'image-step', ('3 bytes', 'at least 4')),
    'no data': (('rgb8', 2, 4, 12, b''), 'image-data-size', ('0 bytes', '24 (12 x 2 rows)')),
    'data size': (('rgb8', 2, 4, 12, b'0' * 23), 'image-data-size', ('23 bytes', '24')),
    'more data': (('rgb8', 2, 4, 12, b'0' * 25), 'image-data-size', ('25 bytes', '24')),
    'luma alone': (('nv12', 2, 4, 4, b'0' * 8), 'image-data-size', ('8 bytes', '12 (4 x 3 rows)')),
    'two chroma planes': (('nv24', 1, 4, 4, b'0' * 8), 'image-data-size', ('12 (4 x 3 rows)',)),
    'odd width': (('yuyv', 1, 3, 6, b'0' * 6), 'image-odd-size', ('3 x 1', 'its width must')),
    'odd height': (('nv21', 3, 4, 4, b'0' * 18), 'image-odd-size', ('4 x 3', 'width and height')),
    'mosaic': (('bayer_rggb8', 2, 9, 9, b'0' * 18), 'image-mosaic-size', ('9 x 2', '3 x 3')),
}  # fmt: skip


@pytest.mark.parametrize(('arguments', 'code', 'named'), REFUSED.values(), ids=REFUSED)
def test_invalid_image_field_is_named(arguments: tuple, code: str, named: tuple[str, ...]) -> None:
    with raises(code, *named, of=InputError):
        decode_image(*arguments)


MATRICES = [
    '16UC1', '16uc1', '16UC3', '16SC1', '32FC', '32FC1', '32SC1', '64FC1', '64FC3', '8SC1', '8UC2'
]  # fmt: skip


@pytest.mark.parametrize('encoding', MATRICES)
def test_depth_and_other_matrices_are_refused(encoding: str) -> None:
    with raises('image-depth', repr(encoding), 'depth', 'choose the colour topic of that camera'):
        decode_image(encoding, 1, 1, 8, bytes(8))


@given(
    encoding=st.sampled_from([*ENCODINGS, '', '32FC1']),
    height=st.integers(-1, 5), width=st.integers(-1, 5), step=st.integers(-1, 40),
    data=st.binary(max_size=100),
)  # fmt: skip
def test_any_fields_give_an_image_or_input_error(
    encoding: str, height: int, width: int, step: int, data: bytes
) -> None:
    try:
        image = decode_image(encoding, height, width, step, data)
    except InputError:
        return
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8


@given(
    encoding=st.sampled_from([*ENCODINGS]), height=st.integers(1, 9), width=st.integers(1, 9),
    padding=st.integers(0, 7), is_bigendian=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_size_and_padding_is_decoded_or_refused(
    encoding: str, height: int, width: int, padding: int, is_bigendian: bool, seed: int
) -> None:
    layout = ENCODINGS[encoding]
    step = width * layout.samples * layout.depth + padding
    size = int(height * step * layout.planes)
    data = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    try:
        image = view_image(encoding, height, width, step, data, is_bigendian)
    except InputError as error:
        assert error.code in ('image-odd-size', 'image-mosaic-size')
        return
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
