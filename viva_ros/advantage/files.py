# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Files of `viva advantage`: a table with a row for each frame of a recording, to join by index.

The summary is deleted first and written last: if it exists, all files are of one run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from viva_ros.advantage.estimator import dropped
from viva_ros.advantage.labels import Advantages, Recipe, effects, indicators, key_of, thresholds
from viva_ros.advantage.report import as_text, picture, summary
from viva_ros.console.progress import bar
from viva_ros.console.provenance import command_line
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.files import write_atomically
from viva_ros.scoring.lerobot_columns import join
from viva_ros.scoring.store import Scored, tool_version, with_header, write_table

SUFFIX: Final = '_advantage.parquet'
SUMMARY, PICTURE = 'advantage.json', 'advantage.png'
SCHEMA: Final = pa.schema([
    ('index', pa.int64()), ('episode_index', pa.int64()), ('frame_index', pa.int64()),
    ('stamp', pa.int64()), ('task', pa.string()), ('value', pa.float64()),
    ('interpolated', pa.bool_()), ('advantage', pa.float64()), ('indicator', pa.bool_()),
    ('forced', pa.bool_()), ('dropped', pa.bool_()),
])  # fmt: skip


def columns(one: Advantages, eps: Mapping[str, float], recipe: Recipe) -> dict[str, Any]:
    """Return the columns of an episode; unknown is null."""
    entry, count = one.episode.entry, len(one.final)
    name, number = key_of(one.episode)
    return {
        'index': np.arange(count) + int(entry['index']), 'episode_index': np.full(count, number),
        'frame_index': np.arange(count), 'stamp': one.episode.stamps, 'task': [one.task] * count,
        'value': _nullable(one.filled),
        'interpolated': ~one.episode.asked & np.isfinite(one.filled),
        'advantage': _nullable(one.final),
        'indicator': [None if np.isnan(i) else bool(i) for i in indicators(one, eps)],
        'forced': one.episode.corrected,
        'dropped': dropped(count, recipe.drop, recipe.seed, f'{name}:{number}'),
    }  # fmt: skip


def _nullable(numbers: NDArray[np.float64]) -> pa.Array:
    return pa.array(numbers, pa.float64(), mask=~np.isfinite(numbers))


def table_of(found: Sequence[Advantages], eps: Mapping[str, float], recipe: Recipe) -> pa.Table:
    """Return the table of one recording."""
    parts = [pa.table(columns(one, eps, recipe), SCHEMA) for one in found]
    return pa.concat_tables(parts) if parts else SCHEMA.empty_table()


def write(
    tables: Sequence[Scored], found: Sequence[Advantages], recipe: Recipe, horizon: float,
    engine: str, outcome_frame: bool, out: Path | None, left_out: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """
    Write all files, the summary last.

    :param horizon: N, s
    :param engine: fingerprint
    :param outcome_frame: whether V = progress + success - 1
    :param out: folder of the files; None for the folder of each table
    :param left_out: lines about left-out recordings and episodes
    :returns: the content of the summary
    """
    eps, command = thresholds(found, recipe.share), command_line('advantage')
    top = out or tables[0].path.parent
    content = summary(
        found, eps, effects(found), recipe, horizon, engine, outcome_frame, command, left_out
    )
    _put(top / SUMMARY, None)
    parts: dict[Path, list[Path]] = {}
    for table in bar(tables, 'writing', len(tables)):
        folder = out or table.path.parent
        header = {
            'engine': engine, 'task': table.header['task'], 'version': tool_version(),
            'command': command, 'recipe': json.dumps(asdict(recipe)), 'horizon': horizon,
            'outcome_frame': outcome_frame,
            'threshold': eps.get(table.header['task']),
        }  # fmt: skip
        path = folder / f'{table.name}{SUFFIX}'
        rows = table_of([one for one in found if one.episode.path == table.path], eps, recipe)
        write_table(path, with_header(rows, header))
        if table.header.get('data_set'):
            whole = folder / f'{table.header["data_set"]}{SUFFIX}'
            parts.setdefault(whole, []).append(path)
    join(parts)
    _put(top / PICTURE, picture(found, eps, horizon))
    _put(top / SUMMARY, as_text(content))
    return content


def _put(path: Path, content: bytes | str | None) -> None:
    """
    Write a file, or delete it if the content is None.

    :raises ConfigurationError: if the file cannot be written or deleted
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True) if content is None else write_atomically(path, content)
    except OSError as error:
        raise ConfigurationError(
            'advantage-write',
            f'{path} cannot be written ({error}): free space or choose another --out',
        ) from error
