# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bound on false alarms over many synthetic calibration sets, and methods that violate it."""

import math

import numpy as np
import pytest

from viva_ros.calibration.fit import conformal_rank, joint_score, needed, share_out
from viva_ros.calibration.reference import usual
from viva_ros.core.detection.rules import RuleReading

DRAWS, N, ALPHA, RULES = 3000, 50, 0.1, 5


def scores(generator: np.random.Generator, count: int) -> np.ndarray:
    """Return episode scores under five correlated rules with different scales and tails."""
    common = generator.exponential(size=(count, 1))
    own = generator.exponential(size=(count, RULES))
    return (0.6 * common + own) ** np.array([0.5, 1.0, 1.5, 2.0, 1.0]) * [0.01, 1, 5, 1, 100]


def joint_thresholds(drawn: np.ndarray) -> np.ndarray:
    """Return the thresholds as ``calibrate`` sets them."""
    shaping, setting = (np.array(part) for part in share_out(list(drawn)))
    norms = np.array([usual(column.tolist(), 1e-3) for column in shaping.T])
    joint = np.sort(((setting - norms[:, 0]) / norms[:, 1]).max(axis=1))
    limit = joint[conformal_rank(len(setting), ALPHA) - 1]
    return norms[:, 0] + limit * norms[:, 1]


@pytest.mark.medium
def test_bound_over_all_rules_holds_and_is_tight() -> None:
    generator = np.random.default_rng(0)
    ours = bonferroni = naive = plain = 0.0
    rank = conformal_rank(N, ALPHA / RULES)
    for _ in range(DRAWS):
        drawn, fresh = scores(generator, N), scores(generator, 40)
        ordered = np.sort(drawn, axis=0)
        ours += np.mean((fresh > joint_thresholds(drawn)).any(axis=1))
        bonferroni += np.mean((fresh > ordered[rank - 1]).any(axis=1))
        naive += np.mean((fresh > ordered[conformal_rank(N, ALPHA) - 1]).any(axis=1))
        plain += np.mean((fresh > np.quantile(drawn, 1 - ALPHA, axis=0)).any(axis=1))
    error = math.sqrt(0.09 / N / DRAWS) + math.sqrt(0.09 / 40 / DRAWS)
    # k = ceil(41 * .9) = 37 of 40: the rate is (41 - 37) / 41 = .0976
    assert ours / DRAWS == pytest.approx(4 / 41, abs=3 * error)
    assert bonferroni / DRAWS < ours / DRAWS - 0.005  # the same bound, more conservative
    assert naive / DRAWS > 2 * ALPHA  # several rules without a correction
    assert plain / DRAWS > naive / DRAWS  # np.quantile in addition


def test_bound_of_one_rule_holds_and_quantile_violates_it() -> None:
    generator = np.random.default_rng(1)
    n, draws = 19, 40_000
    drawn = np.sort(generator.standard_normal((draws, n)), axis=1)
    fresh = generator.standard_normal(draws)
    error = math.sqrt(0.09 / draws)
    ours = np.mean(fresh > drawn[:, conformal_rank(n, 0.1) - 1])
    assert ours == pytest.approx(0.1, abs=3 * error)
    # rank 1 + .9 * 18 = 17.2 of 19, so that 1 - 17.2 / 20 = .14 are above
    assert np.mean(fresh > np.quantile(drawn, 0.9, axis=1)) > 0.1 + 10 * error


def test_share_of_successes_without_alarm_is_beta_distributed() -> None:
    generator = np.random.default_rng(2)
    quiet = [
        1.0 - np.exp(-np.sort(generator.exponential(size=40))[conformal_rank(40, 0.1) - 1])
        for _ in range(4000)
    ]
    low, high = np.quantile(quiet, (0.05, 0.95))
    from scipy import stats

    assert low == pytest.approx(stats.beta.ppf(0.05, 37, 4), abs=0.01)
    assert high == pytest.approx(stats.beta.ppf(0.95, 37, 4), abs=0.01)


def test_needed_leaves_least_episodes_for_threshold() -> None:
    for least in (9, 19, 99):
        assert len(share_out(range(needed(least)))[1]) == least
        assert len(share_out(range(needed(least) - 1))[1]) < least


def test_and_needs_both_rules_at_the_same_time() -> None:
    def at(drop: float, residual: float) -> dict[str, RuleReading]:
        return {
            'drop': RuleReading(drop, drop),
            'forecast_residual': RuleReading(residual, residual),
        }

    norms = {'drop': (0.0, 0.1), 'forecast_residual': (1.0, 0.5)}
    apart = [at(0.5, 1.0), at(0.0, 3.0)]  # 5 and 0, then 0 and 4
    assert joint_score(apart, norms, 'or') == pytest.approx(5.0)
    assert joint_score(apart, norms, 'and') == pytest.approx(0.0)
    assert joint_score([*apart, at(0.3, 2.0)], norms, 'and') == pytest.approx(2.0)
