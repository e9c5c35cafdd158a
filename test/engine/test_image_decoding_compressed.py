# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The field format of compressed images, by the rules of compressed_image_transport."""

import io
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.colour_chart import chart, inner, mosaic
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.engine.image_decoding import decode_compressed, parse_format

#: Levels of a patch in a JPEG of quality 95; single pixels near an edge differ more.
JPEG_ERROR = 2
PATTERNS = ('rggb', 'bggr', 'gbrg', 'grbg')


def saved(image: np.ndarray, suffix: str = '.jpg') -> bytes:
    """Return an RGB or grey image as a file that viewers show with its colours."""
    if suffix == '.jpg':
        file = io.BytesIO()
        Image.fromarray(image).save(file, 'JPEG', quality=95, subsampling=0)
        return file.getvalue()
    bgr = np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 else image
    return cv2.imencode(suffix, bgr)[1].tobytes()


def error_of(image: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of a patch, as the median of its inner part."""
    return float(np.abs(np.median(inner(image) - inner(expected), axis=(2, 3))).max())


CORRECT = [
    '', 'jpeg', 'jpg', 'JPEG', 'JPG', 'jpe', '.jpg', 'image/jpeg', 'mjpeg', 'MJPG', ' jpeg ',
    'bgr8; jpeg compressed bgr8', 'rgb8; jpeg compressed bgr8', 'rgb8;jpeg compressed bgr8',
    'rgba8; jpeg compressed bgr8', 'bgra8; jpeg compressed bgra8', 'rgb16; jpeg compressed bgr8',
    'yuv422_yuy2; jpeg compressed bgr8', 'nv12; jpeg', '8UC3; jpeg compressed ', 'rgb8', 'bgr8',
    'bayer_rggb8; jpeg compressed bgr8', 'bayer_rggb8; jpeg compressed rgb8',
    'mono8; jpeg compressed ', 'camera; jpeg compressed bgr8', 'bgr8; compressed bgr8',
]  # fmt: skip
EXCHANGED = [
    'rgb8; jpeg compressed rgb8', 'bgr8; jpeg compressed rgb8', 'rgb8; jpeg compressed ',
    'rgb8; jpeg', 'bgr8; jpeg', 'rgba8; jpeg compressed rgba8', 'bgra16; jpeg compressed rgb8',
    'rgb8; jpeg compressed', 'rgb8; compressed rgb8',
]  # fmt: skip


@pytest.mark.parametrize('text', CORRECT)
def test_file_with_true_colours_is_decoded(text: str) -> None:
    assert error_of(decode_compressed(text, saved(chart())), chart()) <= JPEG_ERROR
    png = decode_compressed(as_png(text), saved(chart(), '.png'))
    np.testing.assert_array_equal(png, chart())


@pytest.mark.parametrize('text', EXCHANGED)
def test_file_with_exchanged_colours_is_decoded(text: str) -> None:
    file = np.ascontiguousarray(chart()[..., ::-1])  # image_transport saves RGB as if it was BGR
    assert error_of(decode_compressed(text, saved(file)), chart()) <= JPEG_ERROR
    np.testing.assert_array_equal(decode_compressed(as_png(text), saved(file, '.png')), chart())


def as_png(text: str) -> str:
    for word in ('image/jpeg', 'mjpeg', 'MJPG', 'jpeg', 'JPEG', 'jpg', 'JPG', 'jpe'):
        text = text.replace(word, 'png')
    return text


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize(
    'text', ['mono8; {} compressed ', 'mono8; {} compressed mono8', '8UC1; {} compressed ', '{}']
)
def test_grey_file_has_three_equal_channels(text: str, suffix: str) -> None:
    grey = chart()[..., 1]
    image = decode_compressed(text.format(suffix[1:]), saved(grey, suffix))
    assert error_of(image, grey[..., None].repeat(3, axis=2)) <= JPEG_ERROR
    assert np.ptp(image, axis=2).max() == 0


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', PATTERNS)
@pytest.mark.parametrize(
    'text', ['{}; {} compressed ', '{}; {} compressed {}', '{}; {} compressed mono8', '{}']
)
def test_mosaic_in_a_grey_file_is_decoded(text: str, pattern: str, bits: int) -> None:
    name = f'bayer_{pattern}{bits}'
    png = saved(mosaic(chart(), pattern), '.png')
    image = decode_compressed(text.format(name, 'png', name), png, (9, 9))
    assert error_of(image, chart()) == 0
    jpeg = saved(mosaic(chart(), pattern))  # blocks of 8 x 8 mix the patches
    image = decode_compressed(text.format(name, 'jpeg', name), jpeg, (9, 9))
    assert image.shape == chart().shape
    assert error_of(image, chart()) <= 9


@pytest.mark.parametrize('pattern', PATTERNS)
def test_mosaic_of_sixteen_bits_in_a_png_is_decoded(pattern: str) -> None:
    wide = mosaic(chart(), pattern).astype(np.uint16) * 257
    name = f'bayer_{pattern}16'
    image = decode_compressed(f'{name}; png compressed {name}', saved(wide, '.png'))
    assert error_of(image, chart()) == 0


@pytest.mark.parametrize('text', ['png', 'rgb16; png compressed bgr16', ''])
def test_colour_png_of_sixteen_bits_keeps_upper_byte(text: str) -> None:
    wide = chart().astype(np.uint16) * 256 + 255 - chart()
    np.testing.assert_array_equal(decode_compressed(text, saved(wide, '.png')), chart())
    alpha = np.dstack([wide[..., ::-1], np.full(wide.shape[:2], 7, np.uint16)])
    png = cv2.imencode('.png', alpha)[1].tobytes()
    np.testing.assert_array_equal(decode_compressed(text, png), chart())


def test_alpha_of_a_png_has_no_effect() -> None:
    alpha = np.dstack([chart()[..., ::-1], np.full(chart().shape[:2], 7, np.uint8)])
    png = cv2.imencode('.png', alpha)[1].tobytes()
    np.testing.assert_array_equal(decode_compressed('png', png), chart())


def test_bytes_behind_a_png_are_ignored() -> None:
    png = saved(chart(), '.png') + b'\r\n' + bytes(99)
    np.testing.assert_array_equal(decode_compressed('png', png), chart())


def test_jpeg_is_reduced_for_a_size_and_mosaic_is_not() -> None:
    large = np.repeat(np.repeat(chart(), 16, axis=0), 16, axis=1)
    assert decode_compressed('jpeg', saved(large), (52, 104)).shape == (104, 208, 3)
    grey = saved(large[..., 0])
    assert decode_compressed('bayer_rggb8; jpeg compressed ', grey, (52, 104)).shape == large.shape


DEPTH = [
    '16UC1; png compressed 16UC1', '16UC1; png compressed mono16', '16UC1; png compressed ',
    '16UC1; compressedDepth', '16UC1; compressedDepth png', '32FC1; compressedDepth rvl',
    '32FC1; png compressed ', 'mono16; compressedDepth png', 'compressedDepth', '16UC1', '32FC1',
    '16UC1; jpeg compressed mono8', '16uc1; png compressed ', '32SC1; jpeg compressed ',
]  # fmt: skip


@pytest.mark.parametrize('text', DEPTH)
def test_depth_in_the_format_is_refused(text: str) -> None:
    with raises('compressed-depth', repr(text), 'depth', 'choose the colour topic', of=InputError):
        decode_compressed(text, saved(chart()[..., 1], '.png'))


@pytest.mark.parametrize(
    'text', ['', 'png', 'rgb8; png compressed bgr8', 'mono16; png compressed mono16', 'mono16']
)
def test_png_with_one_channel_of_sixteen_bits_is_depth(text: str) -> None:
    png = saved(chart()[..., 1].astype(np.uint16) * 5, '.png')
    with raises('png-depth', repr(text), '16 bits', 'choose the colour topic', of=InputError):
        decode_compressed(text, png)


JPEG, PNG = saved(chart()), saved(chart(), '.png')
WEBP, TIFF, BMP = (saved(chart(), suffix) for suffix in ('.webp', '.tiff', '.bmp'))
PACKET = b'\x00\x00\x00\x01\x67' + bytes(300)
PUBLISHER = 'set the publisher to one of them'
REFUSED = {
    'webp': ('webp', WEBP, 'compressed-codec', ('WebP', 'JPEG or PNG', PUBLISHER)),
    'tiff': ('mono8; tiff compressed ', TIFF, 'compressed-codec', ('TIFF', PUBLISHER)),
    'bmp': ('BMP', BMP, 'compressed-codec', ('is BMP', PUBLISHER)),
    'h264': ('h264', PACKET, 'compressed-codec', ('H.264', "'h264'", 'another topic')),
    'h265': ('bgr8; h265', PACKET, 'compressed-codec', ('H.265', PUBLISHER)),
    'av1': ('av1', b'\x12\x00', 'compressed-codec', ('AV1', PUBLISHER)),
    'theora': ('theora', b'OggS', 'compressed-codec', ('Theora', PUBLISHER)),
    'unnamed webp': ('', WEBP, 'compressed-codec', ('WebP', PUBLISHER)),
    'unnamed h264': ('rgb8', PACKET, 'compressed-codec', ('H.264', PUBLISHER)),
    'unknown': ('xyz', PNG, 'compressed-format', ("'xyz'", '"encoding: png"')),
    'unknown with unknown data': ('xyz', b'ab', 'compressed-format', ("'xyz'", 'another topic')),
    'unknown data': ('', b'abcdef', 'compressed-data', ("'61626364'", "''", PUBLISHER)),
    'png is jpeg': (
        'png', JPEG, 'compressed-contradiction', ("'png'", 'JPEG', '"encoding: jpeg"')
    ),
    'jpeg is png': (
        'rgb8; jpeg compressed bgr8', PNG, 'compressed-contradiction', ('PNG', '"encoding: png"')
    ),
    'jpeg is webp': ('jpeg', WEBP, 'compressed-contradiction', ('WebP', 'choose another topic')),
    'not a jpeg': ('jpeg', b'abcdef', 'jpeg-format', ("'616263'", 'not a JPEG')),
    'not a png': ('png', b'abcdef', 'png-format', ("'61626364'", 'not a PNG')),
    'no data': ('jpeg', b'', 'compressed-empty', ("'jpeg'", 'log of the publisher')),
    'case': ('RGB8; jpeg compressed rgb8', JPEG, 'image-encoding-case', ('"encoding: rgb8"',)),
    'mosaic with colours': (
        'bayer_rggb8; jpeg compressed ', JPEG, 'compressed-mosaic', ('grey', '"encoding: jpeg"')
    ),
    'mosaic with colours, png': (
        'bayer_rggb8; png compressed ', PNG, 'compressed-mosaic', ('grey', '"encoding: png"')
    ),
    'small mosaic': (
        'bayer_rggb8; png compressed ', saved(np.zeros((2, 9), np.uint8), '.png'),
        'image-mosaic-size', ('9 x 2',),
    ),
    'truncated png': ('png', PNG[: len(PNG) // 2], 'png-damaged', ('truncated', 'network')),
    'header of png': ('png', PNG[:20], 'png-damaged', ('20 bytes',)),
}  # fmt: skip


@pytest.mark.parametrize(('text', 'data', 'code', 'named'), REFUSED.values(), ids=REFUSED)
def test_compressed_image_is_refused(
    text: str, data: bytes, code: str, named: tuple[str, ...]
) -> None:
    with raises(code, *named, of=InputError):
        decode_compressed(text, data)


def test_png_larger_than_opencv_decodes_is_refused() -> None:
    huge = bytearray(PNG)
    huge[16:24] = (1 << 16).to_bytes(4) * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4)
    with raises('image-pixels', '65536 x 65536', '64000000', of=InputError):
        decode_compressed('png', bytes(huge))


@pytest.mark.parametrize('kind', [b'IDAT', b'IEND', b'tEXt', b'iCCP', b'fdAT'])
@pytest.mark.parametrize('beyond', [1, 1 << 20, (1 << 31) - 1, (1 << 32) - 1])
def test_png_with_a_chunk_beyond_its_data_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch, kind: bytes, beyond: int
) -> None:
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('memory of that size is taken'))
    length = min(len(PNG) - 45 + beyond, (1 << 32) - 1)  # without headers, checksums and IHDR
    with raises('png-damaged', f'{len(PNG)} bytes', of=InputError):
        decode_compressed('png', PNG[:33] + length.to_bytes(4) + kind + PNG[41:])


def test_bytes_behind_a_png_never_reach_the_decoder() -> None:
    behind = (1 << 31).to_bytes(4) + b'IDAT' + bytes(99)
    np.testing.assert_array_equal(
        decode_compressed('png', saved(chart(), '.png') + behind), chart()
    )


@given(at=st.integers(8, len(PNG) - 1), flipped=st.integers(1, 255))
def test_damaged_png_gives_image_or_input_error(at: int, flipped: int) -> None:
    data = bytearray(PNG)
    data[at] ^= flipped
    try:
        assert decode_compressed('png', data).ndim == 3
    except InputError:
        pass


WORDS = ['rgb8', 'bgr8', 'mono8', 'bayer_rggb8', '16UC1', ';', 'jpeg', 'png', 'compressed', ' ']


@given(
    words=st.lists(st.sampled_from(WORDS), max_size=8),
    data=st.sampled_from([JPEG, PNG, WEBP, PACKET, b'', saved(chart()[..., 0])]),
)
def test_any_format_gives_an_image_or_input_error(words: list[str], data: bytes) -> None:
    try:
        image = decode_compressed(''.join(words), data)
    except InputError as error:
        assert len(str(error)) < 400
        return
    assert image.shape == chart().shape and image.dtype == np.uint8


def test_format_is_parsed_once_for_all_messages() -> None:
    assert parse_format('bgr8; jpeg compressed bgr8') is parse_format('bgr8; jpeg compressed bgr8')
