# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from benchmarks.ablation import pooling
from benchmarks.ablation.pooling import Pool, Trainings
from viva_ros.metrics.intervals import Measure, interval, mean, quantile

NAN = math.nan


def trainings(*rows: Sequence[float]) -> Trainings:
    return Trainings([{'figure': mean(row)} for row in rows])


def figure_of(one: Trainings) -> dict:
    return Pool({'one': one}).figures('one')['figure']


def difference_of(plus: Trainings, minus: Trainings, **others: Trainings) -> dict:
    pool = Pool({'plus': plus, 'minus': minus, **others})
    return pool.contrast(['plus'], ['minus'])['figure']


def width(row: dict) -> float:
    return row['high'] - row['low']


def normal(seed: int, count: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count)


def test_pooled_figure_is_the_mean_over_seeds() -> None:
    found = figure_of(trainings([0.0, 1.0, 1.0], [1.0, 1.0, 1.0]))
    assert found['value'] == pytest.approx((2 / 3 + 1) / 2)
    assert found['seeds'] == pytest.approx([2 / 3, 1.0])
    assert found['low'] < found['value'] < found['high']


def test_single_seed_alone_has_the_interval_over_episodes() -> None:
    row = [*normal(1).tolist(), NAN]
    found, expected = figure_of(trainings(row)), interval(mean(row))
    assert found.pop('seeds') == pytest.approx([expected['value']])
    assert found == pytest.approx(expected)


def test_equal_figures_have_the_exact_interval() -> None:
    share = mean([1.0] * 20, share=True)
    found = figure_of(Trainings([{'figure': share}] * 3))
    assert (found['low'], found['high']) == (interval(share)['low'], 1.0)


def test_seed_term_is_students_t() -> None:
    # Without noise of episodes: mean 1, s = 1, three seeds: 1 +- t(2) / sqrt(3).
    found = figure_of(trainings([0.0] * 9, [1.0] * 9, [2.0] * 9))
    half = stats.t.ppf(0.975, 2) / math.sqrt(3)
    assert found['low'] == pytest.approx(1.0 - half, abs=1e-2)
    assert found['high'] == pytest.approx(1.0 + half, abs=1e-2)


def test_degrees_of_freedom_of_equal_variances_add_up() -> None:
    rows = [0.0] * 9, [1.0] * 9, [2.0] * 9
    found = difference_of(trainings(*rows), trainings(*rows))
    half = stats.t.ppf(0.975, 4) * math.sqrt(2 / 3)
    assert (found['value'], found['high']) == pytest.approx((0.0, half), abs=1e-2)
    cells = {name: trainings(*rows) for name in 'abcd'}
    effect = Pool(cells).contrast(['a', 'b'], ['c', 'd'])['figure']
    half = stats.t.ppf(0.975, 8) * math.sqrt(4 * 0.5**2 / 3)
    assert (effect['value'], effect['high']) == pytest.approx((0.0, half), abs=1e-2)


def test_contrast_is_paired_over_episodes() -> None:
    row, noise = normal(3, 100), [0.01 * normal(seed, 100) for seed in range(6)]
    plus = trainings(*(row + one + 0.1 for one in noise[:3]))
    minus = trainings(*(row + one for one in noise[3:]))
    found = difference_of(plus, minus)
    assert found['value'] == pytest.approx(0.1, abs=0.01)
    assert width(found) < 0.1 * width(figure_of(plus))
    cells = {'a': trainings([1.0, 1.0]), 'b': trainings([0.0, 0.0]), 'c': trainings([0.25, 0.25])}
    assert Pool(cells).contrast(['a', 'b'], ['c'])['figure']['value'] == pytest.approx(0.25)


def test_contender_minus_itself_has_no_interval() -> None:
    found = Pool({'one': trainings(normal(1), normal(2))}).contrast(['one'], ['one'])['figure']
    assert found['value'] == 0.0
    assert math.isnan(found['low'])


def test_one_seed_each_has_no_interval_of_the_difference() -> None:
    found = difference_of(trainings(normal(1) + 5), trainings(normal(1)))
    assert found['value'] == pytest.approx(5.0)
    assert math.isnan(found['low'])
    assert math.isnan(found['high'])


def test_one_seed_has_the_variance_between_seeds_of_others() -> None:
    alike = {'others': trainings([0.0] * 9, [1.0] * 9, [2.0] * 9)}
    found = difference_of(trainings([3.0] * 9), trainings([0.0] * 9), **alike)
    half = stats.t.ppf(0.975, 2) * math.sqrt(2)  # V = 1 + 1, of one estimate with f = 2
    assert (found['value'], found['high']) == pytest.approx((3.0, 3.0 + half), abs=1e-2)
    assert width(Pool({'one': trainings([3.0] * 9), **alike}).figures('one')['figure']) > 2.0


def test_clock_has_no_variance_between_seeds() -> None:
    clock = Trainings(trainings([0.5] * 9).measures, has_seeds=False)
    seeds = trainings([0.0] * 9, [1.0] * 9, [2.0] * 9)
    found = difference_of(seeds, clock)
    half = stats.t.ppf(0.975, 2) / math.sqrt(3)
    assert (found['value'], found['high']) == pytest.approx((0.5, 0.5 + half), abs=1e-2)


def test_each_seed_has_the_episodes_that_it_knows() -> None:
    found = figure_of(trainings([0.0, NAN, 1.0, NAN], [0.0, 1.0, 1.0, NAN]))
    assert found['seeds'] == pytest.approx([0.5, 2 / 3])
    assert (found['value'], found['episodes']) == (pytest.approx(7 / 12), 3)


def test_late_detections_of_one_seed_count() -> None:
    # Each seed misses another of the late failures: the median must not be of the early ones.
    delays = [0.1, 0.2, NAN, 1.1, 1.2], [0.1, 0.2, 1.0, NAN, 1.2], [0.1, 0.2, 1.0, 1.1, NAN]
    one = Trainings([{'figure': quantile(row, 0.5)} for row in delays])
    found = figure_of(one)
    assert found['value'] == pytest.approx((0.65 + 0.6 + 0.6) / 3)
    assert found['low'] < found['value'] < found['high']


def test_training_that_knows_nothing_makes_the_figure_unknown() -> None:
    found = figure_of(trainings([0.0, 1.0], [NAN, NAN]))
    assert math.isnan(found['value'])
    assert math.isnan(found['low'])
    assert found['episodes'] == 2
    known = trainings([0.0, 1.0], [1.0, 0.0])
    others = {'unknown': trainings([0.0, 1.0], [NAN, NAN])}
    with_others = Pool({'one': known, **others}).contrast(['one'])['figure']
    assert with_others == pytest.approx(Pool({'one': known}).contrast(['one'])['figure'])


def test_other_numbers_of_episodes_are_refused() -> None:
    with pytest.raises(ValueError, match=r'figure has \[2, 3\] episodes'):
        Pool({'a': trainings([0.0, 1.0]), 'b': trainings([0.0, 1.0, 1.0])})


REPEATS, EPISODES, SEEDS = 150, 40, 3


def resampled_seeds(one: Trainings, generator: np.random.Generator) -> tuple[float, float]:
    """Return the interval that resamples episodes and seeds alike."""
    rows = np.array([measures['figure'].rows[:, 0] for measures in one.measures])
    episodes = generator.integers(0, EPISODES, (pooling.DRAWS, EPISODES))
    seeds = generator.integers(0, SEEDS, (SEEDS, pooling.DRAWS))
    figures = rows[:, episodes].mean(axis=-1)[seeds, np.arange(pooling.DRAWS)].mean(axis=0)
    low, high = np.quantile(figures, (0.025, 0.975))
    return low, high


@pytest.mark.slow
@pytest.mark.parametrize(
    ('of_episodes', 'of_seeds', 'of_both'),
    [(0.05, 0.3, 0.05), (1.0, 0.2, 0.3), (1.0, 0.05, 1.0), (0.3, 0.3, 0.3)],
)
def test_interval_covers_the_figure_over_episodes_and_seeds(
    of_episodes: float, of_seeds: float, of_both: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling, 'DRAWS', 100)
    generator = np.random.default_rng(7)

    def drawn(episodes: np.ndarray, seeds: int) -> Trainings:
        both = of_both * generator.normal(size=(seeds, EPISODES))
        rows = episodes + of_seeds * generator.normal(size=(seeds, 1)) + both
        return trainings(*rows)

    hits: dict[str, int] = {}
    for _ in range(REPEATS):
        episodes = of_episodes * generator.normal(size=EPISODES)
        cells = {name: drawn(episodes, SEEDS) for name in 'abcd'}
        pool = Pool({**cells, 'single': drawn(episodes, 1)})
        rows = {
            'figure': pool.figures('a'), 'of one seed': pool.figures('single'),
            'difference': pool.contrast(['a'], ['b']),
            'effect': pool.contrast(['a', 'b'], ['c', 'd']),
            'difference of one seed': pool.contrast(['single'], ['a']),
        }  # fmt: skip
        ends = {name: (row['figure']['low'], row['figure']['high']) for name, row in rows.items()}
        ends['seeds resampled'] = resampled_seeds(cells['a'], generator)
        for name, (low, high) in ends.items():
            hits[name] = hits.get(name, 0) + (low <= 0.0 <= high)
    covered = {name: count / REPEATS for name, count in hits.items()}
    if of_seeds > of_episodes:
        assert covered.pop('seeds resampled') < 0.85
    covered.pop('seeds resampled', None)
    assert all(0.90 <= share <= 0.995 for share in covered.values()), covered


def test_figures_of_rows_with_gaps_equal_those_one_by_one() -> None:
    """Draws of different lengths are computed together."""
    rows = [0.3, NAN, 0.1, 0.9, NAN, 0.5]
    one = Measure(mean(rows).rows, quantile(rows, 0.5).figure)
    draws = np.random.default_rng(4).integers(0, 6, (50, 6))
    found = pooling._drawn(one, np.arange(6), draws)
    expected = [np.nanmedian(np.array(rows)[draw]) for draw in draws]
    np.testing.assert_allclose(found, expected)
