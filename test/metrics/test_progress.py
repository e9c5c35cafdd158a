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


def test_hesitation_lasts_while_progress_is_constant() -> None:
    progress = np.array([0.0, 0.1, 0.2, 0.2, 0.2, 0.2, 0.21, 0.2, 0.4, 0.5])
    # Start at .2 s; the lag of .3 s leaves frames 5, 6 and 7; at frame 8 the progress rises.
    assert hesitation(TIMES, progress, 0.2) == slice(5, 8)
    assert hesitation(TIMES, progress, 5.0) == slice(10, 10)


def test_hesitation_may_last_to_the_end() -> None:
    assert hesitation(TIMES, np.full(10, 0.3), 0.0) == slice(3, 10)


def test_drift_starts_at_the_first_known_value() -> None:
    values = np.array([0.9, np.nan, 0.1, 0.2, -0.1])
    assert drift(values, slice(1, 5)).tolist() == pytest.approx([0.0, 0.1, -0.2])
    assert drift(values, slice(2, 2)).size == 0


def test_response_to_an_error_is_positive_if_value_falls() -> None:
    falling = np.where(TIMES < 0.5, 0.5, -0.5)
    # Displayed (1 + V) / 2: .75 before, .25 after.
    (response,) = responses(falling, TIMES, [(0.5, 0.5)], -1, 0.3)
    assert response == pytest.approx(0.5 / 0.75, rel=1e-4)
    (response,) = responses(falling, TIMES, [(0.5, 0.5)], 1, 0.3)
    assert response == pytest.approx(-0.5 / 0.75, rel=1e-4)


def test_events_without_values_on_both_sides_are_left_out() -> None:
    assert responses(np.full(10, 0.5), TIMES, [(0.0, 0.0), (2.0, 2.0)], 1, 0.3) == []
    assert responses(np.full(10, np.nan), TIMES, [(0.5, 0.5)], 1, 0.3) == []


def test_response_window_is_in_seconds_not_frames() -> None:
    values = np.array([0.9, 0.9, 0.9, np.nan, np.nan, np.nan, 0.0, 0.0, -0.5, -0.5])
    # The .3 s before .6 s have no value; before .8 s there are two zeros, displayed .5, then .25.
    assert responses(values, TIMES, [(0.6, 0.6)], -1, 0.3) == []
    (response,) = responses(values, TIMES, [(0.8, 0.8)], -1, 0.3)
    assert response == pytest.approx(0.5, abs=1e-5)


def test_response_includes_values_during_the_event() -> None:
    # The value falls at .3 s, when the error is visible, and is constant at the evidence at .7 s.
    early = np.where(TIMES < 0.25, 0.5, -0.5)
    (at_once,) = responses(early, TIMES, [(0.7, 0.7)], -1, 0.25)
    (over_all,) = responses(early, TIMES, [(0.25, 0.7)], -1, 0.25)
    assert at_once == pytest.approx(0.0)
    assert over_all == pytest.approx(0.5 / 0.75, rel=1e-4)


def test_values_are_averaged_by_true_progress() -> None:
    values = np.array([0.1, 0.3, np.nan, 0.7, 0.9, 0.5])
    found = by_progress(values, np.array([0.0, 0.24, 0.1, 0.5, 1.0, np.nan]), 4)
    # Bins from 0, .25, .5, .75: .1 and .3; none; .7; .9, because 1 is in the last bin.
    np.testing.assert_allclose(found, [0.2, np.nan, 0.7, 0.9])


def test_hesitation_ends_at_unknown_progress() -> None:
    progress = np.array([0.2, 0.2, 0.2, 0.2, 0.2, np.nan, 0.2, 0.2, 0.2, 0.2])
    assert hesitation(TIMES, progress, 0.0) == slice(3, 5)


def test_crossing_is_the_first_time_at_a_level() -> None:
    progress = np.array([0.0, 0.3, 0.1, 0.3, 0.6, 0.6, 0.7, 0.7, 0.7, 0.7])
    assert crossings(TIMES, progress, [0.25, 0.5, 0.75]) == pytest.approx([0.1, 0.4])


def test_retry_voc_is_1_for_progress_and_lower_for_a_clock() -> None:
    progress = np.linspace(0.0, 0.8, 9)
    again = np.linspace(0.0, 1.0, 9)
    clock = np.linspace(0.0, 1.0, 18)
    good = corrected_order([(progress, progress), (again, again)])
    counted = corrected_order([(clock[:9], progress), (clock[9:], again)])
    assert good == pytest.approx(1.0)
    assert counted < 0.7
    assert np.isnan(corrected_order([(np.array([0.1]), np.array([0.1]))]))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_drift_is_independent_of_a_constant_shift(numbers: list[float]) -> None:
    values = np.array(numbers)
    frames = slice(0, len(values))
    np.testing.assert_allclose(drift(values + 0.25, frames), drift(values, frames), atol=1e-12)
