# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from benchmarks.ablation.table import INTERVALS
from viva_ros.evaluation.results import FAILURE, RETRY, SUCCESS, Result
from viva_ros.evaluation.summary import compared

TIMES = np.arange(4.0)
CAMERA_ONLY = {'tips'}


def judged(
    name: str, values: list[float], alarms: tuple[float, ...] = (), mode: str = 'none'
) -> Result:
    success = not name.startswith('bad')
    group = RETRY if name.endswith('_retry') else SUCCESS if success else FAILURE
    return Result(
        name, mode, group, success, 4.0, TIMES, np.array(values),
        alarms, None if success else 0.0, None if success else 1.0, TIMES / 4,
    )  # fmt: skip


OURS = [
    judged('good1', [0.0, 0.1, 0.2, 0.3]), judged('good2', [0.0, 0.1, 0.2, 0.3], (2.0,)),
    judged('bad1', [0.0, 0.1, 0.0, -0.1], (1.5,)),
    judged('bad2', [0.0, 0.1, 0.1, -0.1], (3.0,), 'tips'),
    judged('bad2_retry', [0.2, 0.3, 0.4, 0.5]),
]  # fmt: skip
THEIRS = [
    judged('good1', [0.3, 0.2, 0.1, 0.0]), judged('good2', [0.0, 0.1, 0.2, 0.3]),
    judged('bad1', [0.0, 0.1, 0.2, 0.3]),
    judged('bad2', [0.0, 0.1, 0.0, -0.1], (1.2,), 'tips'),
    judged('bad2_retry', [0.5, 0.4, 0.3, 0.2]),
]  # fmt: skip


def test_differences_are_theirs_minus_ours() -> None:
    found = {key: one['value'] for key, one in compared(OURS, THEIRS, CAMERA_ONLY).items()}
    assert found['spearman'] == pytest.approx((-2 + 0) / 2)
    assert found['true_order'] == pytest.approx(-1.0)
    assert found['false_alarms'] == pytest.approx((0 - 1) / 2)
    assert found['tpr'] == pytest.approx((-1 + 0) / 2)
    # Until 1.5 s after the evidence at 1 s: ours 1.5 s, not 3.0 s; theirs 1.2 s alone.
    assert found['in_time'] == pytest.approx((-1 + 1) / 2)
    assert found['camera_in_time'] == 1.0  # of 'tips' alone
    # Ours separates all. Theirs: 0.0 against 0.3 and -0.1, 0.3 against 0.3 and -0.1: 2.5 of 4.
    assert found['auroc'] == pytest.approx(2.5 / 4 - 1)
    assert found['retry_voc'] < -0.5  # a successful retry with falling values


@pytest.mark.medium
def test_intervals_belong_to_differences() -> None:
    found = compared(OURS, THEIRS, CAMERA_ONLY)
    assert (found['spearman']['low'], found['spearman']['high']) == pytest.approx((-2.0, 0.0))
    same = compared(OURS * 3, OURS * 3, CAMERA_ONLY)
    enough = [one for one in same.values() if one['episodes'] >= 6]
    assert len(enough) > 10
    assert all((one['low'], one['high']) == (0.0, 0.0) for one in enough)


def test_all_figures_of_comparison_have_a_difference() -> None:
    assert {key for key, _, _ in INTERVALS} <= set(compared(OURS, THEIRS, CAMERA_ONLY))


def test_comparison_of_different_episodes_is_refused() -> None:
    with pytest.raises(ValueError, match='episodes'):
        compared(OURS, THEIRS[::-1], CAMERA_ONLY)


def test_difference_without_episodes_is_nan() -> None:
    found = compared(OURS[:2], THEIRS[:2], CAMERA_ONLY)
    assert np.isnan(found['tpr']['value'])
    assert np.isnan(found['auroc']['value'])
