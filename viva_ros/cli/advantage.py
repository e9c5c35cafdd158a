# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compute the advantage of each step of scored recordings (RECAP).

Each NAME_values.parquet gets a NAME_advantage.parquet, to join by index, or by episode and frame.
The summary advantage.json is written last: if it is missing, the tables are of several runs.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from viva_ros.advantage import report
from viva_ros.advantage.files import write
from viva_ros.advantage.labels import (
    AVERAGE,
    LONGEST,
    MEDIAN,
    NONE,
    OWN,
    PLAIN,
    WEIGHTED,
    Recipe,
    compute,
    has_outcome_frame,
    horizon_of,
    with_corrections,
    with_outcomes,
    with_progress,
)
from viva_ros.console.progress import bar
from viva_ros.console.terminal import Terminal
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.scoring.store import Scored, ScoredEpisode, check_engines, find_scored, read_scored

HORIZON = 1.0  # s; RECAP's N of 50 steps at 50 Hz
WIDTH = 130  # of the table in a file


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 if a table or an episode was left out."""
    args = parse(argv)
    recipe = recipe_of(args)
    paths = find_scored(args.scored)
    tables, refused = read_all(paths)
    check_names(tables, args.labels or args.corrections or args.out)
    engine = check_engines(tables)
    episodes, skipped = gather(tables, args.labels, args.corrections)
    tasks = [str(table.header['task']) for table in tables for _ in table.episodes]
    labelled = [(e, t) for e, t in zip(episodes, tasks, strict=True)
                if e.entry['success'] is not None]  # fmt: skip
    if not labelled:
        raise RecordingError(
            'outcomes-missing',
            f'none of {len(episodes)} episodes has an outcome: label them (viva label), or use '
            '--labels',
        )
    horizon = horizon_of([one for one, _ in labelled], recipe)
    outcome_frame = has_outcome_frame(tables)
    recipe = with_progress(recipe, args.progress, outcome_frame)
    found = compute(
        [one for one, _ in labelled], [task for _, task in labelled], recipe, outcome_frame
    )
    content = write(
        tables, found, recipe, horizon, engine, outcome_frame, args.out, [*refused, *skipped]
    )
    console = Terminal(width=None if sys.stdout.isatty() else WIDTH)
    console.print(report.table(content))
    if lacking := content['failures_without_last_progress']:
        console.print(
            f'{lacking} failures have no known value at their end, so their last {horizon:.3g} s '
            'have no advantage: the column "reason" of their values says why',
            highlight=False,
        )
    for line in report.warnings(content):
        console.print(f'viva advantage: {line}', highlight=False, markup=False)
    for line in content['left_out']:
        console.print(f'left out: {line}', highlight=False, markup=False)
    return 2 if content['left_out'] else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva advantage', description=__doc__)
    parser.add_argument(
        'scored', type=Path, nargs='+', help='Tables *_values.parquet, or folders of them'
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        '--horizon', type=float, default=HORIZON, help='Horizon N in s (default: %(default)s)'
    )
    length.add_argument('--steps', type=int, help='Horizon N in control steps instead')
    parser.add_argument(
        '--charge-time', choices=(LONGEST, OWN), default=LONGEST,
        help='Cost of a step: 1/T of the longest episode of the task, or of its own episode '
        '(default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--progress', choices=(WEIGHTED, PLAIN),
        help='Progress counts as much as success is probable, or as in the value that is scored '
        f'(default: {WEIGHTED} if the values separate progress and success)',
    )  # fmt: skip
    parser.add_argument(
        '--smoothing', choices=(NONE, AVERAGE, MEDIAN), default=NONE,
        help='Smoothing of the values (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--window', type=float, default=0.5,
        help='Time constant or width of the smoothing, s (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--positive', type=float, default=0.3,
        help='Share of steps with a positive indicator, for each task (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--drop', type=float, default=0.3,
        help='Share of steps without the indicator (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--seed', type=int, default=0, help='Seed of the dropped steps (default: %(default)s)'
    )
    parser.add_argument('--labels', type=Path, help='CSV of outcomes: recording,success[,episode]')
    parser.add_argument(
        '--corrections', type=Path,
        help='CSV of intervals of human control, s: recording,begin,end[,episode]',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, help='Folder of the tables; default: that of each input table'
    )
    return parser.parse_args(argv)


def recipe_of(args: argparse.Namespace) -> Recipe:
    """
    Return the settings of the advantages.

    :raises ConfigurationError: if an option is out of range
    """
    horizon = args.horizon if args.steps is None else None
    limits = {
        'steps': (args.steps, 0, float('inf')), 'horizon': (horizon, 0, float('inf')),
        'window': (args.window, 0, float('inf')), 'positive': (args.positive, 0, 1),
    }  # fmt: skip
    for name, (value, low, high) in limits.items():
        if value is not None and not low < value < high:
            raise ConfigurationError(
                'advantage-option', f'--{name} is {value}, must be above {low} and below {high}'
            )
    if not 0.0 <= args.drop < 1.0 or args.seed < 0:
        raise ConfigurationError(
            'advantage-option',
            f'--drop is {args.drop}, must be at least 0 and below 1; --seed is {args.seed}, must '
            'be at least 0',
        )
    return Recipe(
        args.steps, horizon, args.charge_time, args.smoothing, args.window, args.positive,
        args.drop, args.seed, PLAIN,
    )  # fmt: skip


def read_all(paths: Sequence[Path]) -> tuple[list[Scored], list[str]]:
    """
    Read tables.

    :returns: the tables, and the errors of those that cannot be read
    :raises RecordingError: if no table can be read
    """
    tables, errors = [], []
    for path in bar(paths, 'reading', len(paths)):
        try:
            tables.append(read_scored(path))
        except RecordingError as error:
            errors.append(error)
    if not tables:
        raise errors[0]
    return tables, [str(error) for error in errors]


def gather(
    tables: Sequence[Scored], labels: Path | None, corrections: Path | None
) -> tuple[list[ScoredEpisode], list[str]]:
    """Return the episodes with outcomes and corrections of the files, and what is left out."""
    episodes = [one for table in tables for one in table.episodes]
    episodes = with_outcomes(episodes, labels) if labels else episodes
    episodes = with_corrections(episodes, corrections) if corrections else episodes
    skipped = [f'{table.path} has no frames' for table in tables if not table.episodes]
    skipped += [
        f'{one.name}, episode {one.entry["episode"]} has no outcome: label it (viva label) or '
        'add it to --labels' for one in episodes if one.entry['success'] is None
    ]  # fmt: skip
    return episodes, skipped


def check_names(tables: Sequence[Scored], user: Path | None) -> None:
    """
    Refuse equal names of recordings if a file or folder identifies recordings by name.

    :param user: the file or folder; None or empty without one
    """
    twice = [name for name, count in Counter(table.name for table in tables).items() if count > 1]
    if user and twice:
        raise ConfigurationError(
            'recording-name-twice',
            f'{user} identifies recordings by name, and {len(twice)} names occur twice, such as '
            f'{min(twice)}: run the command for each folder separately',
        )
