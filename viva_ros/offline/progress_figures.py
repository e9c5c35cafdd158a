# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Figures that a clock cannot win, of one engine over many judged episodes (METHOD, 8).

Retry-VOC: over a failed try together with the retry that followed it, or with its own recovery.
Hesitation-RMSE: how far the value drifts while the arms stand still and the object with them.
ErrDR: share of errors, at their physical evidence, at which the displayed value is lower after
than before; beside it the same share at moments drawn from undisturbed successes, where it is
false. MDR: share of milestones of undisturbed successes at which it is higher.
"""

import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from viva_ros.core.detection import detection, placebo
from viva_ros.core.metrics import auprc, auroc, bootstrap_interval, kendall_tau_a, pearson
from viva_ros.core.observation import Array
from viva_ros.core.progress_metrics import (
    corrected_order,
    crossings,
    drift,
    hesitation,
    responses,
    share_positive,
)
from viva_ros.core.reliability import reliability
from viva_ros.offline.trials import FAILURE, MENDED, RETRY, SUCCESS, Result, of_group

WINDOW: Final = 1.5  # s on each side of an event
MILESTONES: Final = (0.25, 0.5, 0.75)  # of the true progress
STANDING_STILL: Final = ('pause', 'recovered_stall')
DRAWN: Final = 4  # moments of each success at which nothing happens
PLACEBOS: Final = 50
SEED: Final = 0
DRAWS: Final = 1000


def progress_figures(results: Sequence[Result]) -> dict[str, Any]:
    """Give all of them, each with its interval over episodes drawn again."""
    good, failed = of_group(results, SUCCESS), of_group(results, FAILURE)
    ended = [r for r in (*good, *failed, *of_group(results, MENDED)) if math.isfinite(r.final)]
    errors = [*failed, *of_group(results, MENDED)]
    return {
        'pearson': mean([_with_time(r, pearson) for r in good]),
        'kendall': mean([_with_time(r, kendall_tau_a) for r in good]),
        'retry_voc': mean([corrected_order(parts) for parts in tries(results)]),
        'hesitation_rmse': hesitation_rmse(results),
        'err_dr': share([at_error(r) for r in errors]),
        'err_false': share([at_nothing(r) for r in good]),
        'mdr': share([at_milestones(r) for r in good]),
        'auroc_mean': ranking(ended, lambda r: float(np.nanmean(r.values)), auroc),
        'auroc_minimum': ranking(ended, lambda r: float(np.nanmin(r.values)), auroc),
        'auprc_failure': ranking(ended, lambda r: -r.final, auprc, failure=True),
        'placebo': placebo_figures([*good, *failed]),
        'reliability': reliability_figures(results),
    }


def tries(results: Sequence[Result]) -> list[list[tuple[Array, Array]]]:
    """Give values and progress of each failed try, with what mended it or followed it."""
    by_name = {(r.task, r.name): r for r in results}
    found = [[_part(r)] for r in of_group(results, MENDED) if r.manifest is not None]
    for retry in of_group(results, RETRY):
        first = by_name.get((retry.task, retry.name.removesuffix('_retry')))
        if first is not None and first is not retry:
            found.append([_part(first), _part(retry)])
    return found


def hesitation_rmse(results: Sequence[Result]) -> dict[str, float]:
    """Give the drift of the value while the robot stands still, in successes."""
    drifts = []
    for one in results:
        if one.success and one.inject is not None and one.mode in STANDING_STILL:
            found = drift(one.values, hesitation(one.times, one.progress, one.inject))
            if found.size > 1:
                drifts.append(found)
    return over(len(drifts), lambda rows: _rms([drifts[row] for row in rows]))


def at_error(one: Result) -> list[float]:
    """Give the response to the evidence of a failure."""
    events = [] if one.manifest is None else [one.manifest]
    return responses(one.values, one.times, events, -1, WINDOW)


def at_nothing(one: Result) -> list[float]:
    """Give responses to errors that did not happen, at moments fixed by the episode's name."""
    generator = np.random.default_rng(zlib.crc32(f'{one.task} {one.name}'.encode()))
    moments = generator.uniform(WINDOW, max(WINDOW, one.duration - WINDOW), DRAWN)
    return responses(one.values, one.times, moments.tolist(), -1, WINDOW)


def at_milestones(one: Result) -> list[float]:
    """Give the responses to shares of the true progress reached."""
    events = crossings(one.times, one.progress, MILESTONES)
    return responses(one.values, one.times, events, 1, WINDOW)


def placebo_figures(judged: Sequence[Result]) -> dict[str, float]:
    """Give what as many alarms at random would have found: mean over draws."""
    trials = [one.trial for one in judged]
    if not trials or not any(trial.alarms for trial in trials):
        return {'tpr': math.nan, 'twa': math.nan}
    drawn = [detection(placebo(trials, seed)) for seed in range(PLACEBOS)]
    return {name: float(np.mean([getattr(one, name) for one in drawn])) for name in ('tpr', 'twa')}


def reliability_figures(results: Sequence[Result]) -> dict[str, Any] | None:
    """Compare the probability of success with the outcome; None where it is not told."""
    told = [(r, r.probability) for r in results if r.probability is not None]
    if not told:
        return None
    columns = []
    for one, probability in told:
        known = probability[np.isfinite(probability)]
        columns.append(
            (known, np.full(known.size, one.success), np.full(known.size, 1 / known.size))
        )

    def at(rows: Sequence[int]) -> Any:
        return reliability(*(np.concatenate([columns[row][i] for row in rows]) for i in range(3)))

    whole = at(range(len(columns)))
    return {
        'ece': over(len(columns), lambda rows: float(at(rows).error)),
        'brier': over(len(columns), lambda rows: float(at(rows).brier)),
        'edges': whole.edges.tolist(), 'episodes': whole.counts.tolist(),
        'told': whole.told.tolist(), 'seen': whole.seen.tolist(),
    }  # fmt: skip


def mean(numbers: Sequence[float]) -> dict[str, float]:
    """Give the mean of the numbers known."""
    known = np.array([number for number in numbers if math.isfinite(number)])
    return over(len(known), lambda rows: float(known[list(rows)].mean()))


def share(lists: Sequence[Sequence[float]]) -> dict[str, float]:
    """Give the share of positive responses, of episodes that have one."""
    full = [found for found in lists if found]
    return over(len(full), lambda rows: share_positive([x for row in rows for x in full[row]]))


def ranking(
    results: Sequence[Result], score: Callable[[Result], float],
    figure: Callable[[Array, Array], float], failure: bool = False,
) -> dict[str, float]:  # fmt: skip
    """Give how well a score of an episode tells its outcome."""
    scores = np.array([score(one) for one in results])
    positive = np.array([one.success != failure for one in results])
    return over(len(scores), lambda rows: figure(scores[list(rows)], positive[list(rows)]))


def over(count: int, figure: Callable[[Sequence[int]], float]) -> dict[str, float]:
    """
    Give a figure with its interval over episodes drawn again.

    :param figure: of row numbers
    """
    value = figure(range(count)) if count else math.nan
    if not math.isfinite(value):
        return {'value': value, 'low': value, 'high': value, 'episodes': count}
    low, high = bootstrap_interval(
        lambda rows: figure(rows.tolist()), count, seed=SEED, draws=DRAWS
    )  # fmt: skip
    return {'value': value, 'low': low, 'high': high, 'episodes': count}


def _part(one: Result) -> tuple[Array, Array]:
    return one.values, one.progress


def _with_time(one: Result, figure: Callable[[Array, Array], float]) -> float:
    known = np.isfinite(one.values)
    return figure(one.values[known], one.times[known]) if known.sum() >= 2 else math.nan


def _rms(drifts: Sequence[Array]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(drifts) ** 2)))
