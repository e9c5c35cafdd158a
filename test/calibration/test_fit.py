# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace
from itertools import pairwise

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
)
from viva_ros.calibration.reference import learn, least_spread, scores
from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.reference import DONE_ABOVE, Reference
from viva_ros.core.detection.rules import RULES, Rule, RuleSettings, value_rules
from viva_ros.core.detection.thresholds import Calibration, Threshold
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
            [episode(generator) for _ in range(29)],
            rules,
            engine='e',
            task='t',
            rate=5.0,
            alpha=0.1,
        )
        for _ in range(25):
            judge, series = (
                Detector(DetectorSettings(rules), calibration.thresholds, calibration.expected),
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
        episodes, RuleSettings(), engine='e', task='t', rate=5.0, alpha=0.1, warn_alpha=0.2,
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
    made = calibrate(
        [episode(generator) for _ in range(40)], RuleSettings(), engine='e', task='t', rate=5.0
    )
    assert 'forecast_residual' not in made.thresholds  # the episodes have no forecasts
    assert set(RULES) - {'forecast_residual'} == set(made.thresholds)
    with raises('calibration-no-rule', 'forecast_residual'):
        calibrate(
            [episode(generator) for _ in range(40)], RuleSettings(), engine='e', task='t',
            rate=5.0, choice=CalibrationOptions(combine='and'),
        )  # fmt: skip


def test_too_few_episodes_are_refused_with_number_missing() -> None:
    generator = np.random.default_rng(3)
    # 9 must set the threshold, without every fifth: 11 - 2 = 9, and 10 - 2 = 8
    with raises('calibration-episodes', 'rate of 0.1', '11 are needed', '1 are missing'):
        calibrate(
            [episode(generator) for _ in range(10)], RuleSettings(), engine='e', task='t', rate=5.0
        )
    calibrate(
        [episode(generator) for _ in range(11)], RuleSettings(), engine='e', task='t', rate=5.0
    )


def test_episode_shorter_than_window_is_refused_by_rule() -> None:
    generator = np.random.default_rng(4)
    episodes = [episode(generator, 3.0)] + [episode(generator) for _ in range(29)]
    settings = {'engine': 'e', 'task': 't', 'rate': 5.0}
    with raises('calibration-rule', '1 of 30 episodes', 'no_rise', 'window', '(episode 0)'):
        calibrate(episodes, RuleSettings(), **settings)
    names = [f'{number}.mcap' for number in range(30)]
    quick = [episode(generator, 3.0) if number in (4, 7, 9, 20) else one
             for number, one in enumerate(episodes)]  # fmt: skip
    quick[0] = episode(generator)
    # Those for the statistics first: 4 and 9.
    named = '4 of 30', '(4.mcap, 9.mcap, 7.mcap, ...): use --rules drop stall slope, or '
    with raises('calibration-rule', *named) as error:
        calibrate(quick, RuleSettings(), names=names, **settings)
    option = str(error.value).split(': use ')[1].split(', or ')[0]
    made = calibrate(quick, RuleSettings(), **settings, **options_of(option))  # the remedy
    assert set(made.thresholds) == {'drop', 'stall', 'slope'}
    only = CalibrationOptions(('no_rise',))
    with raises('calibration-rule', '(episode 4, episode 9, episode 7, ...): shorten'):
        calibrate(quick, RuleSettings(), choice=only, **settings)


def test_equal_alphas_give_equal_thresholds() -> None:
    generator = np.random.default_rng(5)
    episodes = [episode(generator) for _ in range(29)]
    made = calibrate(
        episodes, RuleSettings(), engine='e', task='t', rate=5.0, alpha=0.2, warn_alpha=0.2
    )
    assert all(threshold.warn == threshold.alarm for threshold in made.thresholds.values())


def test_warn_alpha_below_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match='warn_alpha is'):
        calibrate([], RuleSettings(), engine='e', task='t', rate=5.0, alpha=0.2, warn_alpha=0.1)


def test_score_is_largest_debounced_statistic() -> None:
    rules = RuleSettings(smoothing=0.0, debounce=0.3)
    stamps = np.arange(7) * (S // 5)
    values = np.array([0.5, 0.5, -0.4, 0.5, 0.3, 0.2, 0.1])
    # drops 0 0 .9 0 .2 .3 .4; each held over itself and the two before: 0 0 0 0 .2 at the end
    assert scores(ValueSeries(stamps, values), rules)['drop'] == pytest.approx(0.2)
    assert scores(ValueSeries(stamps, values), rules)['no_rise'] == -math.inf


def ramp(seconds: float = 15.0, pause: float = 0.0, end: float = 0.9) -> ValueSeries:
    """Return a rise by .1 per s at 10 Hz to ``end``, after a pause."""
    at = np.arange(round((seconds + pause) * 10)) * 0.1
    values = end - 0.1 * seconds + 0.1 * np.maximum(at - pause, 0.0)
    return ValueSeries(np.round(at * S).astype(np.int64), values)


def one_pauses(seconds: float) -> list[ValueSeries]:
    """Return 40 equal successes, one of which, that sets the threshold, pauses."""
    return [ramp(pause=seconds * (number == 7)) for number in range(40)]


#: 32 of 40 set the threshold: ceil(33 * (1 - .031)) = 32, the largest score.
LARGEST_SCORE = {'engine': 'e', 'task': 't', 'rate': 10.0, 'alpha': 0.031}


def test_outlier_of_a_rule_in_steps_does_not_move_the_other_rules() -> None:
    # The stall of a rise by .1 per s is about 1 s in steps of .1 s: its usual spread is 0. The
    # pause adds 1.8 s: 6 spreads of at least .3 s, and so 6 spreads of .03 to the other rules.
    made = calibrate(one_pauses(1.8), RuleSettings(), **LARGEST_SCORE)
    plain = calibrate(one_pauses(0.0), RuleSettings(), **LARGEST_SCORE)
    for kind in ('drop', 'no_rise', 'slope', 'floor'):
        moved = made.thresholds[kind].alarm - plain.thresholds[kind].alarm
        assert 0.1 < moved < 0.2, kind
    assert made.thresholds['stall'].alarm - plain.thresholds['stall'].alarm < 1.9
    assert not made.unreachable


def test_smallest_spreads_of_ratio_and_probability_are_in_their_units() -> None:
    # The forecast is .2 rad off in all episodes: a ratio of 1, as the probability equal in all.
    def sure(series: ValueSeries) -> ValueSeries:
        count = len(series.values)
        return replace(
            series, success=np.full(count, 0.8), names=('elbow',), horizon=1.0,
            positions=np.zeros((count, 1)), forecast=np.full((count, 1), 0.2),
        )  # fmt: skip

    made, plain = (
        calibrate([sure(one) for one in one_pauses(pause)], RuleSettings(), **LARGEST_SCORE)
        for pause in (1.8, 0.0)
    )
    moved = {kind: one.alarm - plain.thresholds[kind].alarm
             for kind, one in made.thresholds.items()}  # fmt: skip
    assert plain.thresholds['forecast_residual'].alarm == pytest.approx(1.0, abs=0.1)
    assert 0.1 < moved['drop'] < 0.2  # 6 spreads of .03
    assert moved['floor'] == pytest.approx(moved['drop'])
    assert moved['forecast_residual'] == pytest.approx(5.0 * moved['drop'])  # of .15


def test_smallest_spread_of_an_added_rule_follows_its_unit(monkeypatch) -> None:
    rule = Rule(RULES['drop'].start, unit=50.0)
    monkeypatch.setitem(RULES._loaded, 'drop', rule)
    assert least_spread('drop', Reference()) == pytest.approx(1.5)  # .03 * 50
    assert least_spread('stall', Reference()) == pytest.approx(0.3)
    by_progress = learn([ramp()], RuleSettings(), indexed=True)
    assert by_progress.norms['stall'].spread == pytest.approx((0.3,) * 4)
    assert by_progress.norms['no_rise'].spread == pytest.approx((0.03,) * 4)
    assert least_spread('stall', by_progress) == 1.0  # of its statistic, which is in spreads


def options_of(text: str) -> dict[str, object]:
    """Return the options of 'viva calibrate' in a text, as arguments of ``calibrate``."""
    words = text.split()
    found: dict[str, object] = {
        name.removeprefix('--').replace('-', '_'): float(value)
        for name, value in pairwise(words)
        if name in ('--alpha', '--warn-alpha', '--done-above')
    }
    rules = words[words.index('--rules') + 1 :] if '--rules' in words else list(RULES)
    choice = CalibrationOptions(tuple(rules), done_above=found.pop('done_above', None))
    return {**found, 'choice': choice}


def check_remedies(made: Calibration, episodes: list[ValueSeries]) -> None:
    """Try each option of the remedy: afterwards no rule is announced."""
    settings = {
        'engine': made.engine, 'task': made.task, 'rate': made.rate, 'alpha': made.alpha,
        'warn_alpha': made.warn_alpha,
    }  # fmt: skip
    (text,) = made.warnings
    assert text.count('calibrate again') == 1
    _, remedy = text.split('calibrate again with ')
    for option in remedy.split(', or with '):
        again = {**settings, **options_of(option)}
        again['choice'] = replace(again['choice'], indexed=bool(made.expected.norms))
        mended = calibrate(episodes, made.rules, **again)
        assert not mended.unreachable, text
        assert len(mended.thresholds) >= len(made.thresholds) - len(made.unreachable), text


@pytest.mark.medium
def test_unreachable_rule_is_found_and_its_remedy_helps() -> None:
    # 45 s are 150 spreads of .3 s: 4.5 for drop, whose largest value is 2.
    episodes = one_pauses(45.0)
    made = calibrate(episodes, RuleSettings(), **LARGEST_SCORE)
    assert made.thresholds['drop'].alarm == 2.0, 'no threshold is beyond its range'
    never = {kind: one.largest for kind, one in made.unreachable.items() if not one.seldom}
    assert never == {'drop': 2.0, 'no_rise': 2.0, 'floor': 1.0}
    assert {'stall', 'slope'} == set(made.unreachable) - set(never)  # 46 s, in successes of 15 s
    check_remedies(made, episodes)


def test_calibration_without_a_reachable_rule_is_refused() -> None:
    certain = replace(ramp(), success=np.ones(150))
    hopeless = replace(ramp(), success=np.zeros(150))
    episodes = [hopeless if number % 10 == 0 else certain for number in range(40)]
    floor = {'engine': 'e', 'task': 't', 'rate': 10.0, 'choice': CalibrationOptions(('floor',))}
    # 4 of the 32 successes have a probability of success of 0, below which nothing is.
    # 28 are certain: the 28-th of 33 is that of alpha = 5 / 33 = .1515..
    texts = 'no rule could raise', 'floor', 'possible value 0', '--alpha 0.152 --warn-alpha 0.152'
    with raises('calibration-unreachable', *texts):
        calibrate(episodes, RuleSettings(), alpha=0.1, **floor)
    made = calibrate(episodes, RuleSettings(), alpha=0.152, **floor)  # the remedy
    assert made.thresholds['floor'].alarm == pytest.approx(-1.0) and not made.unreachable


def test_done_level_is_learnt_from_the_reference_episodes() -> None:
    rules = RuleSettings(smoothing=0.0)
    # The reference episodes end .1 s before .80, .82 .. 1.0; their 10 % quantile is .82.
    finals = [0.80 + 0.02 * number for number in range(11)]
    shaping = [ramp(end=end + 0.01) for end in finals]
    expected = learn(shaping, rules, indexed=False)
    assert expected.done_above == pytest.approx(0.82 - 0.03)
    assert learn(shaping, rules, indexed=True, done_above=0.5).done_above == 0.5
    unknown = replace(ramp(), values=np.full(150, math.nan))
    assert learn([unknown], rules, indexed=False).done_above == DONE_ABOVE


@pytest.mark.parametrize('ends', [(0.9, -0.5), (-0.5, 0.9, 0.92), (0.9, -0.5, 0.88, 0.2)])
def test_done_level_ignores_a_wrong_end_among_few_successes(ends: tuple[float, ...]) -> None:
    shaping = [ramp(end=end) for end in ends]
    assert 0.8 < learn(shaping, RuleSettings(), indexed=False).done_above < 0.9


def test_widely_spread_ends_all_set_the_done_level() -> None:
    ends = np.linspace(0.5, 0.9, 9)  # median .7; median absolute deviation .1
    expected = learn([ramp(end=end + 0.01) for end in ends], RuleSettings(smoothing=0.0), False)
    assert expected.done_above == pytest.approx(0.54 - 0.03)  # 10 % quantile: .5 + .8 * .05


def test_low_done_level_is_announced_and_its_remedy_helps() -> None:
    episodes = [ramp() for _ in range(40)]  # from -.6 to .9
    low = CalibrationOptions(done_above=-0.2)
    made = calibrate(episodes, RuleSettings(), choice=low, **LARGEST_SCORE)
    (text,) = made.warnings
    assert 'no_rise, stall, slope judge only values below the done level of -0.2' in text
    mended = calibrate(episodes, RuleSettings(), **{**LARGEST_SCORE, **options_of(text)})
    assert not mended.warnings and mended.expected.done_above > 0.8


def test_done_successes_do_not_enter_the_scale_of_no_rise() -> None:
    # Done after 3 s, before the window of 4 s is filled: no reading. The others take 12 s.
    quick = replace(ramp(), values=np.clip(-0.6 + 0.5 * ramp().stamps / S, -0.6, 0.9))
    slow = [ramp() for _ in range(40)]
    mixed = [quick if number % 10 in (4, 5) else one for number, one in enumerate(slow)]
    plain, made = (
        calibrate(some, RuleSettings(), engine='e', task='t', rate=10.0) for some in (slow, mixed)
    )
    assert scores(quick, RuleSettings(), made.expected)['no_rise'] == -math.inf
    same = plain.thresholds['no_rise'].alarm
    assert made.thresholds['no_rise'].alarm == pytest.approx(same, abs=0.1)
    none = calibrate([quick] * 40, RuleSettings(), engine='e', task='t', rate=10.0)
    assert 'no_rise' not in none.thresholds and 'stall' in none.thresholds


def test_other_episodes_do_not_change_the_reference() -> None:
    episodes = [ramp(end=0.9) for _ in range(40)]
    others = [one if number % 5 == 4 else ramp(end=0.6) for number, one in enumerate(episodes)]
    made, changed = (
        calibrate(some, RuleSettings(), engine='e', task='t', rate=10.0)
        for some in (episodes, others)
    )
    assert made.expected == changed.expected  # the episodes that set thresholds stay exchangeable
    chosen = CalibrationOptions(done_above=0.7)
    made = calibrate(episodes, RuleSettings(), engine='e', task='t', rate=10.0, choice=chosen)
    assert made.expected.done_above == 0.7 and made.rate == 10.0


@pytest.mark.parametrize('level', [1.5, math.nan])
def test_done_level_out_of_range_is_refused(level: float) -> None:
    with raises('calibration-done-level', level, '--done-above'):
        CalibrationOptions(done_above=level)


KINDS = ('smooth', 'quantized', 'noisy', 'outliers', 'low final', 'glitch')


def synthetic(kind: str, generator: np.random.Generator) -> ValueSeries:
    """Return a success of one distribution for each kind, at 5 Hz."""
    seconds = generator.uniform(8.0, 12.0)
    pause = generator.uniform(1.0, 5.0) if kind == 'outliers' and generator.random() < 0.1 else 0.0
    begin = generator.uniform(0.3, 0.6) * seconds
    at = np.arange(0.0, seconds + pause, 0.2)
    part = (np.minimum(at, begin) + np.maximum(at - begin - pause, 0.0)) / seconds
    rare = generator.random() < 0.12
    values = -0.5 + (0.9 if kind == 'low final' and rare else 1.45) * part
    if kind == 'glitch' and rare:
        values[len(at) // 2 :][:5] = -0.9  # for 1 s
    if kind == 'quantized':
        values = np.round(values / 0.05) * 0.05
    if kind in ('noisy', 'outliers'):
        values = values + generator.normal(0.0, generator.uniform(0.01, 0.08), len(at))
    return ValueSeries(np.round(at * S).astype(np.int64), np.clip(values, -1.0, 1.0))


FAILURES = ('falls', 'stands', 'never rises')


def synthetic_failure(kind: str, generator: np.random.Generator) -> ValueSeries:
    """Return a failure that begins at half of a success or at once, and lasts as long again."""
    success = synthetic('smooth', generator)
    count, step = len(success.values), int(success.stamps[1])
    begin = success.values[: 1 if kind == 'never rises' else count // 2]
    last = -1.0 if kind == 'falls' else begin[-1]
    failing = last + generator.normal(0.0, 0.01, count)
    values = np.clip(np.concatenate([begin, failing]), -1.0, 1.0)
    return ValueSeries(step * np.arange(len(values)), values)


@pytest.mark.medium
@pytest.mark.parametrize('indexed', [False, True])
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('seed', [10, 20, 30])
def test_failures_exceed_every_threshold_that_is_not_announced(
    kind: str, indexed: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed + KINDS.index(kind))
    episodes = [synthetic(kind, generator) for _ in range(30)]
    made = calibrate(
        episodes, RuleSettings(), engine='e', task='t', rate=5.0,
        choice=CalibrationOptions(indexed=indexed),
    )  # fmt: skip
    assert set(made.thresholds) == set(value_rules())
    assert not made.blind and made.expected.done_above > 0.5
    if kind not in ('outliers', 'glitch') and not indexed:
        assert not made.unreachable, made.warnings
    if kind == 'outliers' and not indexed:
        assert all(one.seldom for one in made.unreachable.values()), made.warnings
    found = [
        scores(synthetic_failure(failure, generator), RuleSettings(), made.expected)
        for failure in FAILURES
    ]
    for rule in made.thresholds.keys() - made.unreachable.keys():
        reached = max(score[rule] for score in found)
        assert reached > made.thresholds[rule].alarm, (rule, reached, made.thresholds, made.rise)


def usual(seconds: float = 15.0) -> dict[str, ValueSeries]:
    """Return failures as long as ``ramp()``: the value falls at half of the time, or stands."""
    rising = ramp(seconds)
    half = len(rising.values) // 2
    fallen = round(RuleSettings().span * 10) + 1  # until all windows are filled
    at = np.arange(half + fallen) * 0.1
    falling = np.concatenate([rising.values[:half], np.full(fallen, -1.0)])
    return {
        'falls': ValueSeries(np.round(at * S).astype(np.int64), falling),
        'stands': replace(rising, values=np.full_like(rising.values, rising.values[0])),
    }


def largest_of_kind(made: Calibration, progress: float | None = None) -> dict[str, float]:
    """Return the largest statistic of each rule in the usual failures that it detects."""
    found = {}
    for name, one in usual().items():
        known = None if progress is None else np.full(len(one.values), progress)
        found[name] = scores(replace(one, progress=known), made.rules, made.expected)
    falls, stands = found['falls'], found['stands']
    return {
        **{kind: falls[kind] for kind in ('drop', 'no_rise', 'floor')}, 'stall': stands['stall'],
        'slope': max(falls['slope'], stands['slope']),
    }  # fmt: skip


@pytest.mark.medium
def test_only_rules_that_failures_of_their_kind_miss_are_announced() -> None:
    numbers = []
    for pause in (3.0, 6.0, 9.0, 12.0, 13.5, 16.0, 45.0):
        made = calibrate(one_pauses(pause), RuleSettings(), **LARGEST_SCORE)
        reached = largest_of_kind(made)
        missed = {kind for kind, one in made.thresholds.items() if reached[kind] <= one.alarm}
        assert set(made.unreachable) == missed, (pause, made.thresholds, reached)
        numbers.append(len(missed))
    assert numbers[0] == 0 and numbers[-1] == 5


@pytest.mark.medium
def test_rules_by_progress_are_announced_if_missed_at_any_progress() -> None:
    numbers = []
    for pause in (3.0, 9.0, 16.0, 45.0):
        episodes = [replace(one, progress=np.clip(0.5 + 0.5 * one.values, 0.0, 1.0))
                    for one in one_pauses(pause)]  # fmt: skip
        made = calibrate(
            episodes, RuleSettings(), choice=CalibrationOptions(indexed=True), **LARGEST_SCORE
        )
        reached = [largest_of_kind(made, progress) for progress in (0.1, 0.4, 0.6, 0.9)]
        missed = {
            kind for kind, one in made.thresholds.items()
            if max(score[kind] for score in reached) <= one.alarm
        }  # fmt: skip
        assert set(made.unreachable) == missed, (pause, made.thresholds, reached)
        numbers.append(len(missed))
    assert numbers[0] < numbers[-1]


@pytest.mark.medium
@pytest.mark.parametrize('indexed', [False, True])
def test_remedies_of_calibration_help(indexed: bool) -> None:
    generator = np.random.default_rng(5)
    episodes = [synthetic('glitch', generator) for _ in range(40)]
    choice = CalibrationOptions(indexed=indexed)
    made = calibrate(
        episodes, RuleSettings(), engine='e', task='t', rate=5.0, alpha=0.05, choice=choice
    )
    assert made.unreachable
    check_remedies(made, episodes)


@pytest.mark.medium
@pytest.mark.parametrize(
    'kind', ['noisy', 'outliers', 'glitch', *(pytest.param(k, marks=pytest.mark.slow) for k in
                                              ('smooth', 'quantized', 'low final'))]
)  # fmt: skip
def test_promise_holds_for_any_kind_of_success(kind: str) -> None:
    generator, alpha, alarms, trials = np.random.default_rng(KINDS.index(kind)), 0.1, 0, 0
    for _ in range(15):
        episodes = [synthetic(kind, generator) for _ in range(37)]
        made = calibrate(episodes, RuleSettings(), engine='e', task='t', rate=5.0, alpha=alpha)
        for _ in range(20):
            found = scores(synthetic(kind, generator), RuleSettings(), made.expected)
            alarms += any(found[k] > one.alarm for k, one in made.thresholds.items())
            trials += 1
    # The share of each calibration is Beta(27, 4) with 30 episodes that set the threshold: the
    # variance of the mean over 15 calibrations is that of the shares plus the binomial one.
    variance = 27 * 4 / (31**2 * 32) / 15 + alpha * (1 - alpha) / trials
    assert alarms / trials <= alpha + 2.33 * math.sqrt(variance)  # 99 %


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
