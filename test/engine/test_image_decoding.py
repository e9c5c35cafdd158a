# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
def test_every_colour_encoding_gives_red_first(encoding: str, row: list[int]) -> None:
    image = decode_image(encoding, 1, 2, len(row), bytes(row))
    np.testing.assert_array_equal(image, RED_THEN_BLUE)


def test_grey_is_the_same_in_all_three_channels() -> None:
    np.testing.assert_array_equal(decode_image('mono8', 2, 1, 1, b'\x07\x08')[:, 0, 1], [7, 8])


def test_of_sixteen_bits_the_upper_eight_are_kept_in_either_byte_order() -> None:
    assert decode_image('mono16', 1, 1, 2, b'\x01\xab').tolist() == [[[0xAB] * 3]]
    assert decode_image('mono16', 1, 1, 2, b'\xab\x01', True).tolist() == [[[0xAB] * 3]]


def test_padding_at_the_end_of_a_row_is_left_out() -> None:
    data = bytes([1, 2, 3, 99, 4, 5, 6, 99])
    assert decode_image('rgb8', 2, 1, 4, data).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


def test_the_picture_is_a_copy_that_can_be_kept() -> None:
    data = bytearray(3)
    image = decode_image('rgb8', 1, 1, 3, memoryview(data))
    data[0] = 5
    assert image.tolist() == [[[0, 0, 0]]]


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (('bayer_rggb8', 1, 1, 1, b'0'), "'bayer_rggb8', must be one of rgb8"),
        (('rgb8', 0, 4, 12, b''), '4 x 0 pixels'),
        (('rgb8', 1, 4, 11, b'0' * 11), 'step is 11 bytes, must be at least 12'),
        (('rgb8', 2, 4, 12, b'0' * 23), '23 bytes, must have 24'),
    ],
)
def test_a_refusal_names_what_does_not_fit(arguments: tuple, named: str) -> None:
    with pytest.raises(InputError, match=named):
        decode_image(*arguments)


@given(
    encoding=st.sampled_from(['rgb8', 'bgr8', 'mono8', 'mono16', 'rgba8', '', '32FC1']),
    height=st.integers(-1, 5), width=st.integers(-1, 5), step=st.integers(-1, 40),
    data=st.binary(max_size=100),
)  # fmt: skip
def test_whatever_the_fields_it_is_a_picture_of_that_size_or_an_input_error(
    encoding: str, height: int, width: int, step: int, data: bytes
) -> None:
    try:
        image = decode_image(encoding, height, width, step, data)
    except InputError:
        return
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
