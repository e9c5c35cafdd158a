# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compute values and alerts of a recording with the code that runs live.

If the recording contains values of a monitor, its inputs are used again, and the values compared.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

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
from viva_ros.scoring.replay import ReplayInput, check_rate, check_spacing, replay
from viva_ros.scoring.series import ValueSeries

RATE = 10.0  # Hz, of the simulated monitor: its default
FASTEST = 100.0  # Hz: the most that commands accept


@dataclass(frozen=True)
class ScoredSample:
    """
    One value of a recording.

    :param stamp: stamp of the Value message, ns
    :param value: in [-1, 1]; NaN if unknown
    :param reason: why the value is unknown
    :param forecast: joint name to position one horizon ahead, rad or m; empty if unknown
    :param episode: id of the episode; empty if none was announced
    :param published: value of the recorded monitor, NaN if unknown; None without a monitor
    :param lost: whether the monitor published a value whose inputs were not recorded
    :param progress: as in ``Estimate``; NaN if unknown
    :param success: as in ``Estimate``; NaN if unknown
    :param proprio: joint name to measured position, rad or m; empty if unknown
    :param horizon: horizon of the forecast, s; NaN if unknown
    :param kind: kind of an unknown value, such as 'stale'
    :param executing: whether the robot executes the task, so that the detector judges the value
    """

    stamp: int
    value: float
    reason: str
    forecast: Mapping[str, float]
    episode: str
    published: float | None
    lost: bool = False
    progress: float = math.nan
    success: float = math.nan
    proprio: Mapping[str, float] = field(default_factory=dict)
    horizon: float = math.nan
    kind: str = ''
    executing: bool = True

    @property
    def details(self) -> Details:
        """Return the other outputs of the estimate, for the detector."""
        if not self.proprio:
            return Details(self.success, self.progress)
        names = tuple(self.proprio)
        known = set(names) <= set(self.forecast)
        forecast = np.array([self.forecast[n] for n in names], np.float64) if known else None
        joints = Proprioception(
            names, np.array([self.proprio[n] for n in names], dtype=np.float64),
            forecast, self.horizon,
        )  # fmt: skip
        return Details(self.success, self.progress, joints)

    @property
    def judged(self) -> float:
        """Return the value that the detector judges: the published one if its inputs are lost."""
        return self.published if self.lost and self.published is not None else self.value


@dataclass(frozen=True)
class Scores:
    """
    Values of one recording, in order, and the events of the detector.

    :param engine: fingerprint
    :param published_alarms: alarms of the recorded supervisor; None without a supervisor
    :param losses: lost parts of a damaged recording
    """

    name: str
    task: str
    engine: str
    samples: tuple[ScoredSample, ...]
    events: tuple[Event, ...]
    published_alarms: tuple[Event, ...] | None
    losses: tuple[str, ...]

    @property
    def series(self) -> ValueSeries:
        """Return the values as a series."""
        return series_of(self.samples)

    @property
    def alarms(self) -> list[Event]:
        """Return the alarms of rules: the events that request a retry."""
        return rule_alarms(self.events)

    @property
    def difference(self) -> float | None:
        """Return the largest difference from a published value; inf if only one is known."""
        compared = [s for s in self.samples if s.published is not None and not s.lost]
        return max((_difference(s.value, s.published) for s in compared), default=None)

    @property
    def lost(self) -> int:
        """Return the number of published values whose inputs were not recorded."""
        return sum(sample.lost for sample in self.samples)


def score(
    recording: Recording, engine: Engine, task: str, calibration: Calibration | None = None,
    rate: float = RATE, batch: int = 1,
) -> Scores:  # fmt: skip
    """
    Return values and events of a recording.

    :param calibration: thresholds of the detector; None for no alarms
    :param rate: rate of the simulated monitor, Hz; unused if a monitor was recorded
    :param batch: observations for each call of an engine that supports batches
    :raises RecordingError: if a recorded monitor had another rate than the calibration, or the
        values are slower than the rate
    """
    if calibration is not None:
        check_rate(recording, calibration.rate)
    samples = tuple(estimates(replay_for_engine(recording, engine.info, rate), engine, batch))
    check_sample_spacing(recording.path, samples, rate)
    published = alerts(recording)
    return Scores(
        recording.name, task, engine.info.fingerprint, samples,
        tuple(judge(samples, calibration)), tuple(rule_alarms(published)) if published else None,
        recording.losses,
    )  # fmt: skip


def check_sample_spacing(path: Path, samples: Sequence[ScoredSample], rate: float) -> None:
    """
    Check that values have the spacing of a rate; those of a recorded monitor pass.

    :raises RecordingError: if they are slower
    """
    if all(one.published is None for one in samples):
        check_spacing(path, [one.stamp for one in samples if math.isfinite(one.value)], rate)


def replay_for_engine(
    recording: Recording, info: EngineInfo, rate: float = RATE
) -> Iterator[ReplayInput]:
    """Return the inputs of an engine; without cameras its values follow the recorded images."""
    cameras = info.cameras or tuple(recording.cameras)
    size = info.image_size if info.cameras else None
    return replay(recording, cameras, info.joint_names, rate, size)


def estimates(
    inputs: Iterable[ReplayInput], engine: Engine, batch: int = 1
) -> Iterator[ScoredSample]:
    """Yield the value of each input, in order."""
    waiting = iter(inputs)
    while group := list(islice(waiting, batch)):
        answers = estimate_all(engine, [entry.observation for entry in group])
        for entry, answer in zip(group, answers, strict=True):
            yield _sample(entry, answer, engine.info.horizon)


def _sample(entry: ReplayInput, answer: Estimate | Unknown, horizon: float) -> ScoredSample:
    published = entry.published
    if isinstance(answer, Unknown):
        lost = answer.kind == 'missing' and published is not None and math.isfinite(published)
        return ScoredSample(
            entry.stamp, math.nan, answer.reason, {}, entry.episode, published, lost,
            kind=answer.kind, executing=entry.executing,
        )  # fmt: skip
    return ScoredSample(
        entry.stamp, float(answer.value), '', answer.forecast, entry.episode, published,
        progress=float(answer.progress), success=float(answer.success),
        proprio=entry.observation.proprio if isinstance(entry.observation, Observation) else {},
        horizon=horizon, executing=entry.executing,
    )  # fmt: skip


def estimate_all(
    engine: Engine, inputs: Sequence[Observation | Unknown]
) -> list[Estimate | Unknown]:
    """Estimate as a batch if the engine supports it; one by one if the batch fails."""
    observations = [one for one in inputs if isinstance(one, Observation)]
    if len(observations) < 2 or not isinstance(engine, BatchEngine):
        return [estimate(engine, one) for one in inputs]
    try:
        answers = iter(engine.estimate_batch(observations))
    except (InputError, EngineError):
        return [estimate(engine, one) for one in inputs]
    return [next(answers) if isinstance(one, Observation) else one for one in inputs]


def estimate(engine: Engine, observation: Observation | Unknown) -> Estimate | Unknown:
    """Return the estimate; unknown if the input is unknown or the engine refuses it."""
    if isinstance(observation, Unknown):
        return observation
    try:
        return engine.estimate(observation)
    except InputError as error:
        return Unknown('input', str(error))
    except EngineError as error:
        return Unknown('engine', str(error))


def judge(samples: Iterable[ScoredSample], calibration: Calibration | None) -> list[Event]:
    """Return the events of the detector for a series of values."""
    detector = make_detector(calibration)
    return [
        event
        for one in samples
        for event in detector.update(
            one.stamp,
            one.judged,
            one.reason,
            one.episode,
            one.details,
            one.kind,
            one.executing,
        )
    ]


def make_detector(calibration: Calibration | None) -> Detector:
    """Return the detector of the supervisor; without a calibration it raises no alarm."""
    if calibration is None:
        return Detector(DetectorSettings(), {})
    return Detector(
        DetectorSettings(rules=calibration.rules), calibration.thresholds, calibration.expected,
        calibration.combine, calibration.alpha,
    )  # fmt: skip


def rule_alarms(events: Iterable[Event]) -> list[Event]:
    """Return the alarms of rules: the events that request a retry."""
    return [event for event in events if event.level == Level.ALARM and event.kind in RULES]


def series_of(samples: Sequence[ScoredSample]) -> ValueSeries:
    """Return values, progress, success, joints and forecasts of samples as a series."""

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
