# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.advantage.estimator import n_step_advantage
from viva_ros.core.returns import returns, value_from_return
from viva_ros.scoring.smoothing import fill, known_runs, smooth_average, smooth_median

NAN = float('nan')


def test_steps_between_two_values_are_interpolated() -> None:
    values = np.array([0.0, 9.0, 9.0, 0.3])
    asked = np.array([True, False, False, True])
    np.testing.assert_allclose(fill(values, asked, 3), [0.0, 0.1, 0.2, 0.3])


def test_nothing_is_made_up_across_a_larger_gap() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.3])
    filled = fill(values, np.array([True, False, False, True]), 2)
    np.testing.assert_array_equal(filled, [0.0, NAN, NAN, 0.3])


def test_nothing_is_made_up_beside_an_unknown_value() -> None:
    values = np.array([0.0, 0.0, NAN, 0.0, 0.4])
    filled = fill(values, np.array([True, False, True, False, True]), 9)
    np.testing.assert_array_equal(filled, [0.0, NAN, NAN, NAN, 0.4])


def test_nothing_is_made_up_before_the_first_and_after_the_last_value() -> None:
    filled = fill(np.zeros(3), np.array([False, True, False]), 9)
    np.testing.assert_array_equal(filled, [NAN, 0.0, NAN])
    assert np.isnan(fill(np.zeros(3), np.zeros(3, bool), 9)).all()


def test_runs_are_the_stretches_that_are_known() -> None:
    assert known_runs(np.array([NAN, 1.0, 2.0, NAN, 3.0])) == [slice(1, 3), slice(4, 5)]
    assert known_runs(np.empty(0)) == []


def test_the_average_takes_up_a_step_by_its_time_constant() -> None:
    # time constant 1 / ln 2: half of what is missing at each step
    smoothed = smooth_average(np.array([0.0, 1.0, 1.0, NAN, 1.0]), 1 / np.log(2))
    np.testing.assert_allclose(smoothed, [0.0, 0.5, 0.75, NAN, 1.0])


def test_the_median_takes_out_a_spike_and_stops_at_what_is_unknown() -> None:
    smoothed = smooth_median(np.array([0.0, 0.1, 9.0, 0.3, 0.4, NAN, 7.0]), 1)
    np.testing.assert_allclose(smoothed, [0.0, 0.1, 0.3, 0.4, 0.4, NAN, 7.0])


@given(st.integers(1, 80), st.integers(0, 10), st.integers(1, 30))
def test_the_median_leaves_a_perfect_value_its_advantage_of_0(length, half, steps) -> None:
    smoothed = smooth_median(value_from_return(returns(length, True)), half)
    assert (n_step_advantage(smoothed, True, steps) == 0.0).all()


@pytest.mark.parametrize('smooth', [smooth_average, smooth_median])
def test_a_constant_stays(smooth) -> None:
    np.testing.assert_allclose(smooth(np.full(9, 0.25), 3), np.full(9, 0.25))
