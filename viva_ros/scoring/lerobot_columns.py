# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Join the tables of the episodes of a LeRobot dataset to one table."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from viva_ros.scoring.jobs import ScoreJob
from viva_ros.scoring.store import PREFIX, PROGRESS_SUFFIX, is_whole, with_header, write_table

#: Metadata entries that the joined table keeps; differing values are listed.
KEPT: Final = ('engine', 'task', 'version', 'command', 'progress_of', 'recipe')


def join_progress(jobs: Sequence[ScoreJob]) -> list[Path]:
    """Write DATASET_progress.parquet next to the tables of the episodes of each dataset."""
    parts: dict[Path, list[Path]] = {}
    for job in jobs:
        if job.ref.format == 'lerobot' and job.ref.dataset and is_whole(job.progress):
            whole = job.folder / f'{job.ref.dataset.name}{PROGRESS_SUFFIX}'
            parts.setdefault(whole, []).append(job.progress)
    return join(parts)


def join(parts: Mapping[Path, Iterable[Path]]) -> list[Path]:
    """
    Join tables, sorted by the column ``index``.

    :param parts: joined table to the tables of its episodes
    :returns: the joined tables
    :raises ConfigurationError: if a table cannot be written
    """
    for whole, paths in parts.items():
        tables = [pq.read_table(path) for path in paths]
        header = {key: ', '.join(sorted(_entries(tables, key))) for key in KEPT}
        joined = pa.concat_tables(table.replace_schema_metadata(None) for table in tables)
        known = {key: text for key, text in header.items() if text}
        write_table(whole, with_header(joined.sort_by('index'), known))
    return list(parts)


def _entries(tables: Sequence[pa.Table], key: str) -> set[str]:
    full = f'{PREFIX}{key}'.encode()
    headers = (table.schema.metadata or {} for table in tables)
    return {metadata[full].decode() for metadata in headers if full in metadata}
