# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images read from their bytes equal those that rclpy deserializes; malformed ones are refused."""

import platform
import struct
import subprocess
import sys
from array import array

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import example, given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.nodes.convert import decode
from viva_ros.nodes.image_messages import (
    end_of_content,
    read_compressed_image,
    read_image,
)

TEXTS = st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=9)
UINT32 = st.integers(0, 2**32 - 1)
FIELDS = {
    Image: ('height', 'width', 'encoding', 'is_bigendian', 'step'),
    CompressedImage: ('format',),
}  # fmt: skip
READERS = {Image: read_image, CompressedImage: read_compressed_image}

headers = st.builds(
    Header, frame_id=TEXTS,
    stamp=st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=UINT32),
)  # fmt: skip
pixels = st.binary(max_size=40).map(lambda data: array('B', data))
images = st.builds(
    Image, header=headers, height=UINT32, width=UINT32, encoding=TEXTS,
    is_bigendian=st.integers(0, 255), step=UINT32, data=pixels,
)  # fmt: skip
compressed = st.builds(CompressedImage, header=headers, format=TEXTS, data=pixels)


def big_endian(message) -> bytes:
    """Return the bytes of a message as a big-endian machine sends them."""
    body = b''

    def add(kind: str, value: int) -> None:
        nonlocal body
        body += bytes(-len(body) % struct.calcsize(f'={kind}')) + struct.pack(f'>{kind}', value)

    def add_bytes(data: bytes) -> None:
        nonlocal body
        add('I', len(data))
        body += data

    add('i', message.header.stamp.sec)
    add('I', message.header.stamp.nanosec)
    add_bytes(message.header.frame_id.encode() + b'\0')
    for name in FIELDS[type(message)]:
        value = getattr(message, name)
        if isinstance(value, str):
            add_bytes(value.encode() + b'\0')
        else:
            add('B' if name == 'is_bigendian' else 'I', value)
    add_bytes(bytes(message.data))
    return b'\0\0\0\0' + body


def assert_equal(view, message) -> None:
    assert view.header == message.header
    for name in FIELDS[type(message)]:
        assert getattr(view, name) == getattr(message, name), name
    assert bytes(view.data) == bytes(message.data)


FREE = """
import ctypes, sys
from viva_ros.nodes.image_messages import reuse_freed_memory
if sys.argv[1:]:
    assert reuse_freed_memory()
sbrk = ctypes.CDLL(None).sbrk
sbrk.restype = ctypes.c_void_p
bytes(921_600)  # by default, glibc then takes blocks of this size from the heap
images = [bytearray(921_600) for _ in range(3)]
before = sbrk(0)
images.clear()
print(before - sbrk(0))
"""


@given(st.one_of(images, compressed))
def test_image_equals_that_of_rclpy_in_both_byte_orders(message):
    kind = type(message)
    for cdr in (bytes(serialize_message(message)), big_endian(message)):
        assert_equal(READERS[kind](cdr), message)
        assert deserialize_message(cdr, kind) == message


@given(st.one_of(images, compressed), st.data())
def test_image_cut_anywhere_is_refused(message, data):
    cdr = bytes(serialize_message(message))
    shorter = cdr[: data.draw(st.integers(0, len(cdr) - 1))]
    with pytest.raises(InputError):
        READERS[type(message)](shorter)


@given(st.one_of(images, compressed), st.data())
def test_garbled_image_is_refused_or_equals_that_of_rclpy(message, data):
    cdr = bytearray(serialize_message(message))
    for _ in range(data.draw(st.integers(1, 4))):
        cdr[data.draw(st.integers(0, len(cdr) - 1))] = data.draw(st.integers(0, 255))
    try:
        view = READERS[type(message)](bytes(cdr))
    except InputError:
        return
    assert_equal(view, deserialize_message(bytes(cdr), type(message)))


@pytest.mark.parametrize('kind', READERS)
@given(st.binary(max_size=80))
def test_image_of_random_bytes_is_refused_or_equals_that_of_rclpy(kind, content):
    cdr = b'\0\1\0\0' + content
    try:
        view = READERS[kind](cdr)
    except InputError:
        return
    assert_equal(view, deserialize_message(cdr, kind))


def test_pixels_are_not_copied_and_decode_reads_them():
    data = np.arange(18, dtype=np.uint8)
    message = Image(encoding='rgb8', height=2, width=3, step=9, data=array('B', data.tobytes()))
    cdr = bytes(serialize_message(message))
    view = read_image(cdr)
    image = decode(view)
    assert np.shares_memory(image, np.frombuffer(cdr, np.uint8))
    assert image.ravel().tolist() == data.tolist()


def test_compressed_image_decodes_as_that_of_rclpy():
    _, png = cv2.imencode('.png', np.arange(24, dtype=np.uint8).reshape(2, 4, 3))
    message = CompressedImage(format='png', data=array('B', png.tobytes()))
    view = read_compressed_image(bytes(serialize_message(message)))
    np.testing.assert_array_equal(decode(view), decode(message))


@given(st.binary(min_size=4, max_size=4))
@example(b'\0\1\0\1')  # Fast CDR reads beyond the end of these
@example(b'\0\1\0\2')
@example(b'\0\0\xff\xff')
def test_message_without_content_is_refused(head):
    with raises('cdr-empty', '4 bytes', head.hex(), of=InputError):
        end_of_content(head)


@pytest.mark.parametrize('length', range(4))
def test_message_shorter_than_its_header_is_refused(length):
    with raises('cdr-empty', f'{length} bytes', of=InputError):
        end_of_content(b'\0\1\0\3'[:length])


@pytest.mark.parametrize('padding', range(4))
@pytest.mark.parametrize('length', range(5, 17))
def test_padding_is_no_content_where_it_is_present(length, padding):
    end = end_of_content(b'\0\1\xff' + bytes([0xFC | padding]) + bytes(length - 4))
    # Only a length that is a multiple of 4 can have been padded.
    assert end == (length - padding if length in (8, 12, 16) else length)
    assert end > 4


def test_padding_is_not_read_as_pixels():
    cdr = bytearray(serialize_message(CompressedImage(format='jpg', data=array('B', b'1234'))))
    assert len(cdr) % 4 == 0
    cdr[3] = 3  # the last three bytes are padding, and the length says four pixels
    with raises('cdr-truncated', 'bytes', of=InputError):
        read_compressed_image(bytes(cdr))


def test_format_other_than_plain_cdr_is_refused():
    cdr = b'\0\7' + bytes(serialize_message(Image()))[2:]
    with raises('cdr-format', '0x0007', '0x0001', of=InputError):
        read_image(cdr)


def test_text_with_a_null_character_is_refused():
    cdr = bytes(serialize_message(CompressedImage(format='jpeg')))
    with raises('cdr-text', 'jp', 'null', of=InputError):
        read_compressed_image(cdr.replace(b'jpeg', b'jp\0g'))


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='mallopt is a function of glibc')
def test_memory_of_freed_images_is_kept():
    def freed(*arguments: str) -> int:
        line = [sys.executable, '-c', FREE, *arguments]
        return int(subprocess.run(line, check=True, capture_output=True, text=True).stdout)

    assert freed() >= 921_600 and freed('keep') == 0
