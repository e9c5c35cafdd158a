# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Open Parquet files of others: their sizes are checked before a column is decoded."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from viva_ros.core.input_limits import NESTING_LIMIT, TABLE_LIMIT
from viva_ros.core.regular_file import check_regular

FOOTER_LIMIT: Final = 64 << 20  # bytes of the metadata of a file
CELL: Final = 8  # bytes that a value takes at least, once it is decoded
EXPANDED: Final = 1_000_000_000  # bytes of decoded values, by their number


def open_table(path: Path, **options: int | bool) -> pq.ParquetFile:
    """
    Open a Parquet file; its own metadata are limited, too.

    :param options: of ``pyarrow.parquet.ParquetFile``
    :raises OSError: if it is a pipe, socket or device, or not readable
    :raises pyarrow.ArrowException: if it is damaged
    """
    check_regular(path)
    return pq.ParquetFile(
        path, thrift_string_size_limit=FOOTER_LIMIT, thrift_container_size_limit=1_000_000,
        **options,
    )  # fmt: skip


def check_table(
    path: Path, file: pq.ParquetFile, columns: Collection[str] | None = None,
    groups: Collection[int] | None = None,
) -> None:  # fmt: skip
    """
    Check the decoded size of columns before they are read.

    :param columns: to read; None for all
    :param groups: row groups to read; None for all
    :raises ValueError: if they are above the limits by the metadata of the file
    """
    described = file.metadata
    total = values = 0
    for group in range(described.num_row_groups) if groups is None else groups:
        part = described.row_group(group)
        for number in range(part.num_columns):
            column = part.column(number)
            steps = column.path_in_schema.split('.')
            if columns is not None and steps[0] not in columns:
                continue
            if len(steps) > NESTING_LIMIT:
                raise ValueError(f'column {steps[0]} of {path} has {len(steps)} levels')
            total += max(column.total_uncompressed_size, 0)
            values += max(column.num_values, part.num_rows, 0)
    if total > TABLE_LIMIT or values * CELL > EXPANDED:
        raise ValueError(
            f'{path} has {values} values of {total} bytes in the columns that are read, at most '
            f'{EXPANDED // CELL} values of {TABLE_LIMIT} bytes are read'
        )
