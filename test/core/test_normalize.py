# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.core.normalize import JointRanges

RANGES = JointRanges(('waist', 'finger'), (-1.0, 0.0), (3.0, 0.1))


def test_range_maps_to_minus_1_to_1_and_back() -> None:
    positions = np.array([[-1.0, 0.0], [1.0, 0.05], [3.0, 0.1], [2.0, 0.025]])
    expected = [[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0], [0.5, -0.5]]
    np.testing.assert_allclose(RANGES.normalise(positions), expected)
    np.testing.assert_allclose(RANGES.denormalise(np.array(expected)), positions)


def test_positions_outside_of_the_range_are_clamped() -> None:
    assert RANGES.normalise(np.array([9.0, -9.0])).tolist() == [1.0, -1.0]


def test_joint_without_motion_maps_to_0_and_back() -> None:
    still = JointRanges(('a',), (0.7,), (0.7,))
    assert still.normalise(np.array([0.7])).tolist() == [0.0]
    assert still.denormalise(np.array([0.9])).tolist() == [0.7]


def test_ranges_cover_all_episodes() -> None:
    episodes = [np.array([[0.0, 5.0], [1.0, 4.0]]), np.array([[-2.0, 4.5]])]
    assert JointRanges.of(['a', 'b'], episodes) == JointRanges(('a', 'b'), (-2.0, 4.0), (1.0, 5.0))


def test_ranges_round_trip_through_json() -> None:
    assert JointRanges.from_dict(json.loads(json.dumps(RANGES.to_dict()))) == RANGES


@pytest.mark.parametrize(
    ('names', 'low', 'high', 'text'),
    [
        (('a', 'a'), (0.0, 0.0), (1.0, 1.0), 'unique names'),
        (('a',), (0.0, 0.0), (1.0, 1.0), 'one low and high each'),
        (('a',), (1.0,), (0.0,), 'range of a is 1.0 to 0.0'),
        (('a',), (float('nan'),), (0.0,), 'range of a is nan'),
    ],
)
def test_invalid_ranges_are_refused(names, low, high, text) -> None:
    with pytest.raises(ValueError, match=text):
        JointRanges(names, low, high)


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=3), st.data())
def test_denormalise_inverts_normalise_inside_the_range(low, data) -> None:
    spans = data.draw(st.lists(st.floats(0.0, 5.0), min_size=3, max_size=3))
    shares = data.draw(st.lists(st.floats(0, 1), min_size=3, max_size=3))
    high = [start + span for start, span in zip(low, spans, strict=True)]
    ranges = JointRanges(('a', 'b', 'c'), tuple(low), tuple(high))
    inside = np.array(low) + np.array(shares) * (np.array(high) - np.array(low))
    normalised = ranges.normalise(inside)
    assert np.all(np.abs(normalised) <= 1.0)
    moved = np.array(high) > np.array(low)
    back = ranges.denormalise(normalised)
    np.testing.assert_allclose(back[moved], inside[moved], atol=1e-9)
