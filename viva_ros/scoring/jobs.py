# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One recording to score, wherever that is done: here, in a process beside, or in a cluster."""

import json
import math
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, Final

from viva_ros.core.detection.thresholds import Calibration, calibration_file
from viva_ros.core.detection.thresholds import load as load_calibration
from viva_ros.core.errors import RecordingError, VivaError
from viva_ros.data.episode import Episode
from viva_ros.data.formats import EpisodeRef
from viva_ros.data.open import first_frame, identity, open_ref
from viva_ros.data.recorded_messages import values
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import episodes_of, task_of
from viva_ros.engine.api import Engine
from viva_ros.engine.factory import load
from viva_ros.engine.resources import engine_folder, tasks_known
from viva_ros.scoring.frame_index import timelines
from viva_ros.scoring.scorer import Scores, score
from viva_ros.scoring.store import (
    PROGRESS_SUFFIX,
    VALUES_SUFFIX,
    header,
    header_of,
    is_whole,
    progress_table,
    values_table,
    with_header,
    write_table,
)

SCORED: Final = 'scored'
THERE: Final = 'there already'
FAILED: Final = 'FAILED'
STOP: Final = 'stop'  # the next recording would fare no better


@dataclass(frozen=True)
class Order:
    """
    How to score; see the options of `viva score`.

    :param engine: folder; empty for the shipped one
    :param task: empty for each recording's own
    :param corrections: topic; empty for none
    """

    engine: str
    task: str
    calibration: Path | None
    rate: float
    batch: int
    corrections: str
    command: str


@dataclass(frozen=True)
class ScoreJob:
    """A recording, and the folder and name that its tables get."""

    ref: EpisodeRef
    folder: Path
    name: str

    @property
    def path(self) -> Path:
        """Return what names the recording."""
        return self.ref.path

    @property
    def values(self) -> Path:
        """Where the values go."""
        return self.folder / f'{self.name}{VALUES_SUFFIX}'

    @property
    def progress(self) -> Path:
        """Where the side table goes."""
        return self.folder / f'{self.name}{PROGRESS_SUFFIX}'


@dataclass(frozen=True)
class ScoreOutcome:
    """
    What became of a job; a row of the table at the end.

    :param state: one of SCORED, THERE, FAILED, STOP
    :param first: and last: known value; NaN without one
    :param text: for a person
    :param host: where it was done
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
    text: str = ''
    seconds: float = 0.0
    host: str = ''


def summary(scores: Scores, episodes: int) -> dict[str, Any]:
    """Count what came out."""
    known = [sample.value for sample in scores.samples if math.isfinite(sample.value)]
    ends = (known[0], known[-1]) if known else (math.nan, math.nan)
    return {
        'episodes': episodes, 'known': len(known), 'unknown': len(scores.samples) - len(known),
        'alarms': len(scores.alarms), 'first': ends[0], 'last': ends[1],
    }  # fmt: skip


def describe(scores: Scores) -> str:
    """Say in lines what a count does not: the alarms, and what was published."""
    begin = scores.samples[0].stamp if scores.samples else 0
    lines = [f'{(e.stamp - begin) * 1e-9:6.2f} s {e.kind}: {e.text}' for e in scores.alarms]
    if scores.difference is not None:
        lines.append(f'largest difference from the published values: {scores.difference:.2g}')
    if scores.lost:
        lines.append(f'{scores.lost} published values are of inputs that were not recorded')
    if scores.alarms_said is not None:
        same = [(e.kind, e.onset) for e in scores.alarms]
        published = [(e.kind, e.onset) for e in scores.alarms_said]
        verdict = 'the same' if same == published else 'NOT the same'
        lines.append(f'{len(published)} alarms were published, {verdict}')
    return '\n'.join(lines)


def check_known(scores: Scores) -> None:
    """
    Refuse a recording without any known value: a camera or joints that it lacks, say.

    :raises RecordingError: with the most frequent reason
    """
    reasons = Counter(sample.reason for sample in scores.samples)
    if reasons and not any(math.isfinite(sample.value) for sample in scores.samples):
        reason, count = reasons.most_common(1)[0]
        raise RecordingError(
            f'no value is known at any of {len(scores.samples)} moments, at {count} because: '
            f'{reason}: leave it out, or record it again'
        )


class Scorer:
    """Scores one recording after another; an engine is loaded once for each task."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._loaded: dict[str, tuple[Engine, Calibration | None]] = {}

    def attempt(self, job: ScoreJob) -> ScoreOutcome:
        """Score a recording; errors become outcomes, but for a mistake in the program."""
        begin, host = monotonic(), platform.node()
        try:
            made_from = identity_of(job.ref)
            outcome = self._there(job, made_from) or self._score(job, made_from)
        except RecordingError as error:
            outcome = ScoreOutcome(job.path, FAILED, text=str(error))
        except VivaError as error:  # of the engine or the disk: the next would fare no better
            outcome = ScoreOutcome(job.path, STOP, text=f'at {job.path}: {error}')
        return replace(outcome, seconds=monotonic() - begin, host=host)

    def close(self) -> None:
        """Free the engines."""
        for engine, _ in self._loaded.values():
            engine.close()
        self._loaded.clear()

    def _there(self, job: ScoreJob, made_from: list[Any]) -> ScoreOutcome | None:
        """Return the earlier outcome, if its tables are whole and would come out the same."""
        found = header(job.values)
        if found is None or not is_whole(job.progress):
            return None
        if json.loads(json.dumps(self._made_of(made_from, found['task']))) != found['made_of']:
            return None
        summary: dict[str, Any] = {
            k: math.nan if v is None else v for k, v in found['summary'].items()
        }
        losses = tuple(found['losses'])
        return ScoreOutcome(
            job.path, THERE, found['engine'], found['task'], losses=losses, **summary
        )

    def _score(self, job: ScoreJob, made_from: list[Any]) -> ScoreOutcome:
        recording = open_ref(job.ref)
        found = known_episodes(recording)
        task = self._order.task or own_task(recording, found)
        engine, calibration = self._engine(task)
        scores = score(recording, engine, task, calibration, self._order.rate, self._order.batch)
        check_known(scores)
        episodes = timelines(
            recording, found, engine.info.cameras, self._order.corrections, job.ref.index,
            first_frame(job.ref),
        )  # fmt: skip
        made_of = self._made_of(made_from, task)
        content = header_of(scores, episodes, made_of, self._order.command)
        counts = summary(scores, len(episodes))
        content['data_set'] = job.ref.dataset.name if job.ref.dataset else ''
        content['summary'] = {k: None if v != v else v for k, v in counts.items()}
        write_table(job.progress, with_header(progress_table(scores, episodes), content))
        write_table(job.values, with_header(values_table(scores, episodes), content))
        return ScoreOutcome(
            job.path, SCORED, scores.engine, task, losses=scores.losses, text=describe(scores),
            **counts,
        )  # fmt: skip

    def _engine(self, task: str) -> tuple[Engine, Calibration | None]:
        if task not in self._loaded:
            known = tasks_known(self._order.engine)
            if known and task not in known and not self._order.task:  # the next may be of another
                raise RecordingError(
                    f'it is of task {task!r}, there are engines for {", ".join(sorted(known))}: '
                    'leave it out, or name an engine for it with --engine'
                )
            folder = engine_folder(self._order.engine, task)
            engine = load(folder, task)
            found = calibration_of(folder, task, engine.info.fingerprint, self._order.calibration)
            self._loaded[task] = engine, found
        return self._loaded[task]

    def _made_of(self, made_from: list[Any], task: str) -> dict[str, Any]:
        """Return all that the tables depend on, but for the version of this package."""
        asked = self._order.task or task
        engine, calibration = self._engine(asked)
        return {
            'input': made_from, 'engine': engine.info.fingerprint, 'task': asked,
            'rate': self._order.rate, 'corrections': self._order.corrections,
            'calibration': asdict(calibration) if calibration else None,
        }  # fmt: skip


def calibration_of(
    folder: Path, task: str, fingerprint: str, given: Path | None = None
) -> Calibration | None:
    """
    Load and check the calibration of an engine; None if it has none and none is asked for.

    :raises CalibrationError: if it cannot be read, or belongs to another engine
    """
    path = given or calibration_file(folder, task)
    if given is None and not path.exists():
        return None
    calibration = load_calibration(path)
    calibration.check(fingerprint, task, calibration.rules)
    return calibration


def identity_of(ref: EpisodeRef) -> list[Any]:
    """Return what tells a recording from another, and from itself before a change."""
    stamp = ref.path.stat().st_mtime_ns if ref.path.exists() else None
    return [*identity(ref), stamp]


def known_episodes(recording: Recording) -> list[Episode] | None:
    """Return the episodes of a recording; None if it lacks joints or cameras."""
    try:
        return episodes_of(recording)
    except RecordingError:  # there may be values yet
        return None


def own_task(recording: Recording, episodes: Sequence[Episode] | None) -> str:
    """
    Return the task that a recording says it is of.

    :raises RecordingError: if it does not
    """
    labels = [episode.label for episode in episodes or ()]
    named = [label.task for label in labels if label] + [one.task for one in values(recording)]
    named.append(task_of(recording))
    task = next((name for name in named if name), '')
    if not task:
        raise RecordingError(f'{recording.path} does not say its task: name it with --task')
    return task
