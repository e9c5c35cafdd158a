# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of a benchmark, for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

#: By part: heading to the key of a row and its format.
COLUMNS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    'engines': {
        'model, treatment': ('name', 's'), 'p50 ms': ('p50_ms', '.2f'),
        'p95 ms': ('p95_ms', '.2f'), 'p99 ms': ('p99_ms', '.2f'), '1/s': ('per_second', '.1f'),
        'faster': ('faster', '.2f'), 'GFLOP': ('gflop', '.3f'),
        'of the limit': ('share_of_limit', '.0%'),
    },
    'start': {
        'engine or model': ('kind', 's'), 'first estimate s': ('first_estimate_s', '.2f'),
        'memory MiB': ('memory_mib', '.0f'), 'torch': ('torch', ''),
    },
    'node': {
        'cameras': ('case', 's'), 'node': ('node', 's'), 'delivered': ('delivered', '.0%'),
        'added\np50 ms': ('added_p50_ms', '.2f'), '\np95 ms': ('added_p95_ms', '.2f'),
        'CPU %': ('cpu_percent', '.1f'),
        'CPU %\nless engine': ('cpu_besides_engine_percent', '.1f'),
        'jitter\np99 ms': ('jitter_p99_ms', '.2f'), 'memory\nMiB': ('memory_mib', '.0f'),
    },
    'robots': {
        'robots': ('robots', 'd'), 'on': ('where', 's'), 'ask': ('phases', 's'),
        'CPU ms\nof each': ('cpu_ms', '.2f'), 'of one with\nits own engine': ('cost', '.2f'),
        'p50 ms': ('p50_ms', '.2f'), 'p95 ms': ('p95_ms', '.2f'),
        'p95 of as many\nwith their own': ('slower', '.2f'),
        'p95 of one\nwith its own': ('slower_than_one', '.2f'), 'batch': ('batch', '.1f'),
    },
}  # fmt: skip
NARROW: Final = 130  # columns, of what is not a terminal


def show(found: Mapping[str, Any]) -> None:
    """Print all parts that were run."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=NARROW)
    for part, columns in COLUMNS.items():
        if part in found:
            rows = found[part]['rows'] if part == 'engines' else found[part]
            console.print(make(part, rows, columns))


def make(
    title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]]
) -> Table:
    """Give one table; what a row has not stays empty."""
    table = Table(title=title, box=SIMPLE_HEAD)
    for heading, (_, form) in columns.items():
        table.add_column(heading, no_wrap=True, justify='right' if form[:1] == '.' else 'left')
    for row in rows:
        cells = (format(row[key], form) if key in row else '' for key, form in columns.values())
        table.add_row(*cells)
    return table
