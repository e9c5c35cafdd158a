# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva advantage`: which steps of scored recordings were better than expected (RECAP).

Each NAME_values.parquet gets a NAME_advantage.parquet, to be joined by index or by episode and
frame. The summary, advantage.json, is written last: without it the tables are not of one run.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from viva_ros.advantage import report
from viva_ros.advantage.files import write
from viva_ros.advantage.labels import (
    AVERAGE,
    MEDIAN,
    NONE,
    Recipe,
    compute,
    horizon_of,
    with_corrections,
    with_outcomes,
)
from viva_ros.console.progress import bar
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.scoring.store import Scored, ScoredEpisode, check_engines, find_scored, read_scored

STEPS = 50  # RECAP's N
WIDTH = 130  # of the table in a file


def main(argv: Sequence[str] | None = None) -> int:
    """Run `viva advantage`; 2 if something had to be left out."""
    args = parse(argv)
    recipe = recipe_of(args)
    paths = find_scored(args.scored)
    tables, refused = read_all(paths)
    check_names(tables, args.labels or args.corrections or args.out)
    engine = check_engines(tables)
    episodes, told = gather(tables, args.labels, args.corrections)
    tasks = [str(table.header['task']) for table in tables for _ in table.episodes]
    labelled = [(e, t) for e, t in zip(episodes, tasks, strict=True)
                if e.entry['success'] is not None]  # fmt: skip
    if not labelled:
        raise RecordingError(
            f'none of {len(episodes)} episodes has an outcome: label them (viva label), or give '
            '--labels'
        )
    horizon = horizon_of([one for one, _ in labelled], recipe)
    found = compute([one for one, _ in labelled], [task for _, task in labelled], recipe)
    content = write(tables, found, recipe, horizon, engine, args.out, [*refused, *told])
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(report.table(content))
    for line in content['left_out']:
        console.print(f'left out: {line}', highlight=False, markup=False)
    return 2 if content['left_out'] else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva advantage', description=__doc__)
    parser.add_argument('scored', type=Path, nargs='+', help='*_values.parquet, or folders')
    length = parser.add_mutually_exclusive_group()
    length.add_argument('--steps', type=int, help=f'N, in control steps; default: {STEPS}')
    length.add_argument('--horizon', type=float, help='N, in seconds')
    parser.add_argument('--charge-time', action='store_true', help='1/T of the longest episode')
    parser.add_argument('--smoothing', choices=(NONE, AVERAGE, MEDIAN), default=NONE)
    parser.add_argument('--window', type=float, default=0.5, help='of the smoothing, s')
    parser.add_argument('--positive', type=float, default=0.3, help='share, for each task')
    parser.add_argument('--drop', type=float, default=0.3, help='share without the indicator')
    parser.add_argument('--seed', type=int, default=0, help='of the steps dropped')
    parser.add_argument('--labels', type=Path, help='CSV: recording, episode, success')
    parser.add_argument('--corrections', type=Path, help='CSV: recording, episode, begin, end')
    parser.add_argument('--out', type=Path, help='folder; default: beside')
    return parser.parse_args(argv)


def recipe_of(args: argparse.Namespace) -> Recipe:
    """
    Return the recipe that the options mean.

    :raises ConfigurationError: on one out of its range
    """
    steps = STEPS if args.steps is None and args.horizon is None else args.steps
    limits = {
        'steps': (steps, 0, float('inf')), 'horizon': (args.horizon, 0, float('inf')),
        'window': (args.window, 0, float('inf')), 'positive': (args.positive, 0, 1),
    }  # fmt: skip
    for name, (given, low, high) in limits.items():
        if given is not None and not low < given < high:
            raise ConfigurationError(f'--{name} is {given}, must be above {low} and below {high}')
    if not 0.0 <= args.drop < 1.0 or args.seed < 0:
        raise ConfigurationError(
            f'--drop is {args.drop}, must be at least 0 and below 1; --seed is {args.seed}, must '
            'be at least 0'
        )
    return Recipe(
        steps, args.horizon, args.charge_time, args.smoothing, args.window, args.positive,
        args.drop, args.seed,
    )  # fmt: skip


def read_all(paths: Sequence[Path]) -> tuple[list[Scored], list[str]]:
    """
    Read tables; those that cannot be read are named.

    :raises RecordingError: if none can be
    """
    tables, refused = [], []
    for path in bar(paths, 'reading', len(paths)):
        try:
            tables.append(read_scored(path))
        except RecordingError as error:
            refused.append(str(error))
    if not tables:
        raise RecordingError(refused[0])
    return tables, refused


def gather(
    tables: Sequence[Scored], labels: Path | None, corrections: Path | None
) -> tuple[list[ScoredEpisode], list[str]]:
    """Return the episodes as people see them, and what has to be left out, for a person."""
    episodes = [one for table in tables for one in table.episodes]
    episodes = with_outcomes(episodes, labels) if labels else episodes
    episodes = with_corrections(episodes, corrections) if corrections else episodes
    told = [f'{table.path}: it has no frames' for table in tables if not table.episodes]
    told += [
        f'{one.name}, episode {one.entry["episode"]}: it has no outcome, label it (viva label) or '
        'name it in --labels' for one in episodes if one.entry['success'] is None
    ]  # fmt: skip
    return episodes, told


def check_names(tables: Sequence[Scored], user: Path | None) -> None:
    """Refuse files and folders that go by names where two recordings have one."""
    twice = [name for name, count in Counter(table.name for table in tables).items() if count > 1]
    if user and twice:
        raise ConfigurationError(
            f'{user} goes by the names of recordings, and {len(twice)} are there twice, such as '
            f'{min(twice)}: give their folders one after the other'
        )
