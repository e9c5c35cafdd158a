# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot files of config/robots."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from support.errors import raises

from viva_ros.core.errors import ConfigurationError
from viva_ros.robot.field_path import numbers
from viva_ros.robot.topic_map import RECEIVED, load_map

pytestmark = pytest.mark.fast

FOLDER = Path(__file__).parents[2] / 'config/robots'
FILES = sorted(FOLDER.glob('*.yaml'))


def test_each_robot_is_shipped() -> None:
    names = [path.stem for path in FILES]
    assert names == [
        'aloha', 'cobot_magic', 'dual_ur', 'openarm', 'unitree_g1', 'viperx_sim',
        'widowx_bridge',
    ]  # fmt: skip


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_robot_file_is_valid_and_has_its_name(path: Path) -> None:
    robot = load_map(path)
    assert robot.robot == path.stem and robot.rate and robot.cameras and robot.joints


def test_arms_of_g1_are_its_motors_15_to_28() -> None:
    robot = load_map(FOLDER / 'unitree_g1.yaml')
    state = SimpleNamespace(motor_state=[SimpleNamespace(q=float(k)) for k in range(35)])
    found = [float(x) for one in robot.joints for x in numbers(state, one.path)]
    assert found == [float(k) for k in range(15, 29)]
    assert [one.stamp for one in robot.joints] == [RECEIVED] * 2


def test_equal_names_of_two_arms_get_their_side() -> None:
    left, right = load_map(FOLDER / 'aloha.yaml').joints
    assert left.names['waist'] == 'left_waist' and right.names['gripper'] == 'right_gripper'


def test_transport_ends_the_topic_of_a_camera(tmp_path: Path) -> None:
    path = tmp_path / 'robot.yaml'
    path.write_text(
        'cameras: {a: {topic: /a, transport: compressed}, b: {topic: /b/compressed, '
        'transport: compressed}, c: {topic: /c}}'
    )
    topics = [one.topic for one in load_map(path).cameras.values()]
    assert topics == ['/a/compressed', '/b/compressed', '/c']
    path.write_text('cameras: {a: {topic: /a, transport: theora}}')
    with raises('map-value', 'transport', "'theora'", 'raw or compressed', of=ConfigurationError):
        load_map(path)
