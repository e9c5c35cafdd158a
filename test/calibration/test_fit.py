# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.errors import raises

from viva_ros.calibration.fit import (
    CalibrationOptions,
    ValueSeries,
    calibrate,
    conformal_rank,
    scores,
)
from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import RULES, RuleSettings
from viva_ros.core.detection.thresholds import Threshold
from viva_ros.core.events import Level

S = 1_000_000_000


def episode(generator: np.random.Generator, seconds: float = 12.0) -> ValueSeries:
    """Return a success: a rise from the base rate to 1, with noise."""
    stamps = np.arange(0, round(seconds * S), S // 5)
    rising = -0.6 + 1.55 * stamps / stamps[-1]
    noise = generator.normal(0.0, generator.uniform(0.02, 0.15), len(stamps))
    return ValueSeries(stamps, rising + noise)


def test_rank_is_ceiling_of_n_plus_1_times_1_minus_alpha() -> None:
    assert conformal_rank(9, 0.1) == 9  # 10 * .9
    assert conformal_rank(20, 0.1) == 19  # 21 * .9 = 18.9
    assert conformal_rank(99, 0.01) == 99
    assert conformal_rank(29, 0.1 / 3) == 29  # 30 * .9666... is 29, not a little more


@pytest.mark.parametrize(('alpha', 'least'), [(0.1, 9), (0.05, 19), (0.01, 99), (0.1 / 3, 29)])
def test_rank_of_too_few_episodes_is_refused(alpha: float, least: int) -> None:
    assert conformal_rank(least, alpha) == least
    with raises('calibration-episodes', f'{least} are needed, 3 are missing'):
        conformal_rank(least - 3, alpha)


@pytest.mark.parametrize('alpha', [0.0, 1.0, float('nan')])
def test_alpha_outside_of_0_to_1_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match=f'alpha is {alpha}'):
        conformal_rank(9, alpha)


def test_conformal_rank_bounds_alarms_and_quantile_does_not() -> None:
    generator = np.random.default_rng(0)
    n, alpha, draws = 19, 0.1, 20_000
    drawn = np.sort(generator.exponential(size=(draws, n)), axis=1)
    fresh = generator.exponential(size=draws)
    ours = np.mean(fresh > drawn[:, conformal_rank(n, alpha) - 1])
    theirs = np.mean(fresh > np.quantile(drawn, 1 - alpha, axis=1))
    # ours: 1 - 18/20 = .1 exactly; theirs: rank 1 + .9 * 18 = 17.2, about 1 - 17.2/20 = .14
    assert ours == pytest.approx(0.1, abs=3 * math.sqrt(0.09 / draws))
    assert theirs > 0.13


@pytest.mark.medium
def test_false_alarm_rate_of_new_successes_is_bounded() -> None:
    generator = np.random.default_rng(1)
    rules, alarms, trials = RuleSettings(), 0, 0
    for _ in range(12):
        calibration = calibrate(
            [episode(generator) for _ in range(29)], rules, engine='e', task='t', alpha=0.1
        )
        for _ in range(25):
            judge, series = (
                Detector(DetectorSettings(rules), calibration.thresholds),
                episode(generator),
            )
            levels = [
                event.level
                for stamp, value in zip(series.stamps, series.values, strict=True)
                for event in judge.update(int(stamp), float(value))
            ]
            alarms += Level.ALARM in levels
            trials += 1
    # at most .1 in expectation, plus three standard errors
    assert alarms / trials <= 0.1 + 3 * math.sqrt(0.09 / trials)
    assert alarms > 0  # the rules are active


def test_threshold_of_single_rule_is_kth_smallest_score() -> None:
    generator = np.random.default_rng(2)
    episodes = [episode(generator) for _ in range(40)]
    made = calibrate(
        episodes, RuleSettings(), engine='e', task='t', alpha=0.1, warn_alpha=0.2,
        choice=CalibrationOptions(('drop',)),
    )  # fmt: skip
    # every fifth of 40 is for the statistics; the other 32 set the threshold
    setting = [one for number, one in enumerate(episodes) if number % 5 != 4]
    drops = sorted(scores(series, RuleSettings())['drop'] for series in setting)
    # ceil(33 * .9) = 30; ceil(33 * .8) = 27
    assert list(made.thresholds) == ['drop']
    assert made.thresholds['drop'].alarm == pytest.approx(drops[29], abs=1e-12)
    assert made.thresholds['drop'].warn == pytest.approx(drops[26], abs=1e-12)
    assert made.alone == {'drop': drops[29]}
    assert (made.rank, made.episodes, made.shaping) == (30, 32, 8)
    # Beta(30, 3) <= x has the probability that 30 to 32 of 32 lie below x
    for bound, tail in zip(made.coverage, (0.05, 0.95), strict=True):
        assert stats.binom.sf(29, 32, bound) == pytest.approx(tail, abs=1e-9)
    assert made.seconds == pytest.approx(11.8)  # from 0 in steps of .2 to below 12
    assert made.alarms_per_hour == pytest.approx(0.1 * 3600 / 11.8)


def test_rule_without_readings_is_left_out() -> None:
    generator = np.random.default_rng(9)
    made = calibrate([episode(generator) for _ in range(40)], RuleSettings(), engine='e', task='t')
    assert 'forecast_residual' not in made.thresholds  # the episodes have no forecasts
    assert set(RULES) - {'forecast_residual'} == set(made.thresholds)
    with raises('calibration-no-rule', 'forecast_residual'):
        calibrate(
            [episode(generator) for _ in range(40)], RuleSettings(), engine='e', task='t',
            choice=CalibrationOptions(combine='and'),
        )  # fmt: skip


def test_too_few_episodes_are_refused_with_number_missing() -> None:
    generator = np.random.default_rng(3)
    # 9 must set the threshold, without every fifth: 11 - 2 = 9, and 10 - 2 = 8
    with raises('calibration-episodes', 'rate of 0.1', '11 are needed', '1 are missing'):
        calibrate([episode(generator) for _ in range(10)], RuleSettings(), engine='e', task='t')
    calibrate([episode(generator) for _ in range(11)], RuleSettings(), engine='e', task='t')


def test_episode_shorter_than_window_is_refused_by_rule() -> None:
    generator = np.random.default_rng(4)
    episodes = [episode(generator, 3.0)] + [episode(generator) for _ in range(29)]
    with raises('calibration-rule', '1 of 30 episodes', 'no_rise', 'window'):
        calibrate(episodes, RuleSettings(), engine='e', task='t')


def test_equal_alphas_give_equal_thresholds() -> None:
    generator = np.random.default_rng(5)
    episodes = [episode(generator) for _ in range(29)]
    made = calibrate(episodes, RuleSettings(), engine='e', task='t', alpha=0.2, warn_alpha=0.2)
    assert all(threshold.warn == threshold.alarm for threshold in made.thresholds.values())


def test_warn_alpha_below_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match='warn_alpha is'):
        calibrate([], RuleSettings(), engine='e', task='t', alpha=0.2, warn_alpha=0.1)


def test_score_is_largest_debounced_statistic() -> None:
    rules = RuleSettings(smoothing=0.0, debounce=0.3)
    stamps = np.arange(7) * (S // 5)
    values = np.array([0.5, 0.5, -0.4, 0.5, 0.3, 0.2, 0.1])
    # drops 0 0 .9 0 .2 .3 .4; each held over itself and the two before: 0 0 0 0 .2 at the end
    assert scores(ValueSeries(stamps, values), rules)['drop'] == pytest.approx(0.2)
    assert scores(ValueSeries(stamps, values), rules)['no_rise'] == -math.inf


SAMPLES = st.lists(
    st.tuples(st.integers(1, 600_000_000), st.one_of(st.floats(-1, 1), st.just(math.nan))),
    min_size=1,
    max_size=80,
)


@pytest.mark.medium
@settings(max_examples=200)
@given(SAMPLES, st.tuples(*[st.floats(-1, 1)] * len(RULES.names())))
def test_alarm_occurs_iff_a_score_exceeds_its_threshold(samples, limits) -> None:
    stamps = np.cumsum([step for step, _ in samples])
    values = np.array([value for _, value in samples])
    thresholds = {k: Threshold(x, x) for k, x in zip(RULES, limits, strict=True)}
    score = scores(ValueSeries(stamps, values), RuleSettings())
    detector, alarmed = Detector(DetectorSettings(), thresholds), False
    for stamp, value in zip(stamps.tolist(), values.tolist(), strict=True):
        alarmed |= any(e.level == Level.ALARM for e in detector.update(stamp, value))
    assert alarmed == any(score[kind] > thresholds[kind].alarm for kind in RULES)
