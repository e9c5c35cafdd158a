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
    joints = {'r': 0.0, 'l': left}  # in the order of the engine, not of the description
    trail.add(round(second * SECOND), episode, joints, (value, 0.5, 0.25, math.nan))


def values(trail: Trail) -> list[float]:
    """Return the values of one frame."""
    return trail.points()[::2, 3].tolist()


def test_estimate_has_one_point_per_frame() -> None:
    trail = made()
    add(trail, 1.0, -0.5, left=0.2)
    expected = [[0.2, 0.0, 0.0, -0.5, 0.5, 0.25], [0.0, 1.0, 0.0, -0.5, 0.5, 0.25]]
    points = trail.points()
    assert points[:, :6] == pytest.approx(np.array(expected))
    assert np.isnan(points[:, 6]).all(), 'familiarity is unknown'


def test_points_are_in_order_of_time() -> None:
    trail = made()
    for second in range(3):
        add(trail, second, 0.1 * second)
        assert values(trail) == pytest.approx([0.1 * k for k in range(second + 1)])


def test_points_older_than_the_span_are_dropped() -> None:
    trail = made()
    for second in range(15):
        add(trail, second, float(second))
    assert values(trail) == list(range(4, 15))


def test_episode_only_begins_a_new_trail_per_episode() -> None:
    present, both = made(), made(CloudSettings(SETTINGS.frames, 'base', 10.0, False))
    for trail in (present, both):
        add(trail, 1.0, 0.1, 'e1')
        add(trail, 2.0, 0.2, 'e2')
    assert values(present) == [0.2] and values(both) == [0.1, 0.2]


def test_estimate_after_an_episode_is_ignored() -> None:
    trail = made()
    add(trail, 1.0, 0.1, 'e1')
    add(trail, 2.0, 0.2, '')
    assert values(trail) == [0.1]
    add(trail, 3.0, 0.3, 'e2')
    assert values(trail) == [0.3]


def test_estimates_before_the_first_episode_are_drawn() -> None:
    trail = made()
    add(trail, 1.0, 0.1, '')
    add(trail, 2.0, 0.2, '')
    assert values(trail) == [0.1, 0.2]


def test_time_jump_back_begins_a_new_trail() -> None:
    trail = made()
    add(trail, 5.0, 0.1)
    add(trail, 1.0, 0.2)
    assert values(trail) == [0.2]


def test_earlier_estimates_get_points_with_the_description() -> None:
    trail = Trail(SETTINGS)
    add(trail, 1.0, 0.1, left=0.3)
    assert trail.points().shape == (0, len(FIELDS))
    trail.describe(RobotDescription(TWO_SLIDES))
    assert trail.points()[0, :4].tolist() == pytest.approx([0.3, 0.0, 0.0, 0.1])


def test_new_description_recomputes_all_points() -> None:
    trail = made()
    add(trail, 1.0, 0.1)
    assert trail.points()[1, 1] == 1.0
    trail.describe(RobotDescription(TWO_SLIDES.replace('0 1 0', '0 2 0')))
    assert trail.points()[1, 1] == 2.0


def test_unknown_frame_is_left_out_with_a_fault() -> None:
    trail = made(CloudSettings(('left', 'middle', 'right'), 'base', 10.0))
    add(trail, 1.0, 0.1)
    assert trail.points()[:, 1].tolist() == [0.0, 1.0]
    assert list(trail.faults) == ['middle']
    assert "there is no link 'middle'" in trail.faults['middle']


def test_unknown_fixed_frame_yields_no_points() -> None:
    trail = made(CloudSettings(SETTINGS.frames, 'world', 10.0))
    add(trail, 1.0, 0.1)
    assert not len(trail.points()) and set(trail.faults) == {'left', 'right'}


def test_frame_with_a_joint_unknown_to_engine_is_left_out() -> None:
    trail = made()
    trail.add(SECOND, 'e', {'l': 0.2}, (0.1, 0.5, 0.25, math.nan))
    assert trail.points()[:, :2].tolist() == [[0.2, 0.0]]
    assert (
        "joint 'r' between 'base' and 'right' is not among the joints of the engine"
        in (trail.faults['right'])
    )


def test_trail_has_a_maximum_length() -> None:
    trail = made(CloudSettings(SETTINGS.frames, 'base', 3600.0))
    for number in range(KEPT + 5):
        add(trail, 0.01 * number, float(number))
    # A late subscriber receives the newest points first, and all of them after some calls.
    assert len(trail.points()) == 2 * BATCH and trail.points()[-1, 3] == KEPT + 4
    for _ in range(KEPT // BATCH):
        points = trail.points()
    assert len(points) == 2 * KEPT
    assert points[::2, 3].tolist() == [float(number) for number in range(5, KEPT + 5)]


def test_points_are_packed_as_little_endian_floats() -> None:
    data = pack(np.arange(14.0).reshape(2, 7))
    assert len(data) == 2 * POINT_STEP == 56
    assert np.frombuffer(data, '<f4').tolist() == list(range(14))
