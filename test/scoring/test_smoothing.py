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


def test_fill_interpolates_between_two_values() -> None:
    values = np.array([0.0, 9.0, 9.0, 0.3])
    asked = np.array([True, False, False, True])
    np.testing.assert_allclose(fill(values, asked, 3), [0.0, 0.1, 0.2, 0.3])


def test_fill_leaves_larger_gap_unknown() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.3])
    filled = fill(values, np.array([True, False, False, True]), 2)
    np.testing.assert_array_equal(filled, [0.0, NAN, NAN, 0.3])


def test_fill_leaves_neighbours_of_unknown_value_unknown() -> None:
    values = np.array([0.0, 0.0, NAN, 0.0, 0.4])
    filled = fill(values, np.array([True, False, True, False, True]), 9)
    np.testing.assert_array_equal(filled, [0.0, NAN, NAN, NAN, 0.4])


def test_fill_does_not_extrapolate() -> None:
    filled = fill(np.zeros(3), np.array([False, True, False]), 9)
    np.testing.assert_array_equal(filled, [NAN, 0.0, NAN])
    assert np.isnan(fill(np.zeros(3), np.zeros(3, bool), 9)).all()


def test_known_runs_are_split_at_unknown_values() -> None:
    assert known_runs(np.array([NAN, 1.0, 2.0, NAN, 3.0])) == [slice(1, 3), slice(4, 5)]
    assert known_runs(np.empty(0)) == []


def test_average_follows_step_with_time_constant() -> None:
    # time constant 1 / ln 2: half of the remaining difference at each step
    smoothed = smooth_average(np.array([0.0, 1.0, 1.0, NAN, 1.0]), 1 / np.log(2))
    np.testing.assert_allclose(smoothed, [0.0, 0.5, 0.75, NAN, 1.0])


def test_median_removes_spike_and_restarts_after_unknown() -> None:
    smoothed = smooth_median(np.array([0.0, 0.1, 9.0, 0.3, 0.4, NAN, 7.0]), 1)
    np.testing.assert_allclose(smoothed, [0.0, 0.1, 0.3, 0.4, 0.4, NAN, 7.0])


@given(st.integers(1, 80), st.integers(0, 10), st.integers(1, 30))
def test_median_keeps_zero_advantage_of_perfect_value(length, half, steps) -> None:
    smoothed = smooth_median(value_from_return(returns(length, True)), half)
    assert (n_step_advantage(smoothed, steps, terminal=0.0) == 0.0).all()


@pytest.mark.parametrize('smooth', [smooth_average, smooth_median])
def test_smoothing_keeps_constant_values(smooth) -> None:
    np.testing.assert_allclose(smooth(np.full(9, 0.25), 3), np.full(9, 0.25))
