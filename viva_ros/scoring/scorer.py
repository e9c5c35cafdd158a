# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Values and alerts of a recording, by the code that runs live: same inputs, engine and judge.

Where a monitor was recorded, its inputs are used again and its values are compared with ours.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import RULES, Details, Proprioception
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.core.errors import EngineError, InputError
from viva_ros.core.events import Event, Level
from viva_ros.core.observation import Array, Estimate, Observation, Unknown
from viva_ros.data.recorded_messages import alerts
from viva_ros.data.recording import Recording
from viva_ros.engine.api import BatchEngine, Engine, EngineInfo
from viva_ros.scoring.replay import Sight, sights
from viva_ros.scoring.series import ValueSeries

RATE = 10.0  # Hz, of the imitated monitor: that of its default settings


@dataclass(frozen=True)
class ScoredSample:
    """
    One value.

    :param stamp: as in the Value message, ns
    :param value: NaN when unknown
    :param reason: why it is unknown
    :param forecast: joint name to position one horizon ahead; empty when unknown
    :param said: what was published at that time, NaN if unknown; None where nobody published
    :param lost: whether a value was published of inputs that were not recorded
    :param progress: and success: as in ``Estimate``; NaN when unknown
    :param proprio: joint name to position used; empty when unknown
    :param horizon: of the forecast, s; NaN when unknown
    :param kind: of an unknown value, in one word
    :param executing: whether it is to be judged
    """

    stamp: int
    value: float
    reason: str
    forecast: Mapping[str, float]
    episode: str
    said: float | None
    lost: bool = False
    progress: float = math.nan
    success: float = math.nan
    proprio: Mapping[str, float] = field(default_factory=dict)
    horizon: float = math.nan
    kind: str = ''
    executing: bool = True

    @property
    def details(self) -> Details:
        """Return what goes with the value, for the judge."""
        if not self.proprio:
            return Details(self.success, self.progress)
        names = tuple(self.proprio)
        told = [self.forecast[n] for n in names] if set(names) <= set(self.forecast) else None
        joints = Proprioception(
            names, np.array([self.proprio[n] for n in names], dtype=np.float64),
            None if told is None else np.array(told, dtype=np.float64), self.horizon,
        )  # fmt: skip
        return Details(self.success, self.progress, joints)

    @property
    def judged(self) -> float:
        """Return the value that the supervisor went by, as far as it is known."""
        return self.said if self.lost and self.said is not None else self.value


@dataclass(frozen=True)
class Scores:
    """
    All values of one recording, in order, and the judge's events.

    :param alarms_said: rule alarms published by a supervisor; None where none was recorded
    """

    name: str
    task: str
    engine: str
    samples: tuple[ScoredSample, ...]
    events: tuple[Event, ...]
    alarms_said: tuple[Event, ...] | None
    losses: tuple[str, ...]

    @property
    def series(self) -> ValueSeries:
        """Return the values alone."""
        return series_of(self.samples)

    @property
    def alarms(self) -> list[Event]:
        """Return the events that call for a retry."""
        return rule_alarms(self.events)

    @property
    def difference(self) -> float | None:
        """Largest difference from a published value; inf where only one is known; None if none."""
        compared = [s for s in self.samples if s.said is not None and not s.lost]
        return max((_difference(s.value, s.said) for s in compared), default=None)

    @property
    def lost(self) -> int:
        """How many values were published of inputs that the recorder missed."""
        return sum(sample.lost for sample in self.samples)


def score(
    recording: Recording, engine: Engine, task: str, calibration: Calibration | None = None,
    rate: float = RATE, batch: int = 1,
) -> Scores:  # fmt: skip
    """
    Return values and events of a recording.

    :param calibration: without one there are no alarms
    :param rate: of the imitated monitor, where none was recorded, Hz
    :param batch: how many observations the engine is given at once, if it takes several
    """
    samples = tuple(estimates(look(recording, engine.info, rate), engine, batch))
    said = alerts(recording)
    return Scores(
        recording.path.stem, task, engine.info.fingerprint, samples,
        tuple(judge(samples, calibration)), tuple(rule_alarms(said)) if said else None,
        recording.losses,
    )  # fmt: skip


def look(recording: Recording, info: EngineInfo, rate: float = RATE) -> Iterator[Sight]:
    """Return the moments at which an engine is asked; a blind one keeps step with the cameras."""
    cameras = info.cameras or tuple(recording.cameras)
    size = info.image_size if info.cameras else None
    return sights(recording, cameras, info.joint_names, rate, size)


def estimates(moments: Iterable[Sight], engine: Engine, batch: int = 1) -> Iterator[ScoredSample]:
    """Estimate every moment, in order."""
    waiting = iter(moments)
    while group := list(islice(waiting, batch)):
        answers = estimate_all(engine, [sight.seen for sight in group])
        for sight, answer in zip(group, answers, strict=True):
            yield _sample(sight, answer, engine.info.horizon)


def _sample(sight: Sight, answer: Estimate | Unknown, horizon: float) -> ScoredSample:
    said = sight.said
    if isinstance(answer, Unknown):
        lost = answer.kind == 'missing' and math.isfinite(math.nan if said is None else said)
        return ScoredSample(sight.stamp, math.nan, answer.reason, {}, sight.episode, said, lost,
                      kind=answer.kind, executing=sight.executing)  # fmt: skip
    return ScoredSample(
        sight.stamp, float(answer.value), '', answer.forecast, sight.episode, said,
        progress=float(answer.progress), success=float(answer.success),
        proprio=sight.seen.proprio if isinstance(sight.seen, Observation) else {},
        horizon=horizon, executing=sight.executing,
    )  # fmt: skip


def estimate_all(
    engine: Engine, seen: Sequence[Observation | Unknown]
) -> list[Estimate | Unknown]:
    """Estimate several at once where the engine can; if one of them spoils it, each on its own."""
    observations = [one for one in seen if isinstance(one, Observation)]
    if len(observations) < 2 or not isinstance(engine, BatchEngine):
        return [estimate(engine, one) for one in seen]
    try:
        answers = iter(engine.estimate_batch(observations))
    except (InputError, EngineError):
        return [estimate(engine, one) for one in seen]
    return [next(answers) if isinstance(one, Observation) else one for one in seen]


def estimate(engine: Engine, seen: Observation | Unknown) -> Estimate | Unknown:
    """Estimate, where there is something to see and the engine can make something of it."""
    if isinstance(seen, Unknown):
        return seen
    try:
        return engine.estimate(seen)
    except InputError as error:
        return Unknown('input', str(error))
    except EngineError as error:
        return Unknown('engine', str(error))


def judge(samples: Iterable[ScoredSample], calibration: Calibration | None) -> list[Event]:
    """Return the events of a series of values, as the supervisor would."""
    judge = judge_of(calibration)
    return [
        event
        for one in samples
        for event in judge.update(
            one.stamp,
            one.judged,
            one.reason,
            one.episode,
            one.details,
            one.kind,
            one.executing,
        )
    ]


def judge_of(calibration: Calibration | None) -> Detector:
    """Return a judge as the supervisor has it; without a calibration it never alarms."""
    if calibration is None:
        return Detector(DetectorSettings(), {})
    return Detector(
        DetectorSettings(rules=calibration.rules), calibration.thresholds, calibration.expected,
        calibration.combine, calibration.alpha,
    )  # fmt: skip


def rule_alarms(events: Iterable[Event]) -> list[Event]:
    """Pick the events at which a retry is due."""
    return [event for event in events if event.level == Level.ALARM and event.kind in RULES]


def series_of(samples: Sequence[ScoredSample]) -> ValueSeries:
    """Return the series of samples: values, and what goes with them."""

    def column(numbers: Iterable[float]) -> Array:
        return np.array(list(numbers), dtype=np.float64)

    stamps = np.array([sample.stamp for sample in samples], dtype=np.int64)
    names = next((tuple(s.proprio) for s in samples if s.proprio), ())
    positions, forecast = (
        np.array([[getattr(s, kind).get(n, math.nan) for n in names] for s in samples], np.float64)
        if any(getattr(s, kind) for s in samples) and names else None
        for kind in ('proprio', 'forecast')
    )  # fmt: skip
    return ValueSeries(
        stamps, column(s.value for s in samples), column(s.success for s in samples),
        column(s.progress for s in samples), names, positions, forecast,
        next((s.horizon for s in samples if math.isfinite(s.horizon)), math.nan),
    )  # fmt: skip


def _difference(ours: float, theirs: float | None) -> float:
    if theirs is None or (math.isnan(ours) and math.isnan(theirs)):
        return 0.0
    return abs(ours - theirs) if math.isfinite(ours) and math.isfinite(theirs) else math.inf
