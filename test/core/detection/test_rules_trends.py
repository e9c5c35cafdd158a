# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.core.detection.value_rules import LONGEST, Cusum, StallTimer
from viva_ros.core.windows import Smoother, Window

S = 1_000_000_000
VALUES = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=80)


def stalls(gain: float, *samples: tuple[float, float]) -> list[float]:
    stall = StallTimer(gain)
    return [stall.update(round(at * S), value) for at, value in samples]


def test_a_stall_lasts_since_the_value_was_last_lower_by_the_gain() -> None:
    # at 2 s it is .1 above that of 0 s; at 3 s still only that of 0 s is lower by .1
    found = stalls(0.1, (0, 0.0), (1, 0.05), (2, 0.1), (3, 0.1), (4, 0.2))
    # at 4 s: lower by .1 is the one at 3 s (.1 <= .2 - .1, up to rounding)
    assert found[:4] == [0.0, 1.0, 2.0, 3.0]
    assert found[4] == pytest.approx(1.0)


def test_after_a_fall_it_is_enough_to_rise_from_where_the_value_is() -> None:
    found = stalls(0.1, (0, 0.9), (1, 0.2), (2, 0.2), (3, 0.35))
    assert found == [0.0, 1.0, 2.0, 1.0]  # lower by .1 than .35 was the value of 2 s


def test_a_stall_is_not_measured_beyond_a_minute_and_its_memory_is_bounded() -> None:
    stall = StallTimer(0.5)
    for second in range(200):
        last = stall.update(second * S, second * 1e-4)
    assert last == LONGEST
    assert len(stall._values) <= 62


@given(VALUES, st.floats(0.01, 1.0))
def test_the_stall_is_what_a_search_through_all_values_gives(
    values: list[float], gain: float
) -> None:
    stall = StallTimer(gain)
    for now, value in enumerate(values):
        lower = [at for at in range(now) if values[at] <= value - gain]
        expected = float(now - (lower[-1] if lower else 0))
        assert stall.update(now * S, value) == pytest.approx(min(expected, LONGEST))


def test_the_lag_gathers_what_is_missing_and_forgets_as_the_value_catches_up() -> None:
    lag = Cusum(0.1)
    assert lag.update(0, 0.0) == 0.0
    assert lag.update(2 * S, 0.05) == pytest.approx(0.15)  # .2 was due
    assert lag.update(3 * S, 0.05) == pytest.approx(0.25)
    assert lag.update(4 * S, 0.25) == pytest.approx(0.15)  # .2 came, .1 was due
    assert lag.update(5 * S, 0.9) == 0.0
    lag.update(6 * S, 0.5)
    lag.forgive()
    assert lag.update(7 * S, 0.6) == pytest.approx(0.0, abs=1e-12)


@given(VALUES)
def test_the_lag_is_the_cusum_of_river(values: list[float]) -> None:
    """Page-Hinkley is CUSUM about a running mean: given that mean's deviations, both agree."""
    drift, stats = pytest.importorskip('river.drift'), pytest.importorskip('river.stats')
    theirs = drift.PageHinkley(min_instances=1, delta=0.0, threshold=1e9, alpha=1.0, mode='up')
    ours, mean, level = Cusum(0.0), stats.Mean(), 0.0
    ours.update(0, 0.0)
    theirs._min_increase = 0.0  # ours begins at 0 before the first value
    for number, value in enumerate(values, 1):
        mean.update(value)
        theirs.update(value)
        level -= value - mean.get()
        found = ours.update(number * S, level)
        assert found == pytest.approx(theirs._sum_increase - theirs._min_increase, abs=1e-9)


@given(VALUES)
def test_drawdown_and_smoothing_are_those_of_river(values: list[float]) -> None:
    stats = pytest.importorskip('river.stats')
    highest, smooth = stats.RollingMax(11), stats.EWMean(1.0 - float(np.exp(-0.25)))
    window, smoother = Window(1.0), Smoother(0.4)
    for number, value in enumerate(values):
        window.add(number * S // 10, value)
        highest.update(value)
        smooth.update(value)
        assert window.maximum() == highest.get()  # 1 s at 10 Hz: 11 samples
        assert smoother.update(number * S // 10, value) == pytest.approx(smooth.get(), abs=1e-9)


def test_the_onset_of_a_stall_is_the_change_point_that_ruptures_finds() -> None:
    ruptures = pytest.importorskip('ruptures')
    times = np.arange(120) / 10
    values = np.where(times < 7.0, times / 10, 0.7) + 0.003 * np.sin(40 * times)
    stall = StallTimer(0.1)
    lasted = [stall.update(round(at * S), float(v)) for at, v in zip(times, values, strict=True)]
    onset = times[-1] - lasted[-1]  # since when less than .1 was gained: 1 s before it stopped
    rise = np.diff(values)
    change = ruptures.Dynp(model='l2', min_size=5).fit(rise[:, None]).predict(n_bkps=1)[0] / 10
    assert change == pytest.approx(7.0, abs=0.3)
    assert onset + 1.0 == pytest.approx(change, abs=0.3)
