# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.core.errors import RecordingError
from viva_ros.data import messages

DEFINITIONS = sorted(Path(__file__).parents[2].glob('msg/*.msg'))


def test_every_message_of_the_package_is_known() -> None:
    assert len(DEFINITIONS) >= 4
    for path in DEFINITIONS:
        assert f'viva_ros/msg/{path.stem}' in messages.typestore().types


def test_a_schema_brings_the_definitions_that_it_is_made_of() -> None:
    text = messages.schema('viva_ros/msg/Value')
    assert 'float32 value' in text
    assert 'MSG: std_msgs/Header' in text
    assert 'MSG: builtin_interfaces/Time' in text
    assert text.count('=' * 80) == 2


@given(stamp=st.integers(0, (2**31 - 1) * 1_000_000_000))
def test_a_stamp_survives_its_message(stamp: int) -> None:
    assert messages.from_time(messages.to_time(stamp)) == stamp


def test_bytes_are_little_endian_cdr_as_on_the_wire() -> None:
    text = messages.make('std_msgs/msg/String', data='ab')
    assert messages.serialise('std_msgs/msg/String', text)[:11] == bytes(
        [0, 1, 0, 0, 3, 0, 0, 0, ord('a'), ord('b'), 0]
    )


def test_joints_come_back_by_name() -> None:
    state = messages.joint_state(1_500_000_000, ['a', 'b'], np.array([0.5, -2.0]))
    back = messages.deserialise(
        'sensor_msgs/msg/JointState', messages.serialise('sensor_msgs/msg/JointState', state)
    )
    assert (back.header.stamp.sec, back.header.stamp.nanosec) == (1, 500_000_000)
    assert dict(zip(back.name, back.position.tolist(), strict=True)) == {'a': 0.5, 'b': -2.0}


def test_a_type_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(RecordingError, match="'acme_msgs/msg/Secret' is not known"):
        messages.schema('acme_msgs/msg/Secret')


@given(cut=st.integers(0, 40))
def test_damaged_bytes_are_a_recording_error(cut: int) -> None:
    state = messages.joint_state(0, ['a', 'b'], np.array([0.5, -2.0]))
    whole = messages.serialise('sensor_msgs/msg/JointState', state)
    with pytest.raises(RecordingError, match='damaged'):
        messages.deserialise('sensor_msgs/msg/JointState', whole[:cut])


def test_idl_definition_of_several_files_is_read() -> None:
    line = '=' * 80
    text = (
        f'{line}\nIDL: acme_msgs/msg/Hand\n'
        'module acme_msgs { module msg { struct Hand { acme_msgs::msg::Finger finger; }; }; };\n'
        f'{line}\nIDL: acme_msgs/msg/Finger\n'
        'module acme_msgs { module msg { struct Finger { float angle; }; }; };\n'
    )
    cdr = b'\x00\x01\x00\x00' + np.float32(0.5).tobytes()
    definition = messages.Definition('ros2idl', text)
    hand = messages.deserialise('acme_msgs/msg/Hand', cdr, definition)
    assert hand.finger.angle == 0.5
