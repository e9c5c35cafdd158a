# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Overrides of what cameras declare, and the remedies that errors name."""

import re
from dataclasses import astuple, replace

import cv2
import numpy as np
import pytest
from support.colour_chart import GREY, chart, mosaic, raw_chart, true_image
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.engine.image_decoding import ImageOptions, decode_compressed, decode_image
from viva_ros.engine.image_encodings import ENCODINGS


def png(image: np.ndarray) -> bytes:
    """Return an RGB image as a file that viewers show with true colours."""
    return cv2.imencode('.png', image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


@pytest.mark.parametrize('name', ['encoding', 'color_order'])
@pytest.mark.parametrize('value', ['RGB8', 'gbr', '16UC1', 'webp', ' '])
def test_invalid_option_is_refused_with_allowed_values(name: str, value: str) -> None:
    allowed = 'rgb, bgr' if name == 'color_order' else 'nv24, jpeg, png'
    with pytest.raises(ValueError, match=rf'{name} is {value!r}, must be .*{allowed}'):
        ImageOptions(**{name: value})


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_encoding_is_read_instead_of_the_declared_one(encoding: str) -> None:
    fields = raw_chart(encoding)
    for declared in ('', '16UC1', 'rgb8', encoding.upper(), 'x'):
        wrong = replace(fields, encoding=declared)
        image = decode_image(*astuple(wrong), ImageOptions(encoding))
        np.testing.assert_array_equal(image, decode_image(*astuple(fields)))


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_color_order_is_that_of_stored_channels(encoding: str) -> None:
    fields = raw_chart(encoding)
    image = decode_image(*astuple(fields))
    rgb, bgr = (decode_image(*astuple(fields), ImageOptions('', o)) for o in ('rgb', 'bgr'))
    if encoding in GREY:
        assert np.array_equal(rgb, image) and np.array_equal(bgr, image)
    else:
        stored_as_bgr = encoding.startswith('bgr') or encoding in ('8UC3', '8UC4')
        np.testing.assert_array_equal(image, bgr if stored_as_bgr else rgb)
        np.testing.assert_array_equal(rgb, bgr[..., ::-1])


@pytest.mark.parametrize(
    'text', ['', 'png', 'rgb8; png compressed bgr8', 'rgb8; png compressed rgb8', 'mono8; png']
)
def test_color_order_of_a_file_is_that_of_a_viewer(text: str) -> None:
    image = decode_compressed(text, png(chart()), None, ImageOptions(color_order='rgb'))
    np.testing.assert_array_equal(image, chart())
    exchanged = png(chart()[..., ::-1])
    image = decode_compressed(text, exchanged, None, ImageOptions(color_order='bgr'))
    np.testing.assert_array_equal(image, chart())


@pytest.mark.parametrize('text', ['jpeg', '16UC1; png compressed ', 'rgb8; png compressed rgb8'])
def test_encoding_is_read_instead_of_the_whole_format(text: str) -> None:
    image = decode_compressed(text, png(chart()), None, ImageOptions('png'))
    np.testing.assert_array_equal(image, chart())
    grey = decode_compressed(text, png(chart()[..., 1]), None, ImageOptions('mono8'))
    np.testing.assert_array_equal(grey, true_image('mono8'))
    samples = png(mosaic(chart(), 'gbrg'))
    image = decode_compressed(text, samples, None, ImageOptions('bayer_gbrg8'))
    raw = decode_image(*astuple(raw_chart('bayer_gbrg8')))
    np.testing.assert_array_equal(image, raw)
    order = ImageOptions('bayer_gbrg8', 'bgr')
    np.testing.assert_array_equal(decode_compressed(text, samples, None, order), raw[..., ::-1])


def test_grey_png_of_sixteen_bits_needs_the_option() -> None:
    wide = png(chart()[..., 1].astype(np.uint16) * 256 + 99)
    for options in (ImageOptions('png'), ImageOptions('mono8'), ImageOptions(color_order='rgb')):
        with raises('png-depth', '"encoding: mono16"'):
            decode_compressed('png', wide, None, options)
    image = decode_compressed('png', wide, None, ImageOptions('mono16'))
    np.testing.assert_array_equal(image, true_image('mono16'))


REMEDIES = {
    'case': ('RGB8; png compressed rgb8', png(chart())),
    'contradiction, png': ('jpeg', png(chart())),
    'contradiction, jpeg': ('bgr8; png compressed bgr8', jpeg(chart())),
    'unknown format, jpeg': ('xyz', jpeg(chart())),
    'unknown format, png': ('xyz', png(chart())),
    'mosaic with colours, jpeg': ('bayer_rggb8; jpeg compressed ', jpeg(chart())),
    'mosaic with colours, png': ('bayer_rggb8; png compressed ', png(chart())),
    'grey png of sixteen bits': ('png', png(chart()[..., 1].astype(np.uint16))),
}


@pytest.mark.parametrize(('text', 'data'), REMEDIES.values(), ids=REMEDIES)
def test_encoding_that_an_error_proposes_helps(text: str, data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        decode_compressed(text, data)
    proposed = re.findall(r'"encoding: (\w+)" ', str(caught.value))
    assert decode_compressed(text, data, None, ImageOptions(proposed[0])).shape == chart().shape


def test_encoding_that_an_error_of_a_raw_image_proposes_helps() -> None:
    fields = replace(raw_chart('rgb8'), encoding='RGB8')
    with pytest.raises(InputError) as caught:
        decode_image(*astuple(fields))
    proposed = re.findall(r'"encoding: (\w+)" ', str(caught.value))
    image = decode_image(*astuple(fields), ImageOptions(*proposed))
    np.testing.assert_array_equal(image, chart())
