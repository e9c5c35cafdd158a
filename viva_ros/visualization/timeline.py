# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The content of the plot of a recording, as numbers, without drawing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from viva_ros.core.detection.detector import Detector
from viva_ros.core.detection.rules import RULES, RuleReading
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.core.errors import CalibrationError, EngineError, RecordingError
from viva_ros.core.events import Event, Level
from viva_ros.core.observation import Array
from viva_ros.data.recorded_messages import (
    TruthMessage,
    alerts,
    runs,
    stamp_of_event,
    truth,
    values,
)
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import spans, within
from viva_ros.engine.resources import engine_folder
from viva_ros.scoring.jobs import calibration_of
from viva_ros.scoring.scorer import ScoredSample, Scores, make_detector, rule_alarms

APART: Final = 300_000_000  # ns; the ground truth has 10 Hz


@dataclass(frozen=True)
class NamedSpan:
    """A named interval of stamps [begin, end), ns."""

    begin: int
    end: int
    name: str


def announced_episodes(
    recording: Recording, moments: Sequence[TruthMessage], begin: int, end: int
) -> list[NamedSpan]:
    """Return the announced episodes, named by number and injected failure."""
    found = []
    for span in spans(recording):
        first, last = max(span.begin, begin), min(span.end, end)
        if span.id and first < last:
            name = f'episode {span.id.rpartition("-")[2]}'
            inside = within(moments, span)
            if inside and inside[-1].time > 0.0:  # the robot did not only wait
                name += f': {injected(inside[-1].failure)}'
            found.append(NamedSpan(first, last, name))
    return found


def injected(failure: str) -> str:
    """Return the injected failure in words."""
    return 'nothing injected' if failure == 'none' else f'{failure.replace("_", " ")} injected'


def attempts(moments: Sequence[TruthMessage]) -> list[NamedSpan]:
    """Return the attempts, and the motion back before each attempt but the first."""
    return [part for run in runs(moments) for part in _attempts(run)]


def _attempts(run: Sequence[TruthMessage]) -> list[NamedSpan]:
    parts = []
    for number in sorted({m.attempt for m in run}):
        attempt = [m for m in run if m.attempt == number]
        begin, end = attempt[0].stamp, attempt[-1].stamp
        back = [m.stamp for m in attempt if m.phase == 'home']
        if back:
            parts.append(NamedSpan(begin, back[-1], 'goes back'))
            begin = back[-1]
        waits = attempt[-1].time == 0.0
        parts.append(NamedSpan(begin, end, 'waits' if waits else f'attempt {number}'))
    return parts


def evidence_stamps(run: Sequence[TruthMessage]) -> list[float]:
    """
    Return the stamps, ns, at which the failures of one episode became evident.

    The ground truth has the time of the first failure; a later one is a rise of ``failed``.
    """
    first = stamp_of_event(run, 'manifest')
    found = [first] if math.isfinite(first) else []
    rises = [
        now.stamp for before, now in pairwise(run)
        if now.failed and not (before.failed and before.attempt == now.attempt)
    ]  # fmt: skip
    return found + [stamp for stamp in rises if not found or stamp > first + APART]


def success_stamps(run: Sequence[TruthMessage]) -> list[int]:
    """Return the stamp of the first success of one episode, ns; empty without one."""
    return [moment.stamp for moment in run if moment.success][:1]


ALWAYS = (-(1 << 62), 1 << 62)


@dataclass(frozen=True)
class PlotContent:
    """
    The content of a recording; times in s from its first value or frame.

    :param values: NaN when unknown
    :param smoothed: smoothed by the detector; NaN when unknown
    :param alarm_below: smoothed value below which a rule crosses its threshold; NaN without one
    :param unknown: spans without a value
    :param breaks: times of the first value of each later episode, where lines are broken
    :param episodes: the announced episodes
    """

    begin: int
    end: float
    times: Array
    values: Array
    smoothed: Array
    alarm_below: Array
    unknown: list[tuple[float, float]]
    events: list[Event]
    moments: list[TruthMessage]
    breaks: list[float]
    episodes: list[NamedSpan]

    def seconds(self, stamp: float) -> float:
        """Convert a stamp, ns, to the axis of the plot, s."""
        return (stamp - self.begin) * 1e-9

    @property
    def alarms(self) -> list[Event]:
        """Return the alarms of the rules."""
        return rule_alarms(self.events)

    @property
    def evidence(self) -> list[float]:
        """Return when failures became evident, s; several times if a retry failed too."""
        return [self.seconds(at) for run in runs(self.moments) for at in evidence_stamps(run)]

    @property
    def successes(self) -> list[float]:
        """Return when episodes succeeded, s."""
        return [self.seconds(at) for run in runs(self.moments) for at in success_stamps(run)]


def plot_content(
    recording: Recording, calibration: Calibration | None = None, scores: Scores | None = None
) -> PlotContent:
    """
    Return the content of the plot of a recording.

    :param scores: used if no values were published
    :raises RecordingError: if the recording has neither values nor images
    """
    samples = _samples(recording, scores)
    moments = truth(recording)
    stamps = [s.stamp for s in samples] + [m.stamp for m in moments]
    for track in recording.cameras.values():
        stamps += track.frames(*ALWAYS).stamps.tolist()
    if not stamps:
        raise RecordingError('plot-empty', f'{recording.path} has no values and no images to draw')
    begin, end = min(stamps), max(stamps)
    events = alerts(recording) or list(scores.events if scores else ())
    smoothed, below = _alarm_levels(samples, calibration)
    times = np.array([(s.stamp - begin) * 1e-9 for s in samples], dtype=np.float64)
    return PlotContent(
        begin, (end - begin) * 1e-9, times, np.array([s.value for s in samples], dtype=np.float64),
        smoothed, below, _unknown(samples, begin), events, moments,
        _breaks(samples, begin), announced_episodes(recording, moments, begin, end),
    )  # fmt: skip


def _breaks(samples: Sequence[ScoredSample], begin: int) -> list[float]:
    changes = [now for before, now in pairwise(samples) if now.episode != before.episode]
    return [(sample.stamp - begin) * 1e-9 for sample in changes]


def calibration_for(recording: Recording) -> Calibration | None:
    """Return the shipped calibration if it belongs to the engine of the recorded values."""
    recorded = values(recording)
    if not recorded:
        return None
    try:
        folder = engine_folder('', recorded[-1].task)
        last = recorded[-1]
        return calibration_of(folder, last.task, last.engine, last.rate)
    except (EngineError, CalibrationError):  # of another engine or rate: no thresholds are known
        return None


def _samples(recording: Recording, scores: Scores | None) -> list[ScoredSample]:
    recorded = values(recording)
    if not recorded and scores is not None:
        return list(scores.samples)
    return [
        ScoredSample(
            s.stamp, s.value, s.reason, {}, s.episode, s.value,
            progress=s.progress, success=s.success, executing=s.executing,
        )
        for s in recorded
    ]  # fmt: skip


def _alarm_levels(
    samples: Sequence[ScoredSample], calibration: Calibration | None
) -> tuple[Array, Array]:
    """Return the smoothed values of the detector, and the alarm level at each."""
    detector = make_detector(calibration)
    smoothed, below = [], []
    for sample in samples:
        detector.update(
            sample.stamp, sample.value, sample.reason, sample.episode, sample.details,
            executing=sample.executing,
        )  # fmt: skip
        known = math.isfinite(sample.value)
        smoothed.append(detector.smoothed if known else math.nan)
        below.append(alarm_level(detector, calibration) if known and calibration else math.nan)
    return np.array(smoothed, dtype=np.float64), np.array(below, dtype=np.float64)


def alarm_level(detector: Detector, calibration: Calibration) -> float:
    """
    Return the highest smoothed value at which a rule would cross its alarm threshold now.

    The statistics of drop, no_rise and, without a probability of success, floor fall by the rise
    of the value: their level is the present value plus the statistic minus its threshold. The
    other rules have no such level. NaN while all windows fill.
    """
    levels = [
        detector.smoothed + reading.statistic - calibration.thresholds[kind].alarm
        for kind, reading in detector.readings.items()
        if kind in calibration.thresholds
        and _is_level(kind, reading, detector)
        and math.isfinite(reading.statistic)
    ]
    return max(levels, default=math.nan)


def _unknown(samples: Sequence[ScoredSample], begin: int) -> list[tuple[float, float]]:
    """Return the spans of consecutive samples without a value, s."""
    found: list[tuple[float, float]] = []
    for index, sample in enumerate(samples):
        if math.isfinite(sample.value):
            continue
        start = (sample.stamp - begin) * 1e-9
        later = samples[min(index + 1, len(samples) - 1)].stamp
        end = (later - begin) * 1e-9
        if found and found[-1][1] >= start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def title(content: PlotContent) -> str:
    """Return the title: task, failures, alarms, retries and outcome."""
    parts = []
    failures = {m.failure: None for m in content.moments if m.time > 0.0}  # 0: it waits
    texts = [injected(failure) for failure in failures if failure != 'none']
    if content.moments:
        parts.append(f'{content.moments[-1].task}: {", ".join(texts) or injected("none")}')
    if not content.times.size:
        parts.append('no values recorded')
    else:
        count = len(content.alarms)
        parts.append('no alarm' if not count else f'{count} alarm{"s" if count > 1 else ""}')
    retries = sum(event.kind == 'retry_accepted' for event in content.events)
    if retries:
        parts.append(f'{retries} retr{"ies" if retries > 1 else "y"}')
    if any(event.level == Level.NEEDS_OPERATOR for event in content.events):
        parts.append('the operator is called')
    if content.moments:
        parts.append(f'{"" if content.moments[-1].success else "no "}success in the end')
    return '  |  '.join(parts)


def _is_level(kind: str, reading: RuleReading, detector: Detector) -> bool:
    return math.isfinite(reading.statistic) and RULES[kind].falls_with_value(
        reading.statistic, detector.smoothed
    )
