# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from viva_ros.core.detection.value_rules import LONGEST, Cusum, StallTimer
from viva_ros.core.windows import Smoother, Window

S = 1_000_000_000
VALUES = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=80)


def stalls(gain: float, *samples: tuple[float, float]) -> list[float]:
    stall = StallTimer(gain)
    return [stall.update(round(at * S), value) for at, value in samples]


def test_stall_is_time_since_value_was_lower_by_the_gain() -> None:
    # at 2 and 3 s only the value of 0 s is lower by .1
    found = stalls(0.1, (0, 0.0), (1, 0.05), (2, 0.1), (3, 0.1), (4, 0.2))
    # at 4 s the value of 3 s is lower by .1 (.1 <= .2 - .1, up to rounding)
    assert found[:4] == [0.0, 1.0, 2.0, 3.0]
    assert found[4] == pytest.approx(1.0)


def test_stall_ends_with_a_rise_from_the_lowered_value() -> None:
    found = stalls(0.1, (0, 0.9), (1, 0.2), (2, 0.2), (3, 0.35))
    assert found == [0.0, 1.0, 2.0, 1.0]  # the value of 2 s is lower than .35 by more than .1


def test_stall_and_its_memory_are_limited() -> None:
    stall = StallTimer(0.5)
    for second in range(200):
        last = stall.update(second * S, second * 1e-4)
    assert last == LONGEST
    assert len(stall._values) <= 62


@given(VALUES, st.floats(0.01, 1.0))
def test_stall_equals_exhaustive_search(values: list[float], gain: float) -> None:
    stall = StallTimer(gain)
    for now, value in enumerate(values):
        lower = [at for at in range(now) if values[at] <= value - gain]
        expected = float(now - (lower[-1] if lower else 0))
        assert stall.update(now * S, value) == pytest.approx(min(expected, LONGEST))


def test_cusum_grows_with_missing_rise_and_decays() -> None:
    cusum = Cusum(0.1)
    assert cusum.update(0, 0.0) == 0.0
    assert cusum.update(2 * S, 0.05) == pytest.approx(0.15)  # .2 was expected
    assert cusum.update(3 * S, 0.05) == pytest.approx(0.25)
    assert cusum.update(4 * S, 0.25) == pytest.approx(0.15)  # rose by .2, .1 was expected
    assert cusum.update(5 * S, 0.9) == 0.0
    cusum.update(6 * S, 0.5)
    cusum.clear()
    assert cusum.update(7 * S, 0.6) == pytest.approx(0.0, abs=1e-12)


@given(VALUES, st.floats(0.0, 0.2))
def test_cusum_equals_the_largest_partial_sum(values: list[float], slope: float) -> None:
    """The CUSUM is the largest sum of shortfalls over all stretches that end now, at least 0."""
    cusum = Cusum(slope)
    found = [cusum.update(number * S, value) for number, value in enumerate(values)]
    missing = slope - np.diff(values)
    for now, one in enumerate(found):
        sums = [missing[start:now].sum() for start in range(now)]
        assert one == pytest.approx(max([0.0, *sums]), abs=1e-9)


@given(VALUES)
def test_drawdown_and_smoothing_equal_their_definitions(values: list[float]) -> None:
    weight = 1.0 - math.exp(-0.25)  # 0.1 s against a time constant of 0.4 s
    # s[n] = w x[n] + (1 - w) s[n - 1], s[0] = x[0]
    start = [(1.0 - weight) * values[0]]
    smooth, _ = signal.lfilter([weight], [1.0, weight - 1.0], values, zi=start)
    window, smoother = Window(1.0), Smoother(0.4)
    for number, value in enumerate(values):
        window.add(number * S // 10, value)
        assert window.maximum() == max(values[max(0, number - 10) : number + 1])  # 1 s at 10 Hz
        found = smoother.update(number * S // 10, value)
        assert found == pytest.approx(smooth[number], abs=1e-9)


def test_onset_of_a_stall_is_the_end_of_the_rise() -> None:
    times = np.arange(120) / 10
    values = np.where(times < 7.0, times / 10, 0.7) + 0.003 * np.sin(40 * times)
    stall = StallTimer(0.1)
    lasted = [stall.update(round(at * S), float(v)) for at, v in zip(times, values, strict=True)]
    onset = times[-1] - lasted[-1]  # 1 s before the stop, because .1 takes 1 s
    assert onset + 1.0 == pytest.approx(7.0, abs=0.3)
