# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Everyone who is measured on the same recordings, at every task, by the judge that runs live.

Each has an engine and thresholds for each task; all thresholds come from the same calibration
recordings, unless an engine brings its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from viva_ros.calibration.data import calibrate_engine, is_undisturbed
from viva_ros.calibration.fit import ALPHA, WARN_ALPHA
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.core.errors import CalibrationError, ConfigurationError, EngineError, RecordingError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.core.settings import required, setting, validate
from viva_ros.data.episode import Episode, Label
from viva_ros.data.open import open_recording
from viva_ros.data.recorded_messages import TruthMessage, truth
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.engine.api import Engine, EngineInfo
from viva_ros.engine.factory import load
from viva_ros.evaluation.results import Result, result
from viva_ros.scoring.jobs import calibration_of
from viva_ros.scoring.replay import Sight
from viva_ros.scoring.scorer import estimates, judge, look, rule_alarms


class TimeCounter:
    """
    Value = elapsed time / mean duration: it rises with perfect order whatever happens.

    As ``overdue`` it falls instead, so that the calibrated floor becomes a time-out: the only
    alarm that a clock can give.
    """

    def __init__(self, info: EngineInfo, mean_duration: float, overdue: bool = False) -> None:
        """
        Begin an episode.

        :param info: of the engine that it keeps step with
        :param mean_duration: of successful episodes, s
        """
        name = 'overdue' if overdue else 'elapsed'
        self.info = replace(info, fingerprint=f'time counter, {name}', kind='time')
        self._rate = (-1.0 if overdue else 1.0) / mean_duration
        self._begin: int | None = None

    def estimate(self, observation: Observation) -> Estimate:
        """Count from the first observation on."""
        if self._begin is None:
            self._begin = observation.stamp
        elapsed = (observation.stamp - self._begin) * 1e-9
        return Estimate(elapsed * self._rate, {})

    def close(self) -> None:
        """Nothing is held."""


VIVA, PROPRIO, TIME, OVERDUE = 'ViVa', 'proprioception only', 'time counter', 'time-out'


@dataclass(frozen=True)
class EvaluationConfig:
    """
    What is measured, on which recordings, and where the results are written.

    :raises ConfigurationError: if a value is out of range, or two exclude each other
    """

    recordings: tuple[Path, ...] = field(metadata=required('Test recordings: files or folders.'))
    out: Path = field(
        metadata=required('JSON file of the results; tables (.md) and plots (.png) next to it.')
    )
    report: Path | None = setting(None, "HTML file of a report page (needs the extra 'report').")
    engine: tuple[str, ...] = setting(
        (), 'Engine to measure; repeat to compare with others; default: the shipped engine.'
    )
    proprio: Path | None = setting(None, 'Folder of the proprioception-only engine.')
    task: str = setting('', 'Evaluate this task only; default: all tasks of the engine.')
    calibration_recordings: Path | None = setting(
        None,
        'Folder of recordings to calibrate engines without thresholds and the time-out on; '
        'required without --scores.',
    )
    scores: tuple[str, ...] = setting(
        (),
        "Folder of tables of 'viva score', to take values and alarms from instead of running an "
        'engine; repeat to compare.',
    )
    alpha: float = setting(
        ALPHA, 'Share of successful episodes that may raise an alarm.', above=0.0, below=1.0
    )
    checks: int = setting(
        0,
        'Also test the values under perturbed inputs, on this number of recordings of each task '
        'and outcome; 0: no tests.',
        at_least=0,
    )

    def __post_init__(self) -> None:
        validate(self)
        others = (self.engine, self.proprio, self.checks, self.calibration_recordings)
        if self.scores and any(others):
            raise ConfigurationError(
                '--scores takes values and alarms as they are: leave out --engine, --proprio, '
                '--checks and --calibration-recordings'
            )
        if not self.scores and self.calibration_recordings is None:
            raise ConfigurationError(
                '--calibration-recordings is missing: name a folder of recordings that are not '
                'in the test'
            )


@dataclass(frozen=True)
class Contender:
    """
    One who is measured.

    :param engines: by task, each gives the engine for the next recording
    :param calibrations: by task; without one it raises no alarm
    """

    name: str
    engines: Mapping[str, Callable[[], Engine]]
    calibrations: Mapping[str, Calibration]


def enter(
    named: Mapping[str, Path], tasks: Sequence[str], alpha: float, calibrating: Sequence[Path]
) -> list[Contender]:
    """
    Load the engines, and give everyone thresholds; an engine keeps its own.

    :param named: folders of engines by name
    """
    contenders = [_engine(name, folder, tasks, alpha, calibrating)
                  for name, folder in named.items()]  # fmt: skip
    first = contenders[0]
    infos = {task: engine().info for task, engine in first.engines.items()}
    alphas = {task: one.alpha for task, one in first.calibrations.items()}
    return contenders + clocks(infos, alphas, calibrating)


def _engine(
    name: str, folder: Path, tasks: Sequence[str], alpha: float, calibrating: Sequence[Path]
) -> Contender:
    engines, calibrations = {}, {}
    for task in tasks:
        engine = load(folder, task)
        engines[task] = partial(_same, engine)
        own = calibration_of(folder, task, engine.info.fingerprint)
        calibrations[task] = own or _thresholds(engines[task], task, alpha, calibrating)
    return Contender(name, engines, calibrations)


def _thresholds(
    engine: Callable[[], Engine], task: str, alpha: float, calibrating: Sequence[Path]
) -> Calibration:
    return calibrate_engine(engine, task, calibrating, alpha, max(alpha, WARN_ALPHA))


def clocks(
    infos: Mapping[str, EngineInfo], alphas: Mapping[str, float], calibrating: Sequence[Path]
) -> list[Contender]:
    """Return the clock whose values rise with time, and the one that alarms when it is overdue."""
    rising, overdue, calibrations = {}, {}, {}
    for task, info in infos.items():
        duration = mean_duration(calibrating, task)
        rising[task] = partial(TimeCounter, info, duration)
        overdue[task] = partial(TimeCounter, info, duration, overdue=True)
        calibrations[task] = _thresholds(overdue[task], task, alphas[task], calibrating)
    return [Contender(TIME, rising, {}), Contender(OVERDUE, overdue, calibrations)]


def _same(engine: Engine) -> Engine:
    return engine


def mean_duration(paths: Sequence[Path], task: str = '') -> float:
    """Return the mean length of the undisturbed successes at a task, s."""
    spans = []
    for path in paths:
        for episode in episodes_of(open_recording(path)):
            if is_undisturbed(episode.label, task):
                spans.append((episode.joints.stamps[-1] - episode.joints.stamps[0]) * 1e-9)
    if not spans:
        of_task = f' at {task}' if task else ''
        raise CalibrationError(f'no calibration recording is an undisturbed success{of_task}')
    return float(np.mean(spans))


def tasks_of(paths: Sequence[Path], folder: Path) -> dict[Path, str]:
    """
    Return the task of each recording that an engine knows; the others are left out.

    :param folder: of the engine
    :raises RecordingError: if one has no outcome
    :raises EngineError: if the engine knows none of the tasks
    """
    found = {}
    for path in paths:
        found[path] = labelled(open_recording(path))[1].task
    known = _known(folder, sorted(set(found.values())))
    return {path: task for path, task in found.items() if task in known}


def labelled(recording: Recording) -> tuple[Episode, Label]:
    """
    Return the episode of a recording and its outcome.

    :raises RecordingError: if it has another number of episodes, or no outcome
    """
    episodes = episodes_of(recording)
    if len(episodes) != 1:
        raise RecordingError(
            f'{recording.path} has {len(episodes)} episodes, must have 1: its values would be '
            "mixed up; part it with 'viva import'"
        )
    if episodes[0].label is None:
        raise RecordingError(f'{recording.path} has no outcome: leave it out, or label it')
    return episodes[0], episodes[0].label


def _known(folder: Path, asked: Sequence[str]) -> tuple[str, ...]:
    """Return the tasks of an engine, by loading it for one of those asked for."""
    for task in asked[:-1]:
        try:
            return load(folder, task).info.tasks
        except EngineError:
            continue  # perhaps it knows the next one
    return load(folder, asked[-1]).info.tasks


@dataclass(frozen=True)
class Case:
    """One test recording as the monitor sees it, with the truth."""

    episode: Episode
    label: Label
    task: str
    sights: list[Sight]
    moments: list[TruthMessage]


def cases(tasks: Mapping[Path, str], infos: Mapping[str, EngineInfo]) -> Iterator[Case]:
    """Read test recordings, one after the other, and show how far it is."""
    console = Console(stderr=True)
    for path in track(list(tasks), 'evaluating', console=console):
        recording, task = open_recording(path), tasks[path]
        for loss in recording.losses:
            console.print(f'{path} is damaged: {loss}', highlight=False, soft_wrap=True)
        episode = episodes_of(recording)[0]
        assert episode.label is not None  # those without were refused
        seen = list(look(recording, infos[task]))
        yield Case(episode, episode.label, task, seen, truth(recording))


def judged(case: Case, one: Contender) -> Result:
    """Let one contender judge one recording."""
    samples = list(estimates(case.sights, one.engines[case.task]()))
    alarms = rule_alarms(judge(samples, one.calibrations.get(case.task)))
    return result(case.episode, case.label, samples, alarms, case.moments)


def run(contenders: Sequence[Contender], tasks: Mapping[Path, str]) -> dict[str, list[Result]]:
    """
    Judge every recording for everyone.

    :param tasks: of the test recordings
    """
    results: dict[str, list[Result]] = {contender.name: [] for contender in contenders}
    infos = {task: engine().info for task, engine in contenders[0].engines.items()}
    for case in cases(tasks, infos):
        for one in contenders:
            results[one.name].append(judged(case, one))
    return _with_clock(results)


def _with_clock(results: dict[str, list[Result]]) -> dict[str, list[Result]]:
    """Make one clock of two: values that rise with time, alarms of the time-out."""
    alarms = results.pop(OVERDUE)
    rising = results[TIME]
    results[TIME] = [
        replace(value, alarms=alarm.alarms) for value, alarm in zip(rising, alarms, strict=True)
    ]
    return results


def check_apart(calibrating: Sequence[Path], testing: Sequence[Path]) -> None:
    """
    Refuse to test on what was calibrated on.

    :raises CalibrationError: naming the first recording that is in both
    """
    both = {path.resolve() for path in calibrating} & {path.resolve() for path in testing}
    if both:
        raise CalibrationError(
            f'{min(both)} is in the test and in the calibration recordings: keep them apart'
        )
