# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from viva_ros.core.errors import InputError
from viva_ros.core.events import Event, Level
from viva_ros.core.inputs import Selection
from viva_ros.core.observation import Estimate, Unknown
from viva_ros.engine.image_encodings import ENCODINGS
from viva_ros.msg import Value
from viva_ros.nodes import convert

LAST_NS = (2**31 - 1) * 10**9 + 999_999_999


@given(st.integers(0, LAST_NS))
def test_stamp_round_trips_through_message(stamp):
    assert convert.to_ns(convert.to_time(stamp)) == stamp


def test_publisher_is_empty_where_rclpy_does_not_tell_it():
    info = {'source_timestamp': 1, 'received_timestamp': 2}  # of Jazzy
    assert convert.publisher_of(info) == b''
    assert convert.publisher_of(info | {'publisher_gid': None}) == b''
    gid = {'implementation_identifier': 'rmw_fastrtps_cpp', 'data': b'\1\2'}
    assert convert.publisher_of(info | {'publisher_gid': gid}) == b'\1\2'


@given(st.integers(1, 20), st.integers(1, 20), st.randoms())
def test_image_round_trips_through_message(height, width, random):
    pixels = np.random.default_rng(random.randint(0, 99)).integers(
        0, 256, (height, width, 3), np.uint8
    )
    assert np.array_equal(convert.decode(convert.to_image(pixels, 1, 'f')), pixels)


@given(
    encoding=st.sampled_from([*ENCODINGS, '16UC1', '']),
    height=st.integers(0, 9), width=st.integers(0, 9), step=st.integers(0, 40),
    data=st.binary(max_size=300),
)  # fmt: skip
def test_an_image_message_of_any_content_is_decoded_or_refused(
    encoding, height, width, step, data
):
    message = Image(encoding=encoding, height=height, width=width, step=step, data=data)
    try:
        assert convert.decode(message).shape == (height, width, 3)
    except InputError as error:
        assert str(error)


@given(st.sampled_from(['jpeg', 'png', '', 'bayer_rggb8; png compressed ']), st.binary())
def test_a_compressed_image_of_any_content_is_decoded_or_refused(text, data):
    try:
        convert.decode(CompressedImage(format=text, data=data))
    except InputError as error:
        assert str(error)


def test_value_has_newest_stamp_and_lists_input_stamps():
    stamps = {'head': 1_000_000_000, 'joint_states': 980_000_000}
    selection = Selection({'head': None}, {'a': 0.0}, stamps)
    value = convert.to_value(Estimate(0.5, {'a': 0.0}), selection, now=1_030_000_000)
    assert (value.status, value.value, value.header.stamp.sec) == (Value.STATUS_OK, 0.5, 1)
    assert value.latency == pytest.approx(0.03)
    assert value.skew == pytest.approx(0.02)
    assert list(value.input_names) == ['head', 'joint_states']
    assert [convert.to_ns(stamp) for stamp in value.input_stamps] == list(stamps.values())


def test_progress_and_success_are_nan_if_not_estimated():
    selection = Selection({'head': None}, {'a': 0.0}, {'head': 1})
    apart = convert.to_value(Estimate(0.5, {}, 0.75, 0.875), selection, now=1)
    assert (apart.value, apart.progress, apart.success_probability) == (0.5, 0.75, 0.875)
    mixed = convert.to_value(Estimate(0.5, {}), selection, now=1)
    assert math.isnan(mixed.progress) and math.isnan(mixed.success_probability)


def test_unknown_value_is_nan():
    value = convert.to_unknown_value(Unknown('stale', 'too old'), 5)
    assert (value.status, value.reason_kind, value.reason) == (0, 'stale', 'too old')
    assert all(math.isnan(x) for x in (value.value, value.latency, value.skew))
    assert math.isnan(value.progress) and math.isnan(value.success_probability)


def test_an_event_becomes_an_alert():
    event = Event(Level.ALARM, 'drop', 7, 3, -0.25, 0.75, 0.5, 'e1', 'it fell')
    alert = convert.to_alert(event, 9)
    assert (alert.level, alert.kind, alert.episode_id, alert.text) == (3, 'drop', 'e1', 'it fell')
    assert (alert.value, alert.statistic, alert.threshold) == (-0.25, 0.75, 0.5)
    assert (convert.to_ns(alert.header.stamp), convert.to_ns(alert.onset)) == (9, 3)
