# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import io
import json
import math
import re

import numpy as np
import pytest
from rich.console import Console

from viva_ros.data.episode import Mark
from viva_ros.evaluation.results import Result
from viva_ros.evaluation.summary import error_spans, figures, of_all
from viva_ros.evaluation.tables import content, markdown, show
from viva_ros.metrics.ranking import spearman

TIMES = np.arange(0.0, 6.0, 0.1)
RISING = np.linspace(0.0, 1.0, len(TIMES))


def episode(name: str, values, progress=RISING, group='success', **changes) -> Result:
    content = {
        'mode': 'none', 'success': group != 'failure', 'duration': 6.0, 'alarms': (),
        'inject': None, 'manifest': None, 'task': 'lift', **changes,
    }  # fmt: skip
    return Result(
        name=name,
        group=group,
        times=TIMES,
        values=np.asarray(values),
        progress=progress,
        **content,
    )


def fall(at: float):
    return np.where(at > TIMES, RISING, RISING - 0.8)


def test_value_equal_to_progress_has_best_figures() -> None:
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


def test_marked_error_that_is_the_evidence_counts_once() -> None:
    marks = (Mark('error', 3.0, 'falls'), Mark('error', 4.0, 'lies'))
    one = episode('a', fall(3.0), group='failure', manifest=3.0, marks=marks)
    assert error_spans(one) == [(3.0, 3.0), (4.0, 4.0)]


def test_time_counter_drifts_in_pause_and_misses_error() -> None:
    stands = np.where((TIMES > 2.0) & (TIMES < 4.0), 0.4, RISING)
    lost = np.where(TIMES < 3.0, RISING, 0.1)
    results = [
        episode('pause', RISING, stands, mode='pause', inject=2.05),
        episode('bad', RISING, lost, 'failure', mode='slip', manifest=3.0),
        episode('bad_retry', RISING + 1.0, RISING, 'retry', mode='retry_slip'),
    ]
    found = figures(results, ())
    assert found['err_dr']['value'] == 0.0
    # From 2.4 to 3.9 s it rises by 1/59 per frame: 16 frames, RMS sqrt(mean(0..15 squared)) / 59.
    expected = math.sqrt(sum(n * n for n in range(16)) / 16) / 59
    assert found['hesitation_rmse']['value'] == pytest.approx(expected, rel=0.01)
    assert found['retry_voc']['value'] < 0.8
    assert found['kendall']['value'] == pytest.approx(1.0)


def test_errors_are_counted_by_mode_and_episode() -> None:
    stays = np.minimum(RISING, 0.5)
    results = [
        episode('bad', fall(3.0), stays, 'failure', mode='slip', manifest=3.0),
        episode('missed', RISING, stays, 'failure', mode='slip', manifest=3.0),
        episode('mended', fall(2.0), stays, 'mended', mode='nudge', manifest=2.0),
        episode('unseen', fall(2.0), stays, 'failure', mode='stall'),  # no evidence: no error
        episode('good', RISING),
    ]
    measured = of_all({'ViVa': results}, ())
    found = measured['ViVa']
    assert found['errors'] == {
        'nudge': {'errors': 1, 'answered': 1.0}, 'slip': {'errors': 2, 'answered': 0.5},
    }  # fmt: skip
    assert found['err_dr']['value'] == pytest.approx(2 / 3)  # the same errors
    written = json.loads(content(measured, {}, {}, {}, {'ViVa': results}, {}))
    responses = [one['error_responses'] for one in written['episodes']['ViVa']]
    assert [[x > 0 for x in one] for one in responses] == [[True], [False], [True], [], []]
    assert '| slip | 0.500 of 2 |' in markdown({'all': measured}, {}, {})


def test_errors_are_those_that_each_contender_has_values_at() -> None:
    unknown = np.where((TIMES > 2.0) & (TIMES < 4.6), np.nan, RISING)
    ours, theirs = (
        [episode('bad', values, RISING, 'failure', mode='slip', manifest=3.0)]
        for values in (fall(3.0), unknown)
    )
    measured = of_all({'ViVa': ours, 'blind': theirs}, ())
    assert '| slip | 1.000 of 1 | - |' in markdown({'all': measured}, {}, {})
    console = Console(width=200, record=True, file=io.StringIO())
    show(measured, {}, {}, console)
    assert re.search(r'slip +│ 1\.000 of 1 │ +- │', console.export_text())


def test_retry_voc_has_the_ceiling_of_an_oracle() -> None:
    # Progress stays at .5 after the loss at 3 s: an oracle falls there, a blind value does not.
    stays = np.minimum(RISING, 0.5)
    results = [
        episode('bad', stays, stays, 'failure', mode='slip', manifest=3.0, lost=TIMES >= 3.0),
        episode('bad_retry', RISING, RISING, 'retry', lost=np.zeros(len(TIMES), bool)),
    ]
    found = figures(results, ())
    oracle = np.concatenate([stays - (TIMES >= 3.0), RISING])
    ceiling = spearman(oracle, np.concatenate([stays, RISING]))
    assert ceiling < 0.9
    assert found['retry_voc_ceiling']['value'] == pytest.approx(ceiling)
    assert found['retry_voc']['value'] == pytest.approx(1.0)
    assert found['retry_voc_share']['value'] == pytest.approx(1.0 / ceiling)


def test_ceiling_without_ground_truth_is_unknown() -> None:
    results = [
        episode('bad', RISING, RISING, 'failure', manifest=3.0),
        episode('bad_retry', RISING, RISING, 'retry'),
    ]
    assert math.isnan(figures(results, ())['retry_voc_ceiling']['value'])


def test_twa_ceiling_alarms_at_the_evidence() -> None:
    results = [episode('bad', RISING, group='failure', manifest=1.5), episode('good', RISING)]
    # The evidence is at a quarter of the failed episode: 1/2 [(1 - .25) + 1].
    assert figures(results, ())['twa_ceiling']['value'] == pytest.approx(0.875)


def test_retry_is_joined_with_attempt_of_same_task() -> None:
    results = [
        episode('a', RISING, RISING, 'failure', task='lift', manifest=3.0),
        episode('a', RISING, RISING, 'failure', task='pass', manifest=3.0),
        episode('a_retry', RISING, RISING, 'retry', task='pass'),
    ]
    assert figures(results, ())['retry_voc']['episodes'] == 1


def test_reliability_weights_episodes_equally() -> None:
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


def test_figures_without_episodes_are_nan() -> None:
    found = figures([], ())
    for name in ('retry_voc', 'hesitation_rmse', 'err_dr', 'err_false', 'mdr', 'auroc_mean'):
        assert math.isnan(found[name]['value'])
        assert found[name]['episodes'] == 0


def test_fall_at_first_visible_frame_answers_error() -> None:
    # Visible at 2 s, evident at 4.5 s: the value does not change at the evidence.
    early = np.where(TIMES < 2.0, RISING, -0.5)
    error = {'mode': 'platform_moved', 'manifest': 4.5}
    visible = episode('a', early, RISING, 'failure', visible=2.0, **error)
    evident = episode('b', early, RISING, 'failure', **error)
    assert figures([visible], ())['err_dr']['value'] == 1.0
    assert figures([evident], ())['err_dr']['value'] == 0.0


def test_annotated_marks_are_errors_and_milestones() -> None:
    unknown = np.full(len(TIMES), np.nan)
    marks = (Mark('milestone', 1.5), Mark('error', 3.0))
    one = episode('a', fall(3.0), unknown, 'failure', marks=marks)
    found = figures([one], ())
    assert (found['mdr']['value'], found['err_dr']['value']) == (1.0, 1.0)
    assert found['err_dr']['episodes'] == 1


def test_rising_value_in_pause_is_false_milestone() -> None:
    stands = np.where((TIMES > 2.0) & (TIMES < 4.0), 0.4, RISING)
    good, clock = (
        episode('pause', values, stands, mode='pause', inject=2.05) for values in (stands, RISING)
    )
    assert figures([good], ())['mdr_false']['value'] == 0.0
    assert figures([clock], ())['mdr_false']['value'] == 1.0
    # Both rise where the true progress does.
    assert figures([good], ())['mdr']['value'] == 1.0


def test_retry_gap_compares_value_at_equal_progress() -> None:
    results = [
        episode('a', RISING), episode('b', RISING - 0.2),
        episode('x', RISING, group='failure', manifest=3.0),
        episode('x_retry', RISING - 0.3, group='retry'),
        episode('y', RISING + 5.0, task='other'),
    ]  # fmt: skip
    # The mean of the successes of the task is RISING - .1, the retry has RISING - .3.
    found = figures(results, ())['retry_gap']
    assert (found['value'], found['episodes']) == (pytest.approx(-0.2), 1)


def test_auprc_is_reported_with_prevalence() -> None:
    results = [episode(str(n), RISING) for n in range(3)]
    results.append(episode('bad', -RISING, group='failure'))
    found = figures(results, ())
    assert found['prevalence']['value'] == 0.25
    assert found['auprc_failure']['value'] == found['auprc_minimum']['value'] == 1.0


def test_bootstrapped_detection_figures_equal_counts() -> None:
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
