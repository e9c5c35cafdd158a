# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Figures of one engine over many episodes, none of which elapsed time alone can win.

Retry-VOC: over a failed try together with the retry that followed it, or with its own recovery.
After a retry: how much higher the value is than at the same true progress of undisturbed
successes of the task; a good value is as high. Hesitation-RMSE: how far the value drifts from the
beginning of a pause while the true progress stays.

ErrDR: share of errors at which the displayed value is lower after the physical evidence than
before the first frame that shows it (they are up to 3 s apart, and the value may fall at once).
MDR: share of milestones at which it is higher after than before. Beside each stands the same share
where nothing has happened: for errors in undisturbed successes, with spans as long as those of the
errors; for milestones in pauses.
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
    pearson,
    responses,
)

PLACEBOS: Final = 50
# After the evidence, s. In a failed episode the arms go on beyond the end of a successful one, so
# that in the end they tell every failure: only what is found before counts as seen.
IN_TIME: Final = 1.5


def ranking_measures(ended: Sequence[Result]) -> dict[str, Measure]:
    """Measure how well the value tells outcomes; an AUPRC is of failures, by the lowest value."""
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
    """Measure detections in failures and false alarms in undisturbed successes."""
    failures = of_group(results, FAILURE)
    failed = [one.trial for one in failures]
    seen = [float(in_time(one.trial)) if one.mode in camera_only else math.nan
            for one in failures]  # fmt: skip
    good = [one.trial for one in of_group(results, SUCCESS)]
    found = [float(one.detection is not None) for one in failed]
    quiet = [float(not one.alarms) for one in good]
    sooner = [_relative(one) for one in failed]
    delays = [math.nan if one.delay is None else one.delay for one in failed]
    return {
        'tpr': mean(found, share=True),
        'in_time': mean([float(in_time(one)) for one in failed], share=True),
        'camera_in_time': mean(seen, share=True),
        'tnr': mean(quiet, share=True),
        'false_alarms': mean([1.0 - one for one in quiet], share=True),
        'balanced_accuracy': balanced(found, quiet),
        'relative_delay': mean(sooner),
        'delay_median': quantile(delays, 0.5),
        'delay_p90': quantile(delays, 0.9),
        'twa': balanced([0.0 if math.isnan(x) else 1.0 - x for x in sooner], quiet),
        'false_alarms_per_hour': hourly(
            [len(one.alarms) for one in good], [one.duration for one in good]
        ),
    }


def in_time(one: Trial) -> bool:
    """Return whether a failure is detected before its evidence or soon after."""
    return one.delay is not None and one.delay <= IN_TIME


def balanced(failures: Sequence[float], successes: Sequence[float]) -> Measure:
    """Measure the mean of two means, of what failures and successes earn."""
    rows = [(1.0, x) for x in failures] + [(0.0, x) for x in successes]

    def figure(drawn: Array) -> Array:
        bad, earned = drawn[..., 0], drawn[..., 1]
        with np.errstate(invalid='ignore'):  # 0 / 0 where one of them is not drawn
            of_bad = (bad * earned).sum(axis=-1) / bad.sum(axis=-1)
            of_good = ((1.0 - bad) * earned).sum(axis=-1) / (1.0 - bad).sum(axis=-1)
        mean: Array = (of_bad + of_good) / 2.0
        return mean

    return Measure(np.array(rows, dtype=np.float64).reshape(-1, 2), figure)


def placebo_figures(judged: Sequence[Result]) -> dict[str, float]:
    """Return what as many alarms at random would have found: mean over draws."""
    trials = [one.trial for one in judged]
    names = ('tpr', 'tnr', 'balanced_accuracy', 'twa')
    if not any(trial.alarms for trial in trials):
        return dict.fromkeys(names, math.nan)
    drawn = [detection(placebo(trials, seed)) for seed in range(PLACEBOS)]
    return {name: float(np.mean([getattr(one, name) for one in drawn])) for name in names}


def reliability_figures(results: Sequence[Result]) -> dict[str, Any] | None:
    """Compare the probability of success with the outcome; None where it is not told."""
    told = [(one.success, known(one.probability)) for one in results
            if one.probability is not None]  # fmt: skip
    columns = [(p, np.full(p.size, success), np.full(p.size, 1 / p.size)) for success, p in told]
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


#: What is known of an episode when it is over.
SCORES: Final[dict[str, Callable[[Result], float]]] = {
    'final': lambda one: one.final,
    'mean': lambda one: _over_known(one, np.mean),
    'minimum': lambda one: _over_known(one, np.min),
}


WINDOW: Final = 1.5  # s on each side of an event
MILESTONES: Final = (0.25, 0.5, 0.75)  # of the true progress
STANDING_STILL: Final = ('pause', 'recovered_stall')
DRAWN: Final = 4  # moments of each success at which nothing happens
BINS: Final = 10  # of the true progress


def progress_measures(results: Sequence[Result]) -> dict[str, Measure]:
    """Return all of them."""
    good = of_group(results, SUCCESS)
    errors = [*of_group(results, FAILURE), *of_group(results, MENDED)]
    spans = [span for one in errors for span in error_spans(one)]
    lengths = sorted(end - begin for begin, end in spans) or [0.0]
    answered = [at_errors(one) for one in errors]
    reached = [at_milestones(one) for one in results]
    return {
        'pearson': mean([_with_time(one, pearson) for one in good]),
        'kendall': mean([_with_time(one, kendall_tau_a) for one in good]),
        'retry_voc': mean([corrected_order(parts) for parts in tries(results)]),
        'retry_gap': mean(retry_gaps(results)),
        'hesitation_rmse': root_mean_square([_drift(one) for one in results]),
        'err_dr': positive(answered),
        'err_false': positive([at_nothing(one, lengths) for one in good]),
        'ers_error': quantile([known_mean(found) for found in answered], 0.5),
        'mdr': positive(reached),
        'mdr_false': positive([at_pause(one) for one in results]),
        'ers_milestone': quantile([known_mean(found) for found in reached], 0.5),
    }


def tries(results: Sequence[Result]) -> list[list[tuple[Array, Array]]]:
    """Return values and progress of each failed try, with what mended it or followed it."""
    by_name = {(one.task, one.name): one for one in results}
    found = [[_part(one)] for one in of_group(results, MENDED) if one.manifest is not None]
    for retry in of_group(results, RETRY):
        first = by_name.get((retry.task, retry.name.removesuffix('_retry')))
        if first is not None and first is not retry:
            found.append([_part(first), _part(retry)])
    return found


def retry_gaps(results: Sequence[Result]) -> list[float]:
    """
    Return how much higher the value is in each retry that succeeds than it is in successes.

    At the same true progress, mean over its bins; the successes are taken as they are.
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


def error_spans(one: Result) -> list[Span]:
    """Return when each error could be seen and when it was evident; marks of a person are both."""
    found = [(mark.time, mark.time) for mark in one.marks if mark.kind == 'error']
    if one.manifest is not None:
        visible = one.manifest if one.visible is None else min(one.visible, one.manifest)
        found.append((visible, one.manifest))
    return sorted(found)


def at_errors(one: Result) -> list[float]:
    """Return the responses to errors."""
    return responses(one.values, one.times, error_spans(one), -1, WINDOW)


def at_nothing(one: Result, lengths: Sequence[float]) -> list[float]:
    """
    Return responses to errors that did not happen, at moments fixed by the episode's name.

    :param lengths: of the errors that did, s
    """
    generator = np.random.default_rng(zlib.crc32(f'{one.task} {one.name}'.encode()))
    spans = generator.choice(lengths, DRAWN)
    latest = np.maximum(one.duration - WINDOW - spans, WINDOW)
    begins = generator.uniform(WINDOW, latest)
    events = list(zip(begins.tolist(), (begins + spans).tolist(), strict=True))
    return responses(one.values, one.times, events, -1, WINDOW)


def at_milestones(one: Result) -> list[float]:
    """Return the responses to milestones marked, and to true progress in undisturbed successes."""
    events = [mark.time for mark in one.marks if mark.kind == 'milestone']
    if one.group == SUCCESS:
        events += crossings(one.times, one.progress, MILESTONES)
    return responses(one.values, one.times, [(at, at) for at in events], 1, WINDOW)


def at_pause(one: Result) -> list[float]:
    """Return the response to the middle of a pause, as if it were a milestone."""
    times = one.times[_still(one)]
    if len(times) < 2:
        return []
    middle = (times[0] + times[-1]) / 2.0
    window = min(WINDOW, (times[-1] - times[0]) / 2.0)
    return responses(one.values, one.times, [(middle, middle)], 1, window)


def _still(one: Result) -> slice:
    """Return the frames of the pause in a success; none where it has none."""
    if not one.success or one.inject is None or one.mode not in STANDING_STILL:
        return slice(0, 0)
    return hesitation(one.times, one.progress, one.inject)


def _drift(one: Result) -> Array:
    found = drift(one.values, _still(one))
    return found if found.size > 1 else found[:0]


def _part(one: Result) -> tuple[Array, Array]:
    return one.values, one.progress


def _with_time(one: Result, figure: Callable[[Array, Array], float]) -> float:
    told = np.isfinite(one.values)
    return figure(one.values[told], one.times[told]) if told.sum() >= 2 else math.nan


__all__ = ['IN_TIME', 'by_task', 'compared', 'figures', 'measures', 'of_all', 'share_in_time']


def figures(results: Sequence[Result], camera_only: Collection[str]) -> dict[str, Any]:
    """
    Return all figures of one engine.

    :param camera_only: modes that only a camera can see
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
        'retries': {
            'succeeded': _quiet([r for r in of_group(results, RETRY) if r.success]),
            'failed': _quiet([r for r in of_group(results, RETRY) if not r.success]),
        },
        'placebo': placebo_figures(judged),
        'reliability': reliability_figures(results),
    }


def measures(results: Sequence[Result], camera_only: Collection[str]) -> dict[str, Measure]:
    """Return all figures that have an interval, and a difference from those of another engine."""
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
    Return every figure of theirs less ours, with its interval over the same episodes drawn again.

    :raises ValueError: if the episodes are others
    """
    if [(one.task, one.name) for one in ours] != [(one.task, one.name) for one in theirs]:
        raise ValueError('two contenders were judged on other episodes, must be the same')
    return differences(measures(ours, camera_only), measures(theirs, camera_only))


def of_all(
    results: Mapping[str, Sequence[Result]], camera_only: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return the figures of everyone, with the differences from the first."""
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
    """Return the figures of everyone at each task; nothing where there is but one."""
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
    """Share of failures detected before their evidence or soon after; NaN without failures."""
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
