# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Evaluation of engines and baselines on the same recordings, by the detector that runs live.

Each contender has an engine and thresholds for each task. Thresholds come from the same
calibration recordings, unless an engine has its own calibration.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Final

import numpy as np

from viva_ros.calibration.data import Sources, calibrate_engine, is_undisturbed
from viva_ros.calibration.fit import ALPHA, WARN_ALPHA
from viva_ros.console.progress import following
from viva_ros.console.terminal import Terminal
from viva_ros.core.detection.thresholds import Calibration, calibration_file
from viva_ros.core.errors import (
    CalibrationError,
    ConfigurationError,
    EngineError,
    RecordingError,
    VivaError,
)
from viva_ros.core.observation import Estimate, Observation
from viva_ros.core.settings import required, setting, validate
from viva_ros.data.episode import Episode, Label
from viva_ros.data.one_recording import naming, one_recording
from viva_ros.data.open import open_recording
from viva_ros.data.recorded_messages import TruthMessage, truth
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.split import (
    CHOICES,
    SelectedRecordings,
    check_copies,
    contents_of,
    identities_of,
)
from viva_ros.engine.api import Engine, EngineInfo
from viva_ros.engine.factory import load
from viva_ros.evaluation.results import Result, result
from viva_ros.scoring.jobs import calibration_of
from viva_ros.scoring.replay import ReplayInput, check_rate, check_spacing
from viva_ros.scoring.scorer import FASTEST, RATE, estimates, judge, replay_for_engine, rule_alarms

LATEST: Final = 10.0  # mean durations after which a time-out has alarmed


class TimeCounter:
    """
    Baseline: value = elapsed time / mean duration, which always rises.

    With ``overdue`` the value falls instead, so that the calibrated floor is a time-out. It
    reaches -1, the end of its range, after ``LATEST`` mean durations: a value below is unknown,
    and an unknown value never alarms.
    """

    def __init__(self, info: EngineInfo, mean_duration: float, overdue: bool = False) -> None:
        """
        Start an episode.

        :param info: description of the engine whose inputs it uses
        :param mean_duration: mean duration of successful episodes, s
        :param overdue: whether the value falls
        """
        name = 'overdue' if overdue else 'elapsed'
        self.info = replace(info, fingerprint=f'time counter, {name}', kind='time')
        self._rate = (-1.0 / LATEST if overdue else 1.0) / mean_duration
        self._begin: int | None = None

    def estimate(self, observation: Observation) -> Estimate:
        """Return the value from the time since the first observation."""
        if self._begin is None:
            self._begin = observation.stamp
        elapsed = (observation.stamp - self._begin) * 1e-9
        return Estimate(max(elapsed * self._rate, -1.0), {})

    def close(self) -> None:
        """Do nothing."""


VIVA, PROPRIO, TIME, OVERDUE = 'ViVa', 'proprioception only', 'time counter', 'time-out'


@dataclass(frozen=True)
class EvaluationConfig:
    """
    Options of an evaluation.

    :raises ConfigurationError: if a value is out of range, or two options exclude each other
    """

    recordings: tuple[Path, ...] = field(metadata=required('Test recordings: files or folders.'))
    out: Path = field(
        metadata=required('JSON file of the results; tables (.md) and plots (.png) next to it.')
    )
    part: str | None = setting(
        None,
        'Part of each folder of test recordings, by the split of training, or all; default: test '
        'of a folder with split.json or subfolders of parts; all of others, if the engines name '
        'their training episodes.',
        choices=CHOICES,
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
    calibration_part: str | None = setting(
        None,
        'Part of the folder of calibration recordings; default: calibration of a folder with '
        'split.json or subfolders of parts; all of others, if the engines name their training '
        'episodes.',
        choices=CHOICES,
    )
    scores: tuple[str, ...] = setting(
        (),
        "Folder of tables of 'viva score', to take values and alarms from instead of running an "
        'engine; repeat to compare.',
    )
    alpha: float | None = setting(
        None,
        'Share of successful episodes that may raise an alarm; refused if the calibration of an '
        f'engine has another; default: that of all calibrations of the engines, or {ALPHA}.',
        above=0.0,
        below=1.0,
    )
    rate: float | None = setting(
        None,
        'Rate of the simulated monitor, Hz; calibrations for another rate are refused; default: '
        f'{RATE:g}.',
        above=0.0,
        at_most=FASTEST,
    )
    checks: int = setting(
        0,
        'Also test the values under perturbed inputs, on this number of recordings of each task '
        'and outcome; 0: no tests.',
        at_least=0,
    )
    surrogates: int = setting(
        0,
        'Also test the alarms on surrogate failures, made of this number of undisturbed successes '
        'of each task; 0: none.',
        at_least=0,
    )

    def __post_init__(self) -> None:
        validate(self)
        others = (
            self.engine, self.proprio, self.checks, self.surrogates, self.calibration_recordings,
            self.calibration_part, self.alpha, self.rate,
        )  # fmt: skip
        if self.scores and any(others):
            raise ConfigurationError(
                'evaluation-options',
                '--scores reads values and alarms from tables: leave out --engine, --proprio, '
                '--checks, --surrogates, --calibration-recordings, --calibration-part, --alpha '
                'and --rate',
            )
        if not self.scores and self.calibration_recordings is None:
            raise ConfigurationError(
                'evaluation-calibration-missing',
                '--calibration-recordings is missing: name a folder of recordings that are not '
                'test recordings',
            )


@dataclass(frozen=True)
class Contender:
    """
    An engine or baseline under evaluation.

    :param engines: by task, a function that returns the engine for the next recording
    :param calibrations: by task; a task without calibration has no alarms
    """

    name: str
    engines: Mapping[str, Callable[[], Engine]]
    calibrations: Mapping[str, Calibration]


def load_contenders(
    named: Mapping[str, Path],
    tasks: Sequence[str],
    alpha: float | None,
    calibrating: SelectedRecordings,
    rate: float = RATE,
) -> list[Contender]:
    """
    Load engines with their calibrations, calibrate those without, and add the time baselines.

    All have one alpha: otherwise their figures could not be compared or joined.

    :param named: folders of engines by name
    :param alpha: share of successes that may raise an alarm; None for that of the calibrations
    :param calibrating: calibration recordings
    :param rate: rate of the simulated monitor, Hz
    :raises ConfigurationError: if the calibrations of the engines have other or different alphas
    """
    loaded = {
        name: {task: partial(_same, load(folder, task)) for task in tasks}
        for name, folder in named.items()
    }
    own = {
        (name, task): found
        for name, engines in loaded.items()
        for task, engine in engines.items()
        if (found := calibration_of(named[name], task, engine().info.fingerprint, rate))
    }
    sources = Sources(calibrating.recordings, rate, leave_out_failures=True)
    alpha = _common_alpha(own, named, alpha, calibrating, rate)
    contenders = [
        Contender(name, engines, {
            task: own.get((name, task)) or _thresholds(engine, task, alpha, sources)
            for task, engine in engines.items()
        })
        for name, engines in loaded.items()
    ]  # fmt: skip
    infos = {task: engine().info for task, engine in contenders[0].engines.items()}
    return contenders + time_baselines(infos, dict.fromkeys(tasks, alpha), sources)


def _common_alpha(
    own: Mapping[tuple[str, str], Calibration], named: Mapping[str, Path], alpha: float | None,
    calibrating: SelectedRecordings, rate: float,
) -> float:  # fmt: skip
    """
    Return the alpha of all calibrations.

    :param own: calibrations by name of the engine and task
    :param alpha: that of the option; None without the option
    :raises ConfigurationError: if a calibration has another alpha, with the commands that mend it
    """
    alphas = {one.alpha for one in own.values()}
    if alpha is None and len(alphas) < 2:
        return next(iter(alphas), ALPHA)
    wanted = next(iter(own.values())).alpha if alpha is None else alpha
    others = [(named[name], task) for (name, task), one in own.items() if one.alpha != wanted]
    if not others:
        return wanted
    commands = '; '.join(
        _command(folder, task, wanted, calibrating, rate) for folder, task in others
    )
    if alpha is None:
        each = ', '.join(
            f'{calibration_file(named[name], task)} has alpha {one.alpha:g}'
            for (name, task), one in own.items()
        )
        raise ConfigurationError(
            'evaluation-alphas-differ', f'alphas differ: {each}: run {commands}'
        )
    folder, task = others[0]
    has = next(one.alpha for (name, at), one in own.items() if (named[name], at) == others[0])
    raise ConfigurationError(
        'evaluation-alpha',
        f'--alpha is {wanted:g}, but {calibration_file(folder, task)} has alpha {has:g}: leave '
        f'out --alpha, or run {commands}',
    )


def _command(
    folder: Path, task: str, alpha: float, calibrating: SelectedRecordings, rate: float
) -> str:
    """Return the command that calibrates an engine for a task on the calibration recordings."""
    recordings = ' '.join(quote(str(path)) for path in calibrating.given)
    options = f' --warn-alpha {alpha:g}' if alpha > WARN_ALPHA else ''
    options += f' --rate {rate:g}' if rate != RATE else ''
    options += f' --part {calibrating.part}' if calibrating.part else ''
    return (
        f"'viva calibrate {recordings} --leave-out-failures --engine {quote(str(folder))} "
        f"--task {quote(task)} --alpha {alpha:g}{options}'"
    )


def _thresholds(
    engine: Callable[[], Engine], task: str, alpha: float, sources: Sources
) -> Calibration:
    return calibrate_engine(engine, task, sources, alpha, max(alpha, WARN_ALPHA))


def time_baselines(
    infos: Mapping[str, EngineInfo], alphas: Mapping[str, float], sources: Sources
) -> list[Contender]:
    """Return the time counter, whose value rises with time, and the time-out, which alarms."""
    rising, overdue, calibrations = {}, {}, {}
    for task, info in infos.items():
        duration = mean_duration(sources.paths, task)
        rising[task] = partial(TimeCounter, info, duration)
        overdue[task] = partial(TimeCounter, info, duration, overdue=True)
        calibrations[task] = _thresholds(overdue[task], task, alphas[task], sources)
    return [Contender(TIME, rising, {}), Contender(OVERDUE, overdue, calibrations)]


def _same(engine: Engine) -> Engine:
    return engine


def mean_duration(paths: Sequence[Path], task: str = '') -> float:
    """Return the mean duration of the undisturbed successes of a task, s."""
    spans = []
    for path in paths:
        with leaving_out(path, []):
            for episode in episodes_of(open_recording(path)):
                if is_undisturbed(episode.label, task):
                    spans.append((episode.joints.stamps[-1] - episode.joints.stamps[0]) * 1e-9)
    if not spans:
        of_task = f' at {task}' if task else ''
        raise CalibrationError(
            'evaluation-no-success', f'no calibration recording is an undisturbed success{of_task}'
        )
    return float(np.mean(spans))


@dataclass(frozen=True)
class LabelledRecording:
    """Task of a recording with an outcome, and its content identities, none or one."""

    task: str
    identities: frozenset[str]


def read_tests(paths: Sequence[Path]) -> dict[Path, LabelledRecording]:
    """
    Read task and content identity of test recordings; no image is decoded.

    A recording that cannot be read is left out, and named on stderr.

    :raises RecordingError: if recordings have no outcome, or none can be read
    :raises CalibrationError: if a recording is a copy of another
    """
    found, contents = {}, {}
    refused: list[VivaError] = []
    with following(paths, 'reading') as shown:
        for path in shown:
            with leaving_out(path, [], refused):
                episode, label = labelled(open_recording(path))
                identities, content = identities_of([episode]), contents_of([episode])
                found[path], contents[path] = LabelledRecording(label.task, identities), content
    raise_all(refused)
    check_some(found, paths)
    check_copies(contents)
    return found


#: Codes of what a user corrects: an evaluation without such recordings is not the one asked for.
CORRECTED: Final = frozenset({
    'evaluation-episodes', 'evaluation-outcome-missing', 'recording-rate', 'recording-spacing',
    'table-missing', 'table-outdated',
})  # fmt: skip


@contextmanager
def leaving_out(
    path: Path, failed: list[Path], refused: list[VivaError] | None = None
) -> Iterator[None]:
    """
    Leave out a recording that cannot be read in this block, and name it on stderr.

    :param failed: gets the path of a recording that is left out
    :param refused: gets the errors of CORRECTED
    :raises RecordingError: one of CORRECTED, if ``refused`` is None
    """
    try:
        with one_recording(path):
            yield
    except (RecordingError, ConfigurationError) as error:  # a map next to it, too
        if error.code not in CORRECTED:
            failed.append(path)
            Terminal(stderr=True).print(f'FAILED, left out: {naming(path, error)}', soft_wrap=True)
        elif refused is None:
            raise
        else:
            refused.append(error)


def raise_all(refused: Sequence[VivaError]) -> None:
    """
    Raise the errors of several recordings as one.

    :raises RecordingError: with the code of the first
    """
    if refused:
        raise type(refused[0])(refused[0].code, '; '.join(map(str, refused)))


def check_some(found: Collection[object], paths: Sequence[Path]) -> None:
    """
    Check that a recording is left.

    :raises RecordingError: if there is none
    """
    if not found:
        raise RecordingError(
            'evaluation-unreadable',
            f'none of {len(paths)} recordings can be read and is of the task: see above, or '
            'correct --task',
        )


def read_identities(paths: Sequence[Path]) -> dict[Path, frozenset[str]]:
    """Return the content identities of recordings; no image is decoded."""
    found: dict[Path, frozenset[str]] = {}
    with following(paths, 'reading') as shown:
        for path in shown:
            with leaving_out(path, []):
                found[path] = identities_of(episodes_of(open_recording(path)))
    return found


def tasks_of(tests: Mapping[Path, LabelledRecording], folder: Path) -> dict[Path, str]:
    """
    Return the task of each recording; recordings of tasks that the engine lacks are left out.

    :param folder: folder of the engine
    :raises EngineError: if the engine has none of the tasks
    """
    known = _known(folder, sorted({test.task for test in tests.values()}))
    return {path: test.task for path, test in tests.items() if test.task in known}


def labelled(recording: Recording) -> tuple[Episode, Label]:
    """
    Return the episode of a recording and its outcome.

    :raises RecordingError: if the recording has no outcome, or not exactly one episode
    """
    episodes = episodes_of(recording)
    if len(episodes) != 1:
        raise RecordingError(
            'evaluation-episodes',
            f'{recording.path} has {len(episodes)} episodes, must have 1: split the recording '
            "with 'viva import'",
        )
    if episodes[0].label is None:
        raise RecordingError(
            'evaluation-outcome-missing',
            f'{recording.path} has no outcome: leave it out, or label it (viva label)',
        )
    return episodes[0], episodes[0].label


def _known(folder: Path, tasks: Sequence[str]) -> tuple[str, ...]:
    """Return the tasks of an engine, which is loaded for the first task that it has."""
    for task in tasks[:-1]:
        try:
            return load(folder, task).info.tasks
        except EngineError:
            continue  # try the next task
    return load(folder, tasks[-1]).info.tasks


@dataclass(frozen=True)
class Case:
    """One test recording: inputs of the engine, label and ground truth."""

    path: Path
    episode: Episode
    label: Label
    task: str
    inputs: list[ReplayInput]
    moments: list[TruthMessage]


def cases(
    tasks: Mapping[Path, str], infos: Mapping[str, EngineInfo], rate: float = RATE
) -> Iterator[Case]:
    """
    Yield the test recordings in order, with a progress bar.

    A recording that cannot be replayed is left out, and named on stderr.

    :param rate: rate of the simulated monitor, Hz
    :raises RecordingError: if a recording has the values of a monitor at another rate, or its
        images are slower than the rate
    """
    console = Terminal(stderr=True)
    with following(list(tasks), 'evaluating', console) as shown:
        for path in shown:
            found: list[Case] = []
            with leaving_out(path, []):
                found.append(_case(path, tasks[path], infos[tasks[path]], rate, console))
            yield from found


def _case(path: Path, task: str, info: EngineInfo, rate: float, console: Terminal) -> Case:
    recording = open_recording(path)
    for loss in recording.losses:
        console.print(f'{path} is damaged: {loss}', highlight=False, soft_wrap=True)
    episode, label = labelled(recording)
    check_rate(recording, rate)
    inputs = list(replay_for_engine(recording, info, rate))
    if all(one.published is None for one in inputs):
        known = [one.stamp for one in inputs if isinstance(one.observation, Observation)]
        check_spacing(path, known, rate)
    return Case(path, episode, label, task, inputs, truth(recording))


def evaluate_case(case: Case, one: Contender) -> Result:
    """Return the result of one contender on one recording."""
    samples = list(estimates(case.inputs, one.engines[case.task]()))
    alarms = rule_alarms(judge(samples, one.calibrations.get(case.task)))
    with one_recording(case.path):
        return result(case.episode, case.label, samples, alarms, case.moments)


def run(
    contenders: Sequence[Contender], tasks: Mapping[Path, str], rate: float = RATE
) -> tuple[dict[str, list[Result]], list[Path]]:
    """
    Evaluate all contenders on all recordings.

    :param tasks: test recording to its task
    :param rate: rate of the simulated monitor, Hz
    :returns: results by name of the contender, and their recordings, in the same order; those that
        cannot be replayed are left out
    :raises RecordingError: if none can be replayed
    """
    results: dict[str, list[Result]] = {contender.name: [] for contender in contenders}
    infos = {task: engine().info for task, engine in contenders[0].engines.items()}
    paths = []
    for case in cases(tasks, infos, rate):
        for one in contenders:
            results[one.name].append(evaluate_case(case, one))
        paths.append(case.path)
    check_some(paths, [*tasks])
    return join_time_baselines(results), paths


def join_time_baselines(results: dict[str, list[Result]]) -> dict[str, list[Result]]:
    """Join the time baselines: values of the time counter, alarms of the time-out."""
    alarms = results.pop(OVERDUE)
    rising = results[TIME]
    results[TIME] = [
        replace(value, alarms=alarm.alarms) for value, alarm in zip(rising, alarms, strict=True)
    ]
    return results
