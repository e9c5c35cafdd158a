# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cells of a Parquet file, read on access in any order."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.errors import raises

from viva_ros.data.lerobot.stored_images import ROW, ColumnCells, own_rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three episodes in row groups of 16 rows, which begin within an episode."""
    rows = range(50)
    table = pa.table({
        'episode_index': [0 if k < 10 else 1 if k < 35 else 2 for k in rows],
        'image': [{'bytes': bytes([k])} for k in rows],
    })  # fmt: skip
    pq.write_table(table, tmp_path / 'data.parquet', row_group_size=16)
    return tmp_path / 'data.parquet'


@pytest.mark.parametrize('order', [range(25), range(24, -1, -1), [0, 24, 1, 23, 12, 12, 5, 17]])
def test_cells_are_those_of_their_rows_in_any_order(path: Path, order) -> None:
    table = own_rows(path, 1, ['image'])
    assert table.column_names == ['episode_index', ROW]
    assert table['episode_index'].to_pylist() == [1] * 25
    cells = ColumnCells(path, 'image', np.array(table[ROW]))
    assert len(cells) == 25
    copy = pickle.loads(pickle.dumps(cells))
    for index in map(int, order):
        assert cells[index]['bytes'] == copy[index]['bytes'] == bytes([10 + index])


def test_rows_of_no_episode_are_an_empty_table(path: Path) -> None:
    table = own_rows(path, 7, ['image'])
    assert (table.num_rows, table.column_names) == (0, ['episode_index', ROW])


def test_file_that_changes_after_it_is_opened_is_refused(path: Path) -> None:
    cells = ColumnCells(path, 'image', np.arange(50))
    path.write_bytes(b'PAR1')
    with raises('data-file-changed', path, 'open it again'):
        cells[0]
