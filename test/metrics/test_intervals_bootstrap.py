# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viva_ros.metrics.intervals import (
    area,
    difference,
    hourly,
    interval,
    mean,
    positive,
    quantile,
    root_mean_square,
)

FEW = settings(max_examples=20, deadline=None)  # each draws 1000 times
NUMBERS = st.lists(st.floats(-10, 10) | st.just(math.nan), min_size=1, max_size=12)


def test_values_by_hand_leave_out_nan() -> None:
    assert interval(mean([1.0, math.nan, 2.0]))['value'] == 1.5
    assert interval(mean([1.0, math.nan, 2.0]))['episodes'] == 2
    assert interval(quantile([1.0, 2.0, math.nan, 4.0], 0.5))['value'] == 2.0
    # Two of three responses; the episode without one does not count.
    found = interval(positive([[0.2, -0.1], [], [0.3]]))
    assert (found['value'], found['episodes']) == (pytest.approx(2 / 3), 2)
    # sqrt((9 + 16 + 0) / 3)
    assert interval(root_mean_square([[3.0, 4.0], [], [0.0]]))['value'] == pytest.approx(
        math.sqrt(25 / 3)
    )
    assert interval(hourly([1, 2], [1800.0, 5400.0]))['value'] == pytest.approx(1.5)


def test_interval_of_two_episodes_covers_both() -> None:
    # A quarter of the draws has the lower episode twice, another quarter the higher.
    found = interval(mean([1.0, 3.0]))
    assert (found['low'], found['high']) == (1.0, 3.0)


def test_equal_draws_have_an_exact_interval_or_none() -> None:
    share = interval(mean([1.0] * 20, share=True))
    assert (share['low'], share['high']) == (pytest.approx(0.8316, abs=1e-4), 1.0)
    answered = interval(positive([[-0.1]] * 20))
    assert (answered['low'], answered['high']) == (0.0, pytest.approx(0.1684, abs=1e-4))
    silence = interval(hourly([0, 0], [3600.0, 3600.0]))
    assert (silence['low'], silence['high']) == (0.0, pytest.approx(1.8444, abs=1e-4))
    parted = interval(area([0.1, 0.2, 0.8, 0.9], [False, False, True, True]))
    assert parted['value'] == parted['high'] == 1.0 and 0.2 < parted['low'] < 0.8
    for one in (mean([0.7] * 20), mean([0.7]), area([0.1, 0.9], [False, True], precision=True)):
        found = interval(one)
        assert math.isfinite(found['value'])
        assert math.isnan(found['low']) and math.isnan(found['high'])


def test_measure_of_no_episode_is_nan() -> None:
    for one in (mean([]), mean([math.nan]), positive([[]]), area([], []), hourly([], [])):
        found = interval(one)
        assert found['episodes'] == 0
        assert math.isnan(found['value']) and math.isnan(found['low'])


def test_paired_difference_detects_a_small_consistent_gain() -> None:
    hard = np.linspace(0.0, 1.0, 10)
    ours, theirs = mean(hard.tolist()), mean((hard + 0.01 + 0.001 * hard).tolist())
    assert interval(theirs)['low'] < interval(ours)['high']
    found = difference(ours, theirs)
    assert found['value'] == pytest.approx(0.01 + 0.001 * 0.5)
    assert found['low'] > 0.0


def test_difference_leaves_out_episodes_unknown_to_one() -> None:
    found = difference(mean([0.0, 5.0, 1.0]), mean([1.0, math.nan, 2.0]))
    assert (found['value'], found['episodes']) == (1.0, 2)


def test_fewer_than_six_equal_differences_have_no_interval() -> None:
    five = difference(mean([0.0] * 5), mean([1.0] * 5))
    assert five['value'] == 1.0 and math.isnan(five['low'])
    six = difference(mean([0.0] * 6), mean([1.0] * 6))
    assert (six['low'], six['high']) == (1.0, 1.0)


def test_difference_of_other_episodes_raises_value_error() -> None:
    with pytest.raises(ValueError, match='must be the same'):
        difference(mean([1.0]), mean([1.0, 2.0]))


@FEW
@given(NUMBERS)
def test_value_is_independent_of_the_order_of_episodes(numbers: list[float]) -> None:
    one, other = interval(mean(numbers)), interval(mean(numbers[::-1]))
    assert one['value'] == pytest.approx(other['value'], nan_ok=True)
    assert one['episodes'] == sum(math.isfinite(x) for x in numbers)


@FEW
@given(NUMBERS)
def test_interval_of_a_mean_lies_within_its_numbers(numbers: list[float]) -> None:
    found = interval(mean(numbers))
    if math.isfinite(found['low']):
        known = [x for x in numbers if math.isfinite(x)]
        assert min(known) - 1e-9 <= found['low'] <= found['high'] <= max(known) + 1e-9


@FEW
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=6, max_size=12))
def test_difference_changes_sign_when_sides_are_swapped(pairs) -> None:
    ours, theirs = (mean([pair[side] for pair in pairs]) for side in (0, 1))
    forth, back = difference(ours, theirs), difference(theirs, ours)
    assert forth['value'] == pytest.approx(-back['value'])
    assert forth['low'] == pytest.approx(-back['high'], abs=1e-9)
    assert forth['high'] == pytest.approx(-back['low'], abs=1e-9)
