# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.engine.jpeg import decode_jpeg, end_of_image, reduction, sent_size
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


BEHIND = {
    'zeros': bytes(5000),
    'fill bytes': b'\xff' * 7,
    'line end': b'\r\n',
    'stale bytes': np.random.default_rng(0).integers(0, 256, 3000, np.uint8).tobytes(),
    'end of an older image': jpeg()[-300:],
    'second image': jpeg(40),
    'truncated second image': jpeg(40)[:-30],
}


@pytest.mark.parametrize('behind', BEHIND.values(), ids=BEHIND)
def test_bytes_behind_jpeg_end_marker_are_ignored(behind: bytes) -> None:
    assert end_of_image(jpeg() + behind) == len(jpeg())
    np.testing.assert_array_equal(decode_jpeg(jpeg() + behind), decode_jpeg(jpeg()))


@pytest.mark.parametrize('behind', [jpeg(40), bytes(9), b'\xff' * 9], ids=['image', '0', 'fill'])
@given(cut=st.integers(3, len(jpeg()) - 2))
def test_truncated_jpeg_with_bytes_behind_it_is_refused(behind: bytes, cut: int) -> None:
    # Cut in the data: a segment that ends early has the length of the whole one.
    cut = max(cut, jpeg().index(b'\xff\xda') + 14)
    cut -= jpeg()[cut - 1] == 0xFF  # no marker is made with the byte behind
    with raises('jpeg-truncated'):
        decode_jpeg(jpeg()[:cut] + behind)


def camera(height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(20, 236, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def saved(image: np.ndarray, mode: str = 'RGB', **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).convert(mode).save(file, 'JPEG', quality=92, **options)
    return file.getvalue()


def with_preview(data: bytes) -> bytes:
    """Insert an EXIF segment with a whole JPEG, as cameras do."""
    preview = b'Exif\x00\x00' + jpeg(16)
    return data[:2] + b'\xff\xe1' + (len(preview) + 2).to_bytes(2) + preview + data[2:]


def with_restarts(image: np.ndarray) -> bytes:
    options = [cv2.IMWRITE_JPEG_RST_INTERVAL, 1, cv2.IMWRITE_JPEG_QUALITY, 100]
    return cv2.imencode('.jpg', image, options)[1].tobytes()


def without_tables(data: bytes) -> bytes:
    """Remove the Huffman tables, as USB cameras do (MJPEG)."""
    kept, place = data[:2], 2
    while data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4])
        kept += b'' if data[place + 1] == 0xC4 else data[place:end]
        place = end
    return kept + data[place:]


FORMS = {
    'progressive': saved(camera(96, 130), progressive=True),
    'grey': saved(camera(96, 130), 'L'),
    'CMYK': saved(camera(96, 130), 'CMYK'),
    'preview': with_preview(saved(camera(96, 130))),
    'comment': saved(camera(96, 130), comment=b'\xff\xd9 \xff\xd8'),
    'restarts': with_restarts(camera(96, 130)),
    'no tables': without_tables(saved(camera(96, 130))),
}


@pytest.mark.parametrize('data', FORMS.values(), ids=FORMS)
def test_end_of_each_form_of_jpeg_is_found(data: bytes) -> None:
    assert end_of_image(data + BEHIND['stale bytes']) == len(data)
    assert decode_jpeg(data + BEHIND['stale bytes']).shape == (96, 130, 3)
    for cut in (len(data) - 1, len(data) - 2, len(data) // 2):
        assert end_of_image(data[:cut]) is None


def test_restarts_and_data_bytes_of_255_are_in_the_scan() -> None:
    data = FORMS['restarts']
    assert data.count(b'\xff\xd0') > 1 and data.count(b'\xff\x00') > 1
    assert FORMS['progressive'].count(b'\xff\xda') > 3  # scans


def test_cmyk_and_rotated_jpeg_are_decoded_upright() -> None:
    assert np.abs(decode_jpeg(FORMS['CMYK']).astype(int) - camera(96, 130)).mean() < 3
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right by 90 degrees
    turned = decode_jpeg(saved(camera(96, 130), exif=exif))
    assert np.abs(turned.astype(int) - np.rot90(camera(96, 130), -1)).mean() < 3


@given(data=st.binary(max_size=60))
def test_end_in_random_bytes_is_inside_or_none(data: bytes) -> None:
    end = end_of_image(b'\xff\xd8\xff' + data)
    assert end is None or 4 <= end <= 3 + len(data)


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
    return cv2.imencode('.jpg', camera(height, width))[1].tobytes()


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
