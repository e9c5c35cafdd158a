# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
ROS 2's cv_bridge, if it is installed, and other packages of that name.

cv_bridge has no wheel: tests of the real package are skipped without it. Its discovery and its use
without a copy are tested with fakes in folders like those of ROS 2. Debian has the cv_bridge of
ROS 1, whose conversions are the same code: scripts/cv_bridge installs and compares it.
"""

import json
import os
import subprocess
import sys
from array import array
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.engine.image_decoding import ImageOptions
from viva_ros.engine.image_encodings import ENCODINGS
from viva_ros.nodes.convert import decode
from viva_ros.nodes.image_bridge import CHANNELS, find_bridge, takes
from viva_ros.nodes.image_messages import read_image

needs_cv_bridge = pytest.mark.skipif(
    find_bridge().view is None,
    reason=f"needs ROS 2's cv_bridge, which has no wheel: {find_bridge().why}",
)

DEBIAN = Path('/usr/lib/python3/dist-packages/cv_bridge')
needs_debian_cv_bridge = pytest.mark.skipif(
    not DEBIAN.is_dir(), reason="needs Debian's python3-cv-bridge: run scripts/cv_bridge"
)
CONVERTER = Path(__file__).parents[1] / 'support' / 'debian_cv_bridge.py'

VIEW = """
import numpy as np
CHANNELS = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1}
class CvBridge:
    def imgmsg_to_cv2(self, message, desired_encoding='passthrough'):
        assert desired_encoding == 'passthrough'
        rows = np.frombuffer(message.data, np.uint8).reshape(message.height, -1)
        channels = CHANNELS[message.encoding]
        pixels = rows[:, : message.width * channels]
        if channels == 1:
            return pixels
        return pixels.reshape(message.height, message.width, channels)
"""
ASK = """
from viva_ros.nodes.image_bridge import find_bridge
print(find_bridge().view is not None, find_bridge().why)
"""


def image(
    encoding: str, height: int = 2, width: int = 3, padding: int = 0, seed: int = 0
) -> Image:
    step = width * CHANNELS.get(encoding, 2) + padding
    data = np.random.default_rng(seed).integers(0, 256, height * step, np.uint8)
    return Image(
        encoding=encoding, height=height, width=width, step=step, data=array('B', data.tobytes())
    )


def install(prefix: Path, code: str, site: Path | None = None) -> str:
    """Install a cv_bridge as ROS 2 does; returns the folder for PYTHONPATH."""
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'cv_bridge').touch()
    site = site or prefix / 'lib' / 'python3' / 'site-packages'
    (site / 'cv_bridge').mkdir(parents=True)
    (site / 'cv_bridge' / '__init__.py').write_text(code)
    return str(site)


def ask(python_path: str, *prefixes: Path) -> str:
    """Return the result of find_bridge in a new process."""
    env = dict(os.environ)
    env['PYTHONPATH'] = os.pathsep.join(filter(None, [python_path, env.get('PYTHONPATH')]))
    env['AMENT_PREFIX_PATH'] = os.pathsep.join(map(str, prefixes or (sys.prefix,)))
    line = [sys.executable, '-P', '-c', ASK]
    return subprocess.run(line, env=env, check=True, capture_output=True, text=True).stdout


@needs_cv_bridge
@pytest.mark.parametrize('encoding', CHANNELS)
@given(
    height=st.integers(1, 40), width=st.integers(1, 40), padding=st.integers(0, 9),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_cv_bridge_and_opencv_give_equal_pixels(encoding, height, width, padding, seed):
    message = image(encoding, height, width, padding, seed)
    with_bridge = decode(message, view=find_bridge().view)
    assert with_bridge.dtype == np.uint8 and np.array_equal(with_bridge, decode(message))


@needs_cv_bridge
def test_cv_bridge_views_rgb_without_a_copy():
    message = image('rgb8')
    pixels = decode(message, view=find_bridge().view)
    assert np.shares_memory(pixels, np.frombuffer(message.data, np.uint8))


@needs_cv_bridge
@pytest.mark.parametrize('padding', range(1, 9))
@pytest.mark.parametrize('encoding', CHANNELS)
def test_takes_rejects_rows_that_cv_bridge_shifts(encoding, padding):
    message = image(encoding, 4, 5, padding)
    channels = CHANNELS[encoding]
    if not takes(message):
        pixels = find_bridge().view(message).reshape(4, 5, channels)
        rows = np.frombuffer(message.data, np.uint8).reshape(4, -1)[:, : 5 * channels]
        assert not np.array_equal(pixels, rows.reshape(4, 5, channels))
    assert takes(message) == (padding % channels == 0)


#: Encodings that a released cv_bridge converts to rgb8, and the largest difference in levels: of
#: 16 bits cv_bridge rounds.
CONVERTED = {
    **dict.fromkeys(('rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', 'yuv422', 'yuv422_yuy2'), 0),
    **dict.fromkeys(('rgb16', 'bgr16', 'rgba16', 'bgra16', 'mono16'), 1),
    **{f'bayer_{pattern}8': 0 for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')},
    **{f'bayer_{pattern}16': 1 for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')},
}


@needs_cv_bridge
@pytest.mark.parametrize('encoding', CONVERTED)
def test_conversions_equal_those_of_cv_bridge(encoding):
    layout = ENCODINGS[encoding]
    step = 12 * layout.samples * layout.depth
    data = np.random.default_rng(0).integers(0, 256, 10 * step, np.uint8)
    message = Image(
        encoding=encoding, height=10, width=12, step=step, data=array('B', data.tobytes())
    )
    theirs = find_bridge().view(message, 'rgb8').astype(int)
    assert np.abs(theirs - decode(message)).max() <= CONVERTED[encoding]


@needs_debian_cv_bridge
def test_conversions_equal_those_of_debians_cv_bridge(tmp_path):
    """All bytes of 122 x 90 pixels are random, so that each edge and each sample counts."""
    encodings = [name for name in CONVERTED if name != 'yuv422_yuy2']  # newer than this cv_bridge
    random, images = np.random.default_rng(0), []
    for encoding in encodings:
        step = 122 * ENCODINGS[encoding].samples * ENCODINGS[encoding].depth
        data = random.integers(0, 256, 90 * step, np.uint8).tobytes()
        images.append({'encoding': encoding, 'height': 90, 'width': 122, 'step': step})
        images[-1]['data'] = data.hex()
    (tmp_path / 'images.json').write_text(json.dumps(images))
    line = ['/usr/bin/python3', CONVERTER, tmp_path]
    subprocess.run(line, env={'PATH': '/usr/bin:/bin'}, check=True)
    for number, image in enumerate(images):
        message = Image(**{**image, 'data': array('B', bytes.fromhex(image['data']))})
        theirs = np.load(tmp_path / f'{number}.npy').astype(int)
        difference = np.abs(theirs - decode(message)).max()
        assert difference <= CONVERTED[image['encoding']], image['encoding']


def test_options_are_not_read_by_cv_bridge():
    image_options = ImageOptions(color_order='bgr')
    message = image('rgb8')
    pixels = decode(message, None, lambda _: pytest.fail('cv_bridge'), image_options)
    np.testing.assert_array_equal(pixels, decode(message)[..., ::-1])


def test_takes_only_messages_that_cv_bridge_reads_equally():
    assert all(takes(image(encoding)) for encoding in CHANNELS)
    assert takes(image('rgb8', padding=3)) and not takes(image('rgb8', padding=1))
    assert takes(image('bgra8', padding=4)) and not takes(image('bgra8', padding=2))
    assert not takes(image('mono16')) and not takes(image('bayer_rggb8'))
    swapped = image('rgb8')
    swapped.is_bigendian = 1
    assert not takes(swapped)


@pytest.mark.parametrize('encoding', CHANNELS)
def test_decode_orders_channels_of_the_view(encoding):
    seen = []

    def view(message):
        seen.append(message)
        return np.full((2, 3, CHANNELS[encoding]), np.arange(CHANNELS[encoding]), np.uint8)

    message = image(encoding)
    # Channels 0, 1, 2 are blue, green, red where the encoding has blue first.
    order = {'mono8': [0, 0, 0], 'bgr8': [2, 1, 0], 'bgra8': [2, 1, 0]}
    expected = order.get(encoding, [0, 1, 2])
    assert decode(message, view=view).tolist() == [[expected] * 3] * 2
    assert seen == [message]


@pytest.mark.parametrize('encoding', CHANNELS)
def test_view_of_cv_bridge_reads_images_read_from_bytes(encoding):
    names = {}
    exec(VIEW, names)
    message = image(encoding, padding=CHANNELS[encoding])
    received = read_image(bytes(serialize_message(message)))
    pixels = decode(received, view=names['CvBridge']().imgmsg_to_cv2)
    np.testing.assert_array_equal(pixels, decode(message))


def test_malformed_message_fails_before_cv_bridge():
    message = image('rgb8')
    message.data = array('B', bytes(5))
    with pytest.raises(InputError, match='5 bytes, must have 18'):
        decode(message, view=lambda _: pytest.fail('cv_bridge was called'))


def test_cv_bridge_error_is_an_input_error():
    def view(message):
        raise TypeError('no such type')

    with raises('cv-bridge-failed', 'cv_bridge', 'bgr8', 'no such type', of=InputError):
        decode(image('bgr8'), view=view)


def test_cv_bridge_of_ros_2_is_used(tmp_path):
    site = install(tmp_path, VIEW)
    assert ask(site, tmp_path).startswith(f'True cv_bridge ({site}')


def test_cv_bridge_of_pypi_is_not_imported(tmp_path):
    (tmp_path / 'cv_bridge').mkdir()
    (tmp_path / 'cv_bridge' / '__init__.py').write_text('raise SystemExit("imported")')
    assert 'is no package of ROS 2' in ask(str(tmp_path))


def test_cv_bridge_that_shadows_ros_2_is_not_imported(tmp_path):
    site = install(tmp_path / 'ros', 'raise SystemExit("imported")', tmp_path / 'venv')
    assert "hides ROS 2's cv_bridge" in ask(site, tmp_path / 'ros')


@pytest.mark.parametrize(
    ('code', 'reason'),
    [
        (VIEW.replace('return pixels', 'return 255 - pixels'), 'differently'),
        ('class CvBridge: pass', 'fails: AttributeError'),
        ('raise AttributeError("_ARRAY_API not found")', 'fails: AttributeError'),
    ],
)
def test_broken_cv_bridge_is_not_used(tmp_path, code, reason):
    site = install(tmp_path, code)
    answer = ask(site, tmp_path)
    assert answer.startswith('False OpenCV') and reason in answer
