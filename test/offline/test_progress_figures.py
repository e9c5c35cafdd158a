# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from viva_ros.offline.progress_figures import progress_figures
from viva_ros.offline.trials import Result

TIMES = np.arange(0.0, 6.0, 0.1)
RISING = np.linspace(0.0, 1.0, len(TIMES))


def episode(name: str, values, progress=RISING, group='success', **changes) -> Result:
    given = {
        'mode': 'none', 'success': group != 'failure', 'duration': 6.0, 'alarms': (),
        'inject': None, 'manifest': None, 'task': 'lift', **changes,
    }  # fmt: skip
    return Result(
        name=name, group=group, times=TIMES, values=np.asarray(values), progress=progress, **given
    )


def fall(at: float):
    return np.where(at > TIMES, RISING, RISING - 0.8)


def test_a_value_that_is_the_progress_has_the_best_figures() -> None:
    stands = np.where((TIMES > 2.0) & (TIMES < 4.0), 0.4, RISING)
    lost = np.where(TIMES < 3.0, RISING, 0.1)
    results = [
        episode('good', RISING),
        episode('pause', stands, stands, mode='pause', inject=2.05),
        episode('bad', lost, lost, 'failure', mode='slip', manifest=3.0),
        episode('bad_retry', RISING, RISING, 'retry', mode='retry_slip'),
    ]
    found = progress_figures(results)
    assert found['retry_voc']['value'] == pytest.approx(1.0)
    assert found['hesitation_rmse']['value'] == pytest.approx(0.0)
    assert (found['err_dr']['value'], found['err_false']['value']) == (1.0, 0.0)
    assert found['mdr']['value'] == 1.0
    assert found['kendall']['value'] > 0.9
    assert found['auprc_failure']['value'] == 1.0


def test_a_clock_drifts_in_a_pause_sees_no_error_and_loses_the_retry() -> None:
    stands = np.where((TIMES > 2.0) & (TIMES < 4.0), 0.4, RISING)
    lost = np.where(TIMES < 3.0, RISING, 0.1)
    results = [
        episode('pause', RISING, stands, mode='pause', inject=2.05),
        episode('bad', RISING, lost, 'failure', mode='slip', manifest=3.0),
        episode('bad_retry', RISING + 1.0, RISING, 'retry', mode='retry_slip'),
    ]
    found = progress_figures(results)
    assert found['err_dr']['value'] == 0.0
    # From 2.4 to 3.9 s it rises by 1 / 59 a frame: 16 frames, RMS sqrt(mean(0..15 squared)) / 59.
    expected = math.sqrt(sum(n * n for n in range(16)) / 16) / 59
    assert found['hesitation_rmse']['value'] == pytest.approx(expected, rel=0.01)
    assert found['retry_voc']['value'] < 0.8
    assert found['kendall']['value'] == pytest.approx(1.0)


def test_a_retry_is_joined_with_the_try_of_its_own_task() -> None:
    results = [
        episode('a', RISING, RISING, 'failure', task='lift', manifest=3.0),
        episode('a', RISING, RISING, 'failure', task='pass', manifest=3.0),
        episode('a_retry', RISING, RISING, 'retry', task='pass'),
    ]
    assert progress_figures(results)['retry_voc']['episodes'] == 1


def test_probabilities_are_compared_with_outcomes_and_each_episode_counts_alike() -> None:
    half = np.full(len(TIMES), 0.5)
    results = [
        episode('a', RISING, probability=half),
        episode('b', RISING, group='failure', probability=half),
    ]
    found = progress_figures(results)['reliability']
    assert found['ece']['value'] == pytest.approx(0.0)
    assert found['brier']['value'] == pytest.approx(0.25)
    assert found['episodes'][5] == pytest.approx(2.0)
    assert progress_figures([episode('a', RISING)])['reliability'] is None


def test_what_has_no_episode_is_no_number() -> None:
    found = progress_figures([])
    for name in ('retry_voc', 'hesitation_rmse', 'err_dr', 'err_false', 'mdr', 'auroc_mean'):
        assert math.isnan(found[name]['value'])
        assert found[name]['episodes'] == 0
