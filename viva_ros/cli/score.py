# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compute values and alarms of recordings; write them to tables.

Each recording gets NAME_values.parquet and NAME_progress.parquet; the recording itself is not
changed. Recordings with tables of the same engine and file are skipped: run the command again to
continue.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from viva_ros.console.progress import note
from viva_ros.console.provenance import command_line
from viva_ros.console.terminal import Terminal
from viva_ros.core.errors import ConfigurationError
from viva_ros.data.split import CHOICES
from viva_ros.scoring.jobs import FAILED, ScoreOptions
from viva_ros.scoring.lerobot_columns import join_progress
from viva_ros.scoring.run import plan, run, table
from viva_ros.scoring.scorer import FASTEST, RATE

WIDTH = 120  # of the table in a file


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 if a recording failed or is damaged."""
    args = parse(argv)
    jobs = plan(args.recordings, args.out, args.part, note)
    options = ScoreOptions(
        _absolute(args.engine), args.task, args.calibration and args.calibration.absolute(),
        args.rate, args.batch, args.corrections, command_line('score'), not args.no_alarms,
    )  # fmt: skip
    outcomes = run(jobs, options, args.processes, args.ray, Terminal())
    if args.part is None:  # the table of a dataset must have all episodes
        join_progress(jobs)
    Terminal(width=None if sys.stdout.isatty() else WIDTH).print(table(outcomes))
    return 2 if any(one.state == FAILED or one.losses for one in outcomes) else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """
    Read the command line.

    :raises ConfigurationError: if a number is out of range
    """
    parser = argparse.ArgumentParser('viva score', description=__doc__)
    parser.add_argument('recordings', type=Path, nargs='+', help='Recordings, or folders of them')
    parser.add_argument(
        '--part', choices=CHOICES,
        help='Part of each folder, by the split of training; default: all recordings',
    )  # fmt: skip
    parser.add_argument(
        '--engine', default='', help='Engine folder; default: the shipped engine of the task'
    )
    parser.add_argument(
        '--task', default='', help='Task of all recordings; default: the task that each names'
    )
    parser.add_argument(
        '--calibration', type=Path, help='Calibration file; default: that of engine and task'
    )
    parser.add_argument(
        '--rate', type=float, default=RATE,
        help='Rate of the simulated monitor, Hz (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--no-alarms', action='store_true',
        help='Only values, without a calibration: at any rate',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, help='Folder of the tables; default: next to each recording'
    )
    parser.add_argument(
        '--processes', type=int,
        help='Number of worker processes; default: 1, with --ray one for each CPU',
    )  # fmt: skip
    parser.add_argument(
        '--batch', type=int, default=1,
        help='Observations in a call, if the engine supports batches (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--corrections', default='', metavar='TOPIC',
        help='Topic (std_msgs/Bool) that is true during human control',
    )  # fmt: skip
    parser.add_argument(
        '--ray', nargs='?', const='local', metavar='ADDRESS',
        help='Score on a Ray cluster; without an address: start one on this machine',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.no_alarms and args.calibration:
        raise ConfigurationError(
            'score-alarms', '--no-alarms uses no calibration: leave out --calibration'
        )
    for name in ('processes', 'batch', 'rate'):
        number = getattr(args, name)
        if number is not None and not number > 0:
            raise ConfigurationError('score-option', f'--{name} is {number}, must be above 0')
    if args.rate is not None and args.rate > FASTEST:
        raise ConfigurationError(
            'score-option', f'--rate is {args.rate}, must be at most {FASTEST:g}'
        )
    return args


def _absolute(engine: str) -> str:
    return str(Path(engine).expanduser().absolute()) if engine else ''
