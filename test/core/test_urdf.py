# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.errors import InputError
from viva_ros.core.urdf import LARGEST, RobotDescription

#: A turning arm of 2 m on a column of 1 m, a slide of the hand along y, a finger that follows it.
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


def test_a_revolute_joint_turns_about_its_axis() -> None:
    assert point('base', 'hand') == pytest.approx([2.0, 0.0, 1.0])
    assert point('base', 'hand', turn=QUARTER) == pytest.approx([0.0, 2.0, 1.0])


def test_a_prismatic_joint_moves_along_its_axis_in_the_turned_frame() -> None:
    # The arm points along y; its own y, along which the hand slides, points along -x.
    assert point('base', 'hand', QUARTER, 0.25) == pytest.approx([-0.25, 2.0, 1.0])


def test_a_joint_that_mimics_follows_with_factor_and_offset() -> None:
    # 0.5 - 2 * 0.25 is 0, 0.5 - 2 * 0.1 is 0.3.
    assert point('base', 'finger', 0.0, 0.25) == pytest.approx([2.0, 0.25, 1.0])
    assert point('base', 'finger', 0.0, 0.1) == pytest.approx([2.0, 0.1, 1.3])
    assert RobotDescription(ARM).chain('base', 'finger').joints == ('turn', 'slide')


def test_a_base_on_another_branch_is_the_frame_of_the_points() -> None:
    # The eye is at z = 3 and turned by a quarter: its x is the world's y, its y the world's -x.
    assert point('eye', 'hand') == pytest.approx([0.0, -2.0, -2.0])


def test_from_a_link_to_its_ancestor_the_joints_are_inverted() -> None:
    assert point('arm', 'base', turn=QUARTER) == pytest.approx([0.0, 0.0, -1.0])
    assert point('hand', 'arm', 0.0, 0.5) == pytest.approx([-2.0, -0.5, 0.0])
    assert point('arm', 'arm', 1.0) == [0.0, 0.0, 0.0]


def test_a_batch_gives_the_points_of_each() -> None:
    chain = RobotDescription(ARM).chain('base', 'hand')
    positions = {'turn': np.array([0.0, QUARTER, math.pi]), 'slide': np.zeros(3)}
    expected = [[2.0, 0.0, 1.0], [0.0, 2.0, 1.0], [-2.0, 0.0, 1.0]]
    assert chain.points(positions) == pytest.approx(np.array(expected))


def test_roll_pitch_and_yaw_turn_about_the_fixed_axes_in_this_order() -> None:
    text = ARM.replace('rpy="0 0 1.5707963267948966"', f'rpy="{QUARTER} 0 {QUARTER}"')
    robot = RobotDescription(text)
    # Seen from the eye, first turned about x, then about z: its axes are the world's y, z and x.
    positions = {'turn': np.zeros(1), 'slide': np.zeros(1)}
    assert robot.chain('eye', 'hand').points(positions)[0] == pytest.approx([0.0, -2.0, 2.0])


def test_the_root_is_the_link_without_a_parent() -> None:
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


def test_a_link_that_is_not_there_is_named_with_the_nearest() -> None:
    with raises('urdf-link-unknown', "'hands'", 'links are hand, '):
        RobotDescription(ARM).chain('base', 'hands')


def test_links_without_a_connection_have_no_chain() -> None:
    text = ARM.replace('<link name="base"/>', '<link name="base"/><link name="stray"/>')
    with raises('urdf-links-unconnected', "'base'", "'stray'"):
        RobotDescription(text).chain('base', 'stray')


def test_a_joint_without_one_position_is_refused() -> None:
    text = ARM.replace('name="turn" type="revolute"', 'name="turn" type="floating"')
    with raises('urdf-joint-type', "joint 'turn'", "'base' and 'hand'", 'floating', 'revolute'):
        RobotDescription(text).chain('base', 'hand')


def test_a_loop_of_links_ends() -> None:
    loop = ARM.replace('</robot>', """
      <joint name="back" type="fixed"><parent link="hand"/><child link="base"/></joint></robot>
    """)  # fmt: skip
    with raises('urdf-loop', "link 'base'"):
        RobotDescription(loop).chain('base', 'eye')


def test_a_description_that_is_too_long_is_not_parsed() -> None:
    with raises('urdf-too-long', LARGEST + 1, LARGEST):
        RobotDescription(' ' * (LARGEST + 1))


@given(st.integers(0, len(ARM)), st.integers(0, 40), st.text(max_size=10))
def test_a_damaged_description_is_read_or_refused(place: int, cut: int, text: str) -> None:
    try:
        RobotDescription(ARM[:place] + text + ARM[place + cut :]).chain('base', 'finger')
    except InputError as error:
        assert str(error)
