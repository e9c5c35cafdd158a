# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of failure detection: rates, delays and the reliability of probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from viva_ros.core.observation import Array


@dataclass(frozen=True)
class Reliability:
    """
    A reliability diagram and its summary.

    :param edges: of the bins, (B + 1,)
    :param counts: sum of weights in each bin, (B,)
    :param predicted: mean predicted probability in each bin, (B,); NaN in empty bins
    :param observed: observed share of positives, (B,); NaN in empty bins
    :param error: expected calibration error, the mean of |predicted - observed| weighted by
        counts, in [0, 1]
    :param brier: mean squared error of the probability, in [0, 1]
    """

    edges: Array
    counts: Array
    predicted: Array
    observed: Array
    error: float
    brier: float


def reliability(
    probability: ArrayLike, outcome: ArrayLike, weights: ArrayLike | None = None, bins: int = 10
) -> Reliability:
    """
    Compare probabilities with outcomes, in bins of equal width.

    :param probability: in [0, 1], (N,)
    :param outcome: bool, (N,)
    :param weights: (N,); samples of an episode share its outcome, so give episodes equal weights
    :raises ValueError: if shapes differ or are empty, or a probability is outside of [0, 1]
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    w = np.ones(p.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if p.ndim != 1 or p.shape != y.shape or p.shape != w.shape or not p.size:
        raise ValueError(f'shapes are {p.shape}, {y.shape} and {w.shape}, must be the same (N,)')
    if not ((p >= 0.0) & (p <= 1.0)).all():
        raise ValueError(f'probabilities are in [{p.min()}, {p.max()}], must be in [0, 1]')
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, w, bins).astype(np.float64)
    with np.errstate(invalid='ignore'):
        predicted = np.bincount(place, w * p, bins) / counts
        observed = np.bincount(place, w * y, bins) / counts
    full = counts > 0
    error = float(counts[full] @ np.abs(predicted[full] - observed[full]) / counts.sum())
    brier = float(w @ (p - y) ** 2 / w.sum())
    return Reliability(np.linspace(0.0, 1.0, bins + 1), counts, predicted, observed, error, brier)


@dataclass(frozen=True)
class Trial:
    """
    One judged episode; times in s since its first frame.

    :param failed: whether a failure happened, also if a retry corrected it
    :param duration: above 0
    :param alarms: times of the alarms, ascending
    :param inject: start of the cause of a failure; an earlier alarm does not detect it
    :param manifest: first physical evidence of a failure; None if unknown
    """

    failed: bool
    duration: float
    alarms: tuple[float, ...]
    inject: float | None = None
    manifest: float | None = None

    @property
    def detection(self) -> float | None:
        """First alarm after the cause of the failure, s; None if missed, or without a failure."""
        begin = self.inject or 0.0
        return next((t for t in self.alarms if self.failed and t >= begin), None)

    @property
    def delay(self) -> float | None:
        """Return detection minus manifest, s, negative before the evidence; None without one."""
        if self.detection is None or self.manifest is None:
            return None
        return self.detection - self.manifest


@dataclass(frozen=True)
class Detection:
    """
    Metrics over episodes; NaN for an empty set.

    :param tpr: share of failures that are detected
    :param tnr: share of successful episodes without an alarm
    :param delay_median: detection minus manifest, s
    :param relative_delay: DT, mean of detection / duration over detected failures
    :param twa: 1/2 [(1/N_F) sum over detected of (1 - DT) + TN/N_S]
    :param false_alarms_per_hour: in successful episodes
    """

    failures: int
    successes: int
    tpr: float
    tnr: float
    balanced_accuracy: float
    delay_median: float
    delay_p90: float
    relative_delay: float
    twa: float
    false_alarms_per_hour: float


def detection(trials: Sequence[Trial]) -> Detection:
    """Count detections, false alarms and delays."""
    failed = [trial for trial in trials if trial.failed]
    good = [trial for trial in trials if not trial.failed]
    relative = [t.detection / t.duration for t in failed if t.detection is not None]
    delays = np.array([t.delay for t in failed if t.delay is not None], dtype=np.float64)
    tpr = _ratio(len(relative), len(failed))
    tnr = _ratio(sum(not trial.alarms for trial in good), len(good))
    timely = _ratio(sum(1.0 - share for share in relative), len(failed))
    hours = sum(trial.duration for trial in good) / 3600.0
    return Detection(
        failures=len(failed),
        successes=len(good),
        tpr=tpr,
        tnr=tnr,
        balanced_accuracy=(tpr + tnr) / 2.0,
        delay_median=_quantile(delays, 0.5),
        delay_p90=_quantile(delays, 0.9),
        relative_delay=_ratio(sum(relative), len(relative)),
        twa=(timely + tnr) / 2.0,
        false_alarms_per_hour=_ratio(sum(len(trial.alarms) for trial in good), hours),
    )


def placebo(trials: Sequence[Trial], seed: int) -> list[Trial]:
    """Move each alarm to a random episode and time: a baseline that detection must beat."""
    generator = np.random.default_rng(seed)
    total = sum(len(trial.alarms) for trial in trials)
    durations = np.array([trial.duration for trial in trials], dtype=np.float64)
    owners = generator.choice(len(trials), size=total, p=durations / durations.sum())
    times = generator.uniform(size=total) * durations[owners]
    return [
        Trial(
            trial.failed,
            trial.duration,
            tuple(np.sort(times[owners == index]).tolist()),
            trial.inject,
            trial.manifest,
        )
        for index, trial in enumerate(trials)
    ]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float('nan')


def _quantile(numbers: Array, share: float) -> float:
    return float(np.quantile(numbers, share)) if numbers.size else float('nan')
