# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.core.urdf import LARGEST, MOST_TAGS, RobotDescription

#: A revolute arm of 2 m on a column of 1 m, a hand that slides along y, and a mimic finger.
ARM = """
<robot name="arm">
  <link name="base"/><link name="arm"/><link name="hand"/><link name="finger"/><link name="eye"/>
  <joint name="turn" type="revolute">
    <parent link="base"/><child link="arm"/><origin xyz="0 0 1"/><axis xyz="0 0 2"/>
  </joint>
  <joint name="slide" type="prismatic">
    <parent link="arm"/><child link="hand"/><origin xyz="2 0 0"/><axis xyz="0 1 0"/>
  </joint>
  <joint name="grip" type="prismatic">
    <parent link="hand"/><child link="finger"/><axis xyz="0 0 1"/>
    <mimic joint="slide" multiplier="-2" offset="0.5"/>
  </joint>
  <joint name="mount" type="fixed">
    <parent link="base"/><child link="eye"/>
    <origin xyz="0 0 3" rpy="0 0 1.5707963267948966"/>
  </joint>
</robot>
"""
QUARTER = math.pi / 2


def point(base: str, tip: str, turn: float = 0.0, slide: float = 0.0) -> list[float]:
    positions = {'turn': np.array([turn]), 'slide': np.array([slide])}
    return RobotDescription(ARM).chain(base, tip).points(positions)[0].tolist()


def test_revolute_joint_turns_about_its_axis() -> None:
    assert point('base', 'hand') == pytest.approx([2.0, 0.0, 1.0])
    assert point('base', 'hand', turn=QUARTER) == pytest.approx([0.0, 2.0, 1.0])


def test_prismatic_joint_moves_along_its_turned_axis() -> None:
    # The arm points along y; its own y, along which the hand slides, points along -x.
    assert point('base', 'hand', QUARTER, 0.25) == pytest.approx([-0.25, 2.0, 1.0])


def test_mimic_joint_follows_with_factor_and_offset() -> None:
    # 0.5 - 2 * 0.25 is 0, 0.5 - 2 * 0.1 is 0.3.
    assert point('base', 'finger', 0.0, 0.25) == pytest.approx([2.0, 0.25, 1.0])
    assert point('base', 'finger', 0.0, 0.1) == pytest.approx([2.0, 0.1, 1.3])
    assert RobotDescription(ARM).chain('base', 'finger').joints == ('turn', 'slide')


def test_points_are_in_the_frame_of_a_base_on_another_branch() -> None:
    # The eye is at z = 3 and turned by a quarter: its x is the world's y, its y the world's -x.
    assert point('eye', 'hand') == pytest.approx([0.0, -2.0, -2.0])


def test_chain_to_an_ancestor_is_inverted() -> None:
    assert point('arm', 'base', turn=QUARTER) == pytest.approx([0.0, 0.0, -1.0])
    assert point('hand', 'arm', 0.0, 0.5) == pytest.approx([-2.0, -0.5, 0.0])
    assert point('arm', 'arm', 1.0) == [0.0, 0.0, 0.0]


def test_batch_of_positions_yields_all_points() -> None:
    chain = RobotDescription(ARM).chain('base', 'hand')
    positions = {'turn': np.array([0.0, QUARTER, math.pi]), 'slide': np.zeros(3)}
    expected = [[2.0, 0.0, 1.0], [0.0, 2.0, 1.0], [-2.0, 0.0, 1.0]]
    assert chain.points(positions) == pytest.approx(np.array(expected))


def test_roll_pitch_and_yaw_turn_about_fixed_axes() -> None:
    text = ARM.replace('rpy="0 0 1.5707963267948966"', f'rpy="{QUARTER} 0 {QUARTER}"')
    robot = RobotDescription(text)
    # Turned about x, then about z: the axes of the eye are y, z and x of the world.
    positions = {'turn': np.zeros(1), 'slide': np.zeros(1)}
    assert robot.chain('eye', 'hand').points(positions)[0] == pytest.approx([0.0, -2.0, 2.0])


def test_root_is_the_link_without_a_parent() -> None:
    assert RobotDescription(ARM).root == 'base'
    with raises('urdf-root', "['base', 'stray']"):
        _ = RobotDescription(
            ARM.replace('<link name="base"/>', '<link name="base"/><link name="stray"/>')
        ).root


@pytest.mark.parametrize(
    ('old', 'new', 'code', 'named'),
    [
        ('<link name="eye"/>', '<link name="hand"/>', 'urdf-name-duplicate', "link 'hand'"),
        ('name="grip"', 'name="turn"', 'urdf-name-duplicate', "joint 'turn'"),
        ('<child link="eye"/>', '<child link="hand"/>', 'urdf-name-duplicate', "link 'hand'"),
        ('<axis xyz="0 0 2"/>', '<axis xyz="0 0 0"/>', 'urdf-axis-zero', "joint 'turn'"),
        ('xyz="0 0 3"', 'xyz="0 0"', 'urdf-number', "joint 'mount' has xyz '0 0', must be 3"),
        ('xyz="0 0 3"', 'xyz="0 0 nan"', 'urdf-number', '0 0 nan'),
        ('xyz="0 0 3"', 'xyz="0 0 ${h}"', 'urdf-number', '0 0 ${h}'),
        ('<child link="eye"/>', '', 'urdf-element-missing', "joint 'mount' has no <child>"),
        ('<child link="eye"/>', '<child/>', 'urdf-attribute-missing', '<child> has no link'),
        ('</robot>', '', 'urdf-xml', 'XML'),
    ],
)  # fmt: skip
def test_malformed_description_is_refused(old: str, new: str, code: str, named: str) -> None:
    assert old in ARM
    with raises(code, named):
        RobotDescription(ARM.replace(old, new))


def test_unknown_link_is_refused_with_similar_names() -> None:
    with raises('urdf-link-unknown', "'hands'", 'links are hand, '):
        RobotDescription(ARM).chain('base', 'hands')


def test_chain_of_unconnected_links_is_refused() -> None:
    text = ARM.replace('<link name="base"/>', '<link name="base"/><link name="stray"/>')
    with raises('urdf-links-unconnected', "'base'", "'stray'"):
        RobotDescription(text).chain('base', 'stray')


def test_unsupported_joint_type_is_refused() -> None:
    text = ARM.replace('name="turn" type="revolute"', 'name="turn" type="floating"')
    with raises('urdf-joint-type', "joint 'turn'", "'base' and 'hand'", 'floating', 'revolute'):
        RobotDescription(text).chain('base', 'hand')


def test_loop_of_links_is_refused() -> None:
    loop = ARM.replace('</robot>', """
      <joint name="back" type="fixed"><parent link="hand"/><child link="base"/></joint></robot>
    """)  # fmt: skip
    with raises('urdf-loop', "link 'base'"):
        RobotDescription(loop).chain('base', 'eye')


def test_too_long_description_is_refused() -> None:
    with raises('urdf-too-long', LARGEST + 1, LARGEST):
        RobotDescription(' ' * (LARGEST + 1))
    with raises('urdf-too-long', MOST_TAGS + 1, MOST_TAGS):  # 400 MiB of nested elements
        RobotDescription('<robot>' + '<a>' * MOST_TAGS)


@given(st.integers(0, len(ARM)), st.integers(0, 40), st.text(max_size=10))
def test_damaged_description_is_read_or_refused(place: int, cut: int, text: str) -> None:
    try:
        RobotDescription(ARM[:place] + text + ARM[place + cut :]).chain('base', 'finger')
    except InputError as error:
        assert str(error)
