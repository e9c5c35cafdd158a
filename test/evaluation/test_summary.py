# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from types import SimpleNamespace

import numpy as np
import pytest

from viva_ros.data.episode import Label
from viva_ros.evaluation.results import Result, group_of, true_progress
from viva_ros.evaluation.summary import figures, share_in_time


def made(
    group: str, values: list[float], mode: str = 'none', alarms: tuple[float, ...] = (),
    manifest: float | None = None, progress: list[float] | None = None,
) -> Result:  # fmt: skip
    """10 s long, the values at even times."""
    times = np.linspace(0.0, 10.0, len(values))
    success = group in ('success', 'mended')
    return Result(
        mode, mode, group, success, 10.0, times, np.array(values), alarms,
        None if manifest is None else 0.0, manifest, np.array(progress or values),
    )  # fmt: skip


@pytest.mark.parametrize(
    ('label', 'group'),
    [
        (Label('t', True, 'none'), 'success'),
        (Label('t', True, 'pause', 1, {'inject': 1.0}), 'success'),
        (Label('t', False, 'slip', 1, {'manifest': 1.0}), 'failure'),
        (Label('t', False, 'none', 1), 'failure'),
        (Label('t', True, 'near_miss', 1, {'manifest': 1.0}), 'mended'),
        (Label('t', True, 'retry_slip', 1), 'retry'),
        (Label('t', False, 'retry_slip', 1), 'retry'),
    ],
)
def test_label_defines_group_of_episode(label: Label, group: str) -> None:
    assert group_of(label) == group


def test_final_value_is_last_known_value() -> None:
    assert made('success', [0.1, 0.5, math.nan]).final == 0.5
    assert math.isnan(made('success', [math.nan]).final)


def test_order_ignores_unknown_values() -> None:
    assert made('success', [0.1, math.nan, 0.2, 0.3]).order == pytest.approx(1.0)
    # ranks 1 3 2 against 1 2 3: 1 - 6 * 2 / (3 * 8)
    assert made('success', [0.1, 0.3, 0.2]).order == pytest.approx(0.5)


def test_true_order_correlates_with_progress_not_with_time() -> None:
    recovered = made('mended', [0.1, 0.5, 0.2, 0.6], progress=[0.0, 0.4, 0.1, 0.9])
    assert recovered.true_order == pytest.approx(1.0)
    counted = made('mended', [0.1, 0.2, 0.3, 0.4], progress=[0.0, 0.4, 0.1, 0.9])
    # ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * 2 / (4 * 15)
    assert counted.true_order == pytest.approx(0.8)


def test_true_progress_is_newest_at_each_stamp() -> None:
    moments = [SimpleNamespace(stamp=10, progress=0.25), SimpleNamespace(stamp=20, progress=0.5)]
    found = true_progress(np.array([9, 10, 19, 25]), moments)
    np.testing.assert_array_equal(found, [np.nan, 0.25, 0.25, 0.5])


RESULTS = [
    made('success', [0.0, 0.4, 0.9]),
    made('success', [0.0, 0.5, 0.2], alarms=(3.0,)),
    made('failure', [0.0, 0.1, -0.5], 'slip', alarms=(4.5,), manifest=4.0),
    made('failure', [0.0, 0.1, 0.3], 'slip', manifest=4.0),
    made('failure', [0.0, 0.1, -0.4], 'stall', alarms=(7.0, 9.0), manifest=5.0),
    made('mended', [0.0, 0.1, 0.8], 'near_miss', alarms=(2.0,), manifest=1.0),
    made('retry', [-0.5, 0.1, 0.8], 'retry_slip'),
]


def test_figures_match_hand_calculation() -> None:
    found = figures(RESULTS, {'slip'})
    assert found['spearman']['value'] == pytest.approx((1.0 + 0.5) / 2)
    # final values 0.9, 0.2, 0.8 of successes against -0.5, 0.3, -0.4: 8 of 9 pairs
    assert found['auroc']['value'] == pytest.approx(8 / 9)
    assert found['auroc']['episodes'] == 6
    assert found['tpr']['value'] == pytest.approx(2 / 3)
    assert found['false_alarms']['value'] == pytest.approx(1 / 2)
    # delays 0.5 and 2.0 s; one alarm in 20 s of success
    assert found['detection']['delay_median'] == pytest.approx(1.25)
    assert found['detection']['false_alarms_per_hour'] == pytest.approx(180.0)


def test_share_in_time_ends_1_5_s_after_evidence() -> None:
    early, soon, late, never = (
        made('failure', [0.0], 'slip', alarms=alarms, manifest=4.0)
        for alarms in ((3.0,), (5.5,), (5.6,), ())
    )
    assert share_in_time([early, soon, late, never]) == pytest.approx(2 / 4)
    assert math.isnan(share_in_time([]))


def test_failures_have_rows_by_mode_and_by_sensor() -> None:
    found = figures(RESULTS, {'slip'})
    assert found['failures']['slip'] == {
        'episodes': 2, 'detected': 0.5, 'in_time': 0.5, 'delay_median': 0.5, 'delay_p90': 0.5,
    }  # fmt: skip
    assert found['failures']['stall']['delay_median'] == 2.0
    assert found['camera_only']['episodes'] == 2
    assert found['arms']['episodes'] == 1


def test_recovered_episodes_and_retries_are_counted_apart() -> None:
    found = figures(RESULTS, {'slip'})
    assert found['mended'] == {
        'near_miss': {
            'episodes': 1, 'alarmed': 1.0, 'spearman': pytest.approx(1.0),
            'true_order': pytest.approx(1.0),
        }
    }  # fmt: skip
    assert found['retries']['failed']['episodes'] == 1
    assert found['detection']['successes'] == 2
    assert found['detection']['failures'] == 3


def test_interval_contains_its_figure() -> None:
    found = figures(RESULTS * 5, set())
    for key in ('spearman', 'auroc', 'tpr', 'false_alarms'):
        assert found[key]['low'] <= found[key]['value'] <= found[key]['high']


def test_figures_without_failures_are_nan() -> None:
    found = figures(RESULTS[:2], set())
    assert math.isnan(found['tpr']['value'])
    assert math.isnan(found['auroc']['value'])
    assert found['failures'] == {}
