# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Convert bags or datasets of any robot to one LeRobot dataset (v3.0).

Recordings are resampled to the rate of the map. An episode that exceeds the limits of the map is
refused with the reason, never repaired. A stopped import continues when the same command runs
again.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table

from viva_ros.console.progress import bar
from viva_ros.console.provenance import command_line
from viva_ros.data.conversion.annotations import Outcomes, read_table
from viva_ros.data.conversion.convert import ImportEmptyError, import_all
from viva_ros.data.conversion.topic_map import load_map
from viva_ros.data.open import find

MANY: Final = 60  # episodes; a longer list has only the refused ones


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 if an episode was refused."""
    args = parse(argv)
    topics = load_map(args.map)
    outcomes = Outcomes(
        args.success, read_table(args.labels) if args.labels else {}, topics.label_topic,
        args.task or topics.task,
    )  # fmt: skip
    console = Console(highlight=False)
    try:
        report = import_all(
            find(args.sources), topics, outcomes, args.out, command_line('import'), track
        )
    except ImportEmptyError as error:
        show(error.rows, console)
        raise
    show(report['episodes'], console)
    refused = sum(bool(one['refused']) for one in report['episodes'])
    imported = len(report['episodes']) - refused
    console.print(f'{args.out}: {imported} episodes, {refused} refused', soft_wrap=True)
    return 2 if refused else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva import', description=__doc__)
    parser.add_argument('sources', type=Path, nargs='+', help='Bags, datasets, or folders of them')
    parser.add_argument(
        '--map', type=Path, required=True, help='YAML file: rate, cameras and joints'
    )
    parser.add_argument('--out', type=Path, required=True, help='Folder of the dataset')
    parser.add_argument('--task', default='', help='Task of recordings that do not name one')
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument(
        '--success', action='store_true', default=None, help='All episodes succeeded'
    )
    outcome.add_argument(
        '--failure', action='store_false', dest='success', help='All episodes failed'
    )
    outcome.add_argument(
        '--labels', type=Path, help='CSV of outcomes: file,success[,failure,task]'
    )
    return parser.parse_args(argv)


def track(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the paths and show a progress bar."""
    return bar(paths, 'importing', total=len(paths))


def show(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """
    Print a table of episodes, and the reasons for which some were refused.

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
    """Return a table with one line per episode."""
    name = Column('episode', overflow='fold')  # names often differ only at their end
    lines = Table(name, 'frames', 's', 'rates, Hz', 'gap, s', 'skew, s', 'read', 'result')
    for row in rows:
        lines.add_row(
            row['name'], str(row['frames']), f'{row["duration"]:.1f}', rates(row['streams']),
            f'{longest_gap(row["streams"]):.3f}', f'{row["skew"]:.3f}', f'{row["readable"]:.1%}',
            'refused' if row['refused'] else 'imported',
        )  # fmt: skip
    return lines


def rates(streams: Mapping[str, Any]) -> str:
    """Return the slowest stream with its rate, and the rate of the fastest, Hz."""
    found = sorted((one['rate'], name) for name, one in streams.items())
    return f'{found[0][1]} {found[0][0]:.1f} .. {found[-1][0]:.1f}' if found else ''


def longest_gap(streams: Mapping[str, Any]) -> float:
    """Return the longest interval without a message, s."""
    return max((one['gap'] for one in streams.values()), default=0.0)
