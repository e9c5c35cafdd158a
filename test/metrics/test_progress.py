# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.metrics.ranking import (
    by_progress,
    corrected_order,
    crossings,
    drift,
    hesitation,
    responses,
)

TIMES = np.arange(10) * 0.1


def test_a_hesitation_lasts_while_the_progress_stays() -> None:
    progress = np.array([0.0, 0.1, 0.2, 0.2, 0.2, 0.2, 0.21, 0.2, 0.4, 0.5])
    # Starts at .2 s; the lag of .3 s leaves frames 5, 6 and 7; at 8 the robot has moved on.
    assert hesitation(TIMES, progress, 0.2) == slice(5, 8)
    assert hesitation(TIMES, progress, 5.0) == slice(10, 10)


def test_a_hesitation_may_last_to_the_end() -> None:
    assert hesitation(TIMES, np.full(10, 0.3), 0.0) == slice(3, 10)


def test_drift_is_measured_from_the_first_known_value() -> None:
    values = np.array([0.9, np.nan, 0.1, 0.2, -0.1])
    assert drift(values, slice(1, 5)).tolist() == pytest.approx([0.0, 0.1, -0.2])
    assert drift(values, slice(2, 2)).size == 0


def test_a_value_that_falls_at_an_error_responds_and_one_that_rises_does_not() -> None:
    falling = np.where(TIMES < 0.5, 0.5, -0.5)
    # Displayed (1 + V) / 2: .75 before, .25 after.
    (response,) = responses(falling, TIMES, [(0.5, 0.5)], -1, 0.3)
    assert response == pytest.approx(0.5 / 0.75, rel=1e-4)
    (response,) = responses(falling, TIMES, [(0.5, 0.5)], 1, 0.3)
    assert response == pytest.approx(-0.5 / 0.75, rel=1e-4)


def test_events_without_values_on_both_sides_are_left_out() -> None:
    assert responses(np.full(10, 0.5), TIMES, [(0.0, 0.0), (2.0, 2.0)], 1, 0.3) == []
    assert responses(np.full(10, np.nan), TIMES, [(0.5, 0.5)], 1, 0.3) == []


def test_a_window_is_time_not_frames_so_that_a_gap_does_not_reach_further_back() -> None:
    values = np.array([0.9, 0.9, 0.9, np.nan, np.nan, np.nan, 0.0, 0.0, -0.5, -0.5])
    # Before .6 s there is nothing for .3 s; before .8 s two values of 0, displayed .5, then .25.
    assert responses(values, TIMES, [(0.6, 0.6)], -1, 0.3) == []
    (response,) = responses(values, TIMES, [(0.8, 0.8)], -1, 0.3)
    assert response == pytest.approx(0.5, abs=1e-5)


def test_an_error_that_could_be_seen_before_its_evidence_is_answered_in_between_too() -> None:
    # Falls at .3 s when it can be seen; the evidence comes at .7 s, where the value stays.
    early = np.where(TIMES < 0.25, 0.5, -0.5)
    (at_once,) = responses(early, TIMES, [(0.7, 0.7)], -1, 0.25)
    (over_all,) = responses(early, TIMES, [(0.25, 0.7)], -1, 0.25)
    assert at_once == pytest.approx(0.0)
    assert over_all == pytest.approx(0.5 / 0.75, rel=1e-4)


def test_values_are_gathered_by_true_progress() -> None:
    values = np.array([0.1, 0.3, np.nan, 0.7, 0.9, 0.5])
    found = by_progress(values, np.array([0.0, 0.24, 0.1, 0.5, 1.0, np.nan]), 4)
    # Bins from 0, .25, .5, .75: .1 and .3; none; .7; .9, for 1 is in the last.
    np.testing.assert_allclose(found, [0.2, np.nan, 0.7, 0.9])


def test_a_pause_ends_where_the_progress_is_no_longer_known() -> None:
    progress = np.array([0.2, 0.2, 0.2, 0.2, 0.2, np.nan, 0.2, 0.2, 0.2, 0.2])
    assert hesitation(TIMES, progress, 0.0) == slice(3, 5)


def test_levels_are_crossed_where_they_are_first_reached() -> None:
    progress = np.array([0.0, 0.3, 0.1, 0.3, 0.6, 0.6, 0.7, 0.7, 0.7, 0.7])
    assert crossings(TIMES, progress, [0.25, 0.5, 0.75]) == pytest.approx([0.1, 0.4])


def test_a_clock_loses_where_a_try_failed_and_a_value_that_starts_again_wins() -> None:
    progress = np.linspace(0.0, 0.8, 9)
    again = np.linspace(0.0, 1.0, 9)
    clock = np.linspace(0.0, 1.0, 18)
    good = corrected_order([(progress, progress), (again, again)])
    counted = corrected_order([(clock[:9], progress), (clock[9:], again)])
    assert good == pytest.approx(1.0)
    assert counted < 0.7
    assert np.isnan(corrected_order([(np.array([0.1]), np.array([0.1]))]))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_a_constant_shift_changes_no_drift(numbers: list[float]) -> None:
    values = np.array(numbers)
    frames = slice(0, len(values))
    np.testing.assert_allclose(drift(values + 0.25, frames), drift(values, frames), atol=1e-12)
