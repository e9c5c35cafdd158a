# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Score one recording: in this process, in a child process or on a Ray cluster."""

import json
import math
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, Final

from viva_ros.core.detection.thresholds import Calibration, TaskCalibrations, calibration_file
from viva_ros.core.errors import (
    CalibrationError,
    ConfigurationError,
    InputError,
    RecordingError,
    VivaError,
)
from viva_ros.data.episode import Episode
from viva_ros.data.formats import EpisodeRef
from viva_ros.data.one_recording import one_recording
from viva_ros.data.open import first_frame, identity, open_ref
from viva_ros.data.recorded_messages import values
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import episodes_of, task_of
from viva_ros.engine.api import Engine
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import read_calibration, trained_episodes
from viva_ros.engine.resources import engine_folder, tasks_known
from viva_ros.scoring.frame_index import timelines
from viva_ros.scoring.scorer import Scores, score
from viva_ros.scoring.store import (
    PROGRESS_SUFFIX,
    VALUES_SUFFIX,
    header,
    header_of,
    is_trained,
    is_whole,
    progress_table,
    values_table,
    with_header,
    write_table,
)

SCORED: Final = 'scored'
UNCHANGED: Final = 'unchanged'
FAILED: Final = 'FAILED'
STOP: Final = 'stop'  # of an error that all recordings share


@dataclass(frozen=True)
class ScoreOptions:
    """
    Settings of a scoring run; see the options of `viva score`.

    :param engine: engine folder; empty for the shipped one
    :param task: task of all recordings; empty for the task that each names
    :param calibration: calibration file; None for that of the engine
    :param rate: rate of the simulated monitor, Hz
    :param batch: observations for each call of the engine
    :param corrections: std_msgs/Bool topic of human control; empty for none
    :param command: command line, written to the tables
    :param alarms: whether to judge the values; no calibration is used otherwise
    """

    engine: str
    task: str
    calibration: Path | None
    rate: float
    batch: int
    corrections: str
    command: str
    alarms: bool = True


@dataclass(frozen=True)
class ScoreJob:
    """A recording with the folder and name of its tables."""

    ref: EpisodeRef
    folder: Path
    name: str

    @property
    def path(self) -> Path:
        """Return the path of the recording."""
        return self.ref.path

    @property
    def values(self) -> Path:
        """Return the path of the table of values."""
        return self.folder / f'{self.name}{VALUES_SUFFIX}'

    @property
    def progress(self) -> Path:
        """Return the path of the LeRobot progress table."""
        return self.folder / f'{self.name}{PROGRESS_SUFFIX}'


@dataclass(frozen=True)
class ScoreOutcome:
    """
    Result of a job: a row of the summary table.

    :param state: one of SCORED, UNCHANGED, FAILED, STOP
    :param engine: fingerprint
    :param known: number of known values
    :param unknown: number of unknown values
    :param first: first known value; NaN without one
    :param last: last known value; NaN without one
    :param losses: lost parts of a damaged recording
    :param refused: reasons for which an import would refuse an episode
    :param text: alarms and differences, or the error
    :param warnings: a text for each rule of the calibration that never or seldom alarms
    :param seconds: duration of the job, s
    :param host: name of the machine
    """

    path: Path
    state: str
    engine: str = ''
    task: str = ''
    episodes: int = 0
    known: int = 0
    unknown: int = 0
    alarms: int = 0
    first: float = math.nan
    last: float = math.nan
    losses: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    text: str = ''
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    host: str = ''


def summary(scores: Scores, episodes: int) -> dict[str, Any]:
    """Return counts of episodes, values and alarms, with the first and last known value."""
    known = [sample.value for sample in scores.samples if math.isfinite(sample.value)]
    ends = (known[0], known[-1]) if known else (math.nan, math.nan)
    return {
        'episodes': episodes, 'known': len(known), 'unknown': len(scores.samples) - len(known),
        'alarms': len(scores.alarms), 'first': ends[0], 'last': ends[1],
    }  # fmt: skip


def describe(scores: Scores) -> str:
    """Return lines with each alarm and with the differences from the published values."""
    begin = scores.samples[0].stamp if scores.samples else 0
    lines = [f'{(e.stamp - begin) * 1e-9:6.2f} s {e.kind}: {e.text}' for e in scores.alarms]
    if scores.difference is not None:
        lines.append(f'largest difference from the published values: {scores.difference:.2g}')
    if scores.lost:
        lines.append(f'{scores.lost} published values lack recorded inputs')
    if scores.published_alarms is not None:
        same = [(e.kind, e.onset) for e in scores.alarms]
        published = [(e.kind, e.onset) for e in scores.published_alarms]
        verdict = 'the same' if same == published else 'NOT the same'
        lines.append(f'published alarms: {len(published)}, {verdict}')
    return '\n'.join(lines)


def check_known(scores: Scores) -> None:
    """
    Refuse a recording without a known value, such as one that lacks a camera.

    :raises RecordingError: naming the most frequent reason
    """
    reasons = Counter(sample.reason for sample in scores.samples)
    if reasons and not any(math.isfinite(sample.value) for sample in scores.samples):
        reason, count = reasons.most_common(1)[0]
        raise RecordingError(
            'values-unknown',
            f'all {len(scores.samples)} values are unknown, {count} of them because: '
            f'{reason}: name its topics and joints in a viva_map.yaml in its folder if they '
            'have other names, leave the recording out, or record it again',
        )


@contextmanager
def _of_recording() -> Iterator[None]:
    """Turn an error of files next to a recording, its map or labels, into its refusal."""
    try:
        yield
    except ConfigurationError as error:
        raise RecordingError('recording-files-invalid', str(error)) from error


class Scorer:
    """Scores recordings in sequence; the engine of each task is loaded once."""

    def __init__(self, options: ScoreOptions) -> None:
        self._options = options
        self._loaded: dict[str, tuple[Engine, Calibration | None]] = {}
        self._trained: dict[str, frozenset[str] | None] = {}

    def attempt(self, job: ScoreJob) -> ScoreOutcome:
        """Score a recording; an error becomes an outcome, a lack of memory is raised."""
        begin, host = monotonic(), platform.node()
        try:
            with one_recording(job.path):
                with _of_recording():
                    made_from = identity(job.ref)
                outcome = self._unchanged(job, made_from) or self._score(job, made_from)
        except (RecordingError, InputError) as error:
            outcome = ScoreOutcome(job.path, FAILED, text=str(error))
        except VivaError as error:  # of the engine or the disk: all recordings share it
            outcome = ScoreOutcome(job.path, STOP, text=f'at {job.path}: {error}')
        _, calibration = self._loaded.get(outcome.task, (None, None))
        texts = TaskCalibrations({outcome.task: calibration}).warnings if calibration else ()
        return replace(outcome, warnings=tuple(texts), seconds=monotonic() - begin, host=host)

    def close(self) -> None:
        """Free the engines."""
        for engine, _ in self._loaded.values():
            engine.close()
        self._loaded.clear()

    def _unchanged(self, job: ScoreJob, made_from: list[Any]) -> ScoreOutcome | None:
        """Return the earlier outcome if its tables are complete and its inputs are equal."""
        found = header(job.values)
        if found is None or not is_whole(job.progress):
            return None
        if json.loads(json.dumps(self._made_of(made_from, found['task']))) != found['made_of']:
            return None
        trained = self._trained[self._options.task or found['task']]
        if trained is not None:  # earlier versions did not note it
            for entry in found['episodes']:
                known = is_trained(entry.get('identities', ()), trained)
                if 'identities' not in entry or entry.get('trained') != known:
                    return None
        summary: dict[str, Any] = {
            k: math.nan if v is None else v for k, v in found['summary'].items()
        }
        losses = tuple(found['losses'])
        return ScoreOutcome(
            job.path, UNCHANGED, found['engine'], found['task'], losses=losses,
            refused=tuple(found.get('refused', ())), **summary,
        )  # fmt: skip

    def _score(self, job: ScoreJob, made_from: list[Any]) -> ScoreOutcome:
        with _of_recording():
            recording = open_ref(job.ref)
            recorded = known_episodes(recording)
            task = self._options.task or own_task(recording, recorded)
        engine, calibration = self._engine(task)
        scores = score(
            recording, engine, task, calibration, self._options.rate, self._options.batch
        )
        check_known(scores)
        episodes = timelines(
            recording, recorded, engine.info.cameras, self._options.corrections, job.ref.index,
            first_frame(job.ref),
        )  # fmt: skip
        made_of = self._made_of(made_from, task)
        trained = self._trained[task]
        content = header_of(scores, episodes, made_of, self._options.command, trained)
        counts = summary(scores, len(episodes))
        refused = tuple(dict.fromkeys(
            text for one in recorded or () for _, text in one.reasons
        ))  # fmt: skip
        content['refused'] = refused
        content['data_set'] = job.ref.dataset.name if job.ref.dataset else ''
        content['summary'] = {k: None if v != v else v for k, v in counts.items()}
        write_table(job.progress, with_header(progress_table(scores, episodes), content))
        write_table(job.values, with_header(values_table(scores, episodes), content))
        return ScoreOutcome(
            job.path, SCORED, scores.engine, task, losses=scores.losses, refused=refused,
            text='\n'.join([describe(scores), *recording.foreign_notes]).strip(), **counts,
        )  # fmt: skip

    def _engine(self, task: str) -> tuple[Engine, Calibration | None]:
        if task not in self._loaded:
            known = tasks_known(self._options.engine)
            if known and task not in known and not self._options.task:  # of this recording only
                raise RecordingError(
                    'task-without-engine',
                    f'task is {task!r}, must be one of {", ".join(sorted(known))}: leave the '
                    'recording out, or name an engine for the task with --engine',
                )
            folder = engine_folder(self._options.engine, task)
            engine = load(folder, task)
            self._loaded[task] = engine, self._calibration(folder, task, engine)
            self._trained[task] = trained_episodes(folder)
        return self._loaded[task]

    def _calibration(self, folder: Path, task: str, engine: Engine) -> Calibration | None:
        options = self._options
        if not options.alarms:
            return None
        try:
            return calibration_of(
                folder, task, engine.info.fingerprint, options.rate, options.calibration
            )
        except CalibrationError as error:
            if error.code != 'calibration-rate':
                raise
            raise CalibrationError('score-rate', f'{error}, or score with --no-alarms') from error

    def _made_of(self, made_from: list[Any], task: str) -> dict[str, Any]:
        """Return the inputs of the tables, without the version of this package."""
        task = self._options.task or task
        engine, calibration = self._engine(task)
        return {
            'input': made_from, 'engine': engine.info.fingerprint, 'task': task,
            'rate': self._options.rate, 'corrections': self._options.corrections,
            'calibration': calibration.to_dict() if calibration else None,
        }  # fmt: skip


def calibration_of(
    folder: Path, task: str, fingerprint: str, rate: float | None, file: Path | None = None
) -> Calibration | None:
    """
    Load and check the calibration of an engine.

    :param rate: rate of the values, Hz; None if the values will be computed at its rate
    :param file: calibration file; None for that in the folder of the engine
    :returns: None if ``file`` is None and the engine has no calibration
    :raises CalibrationError: if the file cannot be read, or is for another engine or rate
    """
    path = file or calibration_file(folder, task)
    if file is None and not path.exists():
        return None
    calibration = read_calibration(path)
    calibration.check(
        fingerprint, task, calibration.rules, calibration.rate if rate is None else rate
    )
    return calibration


def known_episodes(recording: Recording) -> list[Episode] | None:
    """Return the episodes of a recording; None if it lacks joints or cameras."""
    try:
        return episodes_of(recording)
    except RecordingError:  # published values may exist
        return None


def own_task(recording: Recording, episodes: Sequence[Episode] | None) -> str:
    """
    Return the task that a recording names.

    :raises RecordingError: if it names none
    """
    labels = [episode.label for episode in episodes or ()]
    named = [label.task for label in labels if label] + [one.task for one in values(recording)]
    named.append(task_of(recording))
    task = next((name for name in named if name), '')
    if not task:
        raise RecordingError(
            'recording-task-missing',
            f'{recording.path} does not say its task: name it with --task',
        )
    return task
