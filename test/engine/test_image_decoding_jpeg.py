# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.engine.image_decoding import decode_jpeg, reduction, sent_size
from viva_ros.engine.preprocessing import letterbox


def jpeg(size: int = 24) -> bytes:
    ramp = np.linspace(0, 255, size, dtype=np.uint8)
    image = np.stack([np.tile(ramp, (size, 1)), np.tile(ramp[:, None], (1, size)),
                      np.full((size, size), 40, np.uint8)], axis=-1)  # fmt: skip
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def test_jpeg_decodes_to_rgb() -> None:
    image = decode_jpeg(jpeg())
    assert image.shape == (24, 24, 3)
    assert abs(int(image[12, 12, 0]) - 40) < 12  # the last channel of BGR
    assert int(image[12, 23, 2]) > 230  # the first channel of BGR


@given(cut=st.integers(0, len(jpeg()) - 1))
def test_jpeg_truncated_anywhere_is_refused(cut: int) -> None:
    with raises('jpeg-truncated' if cut >= 3 else 'jpeg-format'):
        decode_jpeg(jpeg()[:cut])


def test_zeros_after_jpeg_end_marker_are_ignored() -> None:
    np.testing.assert_array_equal(decode_jpeg(jpeg() + bytes(7)), decode_jpeg(jpeg()))


@given(at=st.integers(0, len(jpeg()) - 1), flipped=st.integers(1, 255))
def test_damaged_jpeg_gives_image_or_input_error(at: int, flipped: int) -> None:
    data = bytearray(jpeg())
    data[at] ^= flipped
    try:
        assert decode_jpeg(bytes(data)).ndim == 3
    except InputError:
        pass


def test_png_is_refused() -> None:
    png = cv2.imencode('.png', np.zeros((2, 2, 3), np.uint8))[1].tobytes()
    with raises('jpeg-format', png[:3].hex()):
        decode_jpeg(png)


def test_truncated_jpeg_error_has_its_size() -> None:
    with raises('jpeg-truncated', '100 bytes', of=InputError):
        decode_jpeg(jpeg()[:100])


def test_jpeg_without_image_is_damaged() -> None:
    with raises('jpeg-damaged', '5 bytes', of=InputError):
        decode_jpeg(b'\xff\xd8\xff\xff\xd9')


@pytest.mark.parametrize(
    ('sent', 'size', 'factor'),
    [
        ((480, 640), (96, 96), 4),  # fitted to 72 x 96: 120 x 160 suffices, 60 x 80 does not
        ((480, 640), (256, 256), 2),  # 192 x 256
        ((480, 640), (320, 384), 1),  # 288 x 384
        ((128, 128), (96, 96), 1),
        ((128, 128), (64, 64), 2),  # exactly
        ((720, 1280), (96, 96), 8),  # fitted to 54 x 96: 90 x 160 suffices
        ((512, 512), (16, 16), 8),  # the check for a covered camera needs 64 px
        ((256, 512), (16, 16), 4),
        ((1280, 640), (320, 1280), 2),  # fitted to 320 x 160, or 320 x 640 if rotated
        (None, (96, 96), 1),
    ],
)
def test_jpeg_reduction_never_goes_below_fitted_size(
    sent: tuple[int, int] | None, size: tuple[int, int], factor: int
) -> None:
    assert reduction(sent, size) == factor


def camera_jpeg(height: int, width: int) -> bytes:
    coarse = np.random.default_rng(0).integers(20, 236, (8, 8, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode('.jpg', image)[1].tobytes()


@given(
    height=st.integers(1, 300), width=st.integers(1, 300), rows=st.integers(1, 128),
    columns=st.integers(1, 128),
)  # fmt: skip
def test_reduced_jpeg_is_at_least_as_large_as_fitted(
    height: int, width: int, rows: int, columns: int
) -> None:
    data, size = camera_jpeg(height, width), (rows, columns)
    assert sent_size(data) == (height, width)
    whole, reduced = decode_jpeg(data), decode_jpeg(data, size)
    scale = min(rows / height, columns / width)
    if scale <= 1.0:
        assert reduced.shape[0] >= int(height * scale) and reduced.shape[1] >= int(width * scale)
    else:
        assert reduced.shape == whole.shape
    if reduced.shape == whole.shape:
        np.testing.assert_array_equal(reduced, whole)


def test_reduced_jpeg_differs_from_full_by_few_levels() -> None:
    data = camera_jpeg(480, 640)
    reduced = decode_jpeg(data, (96, 96))
    assert reduced.shape == (120, 160, 3)
    far = np.abs(letterbox(reduced, (96, 96)).astype(int) - letterbox(decode_jpeg(data), (96, 96)))
    assert far.max() <= 6 and far.mean() < 0.5


def test_jpeg_size_is_found_after_other_segments() -> None:
    data = jpeg()
    segment = b'\xff\xe1\x00\x06' + b'Exif' + b'\xff\xff'  # and one byte of padding
    assert sent_size(data[:2] + segment + data[3:]) == (24, 24)
    assert sent_size(data[:2] + b'\xff\xe1\xff\xff' + data[2:]) is None
    assert sent_size(b'') is sent_size(b'\xff\xd8\xff') is None


@given(data=st.binary(max_size=60))
def test_size_of_random_bytes_is_positive_or_none(data: bytes) -> None:
    found = sent_size(b'\xff\xd8' + data)
    assert found is None or min(found) > 0
