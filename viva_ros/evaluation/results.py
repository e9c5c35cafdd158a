# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Result of one episode, and its group.

There are four groups: undisturbed successes, failures, disturbances that ended in success
(recoveries and near misses, where an alarm is neither right nor wrong), and attempts after a
retry.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.calibration.data import is_undisturbed
from viva_ros.core.events import Event
from viva_ros.core.observation import Array
from viva_ros.data.episode import Episode, Label, Mark
from viva_ros.data.recorded_messages import TruthMessage
from viva_ros.metrics.detection import Trial
from viva_ros.metrics.ranking import spearman
from viva_ros.scoring.scorer import ScoredSample, series_of

SUCCESS: Final = 'success'
FAILURE: Final = 'failure'
MENDED: Final = 'mended'
RETRY: Final = 'retry'


@dataclass(frozen=True)
class Result:
    """
    Values and alarms of one engine in one episode; times are in s since the first frame.

    :param mode: injected failure or disturbance; 'none' without one
    :param group: SUCCESS, FAILURE, MENDED or RETRY
    :param times: times of the values, (N,), s
    :param values: (N,), in [-1, 1]; NaN where unknown
    :param alarms: times of the rule alarms, s
    :param inject: time of the injected failure, s; None without one
    :param manifest: time of the physical evidence, s; None without one
    :param progress: true progress, (N,), in [0, 1]; NaN where unknown
    :param probability: predicted probability of success, (N,), in [0, 1]; None without one
    :param visible: time of the first frame that shows the failure, s; None if unknown
    :param marks: annotations of a person
    :param lost: whether a failure has manifested and is not corrected, (N,); None if unknown
    """

    name: str
    mode: str
    group: str
    success: bool
    duration: float
    times: Array
    values: Array
    alarms: tuple[float, ...]
    inject: float | None
    manifest: float | None
    progress: Array
    task: str = ''
    probability: Array | None = None
    visible: float | None = None
    marks: tuple[Mark, ...] = ()
    lost: NDArray[np.bool_] | None = None

    @property
    def final(self) -> float:
        """Return the last known value; NaN without one."""
        known = self.values[np.isfinite(self.values)]
        return float(known[-1]) if known.size else math.nan

    @property
    def order(self) -> float:
        """Return the rank correlation of value and time; NaN with fewer than two values."""
        return _rank_correlation(self.values, self.times)

    @property
    def true_order(self) -> float:
        """Return the rank correlation of value and true progress; NaN if unknown."""
        return _rank_correlation(self.values, self.progress)

    @property
    def trial(self) -> Trial:
        """Return the episode as a trial of detection."""
        failed = self.group == FAILURE
        return Trial(failed, self.duration, self.alarms, self.inject, self.manifest)


def _rank_correlation(values: Array, against: Array) -> float:
    known = np.isfinite(values) & np.isfinite(against)
    return spearman(values[known], against[known]) if known.sum() >= 2 else math.nan


def group_of(label: Label) -> str:
    """Return the group of an episode."""
    if (label.failure or '').startswith('retry_'):
        return RETRY
    if is_undisturbed(label):
        return SUCCESS
    return MENDED if label.success else FAILURE


def result(
    episode: Episode, label: Label, samples: Sequence[ScoredSample], alarms: Sequence[Event],
    moments: Sequence[TruthMessage],
) -> Result:  # fmt: skip
    """Return the result of an episode from its values, alarms and ground truth."""
    begin = min(int(camera.stamps[0]) for camera in episode.cameras.values() if camera.stamps.size)
    end = max(int(camera.stamps[-1]) for camera in episode.cameras.values() if camera.stamps.size)
    series = series_of(samples)
    times = np.asarray((series.stamps - begin) * 1e-9, dtype=np.float64)
    return Result(
        episode.name, label.failure or 'none', group_of(label), label.success,
        (end - begin) * 1e-9, times, series.values,
        tuple((event.stamp - begin) * 1e-9 for event in alarms),
        label.times.get('inject'), label.times.get('manifest'),
        true_progress(series.stamps, moments), label.task, _success_probability(samples),
        label.times.get('visible'), label.marks, truly_lost(series.stamps, moments),
    )  # fmt: skip


def _success_probability(samples: Sequence[ScoredSample]) -> Array | None:
    """Return the probabilities of success, (N,); None if the engine has no such output."""
    probability = np.array([sample.success for sample in samples], dtype=np.float64)
    return probability if np.isfinite(probability).any() else None


def true_progress(stamps: NDArray[np.int64], moments: Sequence[TruthMessage]) -> Array:
    """Return the newest true progress at each stamp, (N,); NaN before the first."""
    known = np.array([moment.stamp for moment in moments], dtype=np.int64)
    progress = np.array([math.nan, *(moment.progress for moment in moments)], dtype=np.float64)
    last: Array = progress[np.searchsorted(known, stamps, side='right')]
    return last


def truly_lost(
    stamps: NDArray[np.int64], moments: Sequence[TruthMessage]
) -> NDArray[np.bool_] | None:
    """Return whether a failure is uncorrected at each stamp, (N,); None without ground truth."""
    if not moments:
        return None
    known = np.array([moment.stamp for moment in moments], dtype=np.int64)
    failed = np.array([False, *(moment.failed for moment in moments)])
    last: NDArray[np.bool_] = failed[np.searchsorted(known, stamps, side='right')]
    return last


def of_group(results: Sequence[Result], group: str) -> list[Result]:
    """Return the results of a group."""
    return [r for r in results if r.group == group]


def of_mode(results: Sequence[Result], mode: str, group: str = FAILURE) -> list[Result]:
    """Return the results of a mode in a group."""
    return [r for r in of_group(results, group) if r.mode == mode]


def modes(results: Sequence[Result], group: str) -> list[str]:
    """Return the modes of a group, sorted."""
    return sorted({r.mode for r in of_group(results, group)})
