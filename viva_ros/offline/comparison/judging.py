# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From trained contenders to figures: values, thresholds and alarms, by the code that runs live.

Thresholds are set for each task, on its calibration recordings; figures are over the test
recordings of all tasks, and of each.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.ablation.budget import Budget
from benchmarks.ablation.packs import Given, Moments, file_of, load_moments
from viva_ros.calibration.data import is_undisturbed
from viva_ros.calibration.fit import calibrate
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.data.recorded_messages import truth
from viva_ros.data.recording import read
from viva_ros.evaluation.results import Result, result
from viva_ros.scoring.scorer import Sample, judge, rule_alarms, series_of

WARN_ALPHA = 0.3

Values = Callable[[Moments], Given]


@dataclass(frozen=True)
class Judged:
    """
    What came out for one contender.

    :param results: of the test recordings, by task
    """

    results: Mapping[str, list[Result]]
    calibrations: Mapping[str, Calibration]

    @property
    def everything(self) -> list[Result]:
        """Return the results of all tasks, one after the other."""
        return [one for rows in self.results.values() for one in rows]


def moments(budget: Budget, part: str) -> Iterator[Moments]:
    """Read the moments of a part, one recording after the other."""
    return (load_moments(file_of(budget, path), path) for path in budget.paths(part))


def judged(
    budget: Budget, fingerprint: str, values: Values, alarming: Values | None = None
) -> Judged:
    """
    Calibrate and test one contender.

    :param values: of those moments of a recording that can be seen
    :param alarming: values to alarm by, where they are others
    """
    alarming = alarming or values
    thresholds = calibrated(budget, fingerprint, alarming)
    results: dict[str, list[Result]] = {task: [] for task in thresholds}
    for seen in moments(budget, 'test'):
        recording = read(seen.path)
        episode = recording.episodes()[0]
        assert episode.label is not None  # a pack is made only of what has an outcome
        samples = seen.samples(alarming(seen))
        alarms = rule_alarms(judge(samples, thresholds[seen.task]))
        if alarming is not values:
            samples = seen.samples(values(seen))
        told = truth(recording)
        results[seen.task].append(result(episode, episode.label, samples, alarms, told))
    return Judged(results, thresholds)


def calibrated(budget: Budget, fingerprint: str, values: Values) -> dict[str, Calibration]:
    """Set the thresholds of each task."""
    scored: dict[str, list[list[Sample]]] = {}
    for seen in moments(budget, 'calibration'):
        if any(is_undisturbed(episode.label) for episode in read(seen.path).episodes()):
            scored.setdefault(seen.task, []).append(seen.samples(values(seen)))
    return {
        task: calibrate(
            [series_of(samples) for samples in rows], RuleSettings(), engine=fingerprint,
            task=task, alpha=budget.alpha, warn_alpha=max(budget.alpha, WARN_ALPHA),
            source=f'{len(rows)} successes',
        )
        for task, rows in scored.items()
    }  # fmt: skip


def durations(budget: Budget) -> dict[str, float]:
    """Give the mean length of the undisturbed successes among the calibration recordings, s."""
    spans: dict[str, list[float]] = {}
    for seen in moments(budget, 'calibration'):
        if any(is_undisturbed(episode.label) for episode in read(seen.path).episodes()):
            span = float(seen.stamps[-1] - seen.stamps[0]) * 1e-9
            spans.setdefault(seen.task, []).append(span)
    return {task: float(np.mean(rows)) for task, rows in spans.items()}


def elapsed(durations: Mapping[str, float], seen: Moments, sign: float = 1.0) -> Given:
    """
    Give the values of a clock: elapsed time over the mean duration.

    :param sign: -1 for one that falls, so that a floor becomes a time-out
    """
    known = np.array([not reason for reason in seen.reasons])
    spent = (seen.stamps[known] - seen.stamps[0]) * 1e-9
    return {'value': sign * spent / durations[seen.task]}
