# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scored tables as samples again: what was estimated once need not be estimated again."""

import math
from pathlib import Path
from typing import Any

from viva_ros.core.errors import RecordingError
from viva_ros.data.open import identity
from viva_ros.engine.api import EngineInfo
from viva_ros.offline.scored_files import SCORE, header, read_scored
from viva_ros.scoring.scorer import Sample
from viva_ros.scoring.store import NOT_ASKED, VALUES_SUFFIX

FORECAST, PROPRIO = 'forecast.', 'proprio.'


def table_of(recording: Path, folder: Path) -> Path:
    """Name the table of a recording below a folder, where 'viva score' puts it."""
    name = f'{recording.stem}{VALUES_SUFFIX}'
    places = (folder / recording.parent.name / name, folder / name)
    return next((place for place in places if place.exists()), places[0])


def is_scored(recording: Path, folder: Path, info: EngineInfo, task: str) -> bool:
    """Tell whether there is a table of a recording as it is, by this engine, with its joints."""
    found = header(table_of(recording, folder))
    if found is None or (found['engine'], found['task']) != (info.fingerprint, task):
        return False
    same = list(found['made_of']['input'][:-1]) == [*identity(recording)]
    return bool(same)


def read_samples(recording: Path, folder: Path, info: EngineInfo, task: str) -> list[Sample]:
    """
    Give the samples of a recording from its table.

    :raises RecordingError: if there is no table, or one of another engine, task or recording
    """
    path = table_of(recording, folder)
    if not is_scored(recording, folder, info, task):
        raise RecordingError(
            f'{path} is not there, or not of {recording} by engine {info.fingerprint}: {SCORE}'
        )
    scored = read_scored(path)
    ids = {entry['episode']: entry['id'] for entry in scored.header['episodes']}
    rows = scored.table.to_pylist()
    return [_sample(row, ids, info.horizon) for row in rows if row['status'] != NOT_ASKED]


def _sample(row: dict[str, Any], ids: dict[int, str], horizon: float) -> Sample:
    joints = {
        kind: {name.removeprefix(kind): at for name, at in row.items()
               if name.startswith(kind) and at is not None}
        for kind in (FORECAST, PROPRIO)
    }  # fmt: skip
    said = row['published']
    return Sample(
        row['stamp'], _number(row['value']), row['reason'] or '', joints[FORECAST],
        ids.get(row['episode'], ''), said, False, _number(row['progress']),
        _number(row['success']), joints[PROPRIO], horizon,
        executing=row.get('executing') is not False,  # the first tables had no such column
    )  # fmt: skip


def _number(told: float | None) -> float:
    return math.nan if told is None else float(told)
