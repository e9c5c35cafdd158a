# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from viva_ros.metrics.intervals import area_interval, share_interval, silence_interval


def test_what_all_agree_on_is_not_certain() -> None:
    # 20 of 20: the true share p may be so low that p^20 = .025, that is .025^(1/20) = .8316
    assert share_interval(1.0, 20) == (pytest.approx(0.8316, abs=1e-4), 1.0)
    assert share_interval(0.0, 20) == (0.0, pytest.approx(1 - 0.8316, abs=1e-4))
    assert share_interval(0.0, 1) == (0.0, pytest.approx(0.975))
    with pytest.raises(ValueError, match='must be 0 or 1'):
        share_interval(0.5, 20)


@given(st.integers(1, 500))
def test_the_interval_of_a_share_is_that_of_scipy(count: int) -> None:
    for share in (0.0, 1.0):
        theirs = stats.binomtest(round(share * count), count).proportion_ci(method='exact')
        assert share_interval(share, count) == pytest.approx((theirs.low, theirs.high))


def test_what_has_not_happened_yet_may_happen() -> None:
    # None in 2 h: at 1.84 an hour 3.69 are expected, and none has probability exp(-3.69) = .025.
    assert silence_interval(2.0) == (0.0, pytest.approx(1.8444, abs=1e-4))
    with pytest.raises(ValueError, match='above 0'):
        silence_interval(0.0)


def test_a_perfect_area_of_few_episodes_is_not_certain() -> None:
    low, high = area_interval(1.0, 10, 20)
    assert high == 1.0
    # At the low end 1 lies 1.96 standard errors away; N = (10 + 20) / 2 - 1 = 14.
    inner = 1.0 + 14.0 * ((1.0 - low) / (2.0 - low) + low / (1.0 + low))
    assert 1.0 - low == pytest.approx(1.959964 * math.sqrt(low * (1.0 - low) * inner / 200.0))
    assert area_interval(0.0, 10, 20) == (0.0, pytest.approx(1.0 - low))
    with pytest.raises(ValueError, match='must be 0 or 1'):
        area_interval(0.9, 10, 20)


@given(st.integers(1, 200), st.integers(1, 200))
def test_more_episodes_leave_less_doubt(positives: int, negatives: int) -> None:
    low, _ = area_interval(1.0, positives, negatives)
    assert 0.0 < low < 1.0
    assert area_interval(1.0, positives + 10, negatives + 10)[0] > low
    assert area_interval(1.0, negatives, positives)[0] == pytest.approx(low)
