# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Images in the data files of a LeRobot dataset, PNG or JPEG, read and decoded on access.

An episode can have gigabytes of them, in one row group: only a few cells are in memory at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from viva_ros.core.errors import InputError, RecordingError
from viva_ros.core.input_limits import IMAGE_LIMIT
from viva_ros.core.observation import Image
from viva_ros.core.regular_file import read_limited
from viva_ros.data.images import decode_stored
from viva_ros.data.lerobot.metadata import READ_ERRORS, confined
from viva_ros.data.table_limits import check_table, open_table

ROW: Final = 'viva/row'  # column of ``own_rows``: the row in the file
CELLS: Final = 8  # cells of a column in memory
BUFFER: Final = 1 << 20  # bytes that are read at once


def own_rows(path: Path, episode: int | None, left_out: Sequence[str]) -> pa.Table:
    """
    Return rows of a data file, with their numbers in the file in the column ``ROW``.

    :param episode: index of the episode; None for all rows
    :param left_out: columns that are not read
    """
    with open_table(path) as file:
        columns = [name for name in file.schema_arrow.names if name not in left_out]
        index = file.schema.names.index('episode_index') if episode is not None else 0
        parts, first = [], 0
        for group in range(file.num_row_groups):
            described = file.metadata.row_group(group)
            if episode is None or _may_have(described.column(index).statistics, episode):
                check_table(path, file, columns, [group])
                table = file.read_row_group(group, columns)
                rows = np.arange(first, first + table.num_rows)
                table = table.append_column(ROW, pa.array(rows))
                if episode is not None:
                    table = table.filter(pc.equal(table['episode_index'], episode))
                parts.append(table)
            first += described.num_rows
        empty = file.schema_arrow.empty_table().select(columns)
        return pa.concat_tables(parts or [empty.append_column(ROW, pa.array([], pa.int64()))])


def _may_have(statistics: Any, value: int) -> bool:
    """Return whether a row group can have a value, by its statistics."""
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.min <= value <= statistics.max)


class ColumnCells(Sequence[Any]):
    """
    Cells of a column of a Parquet file, read on access; sequential access reads the file once.

    :param rows: numbers of the rows in the file, (N,)
    """

    def __init__(self, path: Path, key: str, rows: NDArray[np.int64]) -> None:
        self._path, self._key, self._rows = path, key, rows
        self._file: pq.ParquetFile | None = None
        self._first = 0  # row of the first cell in memory
        self._cells: list[Any] = []
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._end = 0  # row behind those of the batches

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        """
        Return a cell.

        :raises RecordingError: if the file cannot be read
        """
        row = int(self._rows[index])
        try:
            if not self._first <= row < self._end:
                self._seek(row)
            while row >= self._first + len(self._cells):
                self._first += len(self._cells)
                self._cells = next(self._batches).column(0).to_pylist()
        except (*READ_ERRORS, StopIteration) as error:
            raise RecordingError(
                'data-file-changed',
                f'{self._path} has changed since it was opened ({error!r}): open it again',
            ) from error
        return self._cells[row - self._first]

    def _seek(self, row: int) -> None:
        """Begin at the row group of a row."""
        if self._file is None:
            self._file = open_table(self._path, buffer_size=BUFFER, pre_buffer=False)
        described, group, first = self._file.metadata, 0, 0
        while row >= first + described.row_group(group).num_rows:
            first += described.row_group(group).num_rows
            group += 1
        self._batches = self._file.iter_batches(CELLS, [group], [self._key], use_threads=False)
        self._first, self._cells = first, []
        self._end = first + described.row_group(group).num_rows

    def __reduce__(self) -> tuple[Any, ...]:  # an open file cannot be pickled
        return type(self), (self._path, self._key, self._rows)


class StoredImages(Sequence[Image]):
    """Images in the data files, as PNG or JPEG; decoded on access."""

    def __init__(self, cells: Sequence[Mapping[str, Any]], root: Path) -> None:
        self._cells, self._root = cells, root

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[row] for row in range(len(self))[index]]
        cell: Any = self._cells[index]
        try:
            if isinstance(cell, bytes):
                content = cell
            elif isinstance(cell, Mapping) and cell.get('bytes') is not None:
                content = cell['bytes']
            elif isinstance(cell, Mapping) and cell.get('path'):
                content = read_limited(confined(self._root, str(cell['path'])), IMAGE_LIMIT)
            else:
                raise InputError('image-cell', f'is {cell!r}, must be the bytes of an image')
            return decode_stored(content)
        except (InputError, OSError, ValueError) as error:
            raise RecordingError(
                'image-damaged', f'{self._root}: image {index}: {error}: leave its episode out'
            ) from error

    def __iter__(self) -> Iterator[Image]:
        return (self[i] for i in range(len(self)))
