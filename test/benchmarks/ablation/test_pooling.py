# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from benchmarks.ablation.pooling import contrast, pooled
from viva_ros.metrics.intervals import interval, mean


def trainings(*rows: list[float]) -> list[dict]:
    return [{'figure': mean(row)} for row in rows]


def test_pooled_figure_is_the_mean_over_seeds() -> None:
    found = pooled(trainings([0.0, 1.0, 1.0], [1.0, 1.0, 1.0]))['figure']
    assert found['value'] == pytest.approx((2 / 3 + 1) / 2)
    assert found['seeds'] == pytest.approx([2 / 3, 1.0])
    assert found['low'] < found['value'] < found['high']


def test_single_seed_has_the_interval_over_episodes() -> None:
    row = np.random.default_rng(1).normal(size=60).tolist()
    found, expected = pooled(trainings(row))['figure'], interval(mean(row))
    assert (found['value'], found['episodes']) == (expected['value'], 60)
    assert found['low'] == pytest.approx(expected['low'], abs=0.05)
    assert found['high'] == pytest.approx(expected['high'], abs=0.05)


def test_seeds_that_differ_widen_the_interval() -> None:
    row = np.random.default_rng(2).normal(size=200)
    alike = pooled(trainings(row.tolist(), row.tolist()))['figure']
    apart = pooled(trainings((row - 1).tolist(), (row + 1).tolist()))['figure']
    assert apart['value'] == pytest.approx(alike['value'])
    assert apart['high'] - apart['low'] > 3 * (alike['high'] - alike['low'])


def test_contrast_is_paired_over_episodes() -> None:
    row = np.random.default_rng(3).normal(size=100)
    found = contrast([trainings((row + 0.1).tolist())], [trainings(row.tolist())])['figure']
    assert found['value'] == pytest.approx(0.1)
    # Equal in each draw: no interval of a difference without spread.
    assert math.isnan(found['low']) or found['high'] - found['low'] < 1e-9
    plus = [trainings([1.0, 1.0]), trainings([0.0, 0.0])]
    assert contrast(plus, [trainings([0.25, 0.25])])['figure']['value'] == pytest.approx(0.25)


def test_episode_unknown_to_one_seed_is_left_out() -> None:
    found = pooled(trainings([0.0, math.nan, 1.0], [0.0, 1.0, 1.0]))['figure']
    assert (found['value'], found['episodes']) == (0.5, 2)
