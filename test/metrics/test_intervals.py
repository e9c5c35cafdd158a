# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from viva_ros.metrics.intervals import area_interval, rate_interval, share_interval


def test_share_interval_of_all_or_none_has_width() -> None:
    # 20 of 20: the lower bound p has p^20 = .025, so p = .025^(1/20) = .8316
    assert share_interval(20, 20) == (pytest.approx(0.8316, abs=1e-4), 1.0)
    assert share_interval(0, 20) == (0.0, pytest.approx(1 - 0.8316, abs=1e-4))
    assert share_interval(0, 1) == (0.0, pytest.approx(0.975))


@pytest.mark.parametrize(('hits', 'count'), [(0, 0), (-1, 5), (6, 5)])
def test_invalid_share_raises_value_error(hits: int, count: int) -> None:
    with pytest.raises(ValueError, match=f'{hits} of {count} is no share'):
        share_interval(hits, count)


@given(st.integers(1, 500))
def test_share_interval_of_none_and_all_is_the_closed_form(count: int) -> None:
    doubt = 1.0 - 0.025 ** (1.0 / count)
    assert share_interval(0, count) == pytest.approx((0.0, doubt), abs=1e-12)
    assert share_interval(count, count) == pytest.approx((1.0 - doubt, 1.0), abs=1e-12)


@given(st.integers(2, 300), st.data())
def test_share_interval_leaves_a_tail_on_each_side(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(1, count - 1))
    low, high = share_interval(hits, count)
    assert stats.binom.sf(hits - 1, count, low) == pytest.approx(0.025, abs=1e-9)
    assert stats.binom.cdf(hits, count, high) == pytest.approx(0.025, abs=1e-9)
    # quantiles of the beta distribution
    expected = stats.beta.ppf((0.025, 0.975), (hits, hits + 1), (count - hits + 1, count - hits))
    assert (low, high) == pytest.approx(tuple(expected), abs=2e-12)


def test_rate_interval_of_no_event_has_width() -> None:
    # No event in 2 h: at 1.84 per hour its probability is exp(-3.69) = .025.
    assert rate_interval(0, 2.0) == (0.0, pytest.approx(1.8444, abs=1e-4))
    with pytest.raises(ValueError, match='above 0'):
        rate_interval(0, 0.0)
    with pytest.raises(ValueError, match='-1 events'):
        rate_interval(-1, 1.0)


@given(st.floats(0.01, 1e4))
def test_rate_interval_of_no_event_is_the_closed_form(hours: float) -> None:
    assert rate_interval(0, hours)[1] == pytest.approx(-math.log(0.025) / hours, rel=1e-12)


@given(st.integers(1, 200))
def test_rate_interval_leaves_a_tail_on_each_side(events: int) -> None:
    low, high = rate_interval(events, 2.0)
    assert stats.poisson.sf(events - 1, 2.0 * low) == pytest.approx(0.025)
    assert stats.poisson.cdf(events, 2.0 * high) == pytest.approx(0.025)


def test_area_interval_of_a_perfect_auroc_has_width() -> None:
    low, high = area_interval(1.0, 10, 20)
    assert high == 1.0
    # 1 is 1.96 standard errors above the low end; N = (10 + 20) / 2 - 1 = 14.
    inner = 1.0 + 14.0 * ((1.0 - low) / (2.0 - low) + low / (1.0 + low))
    assert 1.0 - low == pytest.approx(1.959964 * math.sqrt(low * (1.0 - low) * inner / 200.0))
    assert area_interval(0.0, 10, 20) == (0.0, pytest.approx(1.0 - low))
    with pytest.raises(ValueError, match='must be 0 or 1'):
        area_interval(0.9, 10, 20)


@given(st.integers(1, 200), st.integers(1, 200))
def test_area_interval_narrows_with_more_episodes(positives: int, negatives: int) -> None:
    low, _ = area_interval(1.0, positives, negatives)
    assert 0.0 < low < 1.0
    assert area_interval(1.0, positives + 10, negatives + 10)[0] > low
    assert area_interval(1.0, negatives, positives)[0] == pytest.approx(low)
