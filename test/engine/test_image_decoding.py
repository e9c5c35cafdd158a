# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.engine.image_decoding import decode_image

RED_THEN_BLUE = np.array([[[255, 0, 0], [0, 0, 255]]], dtype=np.uint8)


@pytest.mark.parametrize(
    ('encoding', 'row'),
    [
        ('rgb8', [255, 0, 0, 0, 0, 255]),
        ('bgr8', [0, 0, 255, 255, 0, 0]),
        ('rgba8', [255, 0, 0, 9, 0, 0, 255, 9]),
        ('bgra8', [0, 0, 255, 9, 255, 0, 0, 9]),
    ],
)
def test_each_colour_encoding_decodes_to_rgb(encoding: str, row: list[int]) -> None:
    image = decode_image(encoding, 1, 2, len(row), bytes(row))
    np.testing.assert_array_equal(image, RED_THEN_BLUE)


def test_grey_is_equal_in_all_three_channels() -> None:
    np.testing.assert_array_equal(decode_image('mono8', 2, 1, 1, b'\x07\x08')[:, 0, 1], [7, 8])


def test_sixteen_bit_image_keeps_upper_byte_of_each_order() -> None:
    assert decode_image('mono16', 1, 1, 2, b'\x01\xab').tolist() == [[[0xAB] * 3]]
    assert decode_image('mono16', 1, 1, 2, b'\xab\x01', True).tolist() == [[[0xAB] * 3]]


def test_row_padding_is_dropped() -> None:
    data = bytes([1, 2, 3, 99, 4, 5, 6, 99])
    assert decode_image('rgb8', 2, 1, 4, data).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


def test_decoded_image_is_a_copy() -> None:
    data = bytearray(3)
    image = decode_image('rgb8', 1, 1, 3, memoryview(data))
    data[0] = 5
    assert image.tolist() == [[[0, 0, 0]]]


@pytest.mark.parametrize(
    ('arguments', 'code', 'named'),
    [
        (('bayer_rggb8', 1, 1, 1, b'0'), 'image-encoding', ("'bayer_rggb8'", 'rgb8')),
        (('rgb8', 0, 4, 12, b''), 'image-empty', ('4 x 0',)),
        (('rgb8', 1, 4, 11, b'0' * 11), 'image-step', ('11 bytes', 'at least 12')),
        (('rgb8', 2, 4, 12, b'0' * 23), 'image-data-size', ('23 bytes', '24')),
    ],
    ids=['encoding', 'no rows', 'step', 'data size'],
)
def test_invalid_image_field_is_named(arguments: tuple, code: str, named: tuple[str, ...]) -> None:
    with raises(code, *named, of=InputError):
        decode_image(*arguments)


@given(
    encoding=st.sampled_from(['rgb8', 'bgr8', 'mono8', 'mono16', 'rgba8', '', '32FC1']),
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
