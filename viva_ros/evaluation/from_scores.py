# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Judged episodes from tables of values: what `viva score` wrote, beside what the recordings tell.

Values and alarms are those of the tables; outcomes, events and true progress are read from the
recordings as they are now, so that they may be labelled later. No picture is looked at.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from viva_ros.core.detection.thresholds import FORMAT, Calibration, parse
from viva_ros.core.errors import CalibrationError, RecordingError
from viva_ros.core.events import Event, Level
from viva_ros.data.open import open_recording
from viva_ros.data.recorded_messages import truth
from viva_ros.evaluation.results import Result, result
from viva_ros.evaluation.run import labelled
from viva_ros.scoring.store import Scored, check_engines, find_scored, read_scored, samples_of


def read_tables(folder: Path, task: str = '') -> dict[Path, Scored]:
    """
    Read all tables of one engine, by the recording that each is of.

    :param task: those of this one alone; all where empty
    :raises RecordingError: if there is none, or one is damaged
    :raises EngineError: if they are of several engines
    :raises CalibrationError: if one was made without thresholds
    """
    tables = [read_scored(path) for path in find_scored([folder])]
    check_engines(tables)
    chosen = [table for table in tables if table.header['task'] == (task or table.header['task'])]
    for table in chosen:
        if table.header['calibration'] is None:
            raise CalibrationError(
                f'{table.path} was made without thresholds, so nobody knows its alarms: run '
                "'viva calibrate' for the engine, then score again"
            )
    return {Path(table.header['made_of']['input'][0]): table for table in chosen}


def results_of(
    tables: Mapping[str, Mapping[Path, Scored]], paths: Sequence[Path], task: str = ''
) -> tuple[dict[str, list[Result]], list[Path]]:
    """
    Set values and alarms of the tables beside what really happened.

    :param tables: from ``read_tables``, by the name of the engine
    :param task: recordings of this one alone; all where empty
    :returns: results by name, and the recordings that they are of, in the same order
    :raises RecordingError: if a recording has no outcome or table, or was changed since
    """
    found: dict[str, list[Result]] = {name: [] for name in tables}
    judged = []
    for path in track(paths, 'evaluating', console=Console(stderr=True)):
        recording = open_recording(path)
        episode, label = labelled(recording)
        if task and label.task != task:
            continue
        moments = truth(recording)
        judged.append(path)
        for name, rows in tables.items():
            table = table_of(rows, path)
            found[name].append(
                result(episode, label, samples_of(table), alarms_of(table), moments)
            )
    return found, judged


def table_of(tables: Mapping[Path, Scored], path: Path) -> Scored:
    """
    Find the table of a recording.

    :raises RecordingError: if there is none, or the recording is another one now
    """
    table = tables.get(path.resolve())
    if table is None:
        raise RecordingError(f"{path} has no table of values: run 'viva score' on it")
    input_ = table.header['made_of']['input']
    stat = path.stat() if path.exists() else None
    if stat is not None and [stat.st_size, stat.st_mtime_ns] != [input_[1], input_[-1]]:
        raise RecordingError(f'{path} was changed after it was scored: score it again')
    return table


def alarms_of(table: Scored) -> list[Event]:
    """Return the alarms; a number that is not known is NaN again."""
    told: list[dict[str, Any]] = [{k: math.nan if v is None else v for k, v in one.items()}
            for one in table.header['alarms']]  # fmt: skip
    return [Event(**{**one, 'level': Level(one['level'])}) for one in told]


def calibrations_of(tables: Mapping[Path, Scored]) -> dict[str, Calibration]:
    """Return the thresholds that the alarms were judged by, by task."""
    return {
        table.header['task']: parse({'format': FORMAT, **table.header['calibration']})
        for table in tables.values()
    }


def engine_of(tables: Mapping[Path, Scored]) -> dict[str, Any]:
    """Return what tables tell of their engine."""
    some = next(iter(tables.values()))
    names = [name.removeprefix('forecast.') for name in some.table.column_names
             if name.startswith('forecast.')]  # fmt: skip
    tasks = sorted({table.header['task'] for table in tables.values()})
    return {'fingerprint': some.engine, 'joint_names': names, 'tasks': tasks}
