# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.core.windows import RateMeter, Smoother, Window, is_slower

S = 1_000_000_000


def window_of(span: float, *samples: tuple[float, float]) -> Window:
    window = Window(span)
    for at, sample in samples:
        window.add(round(at * S), sample)
    return window


def test_smoother_reaches_63_percent_in_one_time_constant() -> None:
    smoother = Smoother(0.5)
    smoother.update(0, 0.0)
    assert smoother.update(S // 2, 1.0) == pytest.approx(1.0 - math.exp(-1.0))


def test_first_sample_passes_through_also_after_reset() -> None:
    smoother = Smoother(0.5)
    assert smoother.update(0, -0.6) == -0.6
    smoother.update(S, 0.4)
    smoother.reset()
    assert smoother.update(2 * S, 0.1) == 0.1


def test_zero_time_constant_does_not_smooth() -> None:
    smoother = Smoother(0.0)
    smoother.update(0, 0.0)
    assert smoother.update(1, 1.0) == 1.0


@given(
    st.floats(0.05, 2.0),
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.lists(st.integers(1, 300_000_000), min_size=1, max_size=8),
)
def test_smoothing_is_independent_of_the_sampling_rate(
    constant: float, start: float, end: float, steps: list[int]
) -> None:
    often, once = Smoother(constant), Smoother(constant)
    often.update(0, start)
    once.update(0, start)
    stamp = 0
    for step in steps:
        stamp += step
        result = often.update(stamp, end)
    assert result == pytest.approx(once.update(stamp, end), abs=1e-9)


def test_window_is_full_when_samples_cover_the_span() -> None:
    assert not window_of(1.0).full
    assert not window_of(1.0, (0.0, 5.0), (0.9, 5.0)).full
    assert window_of(1.0, (0.0, 5.0), (1.0, 5.0)).full


def test_maximum_is_of_the_samples_inside() -> None:
    window = window_of(1.0, (0.0, 9.0), (0.5, 3.0), (1.2, 1.0))
    assert window.maximum() == 3.0  # the 9 at 0.0 is older than 1.2 - 1.0
    assert window_of(1.0, (0.2, 9.0), (1.2, 1.0)).maximum() == 9.0  # the edge is inside


def test_first_is_interpolated_between_samples() -> None:
    window = window_of(1.0, (7.0, 0.2), (7.4, 1.0), (8.1, 5.0))
    assert window.first() == pytest.approx(0.4)  # at 7.1, a quarter of the way from .2 to 1
    assert math.isnan(window_of(1.0, (7.0, 0.0), (7.9, 1.0)).first())


def test_held_includes_sample_in_force_at_the_begin() -> None:
    window = window_of(0.3, (0.0, 1.0), (0.2, 7.0), (0.4, 8.0))
    assert window.held() == 1.0  # begins at 0.1, where the sample of 0.0 still holds
    window.add(round(0.6 * S), 9.0)
    assert window.held() == 7.0  # begins at 0.3, where the sample of 0.2 still holds
    assert math.isnan(window_of(0.3, (0.0, 1.0), (0.2, 7.0)).held())


def test_window_without_span_holds_the_last_sample() -> None:
    assert window_of(0.0, (0.0, 1.0), (0.2, 7.0)).held() == 7.0


def test_stamp_that_does_not_ascend_raises_value_error() -> None:
    with pytest.raises(ValueError, match='not later than the last'):
        window_of(1.0, (1.0, 0.0), (1.0, 0.0))


def test_rate_is_of_the_last_span_and_unknown_before() -> None:
    meter = RateMeter(5.0)
    assert math.isnan(meter.rate(100.0))
    for count in range(1, 51):
        meter.add(100.0 + 0.1 * count)
    assert math.isnan(meter.rate(105.0))
    assert meter.rate(105.1) == pytest.approx(9.8), 'the first is 5 s old, and no longer counts'
    assert meter.rate(107.6) == pytest.approx(4.8)
    assert meter.rate(120.0) == 0.0


def test_rate_is_measured_again_after_a_pause() -> None:
    meter = RateMeter(5.0)
    meter.add(0.0)
    meter.add(60.0)
    assert math.isnan(meter.rate(60.1)) and meter.rate(65.0) == 0.0


@pytest.mark.parametrize(('found', 'slower'), [(10.0, 0), (8.4, 0), (8.3, 1), (5.0, 1), (0.0, 1)])
def test_rate_is_slower_below_five_sixths(found: float, slower: int) -> None:
    assert is_slower(found, 10.0) == bool(slower)
    assert not is_slower(math.nan, 10.0)
