# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scored episodes with outcomes; recordings without a table are scored first."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.progress import track

from viva_ros.console.terminal import Terminal
from viva_ros.core.errors import RecordingError
from viva_ros.data.episode import Label
from viva_ros.data.open import open_recording
from viva_ros.data.split import SelectedRecordings, identities_of
from viva_ros.engine.api import EngineInfo
from viva_ros.evaluation.results import group_of
from viva_ros.scoring.jobs import FAILED, STOP, ScoreOptions, known_episodes
from viva_ros.scoring.run import plan, run
from viva_ros.scoring.scorer import RATE, series_of
from viva_ros.scoring.series import ValueSeries
from viva_ros.scoring.store import header, is_scored, read_samples, table_of

SEED: Final = re.compile(r'episode_(\d+)$')  # as 'viva record' names its files


@dataclass(frozen=True)
class Case:
    """
    One scored episode.

    :param begin: stamp of the first frame, ns
    :param duration: time from the first frame to the last, s
    """

    path: Path
    series: ValueSeries
    label: Label
    begin: int
    duration: float

    @property
    def group(self) -> str:
        """Return the group of the episode."""
        return group_of(self.label)

    @property
    def seed(self) -> int | None:
        """Return the seed in the file name; None for a retry, or another form of the name."""
        found = SEED.match(self.path.stem)
        return int(found[1]) if found else None


def read_identities(
    paths: Sequence[Path], folder: Path, infos: Mapping[str, EngineInfo]
) -> dict[Path, frozenset[str]]:
    """
    Return the content identities of recordings: from their tables, or by opening them.

    :param folder: of the tables
    :param infos: description of the engine by task
    """
    found = {}
    for path in track(paths, 'reading', console=Terminal(stderr=True)):
        scored = any(is_scored(path, folder, info, task) for task, info in infos.items())
        entries = (header(table_of(path, folder)) or {})['episodes'] if scored else []
        if entries and all('identities' in one for one in entries):
            found[path] = frozenset(mark for one in entries for mark in one['identities'])
        else:
            found[path] = identities_of(known_episodes(open_recording(path)) or ())
    return found


def score_missing(
    given: SelectedRecordings, folder: Path, engine: Path, infos: Mapping[str, EngineInfo],
    command: str,
) -> None:  # fmt: skip
    """
    Score the recordings without a table; a second run continues.

    :param folder: of the tables
    :param infos: description of the engine by task
    :raises RecordingError: if a recording cannot be scored
    """
    wanted = {path.absolute() for path in given.recordings}
    missing = [
        job for job in plan(given.given, folder) if job.path in wanted
        and not any(is_scored(job.path, folder, info, task) for task, info in infos.items())
    ]  # fmt: skip
    if not missing:
        return
    options = ScoreOptions(str(engine.absolute()), '', None, RATE, 1, '', command)
    outcomes = run(missing, options, 1, None, Terminal(stderr=True))
    failed = [one for one in outcomes if one.state in (FAILED, STOP)]
    if failed:
        raise RecordingError(
            'supervision-scoring', f'{failed[0].path} cannot be scored: {failed[0].text}'
        )


def read_cases(paths: Sequence[Path], folder: Path, infos: Mapping[str, EngineInfo]) -> list[Case]:
    """
    Read scored episodes.

    :raises RecordingError: if a recording has no outcome, or a task unknown to the engine
    """
    return [_case(path, folder, infos) for path in paths]


def _case(path: Path, folder: Path, infos: Mapping[str, EngineInfo]) -> Case:
    found = header(table_of(path, folder)) or {}
    entry = (found.get('episodes') or [{}])[0]
    if entry.get('success') is None or entry['task'] not in infos:
        raise RecordingError(
            'supervision-episode',
            f'{path} has no outcome, or a task unknown to the engine: leave it out',
        )
    label = Label(entry['task'], entry['success'], entry['failure'], None, entry['times'])
    samples = read_samples(path, folder, infos[label.task], label.task, RATE)
    duration = (entry['end'] - entry['begin']) * 1e-9
    return Case(path, series_of(samples), label, entry['begin'], duration)
