# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from viva_ros.metrics.ranking import (
    auprc,
    auroc,
    aurocs,
    bootstrap_interval,
    event_response,
    kendall_tau_a,
    pair_order,
    pearson,
    spearman,
)

PAIRS = (
    st.integers(0, 2**32 - 1)
    .map(np.random.default_rng)
    .map(lambda g: (g.normal(size=30), np.round(g.normal(size=30))))
)


def same(x: np.ndarray) -> np.ndarray:
    """Return the pairs of x: 1 where the first is greater, -1 where the second is, 0 for ties."""
    return np.sign(x[:, None] - x[None, :])


@given(PAIRS)
def test_correlations_with_ties_equal_their_definition(pair) -> None:
    x, y = pair
    a, b = x - x.mean(), y - y.mean()
    assert pearson(x, y) == pytest.approx((a @ b) / math.sqrt((a @ a) * (b @ b)), abs=1e-12)
    # the average rank less its mean is half the sum of the signs of the pairs
    a, b = same(x).sum(axis=1), same(y).sum(axis=1)
    expected = (a @ b) / math.sqrt((a @ a) * (b @ b))
    assert spearman(x, y) == pytest.approx(expected, abs=1e-12)


@given(PAIRS)
def test_kendall_tau_a_without_ties_equals_scipy(pair) -> None:
    x, _ = pair
    order = np.arange(len(x))
    assert kendall_tau_a(x, order) == pytest.approx(stats.kendalltau(x, order).statistic)


def test_pair_order_of_clock_falls_with_other_durations() -> None:
    # A clock in episodes of 2 s and 4 s, with the shares 1/2, 1 and 1/4, 1/2, 3/4, 1. Two of the
    # eight pairs have equal shares. The clock orders (1, 3), (1, 4), (2, 1) rightly and (2, 3)
    # wrongly; (1, 1) and (2, 2) are equal: (3 + 2 / 2) / 6.
    short, long = np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert pair_order(short, short / 2, long, long / 4) == pytest.approx(4 / 6)
    assert pair_order(short / 2, short / 2, long / 4, long / 4) == 1.0


def test_pair_order_leaves_unknown_values_out() -> None:
    values, shares = np.array([np.nan, 0.9]), np.array([0.1, 0.8])
    assert pair_order(values, shares, np.array([0.2, np.nan]), np.array([0.1, 0.9])) == 1.0
    assert math.isnan(pair_order(values[:1], shares[:1], np.array([0.2]), np.array([0.1])))


@given(PAIRS)
def test_auroc_equals_its_definition_and_mann_whitney(pair) -> None:
    x, y = pair
    positive = y > 0.0
    if positive.any() and not positive.all():
        for scores in (x, np.round(x)):
            won = same(scores)[positive][:, ~positive]
            assert auroc(scores, positive) == pytest.approx((won.mean() + 1) / 2, abs=1e-12)
            u = stats.mannwhitneyu(scores[positive], scores[~positive]).statistic
            assert auroc(scores, positive) == pytest.approx(u / won.size, abs=1e-12)


def test_aurocs_equal_auroc_of_each_row() -> None:
    generator = np.random.default_rng(0)
    scores, positive = np.round(generator.normal(size=(50, 6)), 1), generator.random((50, 6)) > 0.7
    positive[0], positive[1] = True, False  # no area
    expected = [auroc(row, label) for row, label in zip(scores, positive, strict=True)]
    np.testing.assert_array_equal(aurocs(scores, positive), expected)
    assert np.isnan(expected[:2]).all() and np.isfinite(expected).sum() > 30


def test_correlations_by_hand() -> None:
    assert spearman([1, 2, 3, 4], [1, 4, 9, 16]) == pytest.approx(1.0)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert pearson([0, 1, 2], [0, 1, 0]) == pytest.approx(0.0)
    # pairs of (1,1) (2,3) (3,2): two concordant, one discordant
    assert kendall_tau_a([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    # a tie counts as neither: one of three pairs is tied, two concordant
    assert kendall_tau_a([1, 2, 3], [1, 1, 2]) == pytest.approx(2 / 3)
    # ranks 1.5 1.5 3 and 1 2 3: (.5 * 1 + 0 + 1 * 1) / sqrt(1.5 * 2)
    assert spearman([1, 1, 2], [1, 2, 3]) == pytest.approx(1.5 / math.sqrt(3.0))


def test_correlation_with_a_constant_is_nan() -> None:
    assert math.isnan(pearson([1, 1, 1], [1, 2, 3]))
    # The mean of .1, .1, .1 differs from .1 by rounding; the series is constant all the same.
    assert math.isnan(pearson([0.1, 0.1, 0.1], [1, 2, 4]))
    assert math.isnan(spearman([1, 2, 4], [0.1, 0.1, 0.1]))


@pytest.mark.parametrize('figure', [pearson, spearman])
def test_correlation_with_a_nan_is_nan(figure) -> None:
    assert math.isnan(figure([0.1, math.nan, 0.3], [1.0, 2.0, 3.0]))


@pytest.mark.parametrize('figure', [auroc, auprc])
def test_nan_score_raises_value_error(figure) -> None:
    with pytest.raises(ValueError, match='1 scores are not known'):
        figure([0.1, math.nan], [True, False])


@given(PAIRS, st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_rank_metrics_are_invariant_to_scale_and_shift(pair, scale: float, shift: float) -> None:
    x, y = pair
    positive = y > 0.0
    assert spearman(scale * x + shift, y) == pytest.approx(spearman(x, y))
    assert kendall_tau_a(scale * x + shift, y) == pytest.approx(kendall_tau_a(x, y))
    if positive.any() and not positive.all():
        assert auroc(np.exp(x), positive) == pytest.approx(auroc(x, positive))
        assert auroc(-x, positive) == pytest.approx(1.0 - auroc(x, positive))
        assert auroc(-x, ~positive) == pytest.approx(auroc(x, positive))


def test_areas_by_hand() -> None:
    # .9 and .4 are successes: .9 beats both, .4 beats one of two
    scores, good = [0.9, 0.8, 0.4, 0.1], [True, False, True, False]
    assert auroc(scores, good) == pytest.approx(3 / 4)
    # precision 1/1 at the first, 2/3 at the second success
    assert auprc(scores, good) == pytest.approx((1 + 2 / 3) / 2)
    assert auroc([0.5, 0.5], [True, False]) == pytest.approx(0.5)
    assert auprc([0.5, 0.5], [True, False]) == pytest.approx(0.5)
    assert math.isnan(auroc([0.1, 0.2], [True, True]))
    assert math.isnan(auroc([], []))
    assert math.isnan(auroc([0.1], [True]))
    assert math.isnan(auprc([0.1, 0.2], [False, False]))


def test_auprc_does_not_depend_on_the_order_within_ties() -> None:
    assert auprc([0.5, 0.5, 0.1], [True, False, False]) == auprc(
        [0.5, 0.5, 0.1], [False, True, False]
    )


def test_event_response_is_positive_in_expected_direction() -> None:
    before, after = [0.0, 0.0], [-0.5, -0.5]  # displayed .5 .5 and .25 .25
    assert event_response(before, after, -1) == pytest.approx(0.5, abs=1e-5)
    assert event_response(before, after, 1) == pytest.approx(-0.5, abs=1e-5)
    assert event_response(before, before, -1) == pytest.approx(0.0)
    # The means of 7 and of 8 times .4 differ by rounding, which is no response.
    assert (
        event_response([0.4] * 7, [0.4] * 8, 1) == event_response([0.4] * 8, [0.4] * 7, 1) == 0.0
    )
    assert math.isnan(event_response([], after, 1))
    assert math.isnan(event_response(before, [], 1))


def test_event_response_below_the_range_keeps_its_sign() -> None:
    # V = -1.2 is displayed as 0, not -.1: a fall from there is no response, a rise is one.
    assert event_response([-1.2], [-1.4], -1) == 0.0
    assert event_response([-1.2], [0.0], 1) > 0.0
    assert event_response([-1.2], [0.0], -1) < 0.0


def test_bootstrap_interval_has_its_nominal_coverage() -> None:
    generator, hits = np.random.default_rng(0), 0
    for trial in range(200):
        drawn = generator.normal(size=50)
        low, high = bootstrap_interval(
            lambda index, x=drawn: x[index].mean(axis=-1), 50, seed=trial, draws=200, level=0.9
        )
        hits += low <= 0.0 <= high
    # .9 in the limit, .88 for 50; three standard errors of 200 trials are .07
    assert 0.81 <= hits / 200 <= 0.97


def test_bootstrap_is_repeatable_and_leaves_out_nan() -> None:
    def figure(index):
        return np.where(index[:, 0] == 0, np.nan, index.mean(axis=-1))

    first = bootstrap_interval(figure, 5, seed=1, draws=100)
    assert first == bootstrap_interval(figure, 5, seed=1, draws=100)
    assert not math.isnan(first[0])


@pytest.mark.parametrize('count', [2, 5, 40])
def test_bootstrap_interval_equals_that_of_scipy(count: int) -> None:
    x = np.random.default_rng(7).normal(size=count)
    found = bootstrap_interval(lambda rows: x[rows].mean(axis=-1), count, seed=3)
    theirs = stats.bootstrap(
        (np.arange(count),), lambda rows, axis: x[rows].mean(axis=axis),
        n_resamples=1000, method='percentile', random_state=np.random.default_rng(3),
    ).confidence_interval  # fmt: skip
    assert found == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_bootstrap_of_one_episode_is_its_figure() -> None:
    assert bootstrap_interval(lambda rows: 0.7 + rows.mean(axis=-1), 1, seed=0) == (0.7, 0.7)


def test_bootstrap_of_nan_figures_has_no_interval() -> None:
    low, high = bootstrap_interval(lambda index: np.full(len(index), np.nan), 5, seed=1, draws=10)
    assert math.isnan(low) and math.isnan(high)


@pytest.mark.parametrize('figure', [pearson, spearman, kendall_tau_a])
def test_different_lengths_raise_value_error(figure) -> None:
    with pytest.raises(ValueError, match='must be the same'):
        figure([1.0, 2.0], [1.0, 2.0, 3.0])


def test_correlation_of_one_number_raises_value_error() -> None:
    with pytest.raises(ValueError, match='N >= 2'):
        spearman([1.0], [1.0])


@pytest.mark.parametrize('figure', [auroc, auprc])
def test_different_numbers_of_labels_raise_value_error(figure) -> None:
    with pytest.raises(ValueError, match='must be the same'):
        figure([0.1, 0.2], [True])
