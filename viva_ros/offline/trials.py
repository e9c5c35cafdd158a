# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One judged episode, and the figures over many.

Four groups are kept apart: undisturbed successes, failures, disturbances that ended well
(recoveries and near misses, where an alarm is neither right nor wrong), and attempts that follow a
retry.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.detection import Trial, detection
from viva_ros.core.events import Event
from viva_ros.core.metrics import auroc, bootstrap_interval, spearman
from viva_ros.core.observation import Array
from viva_ros.data.episode import Episode, Label
from viva_ros.data.published import Moment
from viva_ros.offline.calibrate import is_undisturbed
from viva_ros.offline.scoring import Sample, series_of

SUCCESS: Final = 'success'
FAILURE: Final = 'failure'
MENDED: Final = 'mended'
RETRY: Final = 'retry'
BOOTSTRAP_SEED: Final = 0


@dataclass(frozen=True)
class Result:
    """
    One episode as one engine saw it; times in s since the first frame.

    :param times: stamps of the values, s
    :param progress: the true one at these times, in [0, 1]; NaN where it is not known
    :param alarms: when rule alarms were raised
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

    @property
    def final(self) -> float:
        """The last known value; NaN without one."""
        known = self.values[np.isfinite(self.values)]
        return float(known[-1]) if known.size else math.nan

    @property
    def order(self) -> float:
        """Rank correlation of value and time; NaN with fewer than two values."""
        return _rank_correlation(self.values, self.times)

    @property
    def true_order(self) -> float:
        """Rank correlation of value and true progress, which counting time cannot win."""
        return _rank_correlation(self.values, self.progress)

    @property
    def trial(self) -> Trial:
        """The episode as detection counts it."""
        failed = self.group == FAILURE
        return Trial(failed, self.duration, self.alarms, self.inject, self.manifest)


def _rank_correlation(values: Array, against: Array) -> float:
    known = np.isfinite(values) & np.isfinite(against)
    return spearman(values[known], against[known]) if known.sum() >= 2 else math.nan


def group_of(label: Label) -> str:
    """Name the group of an episode."""
    if (label.failure or '').startswith('retry_'):
        return RETRY
    if is_undisturbed(label):
        return SUCCESS
    return MENDED if label.success else FAILURE


def result(
    episode: Episode, label: Label, samples: Sequence[Sample], alarms: Sequence[Event],
    moments: Sequence[Moment],
) -> Result:  # fmt: skip
    """Set values and alarms beside what really happened."""
    begin = min(int(camera.stamps[0]) for camera in episode.cameras.values() if camera.stamps.size)
    end = max(int(camera.stamps[-1]) for camera in episode.cameras.values() if camera.stamps.size)
    series = series_of(samples)
    times = np.asarray((series.stamps - begin) * 1e-9, dtype=np.float64)
    return Result(
        episode.name, label.failure or 'none', group_of(label), label.success,
        (end - begin) * 1e-9, times, series.values,
        tuple((event.stamp - begin) * 1e-9 for event in alarms),
        label.times.get('inject'), label.times.get('manifest'),
        true_progress(series.stamps, moments),
    )  # fmt: skip


def true_progress(stamps: NDArray[np.int64], moments: Sequence[Moment]) -> Array:
    """Give the progress last told at each stamp; NaN before the first."""
    told = np.array([moment.stamp for moment in moments], dtype=np.int64)
    progress = np.array([math.nan, *(moment.progress for moment in moments)], dtype=np.float64)
    last: Array = progress[np.searchsorted(told, stamps, side='right')]
    return last


def figures(results: Sequence[Result], camera_only: Collection[str]) -> dict[str, Any]:
    """
    Give all figures of one engine.

    :param camera_only: modes that only a camera can see
    """
    good = of_group(results, SUCCESS)
    judged = [*good, *of_group(results, FAILURE)]
    judgeable = [r for r in (*judged, *of_group(results, MENDED)) if math.isfinite(r.final)]
    return {
        'spearman': _over(good, lambda rs: _mean([r.order for r in rs])),
        'true_order': _over(good, lambda rs: _mean([r.true_order for r in rs])),
        'spearman_lowest': min((r.order for r in good), default=math.nan),
        'auroc': _over(judgeable, outcome_auroc),
        'tpr': _over(of_group(results, FAILURE), lambda rs: detection([r.trial for r in rs]).tpr),
        'false_alarms': _over(good, lambda rs: 1.0 - detection([r.trial for r in rs]).tnr),
        'detection': asdict(detection([r.trial for r in judged])),
        'failures': {m: _row(of_mode(results, m)) for m in modes(results, FAILURE)},
        'camera_only': _row([r for r in of_group(results, FAILURE) if r.mode in camera_only]),
        'arms': _row([r for r in of_group(results, FAILURE) if r.mode not in camera_only]),
        'mended': {m: _quiet(of_mode(results, m, MENDED)) for m in modes(results, MENDED)},
        'retries': {
            'succeeded': _quiet([r for r in of_group(results, RETRY) if r.success]),
            'failed': _quiet([r for r in of_group(results, RETRY) if not r.success]),
        },
    }


def outcome_auroc(results: Sequence[Result]) -> float:
    """How well the final value tells successes from failures."""
    return auroc([r.final for r in results], [r.success for r in results])


def of_group(results: Sequence[Result], group: str) -> list[Result]:
    """Pick a group."""
    return [r for r in results if r.group == group]


def of_mode(results: Sequence[Result], mode: str, group: str = FAILURE) -> list[Result]:
    """Pick a mode within a group."""
    return [r for r in of_group(results, group) if r.mode == mode]


def modes(results: Sequence[Result], group: str) -> list[str]:
    """List the modes of a group."""
    return sorted({r.mode for r in of_group(results, group)})


def _over(results: Sequence[Result], figure: Callable[[list[Result]], float]) -> dict[str, float]:
    """Give a figure, with its interval over episodes drawn again."""
    value = figure(list(results)) if results else math.nan
    if math.isnan(value):
        return {'value': value, 'low': value, 'high': value, 'episodes': len(results)}
    low, high = bootstrap_interval(
        lambda drawn: figure([results[i] for i in drawn]), len(results), seed=BOOTSTRAP_SEED,
        draws=200,
    )  # fmt: skip
    return {'value': value, 'low': low, 'high': high, 'episodes': len(results)}


def _row(results: Sequence[Result]) -> dict[str, float]:
    found = detection([r.trial for r in results])
    return {
        'episodes': found.failures, 'detected': found.tpr,
        'delay_median': found.delay_median, 'delay_p90': found.delay_p90,
    }  # fmt: skip


def _quiet(results: Sequence[Result]) -> dict[str, float]:
    return {
        'episodes': len(results),
        'alarmed': _mean([float(bool(r.alarms)) for r in results]),
        'spearman': _mean([r.order for r in results]),
        'true_order': _mean([r.true_order for r in results]),
    }


def _mean(numbers: Sequence[float]) -> float:
    """Mean of those that are there."""
    known = [number for number in numbers if math.isfinite(number)]
    return float(np.mean(known)) if known else math.nan
