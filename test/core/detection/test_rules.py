# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.detection.rules import NOTHING, RULES, RuleBank, RuleReading, RuleSettings

S = 1_000_000_000
PLAIN = RuleSettings(
    smoothing=0.0, drop_window=2.0, no_rise_window=2.0, floor_warm_up=2.0, debounce=0.0
)


def feed(settings: RuleSettings, *samples: tuple[float, float]) -> dict[str, RuleReading]:
    bank = RuleBank(settings)
    for at, value in samples:
        readings = bank.update(round(at * S), value)
    return readings


def test_drop_is_measured_from_the_highest_value_in_the_window() -> None:
    readings = feed(PLAIN, (0.0, 0.9), (1.0, 0.5), (2.5, 0.1))
    assert readings['drop'].statistic == pytest.approx(0.4)  # 0.9 is 2.5 s ago, outside


def test_drop_needs_no_full_window() -> None:
    readings = feed(PLAIN, (0.0, 0.5), (0.2, 0.2))
    assert readings['drop'].statistic == pytest.approx(0.3)


def test_no_rise_is_value_a_window_ago_minus_present_value() -> None:
    rising = feed(PLAIN, (0.0, -0.5), (1.0, -0.2), (2.0, 0.1))
    assert rising['no_rise'].statistic == pytest.approx(-0.6)
    flat = feed(PLAIN, (0.0, -0.5), (1.0, -0.4), (2.0, -0.5))
    assert flat['no_rise'].statistic == pytest.approx(0.0)


def test_no_rise_and_floor_wait_for_full_windows() -> None:
    readings = feed(PLAIN, (0.0, -0.5), (1.0, -0.5), (1.9, -0.5))
    assert readings['no_rise'] == readings['floor'] == NOTHING
    assert not math.isnan(readings['drop'].statistic)


def test_finished_task_has_no_no_rise() -> None:
    readings = feed(PLAIN, (0.0, 0.95), (1.0, 0.95), (2.0, 0.95))
    assert readings['no_rise'].statistic == -2.0
    readings = feed(PLAIN, (0.0, 0.95), (1.0, 0.95), (2.0, 0.95), (2.1, 0.75))
    # below done_above the rule applies again
    assert readings['no_rise'].statistic == pytest.approx(0.2)


def test_floor_without_success_probability_is_minus_the_value() -> None:
    readings = feed(PLAIN, (0.0, -0.5), (1.0, -0.5), (2.0, -0.7))
    assert readings['floor'].statistic == pytest.approx(0.7)


def test_held_statistic_is_the_minimum_over_the_debounce() -> None:
    bank = RuleBank(replace(PLAIN, debounce=0.3))
    values = [(0.0, 0.9), (0.2, 0.4), (0.4, 0.2), (0.6, 0.5)]
    held = [bank.update(round(at * S), value)['drop'].held for at, value in values]
    # statistics 0, .5, .7, .4; the sample in force when the window begins counts
    assert math.isnan(held[0]) and math.isnan(held[1])
    assert held[2:] == [pytest.approx(0.0), pytest.approx(0.4)]


def test_reset_empties_every_window() -> None:
    bank = RuleBank(PLAIN)
    for second in range(4):
        bank.update(second * S, -0.5)
    bank.reset()
    readings = bank.update(4 * S, -0.9)
    assert readings['drop'].statistic == 0.0
    assert readings['no_rise'] == readings['floor'] == NOTHING


def test_invalid_rule_settings_are_refused() -> None:
    with raises('setting-out-of-range', 'no_rise_window', 0.0, 'above 0'):
        RuleBank(RuleSettings(no_rise_window=0.0))


def test_explanation_names_statistic_and_threshold() -> None:
    bank = RuleBank(RuleSettings())
    assert bank.explain('drop', 0.42, 0.31) == ('value fell by 0.42 within 4 s, threshold 0.31')
    assert bank.explain('no_rise', 0.05, -0.08) == (
        'value changed by -0.05 in 4 s, at least +0.08 is expected'
    )
    assert bank.explain('floor', 0.83, 0.75) == (
        'success is rated -0.83, below the floor of -0.75'
    )


@given(
    st.lists(st.tuples(st.integers(1, 900_000_000), st.floats(-1, 1)), min_size=2, max_size=60),
    st.integers(-(10**15), 10**15),
)
def test_statistics_depend_on_time_differences_alone(
    steps: list[tuple[int, float]], shift: int
) -> None:
    here, there = RuleBank(RuleSettings()), RuleBank(RuleSettings())
    stamp = 0
    for step, value in steps:
        stamp += step
        first, second = here.update(stamp, value), there.update(stamp + shift, value)
        assert repr(first) == repr(second)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60), st.floats(0.0, 1.0))
def test_held_is_at_most_the_statistic_and_drop_at_least_0(
    values: list[float], debounce: float
) -> None:
    bank = RuleBank(RuleSettings(debounce=debounce))
    for index, value in enumerate(values):
        readings = bank.update(index * S // 5, value)
        assert list(readings) == list(RULES)
        assert readings['drop'].statistic >= 0.0
        for reading in readings.values():
            assert not reading.held > reading.statistic
