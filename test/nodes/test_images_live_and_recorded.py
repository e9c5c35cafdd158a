# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images have equal pixels as received by a node and as recorded."""

from dataclasses import asdict

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from support.colour_chart import YUV_ERROR, chart, inner, mosaic, raw_chart, true_image

from viva_ros.core.errors import InputError
from viva_ros.data.images import Pictures
from viva_ros.data.messages import header, make, serialise
from viva_ros.engine.image_decoding import AS_DECLARED, ImageOptions
from viva_ros.engine.image_encodings import ENCODINGS
from viva_ros.nodes import convert


def pictures(kind: type, options: ImageOptions, fields: dict) -> Pictures:
    """Return a message as a topic of a recording."""
    name = f'sensor_msgs/msg/{kind.__name__}'
    fields = fields | {'header': header(1), 'data': np.frombuffer(fields['data'], np.uint8)}
    return Pictures(name, [serialise(name, make(name, **fields))], None, options)


def both(kind: type, options: ImageOptions, **fields) -> np.ndarray:
    """Decode a message as received and as recorded; check that the images are equal."""
    live = convert.decode(kind(**fields), options=options)
    np.testing.assert_array_equal(live, pictures(kind, options, fields)[0])
    return live


def raw(options: ImageOptions = AS_DECLARED, **fields) -> np.ndarray:
    return both(Image, options, **fields)


def error_of(image: np.ndarray, expected: np.ndarray) -> int:
    return int(np.abs(inner(image) - inner(expected)).max())


#: Levels inside of the patches of a chart: 8 bits of luma and chroma cannot hold all colours.
ERRORS = {'channels': 0, 'bayer': 0, 'yuv422': YUV_ERROR, 'yuv420': YUV_ERROR, 'yuv444': YUV_ERROR}


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_raw_image_is_equal_live_and_recorded(encoding, padding):
    layout = ENCODINGS[encoding]
    for is_bigendian in (False, True):
        fields = asdict(raw_chart(encoding, padding, is_bigendian and layout.depth == 2))
        image = raw(**fields | {'is_bigendian': int(is_bigendian)})
        assert error_of(image, true_image(encoding)) <= ERRORS[layout.kind]


@pytest.mark.parametrize('order', ['rgb', 'bgr'])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_options_of_a_raw_image_are_equal_live_and_recorded(encoding, order):
    fields = asdict(raw_chart(encoding)) | {'is_bigendian': 0}
    stored_as_bgr = encoding.startswith(('bgr', '8UC3', '8UC4'))
    image = raw(ImageOptions(encoding, order), **fields | {'encoding': '16UC1'})
    expected = true_image(encoding)[..., :: -1 if stored_as_bgr == (order == 'rgb') else 1]
    assert error_of(image, expected) <= ERRORS[ENCODINGS[encoding].kind]


@pytest.mark.parametrize(
    ('text', 'exchanged'),
    [
        ('png', False), ('rgb8; png compressed bgr8', False), ('rgb8; png compressed rgb8', True),
        ('', False), ('bayer_grbg8; png compressed ', False), ('mono8; png compressed ', False),
    ],
)  # fmt: skip
def test_png_is_equal_live_and_recorded(text, exchanged):
    shown = chart()[..., ::-1] if exchanged else chart()
    expected = chart()
    if text.startswith('bayer'):
        shown = mosaic(chart(), 'grbg')
    elif text.startswith('mono'):
        shown, expected = chart()[..., 1], true_image('mono8')
    bgr = shown[..., ::-1] if shown.ndim == 3 else shown
    data = cv2.imencode('.png', bgr)[1].tobytes()
    image = both(CompressedImage, AS_DECLARED, format=text, data=data)
    assert error_of(image, expected) == 0


@pytest.mark.parametrize('behind', [b'', b'\r\n', bytes(99), b'\xff' * 9, b'stale'])
def test_jpeg_is_equal_live_and_recorded(behind):
    data = cv2.imencode('.jpg', chart()[..., ::-1])[1].tobytes() + behind
    image = both(CompressedImage, AS_DECLARED, format='rgb8; jpeg compressed bgr8', data=data)
    assert np.abs(image.astype(int) - chart()).mean() < 10  # the edges share colours
    other = both(CompressedImage, ImageOptions('', 'bgr'), format='jpeg', data=data)
    np.testing.assert_array_equal(other, image[..., ::-1])


def refusal(kind: type, **fields) -> InputError:
    """Return the error of a message, which is the same live and recorded."""
    with pytest.raises(InputError) as live:
        convert.decode(kind(**fields))
    with pytest.raises(InputError) as recorded:
        pictures(kind, AS_DECLARED, fields)[0]
    assert str(live.value) == str(recorded.value)
    return live.value


def test_depth_is_refused_live_and_recorded():
    data = cv2.imencode('.png', chart()[..., 1].astype(np.uint16))[1].tobytes()
    assert refusal(CompressedImage, format='png', data=data).code == 'png-depth'
    text = '16UC1; png compressed 16UC1'
    assert refusal(CompressedImage, format=text, data=data).code == 'compressed-depth'
    fields = {'height': 1, 'width': 1, 'step': 2, 'encoding': '16UC1', 'is_bigendian': 0}
    assert refusal(Image, **fields, data=b'00').code == 'image-depth'
