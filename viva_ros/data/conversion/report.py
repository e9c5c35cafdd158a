# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an import saw, as a table: one line an episode, and why some were refused."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table

MANY: Final = 60  # episodes; of more only the refused are listed


def show(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """
    List episodes, and why some were refused.

    :param rows: ``resample.Figures`` as dicts
    """
    console.print(table([row for row in rows if row['refused']] if len(rows) > MANY else rows))
    for row in rows:
        for reason in row['refused']:
            where = '' if row['source'] in reason else f'{row["source"]}: '
            console.print(f'[red]refused[/] {where}{row["name"]}: {reason}', soft_wrap=True)
        for loss in () if row['refused'] else row['losses']:
            console.print(f'{row["name"]}: {loss}', soft_wrap=True)


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Give one line an episode."""
    name = Column('episode', overflow='fold')  # names often differ at their end alone
    given = Table(name, 'frames', 's', 'rates, Hz', 'gap, s', 'skew, s', 'read', 'result')
    for row in rows:
        given.add_row(
            row['name'], str(row['frames']), f'{row["duration"]:.1f}', rates(row['streams']),
            f'{widest(row["streams"]):.3f}', f'{row["skew"]:.3f}', f'{row["readable"]:.1%}',
            'refused' if row['refused'] else 'taken',
        )  # fmt: skip
    return given


def rates(streams: Mapping[str, Any]) -> str:
    """Give the slowest stream, and the rate of the fastest."""
    found = sorted((one['rate'], name) for name, one in streams.items())
    return f'{found[0][1]} {found[0][0]:.1f} .. {found[-1][0]:.1f}' if found else ''


def widest(streams: Mapping[str, Any]) -> float:
    """Give the longest time without a message, s."""
    return max((one['gap'] for one in streams.values()), default=0.0)
