# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from viva_ros.data.episode import Mark
from viva_ros.evaluation.results import Result
from viva_ros.evaluation.summary import figures

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
    found = figures(results, ())
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
    found = figures(results, ())
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
    assert figures(results, ())['retry_voc']['episodes'] == 1


def test_probabilities_are_compared_with_outcomes_and_each_episode_counts_alike() -> None:
    half = np.full(len(TIMES), 0.5)
    results = [
        episode('a', RISING, probability=half),
        episode('b', RISING, group='failure', probability=half),
    ]
    found = figures(results, ())['reliability']
    assert found['ece']['value'] == pytest.approx(0.0)
    assert found['brier']['value'] == pytest.approx(0.25)
    assert found['episodes'][5] == pytest.approx(2.0)
    assert figures([episode('a', RISING)], ())['reliability'] is None


def test_what_has_no_episode_is_no_number() -> None:
    found = figures([], ())
    for name in ('retry_voc', 'hesitation_rmse', 'err_dr', 'err_false', 'mdr', 'auroc_mean'):
        assert math.isnan(found[name]['value'])
        assert found[name]['episodes'] == 0


def test_a_value_that_fell_when_the_error_could_be_seen_has_answered_it() -> None:
    # Seen at 2 s, evident at 4.5 s: at the evidence alone nothing changes.
    early = np.where(TIMES < 2.0, RISING, -0.5)
    given = {'mode': 'platform_moved', 'manifest': 4.5}
    seen = episode('a', early, RISING, 'failure', visible=2.0, **given)
    evident = episode('b', early, RISING, 'failure', **given)
    assert figures([seen], ())['err_dr']['value'] == 1.0
    assert figures([evident], ())['err_dr']['value'] == 0.0


def test_marks_of_a_person_count_as_errors_and_milestones() -> None:
    unknown = np.full(len(TIMES), np.nan)
    marks = (Mark('milestone', 1.5), Mark('error', 3.0))
    one = episode('a', fall(3.0), unknown, 'failure', marks=marks)
    found = figures([one], ())
    assert (found['mdr']['value'], found['err_dr']['value']) == (1.0, 1.0)
    assert found['err_dr']['episodes'] == 1


def test_a_value_that_rises_in_a_pause_answers_a_milestone_falsely() -> None:
    stands = np.where((TIMES > 2.0) & (TIMES < 4.0), 0.4, RISING)
    good, clock = (
        episode('pause', values, stands, mode='pause', inject=2.05) for values in (stands, RISING)
    )
    assert figures([good], ())['mdr_false']['value'] == 0.0
    assert figures([clock], ())['mdr_false']['value'] == 1.0
    # Both rise where the true progress does.
    assert figures([good], ())['mdr']['value'] == 1.0


def test_after_a_retry_the_value_is_held_against_successes_as_far_on() -> None:
    results = [
        episode('a', RISING), episode('b', RISING - 0.2),
        episode('x', RISING, group='failure', manifest=3.0),
        episode('x_retry', RISING - 0.3, group='retry'),
        episode('y', RISING + 5.0, task='other'),
    ]  # fmt: skip
    # Successes of the task have RISING - .1 in the mean, the retry RISING - .3.
    found = figures(results, ())['retry_gap']
    assert (found['value'], found['episodes']) == (pytest.approx(-0.2), 1)


def test_a_precision_stands_beside_the_share_of_failures() -> None:
    results = [episode(str(n), RISING) for n in range(3)]
    results.append(episode('bad', -RISING, group='failure'))
    found = figures(results, ())
    assert found['prevalence']['value'] == 0.25
    assert found['auprc_failure']['value'] == found['auprc_minimum']['value'] == 1.0


def test_detection_has_the_same_figures_drawn_again_as_counted_once() -> None:
    results = [
        episode('a', RISING, group='failure', alarms=(3.0,), inject=2.0, manifest=2.5),
        episode('b', RISING, group='failure', inject=2.0, manifest=2.5),
        episode('c', RISING, group='failure', alarms=(4.5, 5.0), inject=2.0, manifest=2.5),
        episode('d', RISING), episode('e', RISING, alarms=(1.0, 2.0)),
    ]  # fmt: skip
    found = figures(results, ())
    for name in ('tpr', 'tnr', 'balanced_accuracy', 'relative_delay', 'twa', 'delay_median',
                 'delay_p90', 'false_alarms_per_hour'):  # fmt: skip
        assert found[name]['value'] == pytest.approx(found['detection'][name]), name
        assert found[name]['low'] <= found[name]['value'] <= found[name]['high'], name
    # 1/2 [(1 - 3/6 + 1 - 4.5/6) / 3 + 1/2]
    assert found['twa']['value'] == pytest.approx(0.5 * (0.75 / 3 + 0.5))
    assert found['in_time']['value'] == pytest.approx(1 / 3)
