# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest

from viva_ros.core.trajectory_cloud import (
    BATCH,
    FIELDS,
    KEPT,
    POINT_STEP,
    CloudSettings,
    Trail,
    pack,
)
from viva_ros.core.urdf import RobotDescription

SECOND = 1_000_000_000  # ns
TWO_SLIDES = """
<robot name="two">
  <link name="base"/><link name="left"/><link name="right"/>
  <joint name="l" type="prismatic"><parent link="base"/><child link="left"/></joint>
  <joint name="r" type="prismatic">
    <parent link="base"/><child link="right"/><origin xyz="0 1 0"/>
  </joint>
</robot>
"""
SETTINGS = CloudSettings(frames=('left', 'right'), fixed_frame='base', span=10.0)


def made(settings: CloudSettings = SETTINGS) -> Trail:
    trail = Trail(settings)
    trail.describe(RobotDescription(TWO_SLIDES))
    return trail


def add(trail: Trail, second: float, value: float, episode: str = 'e', left: float = 0.0) -> None:
    joints = {'r': 0.0, 'l': left}  # in the engine's order, not the description's
    trail.add(round(second * SECOND), episode, joints, (value, 0.5, 0.25, math.nan))


def values(trail: Trail) -> list[float]:
    """Return the values of one frame."""
    return trail.points()[::2, 3].tolist()


def test_an_estimate_becomes_a_point_for_each_frame() -> None:
    trail = made()
    add(trail, 1.0, -0.5, left=0.2)
    expected = [[0.2, 0.0, 0.0, -0.5, 0.5, 0.25], [0.0, 1.0, 0.0, -0.5, 0.5, 0.25]]
    points = trail.points()
    assert points[:, :6] == pytest.approx(np.array(expected))
    assert np.isnan(points[:, 6]).all(), 'familiarity is not known yet'


def test_points_come_in_the_order_of_time_and_are_kept() -> None:
    trail = made()
    for second in range(3):
        add(trail, second, 0.1 * second)
        assert values(trail) == pytest.approx([0.1 * k for k in range(second + 1)])


def test_what_is_older_than_the_span_goes() -> None:
    trail = made()
    for second in range(15):
        add(trail, second, float(second))
    assert values(trail) == list(range(4, 15))


def test_another_episode_begins_a_new_trail_if_that_is_set() -> None:
    alone, all_of_them = made(), made(CloudSettings(SETTINGS.frames, 'base', 10.0, False))
    for trail in (alone, all_of_them):
        add(trail, 1.0, 0.1, 'e1')
        add(trail, 2.0, 0.2, 'e2')
    assert values(alone) == [0.2] and values(all_of_them) == [0.1, 0.2]


def test_what_comes_after_an_episode_leaves_its_trail_as_it_is() -> None:
    trail = made()
    add(trail, 1.0, 0.1, 'e1')
    add(trail, 2.0, 0.2, '')
    assert values(trail) == [0.1]
    add(trail, 3.0, 0.3, 'e2')
    assert values(trail) == [0.3]


def test_before_the_first_episode_all_is_drawn() -> None:
    trail = made()
    add(trail, 1.0, 0.1, '')
    add(trail, 2.0, 0.2, '')
    assert values(trail) == [0.1, 0.2]


def test_a_jump_back_in_time_begins_a_new_trail() -> None:
    trail = made()
    add(trail, 5.0, 0.1)
    add(trail, 1.0, 0.2)
    assert values(trail) == [0.2]


def test_estimates_before_the_description_have_points_once_it_is_there() -> None:
    trail = Trail(SETTINGS)
    add(trail, 1.0, 0.1, left=0.3)
    assert trail.points().shape == (0, len(FIELDS))
    trail.describe(RobotDescription(TWO_SLIDES))
    assert trail.points()[0, :4].tolist() == pytest.approx([0.3, 0.0, 0.0, 0.1])


def test_another_description_moves_all_points() -> None:
    trail = made()
    add(trail, 1.0, 0.1)
    assert trail.points()[1, 1] == 1.0
    trail.describe(RobotDescription(TWO_SLIDES.replace('0 1 0', '0 2 0')))
    assert trail.points()[1, 1] == 2.0


def test_a_frame_that_is_not_known_is_left_out_and_named() -> None:
    trail = made(CloudSettings(('left', 'middle', 'right'), 'base', 10.0))
    add(trail, 1.0, 0.1)
    assert trail.points()[:, 1].tolist() == [0.0, 1.0]
    assert list(trail.faults) == ['middle']
    assert "there is no link 'middle'" in trail.faults['middle']


def test_without_the_fixed_frame_there_is_no_point() -> None:
    trail = made(CloudSettings(SETTINGS.frames, 'world', 10.0))
    add(trail, 1.0, 0.1)
    assert not len(trail.points()) and set(trail.faults) == {'left', 'right'}


def test_a_joint_that_the_engine_does_not_have_leaves_its_frames_out() -> None:
    trail = made()
    trail.add(SECOND, 'e', {'l': 0.2}, (0.1, 0.5, 0.25, math.nan))
    assert trail.points()[:, :2].tolist() == [[0.2, 0.0]]
    assert (
        "joint 'r' between 'base' and 'right' is not among the joints of the engine"
        in (trail.faults['right'])
    )


def test_a_trail_has_a_greatest_length() -> None:
    trail = made(CloudSettings(SETTINGS.frames, 'base', 3600.0))
    for number in range(KEPT + 5):
        add(trail, 0.01 * number, float(number))
    # A viewer that comes late gets the newest first, and all of them after some calls.
    assert len(trail.points()) == 2 * BATCH and trail.points()[-1, 3] == KEPT + 4
    for _ in range(KEPT // BATCH):
        points = trail.points()
    assert len(points) == 2 * KEPT
    assert points[::2, 3].tolist() == [float(number) for number in range(5, KEPT + 5)]


def test_points_are_packed_as_little_endian_floats() -> None:
    data = pack(np.arange(14.0).reshape(2, 7))
    assert len(data) == 2 * POINT_STEP == 56
    assert np.frombuffer(data, '<f4').tolist() == list(range(14))
