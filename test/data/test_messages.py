# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from support.errors import raises

from viva_ros.data import messages

DEFINITIONS = sorted(Path(__file__).parents[2].glob('msg/*.msg'))


def test_typestore_has_every_message_of_the_package() -> None:
    assert len(DEFINITIONS) >= 4
    for path in DEFINITIONS:
        assert f'viva_ros/msg/{path.stem}' in messages.typestore().types


def test_schema_contains_the_definitions_of_its_field_types() -> None:
    text = messages.schema('viva_ros/msg/Value')
    assert 'float32 value' in text
    assert 'MSG: std_msgs/Header' in text
    assert 'MSG: builtin_interfaces/Time' in text
    assert text.count('=' * 80) == 2


@given(stamp=st.integers(0, (2**31 - 1) * 1_000_000_000))
def test_stamp_equals_after_round_trip(stamp: int) -> None:
    assert messages.from_time(messages.to_time(stamp)) == stamp


def test_serialised_bytes_are_little_endian_cdr() -> None:
    text = messages.make('std_msgs/msg/String', data='ab')
    assert messages.serialise('std_msgs/msg/String', text)[:11] == bytes(
        [0, 1, 0, 0, 3, 0, 0, 0, ord('a'), ord('b'), 0]
    )


def test_joint_state_equals_after_round_trip() -> None:
    state = messages.joint_state(1_500_000_000, ['a', 'b'], np.array([0.5, -2.0]))
    read = messages.deserialise(
        'sensor_msgs/msg/JointState', messages.serialise('sensor_msgs/msg/JointState', state)
    )
    assert (read.header.stamp.sec, read.header.stamp.nanosec) == (1, 500_000_000)
    assert dict(zip(read.name, read.position.tolist(), strict=True)) == {'a': 0.5, 'b': -2.0}


def test_unknown_type_is_refused_by_name() -> None:
    with raises('type-unknown', "'acme_msgs/msg/Secret'", '"definitions"'):
        messages.schema('acme_msgs/msg/Secret')


@given(cut=st.integers(0, 40))
def test_truncated_bytes_are_refused(cut: int) -> None:
    state = messages.joint_state(0, ['a', 'b'], np.array([0.5, -2.0]))
    whole = messages.serialise('sensor_msgs/msg/JointState', state)
    with raises('message-damaged', 'sensor_msgs/msg/JointState', f'{len(whole[:cut])} bytes'):
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


def test_definition_without_comments_has_the_same_fields() -> None:
    store = get_typestore(Stores.ROS2_KILTED)
    for name in [*store.fielddefs][:80]:
        plain, _ = store.generate_msgdef(name, ros_version=2)
        lines = [part for line in plain.split('\n') for part in (line, '', '  # a note', '\t')]
        found = messages.without_comments('\n'.join(lines))
        assert '#' not in found and '\n\n' not in found
        assert get_types_from_msg(found, name) == get_types_from_msg(plain, name)


def test_definition_whose_last_type_is_empty_is_read() -> None:
    text = messages.without_comments(f'std_msgs/Empty go\n{80 * "="}\nMSG: std_msgs/Empty\n')
    assert get_types_from_msg(text, 'x/msg/A')['std_msgs/msg/Empty'][1] == []


def test_definition_of_empty_lines_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = messages.get_types_from_msg

    def record(text: str, name: str) -> object:
        parsed.append(text)
        return parse(text, name)

    monkeypatch.setattr(messages, 'get_types_from_msg', record)
    definition = messages.Definition('ros2msg', 'float32 angle\n' + '\n# note\n' * 1000)
    cdr = b'\x00\x01\x00\x00' + np.float32(0.5).tobytes()
    assert messages.deserialise('acme_msgs/msg/Elbow', cdr, definition).angle == 0.5
    assert parsed == ['float32 angle\n']
