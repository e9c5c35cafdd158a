# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Evaluation of the tables of `viva score`, without an engine.

Values and alarms come from the tables. Outcomes, events and true progress come from the recordings
in their current state, so that a recording can be labelled after scoring. Images are not read.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from viva_ros.console.progress import following
from viva_ros.core.detection.thresholds import FORMAT, Calibration, parse
from viva_ros.core.errors import CalibrationError, ConfigurationError, RecordingError, VivaError
from viva_ros.core.events import Event, Level
from viva_ros.data.open import identity, open_recording, resolve
from viva_ros.data.recorded_messages import truth
from viva_ros.data.split import Note, SelectedRecordings, check_copies, contents_of
from viva_ros.evaluation.results import Result, result
from viva_ros.evaluation.run import check_some, labelled, leaving_out, raise_all
from viva_ros.scoring.store import Scored, check_engines, find_scored, read_scored, samples_of


def read_tables(folder: Path, task: str = '') -> dict[Path, Scored]:
    """
    Read the tables of one engine, by recording.

    :param task: task of the tables; empty for all tasks
    :raises RecordingError: if no table is found or is of the task, a table is damaged, or a
        recording has two
    :raises EngineError: if the tables are of several engines
    :raises CalibrationError: if a table was made without thresholds
    """
    tables = [read_scored(path) for path in find_scored([folder])]
    check_engines(tables)
    chosen = [table for table in tables if table.header['task'] == (task or table.header['task'])]
    if not chosen:
        known = ', '.join(sorted({table.header['task'] for table in tables}))
        raise RecordingError(
            'tables-task-missing',
            f'{folder} has no table of task {task}, must be one of {known}: correct --task, or '
            'score recordings of that task',
        )
    found: dict[Path, Scored] = {}
    for table in chosen:
        path = Path(table.header['made_of']['input'][0])
        if (other := found.setdefault(path, table)) is not table:
            raise RecordingError(
                'table-recording-twice',
                f'{other.path} and {table.path} are both tables of {path}: delete one of them, or '
                'name the task with --task if they differ in it',
            )
    for table in chosen:
        if table.header['calibration'] is None:
            raise CalibrationError(
                'table-without-thresholds',
                f'{table.path} was made without thresholds, so its alarms are unknown: run '
                "'viva calibrate' for the engine, then score again without --no-alarms",
            )
    return found


def check_tables(
    tests: SelectedRecordings, tables: Mapping[Path, Scored], folder: str, note: Note
) -> None:  # fmt: skip
    """
    Check by their tables that neither the engine nor its thresholds learnt from test recordings.

    :param folder: of the tables, for the text
    :param note: called with a warning if tables do not say whether they did
    :raises CalibrationError: with the number of recordings, and the first of them; or if a part
        must be selected
    """
    rows = {path: table for path in tests.recordings if (table := tables.get(path.resolve()))}
    engine = f'the engine of the tables in {folder}'
    trained = {path: [one.get('trained') for one in table.header['episodes']]
               for path, table in rows.items()}  # fmt: skip
    tests.refuse([path for path, flags in trained.items() if True in flags], engine)
    unknown = any(None in flags for flags in trained.values())
    if unknown:
        tests.check_part(engine)
    seen = {path: [mark for one in table.header['episodes'] for mark in one.get('identities', ())]
            for path, table in rows.items()}  # fmt: skip
    used = {
        f'the calibration of the tables in {folder} for task {task}': one.episode_identities
        for task, one in calibrations_of(tables).items()
    }
    tests.check_uncalibrated(seen, used, note)
    if unknown:
        note(
            f'warning: tables in {folder} do not say whether their engine was trained on these '
            'recordings: train and export the engine again, and score them with it'
            f'{tests.caution}'
        )


def results_of(
    tables: Mapping[str, Mapping[Path, Scored]], paths: Sequence[Path], task: str = ''
) -> tuple[dict[str, list[Result]], list[Path], list[Path]]:
    """
    Compare values and alarms of the tables with the outcomes of the recordings.

    :param tables: from ``read_tables``, by the name of the engine
    :param task: task of the recordings; empty for all tasks
    :returns: results by name; their recordings, in the same order; and those that cannot be read,
        which are left out and named on stderr
    :raises RecordingError: if recordings have no outcome or table, or changed after scoring, or
        none can be read
    :raises CalibrationError: if a recording is a copy of another
    """
    found: dict[str, list[Result]] = {name: [] for name in tables}
    judged, contents = [], {}
    refused: list[VivaError] = []
    failed: list[Path] = []
    with following(paths, 'evaluating') as shown:
        for path in shown:
            with leaving_out(path, failed, refused):
                recording = open_recording(path)
                episode, label = labelled(recording)
                if task and label.task != task:
                    continue
                moments, content = truth(recording), contents_of([episode])
                each = {
                    name: result(episode, label, samples_of(table), alarms_of(table), moments)
                    for name, rows in tables.items() for table in (table_of(rows, path),)
                }  # fmt: skip
                contents[path] = content
                judged.append(path)
                for name, one in each.items():
                    found[name].append(one)
    raise_all(refused)
    check_some(judged, paths)
    check_copies(contents)
    return found, judged, failed


def table_of(tables: Mapping[Path, Scored], path: Path) -> Scored:
    """
    Return the table of a recording.

    :raises RecordingError: if the table is missing, or the recording changed after scoring
    """
    table = tables.get(path.resolve())
    if table is None:
        raise RecordingError(
            'table-missing', f"{path} has no table of values: run 'viva score' on it"
        )
    if table.header['made_of']['input'][:3] != identity(resolve(path))[:3]:
        raise RecordingError(
            'table-outdated',
            f'{path} changed after it was scored, or an earlier version scored it: score it again',
        )
    return table


def alarms_of(table: Scored) -> list[Event]:
    """Return the alarms of a table; null becomes NaN."""
    entries: list[dict[str, Any]] = [
        {k: math.nan if v is None else v for k, v in one.items()} for one in table.header['alarms']
    ]
    return [Event(**{**one, 'level': Level(one['level'])}) for one in entries]


def calibrations_of(tables: Mapping[Path, Scored]) -> dict[str, Calibration]:
    """
    Return the calibrations of the alarms, by task.

    :param tables: of one engine, by recording
    :raises CalibrationError: if a table was made with a calibration of an earlier format, or
        tables of one task with different ones
    """
    _check_one_calibration(tables)
    return {table.header['task']: _calibration(table) for table in tables.values()}


def _calibration(table: Scored) -> Calibration:
    """
    Return the calibration of the alarms of a table.

    :raises CalibrationError: if it is of an earlier format, or damaged
    """
    try:
        return parse({'format': FORMAT, **table.header['calibration']})
    except (KeyError, TypeError, ValueError, ConfigurationError) as error:
        raise CalibrationError(
            'table-calibration-format',
            f'{table.path} was made with thresholds that this version does not use '
            f'({type(error).__name__}: {error}): calibrate again, then score again',
        ) from error


def _check_one_calibration(tables: Mapping[Path, Scored]) -> None:
    """
    Check that the tables of each task have one calibration: alarms of several are no detector.

    :raises CalibrationError: with one table and recording of each calibration
    """
    found: dict[str, dict[str, str]] = {}
    for path, table in tables.items():
        content = json.dumps(table.header['calibration'], sort_keys=True)
        of_task = found.setdefault(table.header['task'], {})
        of_task.setdefault(content, f'{table.path} of {path}')
    for task, each in found.items():
        if len(each) > 1:
            raise CalibrationError(
                'table-calibrations-differ',
                f'tables of task {task} were scored with {len(each)} different calibrations: '
                f'{", ".join(each.values())}: score all recordings again with one (viva score '
                '--calibration), or delete the tables of the others',
            )


def check_alphas(tables: Sequence[Scored]) -> None:
    """
    Check that the alarms of all tables have one alpha.

    :raises CalibrationError: with one table of each alpha
    """
    found: dict[float, Path] = {}
    for table in tables:
        found.setdefault(_calibration(table).alpha, table.path)
    if len(found) > 1:
        each = ', '.join(f'{path} has alpha {alpha:g}' for alpha, path in found.items())
        raise CalibrationError(
            'table-alphas-differ',
            f"alphas differ: {each}: score again with calibrations of one alpha ('viva score "
            "--calibration')",
        )


def engine_of(tables: Mapping[Path, Scored]) -> dict[str, Any]:
    """Return fingerprint, joints and tasks of the engine of tables."""
    some = next(iter(tables.values()))
    names = [name.removeprefix('forecast.') for name in some.table.column_names
             if name.startswith('forecast.')]  # fmt: skip
    tasks = sorted({table.header['task'] for table in tables.values()})
    return {'fingerprint': some.engine, 'joint_names': names, 'tasks': tasks}
