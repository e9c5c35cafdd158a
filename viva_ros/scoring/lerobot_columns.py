# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One table for a whole LeRobot data set, made of those of its episodes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from viva_ros.scoring.jobs import ScoreJob
from viva_ros.scoring.store import PREFIX, PROGRESS_SUFFIX, with_header, write_table

#: Of the metadata of the parts: what holds for the whole; differing entries are listed.
KEPT: Final = ('engine', 'task', 'version', 'command', 'progress_of', 'recipe')


def join_progress(jobs: Sequence[ScoreJob]) -> list[Path]:
    """Write DATASET_progress.parquet beside the tables of each data set's episodes."""
    parts: dict[Path, list[Path]] = {}
    for job in jobs:
        if job.ref.dataset is not None and job.progress.exists():
            whole = job.folder / f'{job.ref.dataset.name}{PROGRESS_SUFFIX}'
            parts.setdefault(whole, []).append(job.progress)
    return join(parts)


def join(parts: Mapping[Path, Iterable[Path]]) -> list[Path]:
    """
    Join tables in the order of their index.

    :param parts: of each table to be written
    :raises ConfigurationError: if one cannot be written
    """
    for whole, paths in parts.items():
        tables = [pq.read_table(path) for path in paths]
        header = {key: ', '.join(sorted(_said(tables, key))) for key in KEPT}
        joined = pa.concat_tables(table.replace_schema_metadata(None) for table in tables)
        told = {key: text for key, text in header.items() if text}
        write_table(whole, with_header(joined.sort_by('index'), told))
    return list(parts)


def _said(tables: Sequence[pa.Table], key: str) -> set[str]:
    mark = f'{PREFIX}{key}'.encode()
    given = (table.schema.metadata or {} for table in tables)
    return {metadata[mark].decode() for metadata in given if mark in metadata}
