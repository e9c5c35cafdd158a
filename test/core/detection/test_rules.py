# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.detection.reference import Reference, StatisticScale
from viva_ros.core.detection.rules import (
    NOTHING,
    RULES,
    Details,
    RuleBank,
    RuleReading,
    RuleSettings,
    largest_statistic,
)

S = 1_000_000_000
PLAIN = RuleSettings(
    smoothing=0.0, drop_window=2.0, no_rise_window=2.0, floor_warm_up=2.0, debounce=0.0
)


def feed(
    settings: RuleSettings, *samples: tuple[float, float], expected: Reference | None = None
) -> dict[str, RuleReading]:
    bank = RuleBank(settings, expected)
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
    assert readings['no_rise'] == RuleReading(-math.inf, -math.inf)
    readings = feed(PLAIN, (0.0, 0.95), (1.0, 0.95), (2.0, 0.95), (2.1, 0.75))
    # below done_above the rule applies again
    assert readings['no_rise'].statistic == pytest.approx(0.2)


def test_stall_starts_again_after_a_task_was_done() -> None:
    samples = [(0.0, 0.5), (1.0, 0.5), (2.0, 0.95), (3.0, 0.7), (4.0, 0.7), (4.5, 0.7)]
    # since 3.0; not since 1.0, when the value was last lower than .7 by the gain
    assert feed(PLAIN, *samples)['stall'].statistic == pytest.approx(1.5)


def test_reference_sets_the_level_above_which_a_task_is_done() -> None:
    samples = [(0.0, 0.85), (1.0, 0.85), (2.0, 0.85)]
    found = {
        level: feed(PLAIN, *samples, expected=Reference(0.1, done_above=level))
        for level in (0.8, 0.9)
    }
    # done: none of the rules of the rise; otherwise a stall of 2 s, 0.2 behind a slope of 0.1
    assert [found[0.8][kind].statistic for kind in ('no_rise', 'stall', 'slope')] == [
        -math.inf, 0.0, 0.0,
    ]  # fmt: skip
    assert found[0.9]['no_rise'].statistic == pytest.approx(0.0)
    assert found[0.9]['stall'].statistic == pytest.approx(2.0)
    assert found[0.9]['slope'].statistic == pytest.approx(0.2)
    with pytest.raises(ValueError, match='done_above is nan'):
        Reference(done_above=math.nan)


def test_largest_statistic_of_each_rule() -> None:
    settings, flat = RuleSettings(), Reference(slope=0.0)

    def largest(name: str, expected: Reference = flat, has_success: bool = False) -> float:
        return largest_statistic(name, settings, expected, has_success)

    assert [largest(kind) for kind in RULES] == [2.0, 2.0, 60.0, 2.0, 1.0, math.inf]
    assert largest('floor', has_success=True) == 0.0  # minus a probability
    assert largest('slope', Reference(slope=0.1)) == math.inf  # grows while the value stands
    # By progress: (2 - .5) / .1 = 15 and (2 - 1) / .04 = 25 spreads above the middle.
    norm = StatisticScale((0.5,), (0.5, 1.0), (0.1, 0.04))
    assert largest('drop', Reference(norms={'drop': norm})) == pytest.approx(25.0)


VALUES = st.lists(st.tuples(st.integers(1, 3_000_000_000), st.floats(-1, 1)), min_size=1,
                  max_size=60)  # fmt: skip


@given(VALUES, st.booleans(), st.floats(-1, 1))
def test_no_statistic_exceeds_its_largest_value(samples, has_success, done_above) -> None:
    expected, stamp = Reference(slope=0.0, done_above=done_above), 0
    settings = RuleSettings(smoothing=0.0, floor_warm_up=0.0, debounce=0.0, max_gap=5.0)
    bank = RuleBank(settings, expected)
    for step, value in samples:
        stamp += step
        details = Details(0.5 * (1 + value)) if has_success else Details()
        for name, reading in bank.update(stamp, value, details).items():
            limit = largest_statistic(name, settings, expected, has_success)
            assert not reading.held > limit + 1e-9, name


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
