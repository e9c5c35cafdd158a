# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viva_ros.advantage.estimator import (
    FAILED,
    dropped,
    effect,
    expected_value,
    indicator,
    n_step_advantage,
    sign_changes,
    terminal_return,
    threshold,
    value_at,
)
from viva_ros.core.returns import returns, value_from_return

NAN = float('nan')
lengths = st.integers(1, 200)
unit = st.floats(0.0, 1.0)


def perfect(length: int, success: bool = True):
    return value_from_return(returns(length, success))


def test_advantage_is_rise_of_value_minus_step_cost() -> None:
    # T = 4, N = 2: G^ = .9 .7 .2 .1; A1 = .9 - .2 - 2/4, A2 = .7 - .1 - 2/4
    # past the end: A3 = G^3 - G3 = .2 - 1/4, A4 = .1 - 0
    values = np.array([0.1, 0.3, 0.8, 0.9])
    np.testing.assert_allclose(
        n_step_advantage(values, 2, terminal=0.0), [0.2, 0.1, -0.05, 0.1], atol=1e-12
    )


def test_steps_past_end_of_failure_cost_1() -> None:
    # as above: A3 = .2 - (1/4 + 1), A4 = .1 - 1
    values = np.array([0.1, 0.3, 0.8, 0.9])
    np.testing.assert_allclose(
        n_step_advantage(values, 2, terminal=1.0), [0.2, 0.1, -1.05, -0.9], atol=1e-12
    )


def test_step_that_ends_at_last_frame_uses_its_value() -> None:
    # T = 3, N = 1: A2 = G^2 - G^3 - 1/3 = .5 - .4 - 1/3, not G^2 - G2
    values = np.array([0.2, 0.5, 0.6])
    assert n_step_advantage(values, 1, terminal=0.0)[1] == pytest.approx(0.1 - 1 / 3)


@given(lengths, st.floats(0.1, 100.0))
def test_perfect_value_has_zero_advantage_in_success(length: int, steps: float) -> None:
    assert (n_step_advantage(perfect(length), steps, terminal=0.0) == 0.0).all()


@given(lengths, st.floats(0.1, 100.0))
def test_perfect_value_has_zero_advantage_in_failure(length, steps):
    terminal = terminal_return(False)
    found = n_step_advantage(perfect(length, False), steps, terminal=terminal)
    assert (found == 0.0).all()


@given(lengths, st.floats(0.1, 100.0), st.floats(1.0, 4.0), st.data())
def test_perfect_outcome_frame_never_rewards_failure(length, steps, longer, data) -> None:
    # Up to the fault as in a success; then success 0, and a progress that does not rise.
    fault = data.draw(st.integers(0, length - 1))
    after = data.draw(st.lists(st.floats(0.0, fault / length), min_size=length - fault,
                               max_size=length - fault))  # fmt: skip
    progress = np.concatenate([perfect(length)[:fault], sorted(after, reverse=True)])
    values = progress + (np.arange(length) < fault) - 1.0
    terminal = terminal_return(False, progress[-1])
    assert (n_step_advantage(values, steps, terminal=terminal) <= 0.0).all()
    charged = n_step_advantage(values, steps, terminal=terminal, scale=longer * length)
    assert charged[-1] == 0.0  # also with time charged


@given(unit, unit, lengths, st.floats(0.1, 100.0), st.floats(1.0, 4.0))
def test_failure_with_outcome_frame_ends_with_minus_success(
    progress: float, success: float, length: int, steps: float, longer: float
) -> None:
    values = np.full(length, progress + success - 1.0)
    found = n_step_advantage(
        values, steps, terminal=terminal_return(False, progress), scale=longer * length
    )
    assert found[-1] == pytest.approx(-success, abs=1e-9)
    assert found[-1] <= 0.0


def test_expected_value_is_progress_of_success_and_minus_1_in_failure() -> None:
    # success .5, progress .6: .5 * .6 - .5 = -.2; on a way home progress is below 0
    progress = np.array([0.0, 0.6, 0.6, 1.0, 0.6, -0.5, NAN])
    success = np.array([1.0, 1.0, 0.5, 1.0, 0.0, 0.5, 0.5])
    found = expected_value(progress + success - 1.0, progress)
    np.testing.assert_allclose(found, [0.0, 0.6, -0.2, 1.0, -1.0, -0.75, NAN], atol=1e-12)


@given(lengths, st.floats(0.1, 100.0), st.floats(1.0, 4.0), st.data())
def test_progress_of_a_lost_attempt_is_never_positive(length, steps, longer, data) -> None:
    # Up to the fault as in a success; then success 0 and any progress.
    fault = data.draw(st.integers(0, length - 1))
    after = data.draw(st.lists(unit, min_size=length - fault, max_size=length - fault))
    progress = np.concatenate([perfect(length)[:fault], after])
    values = expected_value(progress + (np.arange(length) < fault) - 1.0, progress)
    found = n_step_advantage(values, steps, terminal=FAILED, scale=longer * length)
    assert (found[fault:] <= 0.0).all()


@given(lengths, st.floats(0.1, 100.0))
def test_expected_value_of_perfect_success_has_zero_advantage(length: int, steps: float) -> None:
    progress = perfect(length)
    found = n_step_advantage(expected_value(progress, progress), steps, terminal=0.0)
    assert (found == 0.0).all()


def test_terminal_return_is_that_of_the_scored_value() -> None:
    assert terminal_return(True) == terminal_return(True, 0.9) == terminal_return(True, NAN) == 0
    assert terminal_return(False) == 1.0
    assert terminal_return(False, 0.25) == 1.75
    assert np.isnan(terminal_return(False, NAN))


def test_unknown_terminal_return_leaves_steps_past_end_unknown() -> None:
    # T = 5, N = 2: steps 4 and 5 need G[T]
    found = n_step_advantage(perfect(5), 2, terminal=NAN)
    assert np.isfinite(found).tolist() == [True, True, True, False, False]


@given(st.integers(2, 100), st.data())
def test_value_that_drops_at_fault_has_advantage_minus_1(length, data):
    at = data.draw(st.integers(1, length - 1))  # index of the first step after the fault
    steps = data.draw(st.integers(1, length))
    values = np.concatenate([perfect(length)[:at], perfect(length, False)[at:]])
    expected = np.zeros(length)
    expected[max(at - steps, 0) : at] = -1.0
    np.testing.assert_array_equal(n_step_advantage(values, steps, terminal=1.0), expected)


def test_larger_scale_rewards_short_success() -> None:
    # T = 4, S = 8, N = 2: 2/4 - 2/8 = .25 inside; past the end (T - t)/4 - (T - t)/8
    np.testing.assert_allclose(
        n_step_advantage(perfect(4), 2, terminal=0.0, scale=8.0),
        [0.25, 0.25, 0.125, 0.0],
        atol=1e-12,
    )


def test_fractional_step_is_interpolated() -> None:
    # N = 1.5: G^ at 2.5 is (.7 + .2) / 2 = .45; A1 = .9 - .45 - 1.5/4
    values = np.array([0.1, 0.3, 0.8, 0.9])
    assert n_step_advantage(values, 1.5, terminal=0.0)[0] == pytest.approx(0.9 - 0.45 - 0.375)


def test_advantage_that_needs_unknown_value_is_unknown() -> None:
    values = perfect(6)
    values[3] = NAN
    known = np.isfinite(n_step_advantage(values, 2, terminal=0.0))
    assert known.tolist() == [True, False, True, False, True, True]


def test_last_step_needs_no_later_value() -> None:
    assert np.isfinite(n_step_advantage(np.array([NAN, 0.5]), 5, terminal=0.0)).tolist() == [
        False,
        True,
    ]


@pytest.mark.parametrize(('steps', 'scale'), [(0.0, None), (-1.0, None), (1.0, 2.0), (NAN, None)])
def test_steps_and_scale_out_of_range_are_refused(steps, scale) -> None:
    with pytest.raises(ValueError, match=f'steps is {steps}'):
        n_step_advantage(perfect(3), steps, terminal=0.0, scale=scale)


def test_empty_episode_has_no_advantages() -> None:
    assert n_step_advantage(np.empty(0), 5, terminal=0.0).shape == (0,)


def test_value_at_integer_ignores_unknown_neighbour() -> None:
    values = np.array([0.0, 1.0, NAN])
    np.testing.assert_array_equal(value_at(values, np.array([1.0, 0.25, 1.5])), [1.0, 0.25, NAN])


def test_threshold_leaves_share_above_it() -> None:
    eps = threshold(np.array([0.1, 0.9, 0.3, NAN, 0.5, 0.2, 0.4, 0.6, 0.8, 0.7, 0.0]), 0.3)
    assert eps == 0.6  # .7 .8 .9 are above: 3 of 10


def test_ties_at_threshold_are_not_positive() -> None:
    advantages = np.array([0.0, 0.0, 0.0, 1.0])
    assert threshold(advantages, 0.5) == 0.0
    assert indicator(advantages, 0.0, np.zeros(4, bool)).tolist() == [0, 0, 0, 1]


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_at_most_the_share_is_positive(numbers, share) -> None:
    advantages = np.array(numbers)
    positive = int((advantages > threshold(advantages, share)).sum())
    assert positive <= share * len(numbers) + 1e-6


def test_unknown_advantages_have_no_threshold_or_indicator() -> None:
    assert np.isnan(threshold(np.array([NAN]), 0.3))
    assert np.isnan(indicator(np.array([NAN]), NAN, np.zeros(1, bool))).all()


def test_corrected_step_has_positive_indicator() -> None:
    forced = np.array([True, True, False, False])
    shown = indicator(np.array([-1.0, NAN, NAN, 0.1]), 0.0, forced)
    np.testing.assert_array_equal(shown, [1.0, 1.0, NAN, 1.0])


def test_dropped_steps_depend_on_seed_and_name_only() -> None:
    one = dropped(1000, 0.3, 7, 'a')
    np.testing.assert_array_equal(one, dropped(1000, 0.3, 7, 'a'))
    assert (one != dropped(1000, 0.3, 7, 'b')).any()
    assert (one != dropped(1000, 0.3, 8, 'a')).any()
    assert 250 < one.sum() < 350  # 300 +- 14.5
    assert not dropped(9, 0.0, 7, 'a').any()


def test_sign_changes_count_known_neighbours_of_one_episode() -> None:
    # + - (1 of 1); - ? + (no pair); + + (0 of 1)
    episodes = [np.array([1.0, -1.0]), np.array([-1.0, NAN, 1.0]), np.array([1.0, 1.0])]
    assert sign_changes(episodes) == 0.5


def test_effect_compares_steps_known_in_both() -> None:
    before, after = [np.array([1.0, -1.0, 3.0])], [np.array([1.0, 2.0, NAN])]
    found = effect(before, after)
    assert found.deviation == pytest.approx((np.sqrt(8 / 3), 0.5))
    assert found.sign_changes == (1.0, 0.0)
    assert found.rank_correlation == pytest.approx(-1.0)


def test_effect_without_advantages_is_nan() -> None:
    assert np.isnan(effect([], []).rank_correlation)
