# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The content of the plot of a recording, as numbers; nothing is drawn here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import RULES, RuleReading, RuleSettings
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
from viva_ros.scoring.scorer import ScoredSample, Scores, rule_alarms

APART: Final = 300_000_000  # ns; the truth comes ten times a second


@dataclass(frozen=True)
class Stretch:
    """Stamps [begin, end) that have a name, ns."""

    begin: int
    end: int
    name: str


def announced(
    recording: Recording, moments: Sequence[TruthMessage], begin: int, end: int
) -> list[Stretch]:
    """Return the announced episodes, named by their number and what was injected."""
    found = []
    for span in spans(recording):
        first, last = max(span.begin, begin), min(span.end, end)
        if span.id and first < last:
            name = f'episode {span.id.rpartition("-")[2]}'
            told = within(moments, span)
            if told and told[-1].time > 0.0:  # it did not only wait
                name += f': {injected(told[-1].failure)}'
            found.append(Stretch(first, last, name))
    return found


def injected(failure: str) -> str:
    """Say what was injected, in words."""
    return 'nothing injected' if failure == 'none' else f'{failure.replace("_", " ")} injected'


def attempts(moments: Sequence[TruthMessage]) -> list[Stretch]:
    """Return what the robot was at: its attempts, and the way back before each but the first."""
    return [part for run in runs(moments) for part in _attempts(run)]


def _attempts(run: Sequence[TruthMessage]) -> list[Stretch]:
    parts = []
    for number in sorted({m.attempt for m in run}):
        of_it = [m for m in run if m.attempt == number]
        begin, end = of_it[0].stamp, of_it[-1].stamp
        back = [m.stamp for m in of_it if m.phase == 'home']
        if back:
            parts.append(Stretch(begin, back[-1], 'goes back'))
            begin = back[-1]
        waits = of_it[-1].time == 0.0
        parts.append(Stretch(begin, end, 'waits' if waits else f'attempt {number}'))
    return parts


def evident(run: Sequence[TruthMessage]) -> list[float]:
    """
    Return the stamps, ns, at which the failures of one episode became evident.

    A simulation tells the time of the first; of those in later attempts, that there is one.
    """
    first = stamp_of_event(run, 'manifest')
    told = [first] if math.isfinite(first) else []
    rises = [
        now.stamp for before, now in pairwise(run)
        if now.failed and not (before.failed and before.attempt == now.attempt)
    ]  # fmt: skip
    return told + [stamp for stamp in rises if not told or stamp > first + APART]


def succeeded(run: Sequence[TruthMessage]) -> list[int]:
    """Return the stamp, ns, of the first success of one episode."""
    return [moment.stamp for moment in run if moment.success][:1]


ALWAYS = (-(1 << 62), 1 << 62)


@dataclass(frozen=True)
class Story:
    """
    A recording from its first value or frame on; times in s from there.

    :param values: NaN when unknown
    :param smoothed: as the judge smooths, NaN before the first
    :param alarm_below: smoothed value below which some rule's condition is met; NaN where none is
    :param unknown: spans without a value
    :param breaks: of the lines: the first value of another episode
    :param episodes: the announced ones
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
    episodes: list[Stretch]

    def seconds(self, stamp: float) -> float:
        """Return a stamp, ns, on the picture's axis."""
        return (stamp - self.begin) * 1e-9

    @property
    def alarms(self) -> list[Event]:
        """Alarms of the rules."""
        return rule_alarms(self.events)

    @property
    def evidence(self) -> list[float]:
        """When failures became evident, s; more than once where a retry failed as well."""
        return [self.seconds(at) for run in runs(self.moments) for at in evident(run)]

    @property
    def successes(self) -> list[float]:
        """When episodes succeeded, s."""
        return [self.seconds(at) for run in runs(self.moments) for at in succeeded(run)]


def tell(
    recording: Recording, calibration: Calibration | None = None, scores: Scores | None = None
) -> Story:
    """
    Gather a story.

    :param scores: used where no values were published
    :raises RecordingError: if there is neither a value nor a picture
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
    smoothed, below = _judged(samples, calibration)
    times = np.array([(s.stamp - begin) * 1e-9 for s in samples], dtype=np.float64)
    return Story(
        begin, (end - begin) * 1e-9, times, np.array([s.value for s in samples], dtype=np.float64),
        smoothed, below, _unknown(samples, begin), events, moments,
        _breaks(samples, begin), announced(recording, moments, begin, end),
    )  # fmt: skip


def _breaks(samples: Sequence[ScoredSample], begin: int) -> list[float]:
    changes = [now for before, now in pairwise(samples) if now.episode != before.episode]
    return [(sample.stamp - begin) * 1e-9 for sample in changes]


def calibration_for(recording: Recording) -> Calibration | None:
    """Return the shipped thresholds, if they are those of the engine that was recorded."""
    said = values(recording)
    if not said:
        return None
    try:
        folder = engine_folder('', said[-1].task)
        return calibration_of(folder, said[-1].task, said[-1].engine)
    except (EngineError, CalibrationError):  # of another engine: its thresholds are not known
        return None


def _samples(recording: Recording, scores: Scores | None) -> list[ScoredSample]:
    said = values(recording)
    if not said and scores is not None:
        return list(scores.samples)
    return [
        ScoredSample(s.stamp, s.value, s.reason, {}, s.episode, s.value,
               progress=s.progress, success=s.success, executing=s.executing)
        for s in said
    ]  # fmt: skip


def _judged(
    samples: Sequence[ScoredSample], calibration: Calibration | None
) -> tuple[Array, Array]:
    """Smooth as the judge does, and work its rules' conditions out as a level of the value."""
    rules = calibration.rules if calibration else RuleSettings()
    judge = Detector(DetectorSettings(rules=rules), calibration.thresholds if calibration else {})
    smoothed, below = [], []
    for sample in samples:
        judge.update(
            sample.stamp, sample.value, sample.reason, sample.episode, sample.details,
            executing=sample.executing,
        )  # fmt: skip
        known = math.isfinite(sample.value)
        smoothed.append(judge.smoothed if known else math.nan)
        below.append(alarm_level(judge, calibration) if known and calibration else math.nan)
    return np.array(smoothed, dtype=np.float64), np.array(below, dtype=np.float64)


def alarm_level(judge: Detector, calibration: Calibration) -> float:
    """
    Return the highest smoothed value at which a rule's condition would be met now.

    The statistics of fall, lack of rise and, where no probability of success is told, floor shrink
    by what the value rises by: it is the present value plus what the statistic is above its
    threshold. The other rules have no such level. NaN while all windows fill.
    """
    levels = [
        judge.smoothed + reading.statistic - calibration.thresholds[kind].alarm
        for kind, reading in judge.readings.items()
        if kind in calibration.thresholds
        and _is_level(kind, reading, judge)
        and math.isfinite(reading.statistic)
    ]
    return max(levels, default=math.nan)


def _unknown(samples: Sequence[ScoredSample], begin: int) -> list[tuple[float, float]]:
    """Join neighbouring samples without a value to spans."""
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


def title(story: Story) -> str:
    """Say in one line what happened."""
    parts = []
    told = {m.failure: None for m in story.moments}
    wrong = [injected(failure) for failure in told if failure != 'none']
    if told:
        parts.append(f'{story.moments[-1].task}: {", ".join(wrong) or injected("none")}')
    if not story.times.size:
        parts.append('no values recorded')
    else:
        count = len(story.alarms)
        parts.append('no alarm' if not count else f'{count} alarm{"s" if count > 1 else ""}')
    retries = sum(event.kind == 'retry_accepted' for event in story.events)
    if retries:
        parts.append(f'{retries} retr{"ies" if retries > 1 else "y"}')
    if any(event.level == Level.NEEDS_OPERATOR for event in story.events):
        parts.append('the operator is called')
    if story.moments:
        parts.append(f'{"" if story.moments[-1].success else "no "}success in the end')
    return '  |  '.join(parts)


def _is_level(kind: str, reading: RuleReading, judge: Detector) -> bool:
    return math.isfinite(reading.statistic) and RULES[kind].falls_with_value(
        reading.statistic, judge.smoothed
    )
