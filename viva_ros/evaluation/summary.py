# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Figures of one engine over many episodes.

Retry-VOC: value-order correlation over a failed attempt together with the retry after it, or with
its own recovery. Retry gap: value after a retry minus the value of undisturbed successes of the
task at the same true progress; 0 is best. A value that is aware of failures must fall where the
true progress stays, so Retry-VOC has a ceiling below 1: that of an oracle, progress minus 1 from
the evidence of a failure until its correction. Time-weighted accuracy has one too: that of alarms
at the evidence of every failure, and no false alarm. Hesitation-RMSE: drift of the value from the
beginning of a pause, while the true progress is constant.

ErrDR: share of errors with a lower value after the physical evidence than before the first frame
that shows the error (up to 3 s earlier; the value may fall at once). MDR: share of milestones with
a higher value after than before. Each has a placebo share: for errors, in undisturbed successes
over intervals as long as those of the errors; for milestones, in pauses.
"""

import math
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.evaluation.results import (
    FAILURE,
    MENDED,
    RETRY,
    SUCCESS,
    Result,
    modes,
    of_group,
    of_mode,
)  # fmt: skip
from viva_ros.metrics.detection import Trial, detection, placebo, reliability
from viva_ros.metrics.intervals import (
    Measure,
    area,
    differences,
    each,
    hourly,
    interval,
    known,
    known_mean,
    mean,
    positive,
    quantile,
    ratio,
    root_mean_square,
)
from viva_ros.metrics.ranking import (
    Span,
    by_progress,
    corrected_order,
    crossings,
    drift,
    hesitation,
    kendall_tau_a,
    pair_order,
    pearson,
    responses,
)

PLACEBOS: Final = 50
# s after the evidence. Failed episodes last longer than successes, so that the joints alone show
# every failure late: only an alarm before this limit counts as in time.
IN_TIME: Final = 1.5


def ranking_measures(ended: Sequence[Result]) -> dict[str, Measure]:
    """Return how well the value separates outcomes; AUPRC is that of failures, by low values."""
    success = [one.success for one in ended]
    failure = [not one for one in success]
    found = {'prevalence': mean([float(one) for one in failure], share=True)}
    for name, score in SCORES.items():
        scores = [score(one) for one in ended]
        suffix = '' if name == 'final' else f'_{name}'
        found[f'auroc{suffix}'] = area(scores, success)
        found[f'auprc{suffix or "_failure"}'] = area([-x for x in scores], failure, precision=True)
    return found


def detection_measures(
    results: Sequence[Result], camera_only: Collection[str]
) -> dict[str, Measure]:
    """Return detections of failures and false alarms in undisturbed successes."""
    failures = of_group(results, FAILURE)
    failed = [one.trial for one in failures]
    by_camera = [float(in_time(one.trial)) if one.mode in camera_only else math.nan
                 for one in failures]  # fmt: skip
    good = [one.trial for one in of_group(results, SUCCESS)]
    found = [float(one.detection is not None) for one in failed]
    quiet = [float(not one.alarms) for one in good]
    sooner = [_relative(one) for one in failed]
    delays = [math.nan if one.delay is None else one.delay for one in failed]
    return {
        'tpr': mean(found, share=True),
        'in_time': mean([float(in_time(one)) for one in failed], share=True),
        'camera_in_time': mean(by_camera, share=True),
        'tnr': mean(quiet, share=True),
        'false_alarms': mean([1.0 - one for one in quiet], share=True),
        'balanced_accuracy': balanced(found, quiet),
        'relative_delay': mean(sooner),
        'delay_median': quantile(delays, 0.5),
        'delay_p90': quantile(delays, 0.9),
        'twa': balanced([0.0 if math.isnan(x) else 1.0 - x for x in sooner], quiet),
        'twa_ceiling': balanced([_earliest(one) for one in failed], [1.0] * len(quiet)),
        'false_alarms_per_hour': hourly(
            [len(one.alarms) for one in good], [one.duration for one in good]
        ),
    }


def in_time(one: Trial) -> bool:
    """Return whether a failure is detected before its evidence or soon after."""
    return one.delay is not None and one.delay <= IN_TIME


def _earliest(one: Trial) -> float:
    """Return 1 - the evidence of a failure, as a share of the episode; 0 if it is unknown."""
    return 0.0 if one.manifest is None else 1.0 - one.manifest / one.duration


def balanced(failures: Sequence[float], successes: Sequence[float]) -> Measure:
    """Return the mean of the mean over failures and the mean over successes."""
    rows = [(1.0, x) for x in failures] + [(0.0, x) for x in successes]

    def figure(drawn: Array) -> Array:
        bad, earned = drawn[..., 0], drawn[..., 1]
        with np.errstate(invalid='ignore'):  # 0 / 0 if a sample lacks one of the two
            of_bad = (bad * earned).sum(axis=-1) / bad.sum(axis=-1)
            of_good = ((1.0 - bad) * earned).sum(axis=-1) / (1.0 - bad).sum(axis=-1)
        mean: Array = (of_bad + of_good) / 2.0
        return mean

    return Measure(np.array(rows, dtype=np.float64).reshape(-1, 2), figure)


def placebo_figures(judged: Sequence[Result]) -> dict[str, float]:
    """Return the figures of the same number of alarms at random times: mean over draws."""
    trials = [one.trial for one in judged]
    names = ('tpr', 'tnr', 'balanced_accuracy', 'twa')
    if not any(trial.alarms for trial in trials):
        return dict.fromkeys(names, math.nan)
    drawn = [detection(placebo(trials, seed)) for seed in range(PLACEBOS)]
    return {name: float(np.mean([getattr(one, name) for one in drawn])) for name in names}


def reliability_figures(results: Sequence[Result]) -> dict[str, Any] | None:
    """Compare the probability of success with the outcome; None without probabilities."""
    pairs = [(one.success, known(one.probability)) for one in results
             if one.probability is not None]  # fmt: skip
    columns = [(p, np.full(p.size, success), np.full(p.size, 1 / p.size)) for success, p in pairs]
    if not columns:
        return None

    def at(rows: Array) -> Any:
        chosen = [columns[row] for row in rows[:, 0].astype(np.int64)]
        probability, outcome, weights = (
            np.concatenate(parts) for parts in zip(*chosen, strict=True)
        )
        return reliability(probability, outcome, weights)

    every = np.arange(len(columns), dtype=np.float64).reshape(-1, 1)
    whole = at(every)
    return {
        'ece': interval(Measure(every, each(lambda rows: float(at(rows).error)))),
        'brier': interval(Measure(every, each(lambda rows: float(at(rows).brier)))),
        'edges': whole.edges.tolist(), 'episodes': whole.counts.tolist(),
        'told': whole.predicted.tolist(), 'seen': whole.observed.tolist(),
    }  # fmt: skip


def _relative(one: Trial) -> float:
    return math.nan if one.detection is None else one.detection / one.duration


def _over_known(one: Result, figure: Callable[[Array], Any]) -> float:
    values = known(one.values)
    return float(figure(values)) if values.size else math.nan


#: Scores of a finished episode.
SCORES: Final[dict[str, Callable[[Result], float]]] = {
    'final': lambda one: one.final,
    'mean': lambda one: _over_known(one, np.mean),
    'minimum': lambda one: _over_known(one, np.min),
}


WINDOW: Final = 1.5  # s on each side of an event
MILESTONES: Final = (0.25, 0.5, 0.75)  # of the true progress
STANDING_STILL: Final = ('pause', 'recovered_stall')
DRAWN: Final = 4  # placebo times in each success
BINS: Final = 10  # of the true progress


def progress_measures(results: Sequence[Result]) -> dict[str, Measure]:
    """Return correlations with time and progress, and responses to errors and milestones."""
    good = of_group(results, SUCCESS)
    errors = disturbed(results)
    spans = [span for one in errors for span in error_spans(one)]
    lengths = sorted(end - begin for begin, end in spans) or [0.0]
    answered = [error_responses(one) for one in errors]
    reached = [milestone_responses(one) for one in results]
    return {
        'pearson': mean([_with_time(one, pearson) for one in good]),
        'kendall': mean([_with_time(one, kendall_tau_a) for one in good]),
        'pair_order': order_between(good),
        'share_error': mean([known_mean(np.abs(one.values - share_done(one))) for one in good]),
        **retry_order(results),
        'retry_gap': mean(retry_gaps(results)),
        'hesitation_rmse': root_mean_square([_drift(one) for one in results]),
        'err_dr': positive(answered),
        'err_false': positive([placebo_responses(one, lengths) for one in good]),
        'ers_error': quantile([known_mean(found) for found in answered], 0.5),
        'mdr': positive(reached),
        'mdr_false': positive([pause_response(one) for one in results]),
        'ers_milestone': quantile([known_mean(found) for found in reached], 0.5),
    }


def order_between(good: Sequence[Result]) -> Measure:
    """
    Return the share of pairs of moments of two episodes that V orders as their shares done.

    Each draw of episodes has the mean over its pairs of different episodes of a task.
    """
    table = np.full((len(good), len(good)), np.nan)
    for i, one in enumerate(good):
        for j, other in enumerate(good[:i]):
            if one.task == other.task:
                table[i, j] = table[j, i] = pair_order(
                    one.values, share_done(one), other.values, share_done(other)
                )

    def of_drawn(rows: Array) -> float:
        drawn = rows[:, 0].astype(np.int64)
        return known_mean(table[np.ix_(drawn, drawn)])

    return Measure(np.arange(len(good), dtype=np.float64).reshape(-1, 1), each(of_drawn))


def share_done(one: Result) -> Array:
    """Return the share of the episode that is over at each value, (N,), in [0, 1]."""
    return one.times / one.duration


def retry_order(results: Sequence[Result]) -> dict[str, Measure]:
    """Return Retry-VOC, its ceiling, and the share of the ceiling that it reaches."""
    found = attempts(results)
    reached = [corrected_order([(one.values, one.progress) for one in parts]) for parts in found]
    ceiling = [_oracle_order(parts) for parts in found]
    return {
        'retry_voc': mean(reached), 'retry_voc_ceiling': mean(ceiling),
        'retry_voc_share': ratio(list(zip(reached, ceiling, strict=True))),
    }  # fmt: skip


def _oracle_order(parts: Sequence[Result]) -> float:
    """Return Retry-VOC of progress, minus 1 while a failure is uncorrected; NaN if unknown."""
    oracle = [(one.progress - one.lost, one.progress) for one in parts if one.lost is not None]
    return corrected_order(oracle) if len(oracle) == len(parts) else math.nan


def attempts(results: Sequence[Result]) -> list[list[Result]]:
    """Return each failed attempt with its retry, and each episode with a recovery."""
    by_name = {(one.task, one.name): one for one in results}
    found = [[one] for one in of_group(results, MENDED) if one.manifest is not None]
    for retry in of_group(results, RETRY):
        first = by_name.get((retry.task, retry.name.removesuffix('_retry')))
        if first is not None and first is not retry:
            found.append([first, retry])
    return found


def retry_gaps(results: Sequence[Result]) -> list[float]:
    """
    Return the difference of the value in each successful retry and in successes.

    The values are compared at the same true progress, with the mean over its bins.
    """
    usual: dict[str, Array] = {}
    for task in {one.task for one in results}:
        rows = [by_progress(one.values, one.progress, BINS)
                for one in of_group(results, SUCCESS) if one.task == task]  # fmt: skip
        usual[task] = np.array([known_mean(column) for column in zip(*rows, strict=True)])
    retries = [one for one in of_group(results, RETRY) if one.success and usual[one.task].size]
    return [
        known_mean(by_progress(one.values, one.progress, BINS) - usual[one.task])
        for one in retries
    ]


def disturbed(results: Sequence[Result]) -> list[Result]:
    """Return the episodes with an error, whether it was corrected or not."""
    return [*of_group(results, FAILURE), *of_group(results, MENDED)]


def errors_by_mode(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Return the number of errors of each mode, and the share that the value answers."""
    found: dict[str, list[float]] = {}
    for one in disturbed(results):
        found.setdefault(one.mode, []).extend(error_responses(one))
    return {
        mode: {'errors': len(every), 'answered': float(np.mean([x > 0.0 for x in every]))}
        for mode, every in sorted(found.items()) if every
    }  # fmt: skip


def error_spans(one: Result) -> list[Span]:
    """Return the time of the first visible frame and of the evidence of each error, s."""
    found = [(mark.time, mark.time) for mark in one.marks if mark.kind == 'error']
    if one.manifest is not None and (one.manifest, one.manifest) not in found:
        visible = one.manifest if one.visible is None else min(one.visible, one.manifest)
        found.append((visible, one.manifest))
    return sorted(found)


def error_responses(one: Result) -> list[float]:
    """
    Return the response (ERS) to each error with values on both sides, by time.

    :returns: relative fall of the displayed value, above 0 if it falls
    """
    return responses(one.values, one.times, error_spans(one), -1, WINDOW)


def placebo_responses(one: Result, lengths: Sequence[float]) -> list[float]:
    """
    Return responses at random times without an error, seeded by the name of the episode.

    :param lengths: durations from the first visible frame to the evidence of real errors, s
    """
    generator = np.random.default_rng(zlib.crc32(f'{one.task} {one.name}'.encode()))
    spans = generator.choice(lengths, DRAWN)
    latest = np.maximum(one.duration - WINDOW - spans, WINDOW)
    begins = generator.uniform(WINDOW, latest)
    events = list(zip(begins.tolist(), (begins + spans).tolist(), strict=True))
    return responses(one.values, one.times, events, -1, WINDOW)


def milestone_responses(one: Result) -> list[float]:
    """Return the responses to annotated milestones, and to MILESTONES in undisturbed successes."""
    events = [mark.time for mark in one.marks if mark.kind == 'milestone']
    if one.group == SUCCESS:
        events += crossings(one.times, one.progress, MILESTONES)
    return responses(one.values, one.times, [(at, at) for at in events], 1, WINDOW)


def pause_response(one: Result) -> list[float]:
    """Return the response at the middle of a pause, as for a milestone."""
    times = one.times[_still(one)]
    if len(times) < 2:
        return []
    middle = (times[0] + times[-1]) / 2.0
    window = min(WINDOW, (times[-1] - times[0]) / 2.0)
    return responses(one.values, one.times, [(middle, middle)], 1, window)


def _still(one: Result) -> slice:
    """Return the frames of the pause in a success; an empty slice without one."""
    if not one.success or one.inject is None or one.mode not in STANDING_STILL:
        return slice(0, 0)
    return hesitation(one.times, one.progress, one.inject)


def _drift(one: Result) -> Array:
    found = drift(one.values, _still(one))
    return found if found.size > 1 else found[:0]


def _with_time(one: Result, figure: Callable[[Array, Array], float]) -> float:
    finite = np.isfinite(one.values)
    return figure(one.values[finite], one.times[finite]) if finite.sum() >= 2 else math.nan


__all__ = [
    'IN_TIME', 'by_task', 'compared', 'disturbed', 'error_responses', 'figures', 'measures',
    'of_all', 'share_in_time',
]  # fmt: skip


def figures(results: Sequence[Result], camera_only: Collection[str]) -> dict[str, Any]:
    """
    Return all figures of one engine.

    :param camera_only: failure modes that only a camera shows
    """
    failed = of_group(results, FAILURE)
    judged = [*of_group(results, SUCCESS), *failed]
    return {
        **{name: interval(one) for name, one in measures(results, camera_only).items()},
        'spearman_lowest': min((r.order for r in of_group(results, SUCCESS)), default=math.nan),
        'detection': asdict(detection([r.trial for r in judged])),
        'failures': {m: _row(of_mode(results, m)) for m in modes(results, FAILURE)},
        'camera_only': _row([r for r in failed if r.mode in camera_only]),
        'arms': _row([r for r in failed if r.mode not in camera_only]),
        'mended': {m: _quiet(of_mode(results, m, MENDED)) for m in modes(results, MENDED)},
        'errors': errors_by_mode(results),
        'retries': {
            'succeeded': _quiet([r for r in of_group(results, RETRY) if r.success]),
            'failed': _quiet([r for r in of_group(results, RETRY) if not r.success]),
        },
        'placebo': placebo_figures(judged),
        'reliability': reliability_figures(results),
    }


def measures(results: Sequence[Result], camera_only: Collection[str]) -> dict[str, Measure]:
    """Return the figures with an interval, which can be compared between engines."""
    good = of_group(results, SUCCESS)
    ended = [*good, *of_group(results, FAILURE), *of_group(results, MENDED)]
    return {
        'spearman': mean([one.order for one in good]),
        'true_order': mean([one.true_order for one in good]),
        **ranking_measures(ended),
        **detection_measures(results, camera_only),
        **progress_measures(results),
    }


def compared(
    ours: Sequence[Result], theirs: Sequence[Result], camera_only: Collection[str]
) -> dict[str, dict[str, float]]:
    """
    Return theirs - ours of each figure, with the interval over bootstrapped episodes.

    :raises ValueError: if the episodes differ
    """
    if [(one.task, one.name) for one in ours] != [(one.task, one.name) for one in theirs]:
        raise ValueError('episodes of the two contenders differ, must be the same')
    return differences(measures(ours, camera_only), measures(theirs, camera_only))


def of_all(
    results: Mapping[str, Sequence[Result]], camera_only: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return the figures of all contenders, with the differences from the first."""
    first = next(iter(results.values()))
    return {
        name: {
            **figures(rows, camera_only),
            'differences': {} if rows is first else compared(first, rows, camera_only),
        }
        for name, rows in results.items()
    }


def by_task(
    results: Mapping[str, Sequence[Result]], camera_only: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return the figures of all contenders by task; empty if all episodes have one task."""
    tasks = sorted({one.task for rows in results.values() for one in rows})
    if len(tasks) < 2:
        return {}
    return {
        task: of_all(
            {name: [one for one in rows if one.task == task] for name, rows in results.items()},
            camera_only,
        )
        for task in tasks
    }


def share_in_time(results: Sequence[Result]) -> float:
    """Return the share of failures detected until IN_TIME after the evidence; NaN without any."""
    return known_mean([float(in_time(one.trial)) for one in results])


def _row(results: Sequence[Result]) -> dict[str, float]:
    found = detection([r.trial for r in results])
    return {
        'episodes': found.failures, 'detected': found.tpr, 'in_time': share_in_time(results),
        'delay_median': found.delay_median, 'delay_p90': found.delay_p90,
    }  # fmt: skip


def _quiet(results: Sequence[Result]) -> dict[str, float]:
    return {
        'episodes': len(results),
        'alarmed': known_mean([float(bool(r.alarms)) for r in results]),
        'spearman': known_mean([r.order for r in results]),
        'true_order': known_mean([r.true_order for r in results]),
    }
