# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How well values tell outcomes, and alarms failures, of one engine over many judged episodes.

Beside a precision stands the share of failures, which is that of chance; beside detections stands
what as many alarms at random would have found.
"""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.evaluation.results import FAILURE, SUCCESS, Result, of_group
from viva_ros.metrics.calibration import reliability
from viva_ros.metrics.detection import Trial, detection, placebo
from viva_ros.metrics.intervals import Measure, area, each, hourly, interval, known, mean, quantile

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
    """Tell whether a failure is detected before its evidence or soon after."""
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
    """Give what as many alarms at random would have found: mean over draws."""
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
        return reliability(*(np.concatenate(parts) for parts in zip(*chosen, strict=True)))

    every = np.arange(len(columns), dtype=np.float64).reshape(-1, 1)
    whole = at(every)
    return {
        'ece': interval(Measure(every, each(lambda rows: float(at(rows).error)))),
        'brier': interval(Measure(every, each(lambda rows: float(at(rows).brier)))),
        'edges': whole.edges.tolist(), 'episodes': whole.counts.tolist(),
        'told': whole.told.tolist(), 'seen': whole.seen.tolist(),
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
