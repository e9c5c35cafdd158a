# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutation of what is in the files of libraries: parquet, HDF5 and SQLite stay readable."""

import io
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fuzz.mutation import of_bytes

TEXTS: Final = ('', '\0', '[/bold]', '../../x', 'ä' * 99)
SHAPES: Final = ((), (0,), (1,), (3, 0), (2, 2, 2, 2, 2), (12,), (12, 4), (7, 3))


def of_parquet(data: bytes, random: Random) -> bytes:
    """Change columns of a table; of bytes in one case of three."""
    if random.random() < 0.33:
        return of_bytes(data, random)
    table = pq.read_table(io.BytesIO(data))
    for _ in range(random.randint(1, 3)):
        table = _change_table(table, random)
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _change_table(table: pa.Table, random: Random) -> pa.Table:
    if not table.column_names:
        return table
    at = random.randrange(table.num_columns)
    name, count = table.column_names[at], table.num_rows
    match random.randrange(7):
        case 0:
            return table.remove_column(at)
        case 1:
            return table.append_column(name, table.column(at))  # twice
        case 2:
            return table.slice(random.randrange(count + 1))
        case 3:
            return pa.concat_tables([table, table])
        case 4:
            metadata = {**(table.schema.metadata or {}), b'viva_ros': random.randbytes(20)}
            return table.replace_schema_metadata(metadata)
        case _:
            return table.set_column(at, name, _column(count, random))


def _column(count: int, random: Random) -> pa.Array:
    numbers = [random.choice((0.0, -1.0, np.nan, np.inf, 1e300)) for _ in range(count)]
    match random.randrange(7):
        case 0:
            return pa.array([None] * count)
        case 1:
            return pa.array([random.choice(TEXTS) for _ in range(count)])
        case 2:
            return pa.array([[0.5] * random.randrange(6) for _ in range(count)])
        case 3:
            return pa.array([random.randrange(-(2**63), 2**63) for _ in range(count)])
        case 4:
            return pa.array([random.randbytes(random.randrange(40)) for _ in range(count)])
        case 5:
            return pa.array([{'bytes': b'x', 'path': None}] * count)
        case _:
            return pa.array(numbers)


def of_hdf5(data: bytes, random: Random) -> bytes:
    """Change datasets and attributes; of bytes in one case of three."""
    if random.random() < 0.33:
        return of_bytes(data, random)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'x.hdf5')
        path.write_bytes(data)
        with h5py.File(path, 'a') as file:
            for _ in range(random.randint(1, 3)):
                with suppress(KeyError, ValueError):  # below an earlier change
                    _change_file(file, random)
        return path.read_bytes()


def _change_file(file: Any, random: Random) -> None:
    names: list[str] = []
    file.visit(names.append)
    if not names:
        return
    name = random.choice(names)
    match random.randrange(7):
        case 0:
            del file[name]
        case 1:
            file.attrs[random.choice(('sim', 'success', 'task', 'names'))] = _values(random)
        case 2:
            file[name].attrs['names'] = _values(random)
        case 3:
            file[f'{name}_{random.randrange(999)}'] = h5py.SoftLink(random.choice(('/', name)))
        case 4:
            del file[name]
            file.create_group(name)
        case _:
            del file[name]
            file.create_dataset(name, data=_values(random))


def _values(random: Random) -> Any:
    shape = random.choice(SHAPES)
    match random.randrange(5):
        case 0:
            return np.full(shape, random.choice((np.nan, np.inf, 1e300, 0.0)))
        case 1:
            return np.full(shape, random.choice((0, 255)), np.uint8)
        case 2:
            return np.full(shape, random.choice((b'', b'x', b'\xff\xd8\xff')), 'S8')
        case 3:
            return random.choice(('', 'nein', 'false', 'ä' * 99))
        case _:
            return np.full(shape, random.choice((-1, 2**40)), np.int64)


def of_database(data: bytes, random: Random) -> bytes:
    """Change cells and tables of SQLite; of bytes in one case of three."""
    if random.random() < 0.33:
        return of_bytes(data, random)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'x.db3')
        path.write_bytes(data)
        base = sqlite3.connect(path)
        for _ in range(random.randint(1, 3)):
            with suppress(sqlite3.Error), base:  # a change that the schema forbids
                _change_database(base, random)
        base.close()
        return path.read_bytes()


def _change_database(base: sqlite3.Connection, random: Random) -> None:
    tables = [row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    if not tables:
        return
    table = random.choice(tables)
    columns = [row[1] for row in base.execute(f'PRAGMA table_info("{table}")')]
    column = random.choice(columns)
    value = random.choice((None, -1, 2**62, 1e300, '', 'x', '\0', b'', random.randbytes(30)))
    rows = [row[0] for row in base.execute(f'SELECT rowid FROM "{table}"')] or [0]
    match random.randrange(8):
        case 0:
            base.execute(f'DROP TABLE "{table}"')
        case 1:
            base.execute(f'DELETE FROM "{table}" WHERE rowid=?', (random.choice(rows),))
        case 2:
            base.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO x{len(columns)}')
        case 3:
            found = base.execute(f'SELECT "{column}" FROM "{table}" LIMIT 1').fetchone()
            if found and isinstance(found[0], bytes):
                value = of_bytes(found[0], random)
            base.execute(f'UPDATE "{table}" SET "{column}"=?', (value,))
        case _:
            base.execute(
                f'UPDATE OR REPLACE "{table}" SET "{column}"=? WHERE rowid=?',
                (value, random.choice(rows)),
            )
