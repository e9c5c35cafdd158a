# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Figures that a clock cannot win, of one engine over many judged episodes (METHOD, 8).

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
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.evaluation.results import FAILURE, MENDED, RETRY, SUCCESS, Result, of_group
from viva_ros.metrics.intervals import (
    Measure,
    known_mean,
    mean,
    positive,
    quantile,
    root_mean_square,
)
from viva_ros.metrics.progress import (
    Span,
    by_progress,
    corrected_order,
    crossings,
    drift,
    hesitation,
    responses,
)
from viva_ros.metrics.ranking import kendall_tau_a, pearson

WINDOW: Final = 1.5  # s on each side of an event
MILESTONES: Final = (0.25, 0.5, 0.75)  # of the true progress
STANDING_STILL: Final = ('pause', 'recovered_stall')
DRAWN: Final = 4  # moments of each success at which nothing happens
BINS: Final = 10  # of the true progress


def progress_measures(results: Sequence[Result]) -> dict[str, Measure]:
    """Give all of them."""
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
    """Give values and progress of each failed try, with what mended it or followed it."""
    by_name = {(one.task, one.name): one for one in results}
    found = [[_part(one)] for one in of_group(results, MENDED) if one.manifest is not None]
    for retry in of_group(results, RETRY):
        first = by_name.get((retry.task, retry.name.removesuffix('_retry')))
        if first is not None and first is not retry:
            found.append([_part(first), _part(retry)])
    return found


def retry_gaps(results: Sequence[Result]) -> list[float]:
    """
    Give how much higher the value is in each retry that succeeds than it is in successes.

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
    """Give when each error could be seen and when it was evident; marks of a person are both."""
    found = [(mark.time, mark.time) for mark in one.marks if mark.kind == 'error']
    if one.manifest is not None:
        visible = one.manifest if one.visible is None else min(one.visible, one.manifest)
        found.append((visible, one.manifest))
    return sorted(found)


def at_errors(one: Result) -> list[float]:
    """Give the responses to errors."""
    return responses(one.values, one.times, error_spans(one), -1, WINDOW)


def at_nothing(one: Result, lengths: Sequence[float]) -> list[float]:
    """
    Give responses to errors that did not happen, at moments fixed by the episode's name.

    :param lengths: of the errors that did, s
    """
    generator = np.random.default_rng(zlib.crc32(f'{one.task} {one.name}'.encode()))
    spans = generator.choice(lengths, DRAWN)
    latest = np.maximum(one.duration - WINDOW - spans, WINDOW)
    begins = generator.uniform(WINDOW, latest)
    events = list(zip(begins.tolist(), (begins + spans).tolist(), strict=True))
    return responses(one.values, one.times, events, -1, WINDOW)


def at_milestones(one: Result) -> list[float]:
    """Give the responses to milestones marked, and to true progress in undisturbed successes."""
    events = [mark.time for mark in one.marks if mark.kind == 'milestone']
    if one.group == SUCCESS:
        events += crossings(one.times, one.progress, MILESTONES)
    return responses(one.values, one.times, [(at, at) for at in events], 1, WINDOW)


def at_pause(one: Result) -> list[float]:
    """Give the response to the middle of a pause, as if it were a milestone."""
    times = one.times[_still(one)]
    if len(times) < 2:
        return []
    middle = (times[0] + times[-1]) / 2.0
    window = min(WINDOW, (times[-1] - times[0]) / 2.0)
    return responses(one.values, one.times, [(middle, middle)], 1, window)


def _still(one: Result) -> slice:
    """Give the frames of the pause in a success; none where it has none."""
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
