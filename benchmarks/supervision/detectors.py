# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Detectors under comparison: value, forecast residual, both, and baselines.

Each is calibrated by the same code on the same successes with the same alpha, and evaluated by the
detector that runs live.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final

import numpy as np

from benchmarks.supervision.episodes import Case
from viva_ros.calibration.data import is_undisturbed
from viva_ros.calibration.fit import WARN_ALPHA, CalibrationOptions, calibrate
from viva_ros.core.detection.alarm import AlarmSettings
from viva_ros.core.detection.rules import RULES, RuleSettings, other_rules, value_rules
from viva_ros.core.detection.thresholds import AND, Calibration
from viva_ros.core.events import Event, Level
from viva_ros.data.episode import ATTEMPT_TIME
from viva_ros.evaluation.results import FAILURE, RETRY
from viva_ros.metrics.detection import Trial
from viva_ros.scoring.scorer import RATE, make_detector
from viva_ros.scoring.series import ValueSeries

Change = Callable[[ValueSeries], ValueSeries]
BOTH: Final = 'value and forecast residual'
CLOCK: Final = 'time counter'
COOL_DOWN: Final = AlarmSettings().cool_down
PASSES: Final = 5  # measurements of the cost of an update


@dataclass(frozen=True)
class Watcher:
    """
    One detector.

    :param change: returns the series that the detector receives
    """

    name: str
    choice: CalibrationOptions
    change: Change
    rules: RuleSettings = field(default_factory=RuleSettings)


def watchers() -> list[Watcher]:
    """Return all detectors, the shipped one first."""
    return [
        Watcher(BOTH, CalibrationOptions(RULES.names()), _as_it_is),
        Watcher('value alone', CalibrationOptions(value_rules()), _as_it_is),
        Watcher('forecast residual alone', CalibrationOptions(other_rules()), _as_it_is),
        Watcher('value AND forecast residual', CalibrationOptions(RULES.names(), AND), _as_it_is),
        Watcher('both, by progress', CalibrationOptions(RULES.names(), indexed=True), _as_it_is),
        Watcher(
            'raw threshold', CalibrationOptions(('floor',)), _bare,
            RuleSettings(smoothing=0.0, floor_warm_up=0.0, debounce=0.0),
        ),
        Watcher(CLOCK, CalibrationOptions(('floor',)), _clock),
    ]  # fmt: skip


def _as_it_is(series: ValueSeries) -> ValueSeries:
    return series


def _bare(series: ValueSeries) -> ValueSeries:
    """Return the values without other outputs."""
    return ValueSeries(series.stamps, series.values)


def _clock(series: ValueSeries) -> ValueSeries:
    """Return the negative elapsed time in units of 100 s; its floor is a time-out."""
    return ValueSeries(series.stamps, -(series.stamps - series.stamps[0]) * 1e-11)


def thresholds(
    watcher: Watcher, cases: Sequence[Case], engine: str, alpha: float
) -> dict[str, Calibration]:
    """Calibrate a detector for each task, on the undisturbed successes."""
    tasks = sorted({case.label.task for case in cases})
    return {
        task: calibrate(
            [watcher.change(case.series) for case in cases if is_undisturbed(case.label, task)],
            watcher.rules, engine=engine, task=task, rate=RATE, alpha=alpha,
            warn_alpha=max(alpha, WARN_ALPHA), choice=watcher.choice,
        )
        for task in tasks
    }  # fmt: skip


@dataclass(frozen=True)
class Watched:
    """
    Alarms of one detector in one episode.

    :param alarms: in order
    :param rested: alarms if the rules pause for a cool-down first, as after a live retry
    :param begun: alarms if a retry is judged from the end of the way home, without a cool-down;
        None if this time is unknown
    """

    case: Case
    alarms: tuple[Event, ...]
    rested: tuple[Event, ...] = ()
    begun: tuple[Event, ...] | None = None

    @property
    def times(self) -> tuple[float, ...]:
        """Return the times of the alarms, s since the first frame."""
        return tuple((event.stamp - self.case.begin) * 1e-9 for event in self.alarms)

    @property
    def trial(self) -> Trial:
        """Return the episode as a trial of detection."""
        case, times = self.case, self.case.label.times
        failed = case.group == FAILURE
        return Trial(failed, case.duration, self.times, times.get('inject'), times.get('manifest'))

    def perfect(self, moment: str) -> Trial:
        """
        Return the episode with one alarm at a given event of a failure, and no other alarm.

        :param moment: 'manifest', the first physical evidence, or 'inject', the start of its cause
        """
        at = self.case.label.times.get(moment)
        return replace(self.trial, alarms=(at,) if self.trial.failed and at is not None else ())


def watch(watcher: Watcher, case: Case, calibrations: Mapping[str, Calibration]) -> Watched:
    """Return the alarms of a detector in an episode."""
    calibration, series = calibrations[case.label.task], watcher.change(case.series)
    alarms = _alarms(calibration, series)
    if case.group != RETRY:
        return Watched(case, alarms)
    attempt = case.label.times.get(ATTEMPT_TIME)

    def later(at: float) -> tuple[Event, ...]:
        return _alarms(calibration, series.since(case.begin + round(at * 1e9)))

    return Watched(
        case, alarms, later(COOL_DOWN), None if attempt is None else later(attempt)
    )  # fmt: skip


def _alarms(calibration: Calibration, series: ValueSeries) -> tuple[Event, ...]:
    judge = make_detector(calibration)
    events = [
        event
        for index, stamp in enumerate(series.stamps.tolist())
        for event in judge.update(
            stamp, float(series.values[index]), details=series.details(index)
        )
    ]
    return tuple(e for e in events if e.level == Level.ALARM and e.kind in RULES)


def cost(cases: Sequence[Case], calibrations: Mapping[str, Calibration]) -> dict[str, float]:
    """
    Return the time of an update of the detector, in microseconds.

    Updates in a cool-down, where the rules pause, are not counted. The time of an update is the
    minimum over several passes, to exclude other load of the machine.
    """
    passes = np.array([[took for case in cases for took in _pass(case, calibrations)]
                       for _ in range(PASSES)])  # fmt: skip
    took = 1e6 * passes.min(axis=0)
    took = took[np.isfinite(took)]
    return {
        'updates': int(took.size), 'median_us': float(np.median(took)),
        'p95_us': float(np.quantile(took, 0.95)),
    }  # fmt: skip


def _pass(case: Case, calibrations: Mapping[str, Calibration]) -> Iterator[float]:
    """Yield the time of each update of an episode, s; infinity if the rules pause."""
    judge, series = make_detector(calibrations[case.label.task]), case.series
    for index, stamp in enumerate(series.stamps.tolist()):
        value, details = float(series.values[index]), series.details(index)
        begin = perf_counter()
        judge.update(stamp, value, details=details)
        took = perf_counter() - begin
        yield took if judge.readings else math.inf
