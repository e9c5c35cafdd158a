# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva score`: values and alarms of recordings, into tables beside them; they stay as they are.

Each recording gets NAME_values.parquet and NAME_progress.parquet. Those that have them, made with
the same engine of the same file, are left alone: run the command again to go on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from viva_ros.console.provenance import command_line
from viva_ros.core.errors import ConfigurationError
from viva_ros.scoring.jobs import FAILED, Order
from viva_ros.scoring.lerobot_columns import join_progress
from viva_ros.scoring.run import plan, run, table
from viva_ros.scoring.scorer import RATE

WIDTH = 120  # of the table in a file


def main(argv: Sequence[str] | None = None) -> int:
    """Run `viva score`."""
    args = parse(argv)
    jobs = plan(args.recordings, args.out)
    order = Order(
        _absolute(args.engine), args.task, args.calibration and args.calibration.absolute(),
        args.rate, args.batch, args.corrections, command_line('score'),
    )  # fmt: skip
    outcomes = run(jobs, order, args.processes, args.ray, Console())
    join_progress(jobs)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table(outcomes))
    return 2 if any(one.state == FAILED or one.losses for one in outcomes) else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """
    Read the command line.

    :raises ConfigurationError: on a number out of its range
    """
    parser = argparse.ArgumentParser('viva score', description=__doc__)
    parser.add_argument('recordings', type=Path, nargs='+', help='recordings, or folders of them')
    parser.add_argument('--engine', default='', help="folder; default: the task's shipped one")
    parser.add_argument('--task', default='', help="default: each recording's own")
    parser.add_argument('--calibration', type=Path, help="default: the engine's for the task")
    parser.add_argument('--rate', type=float, default=RATE, help='of an imitated monitor, Hz')
    parser.add_argument('--out', type=Path, help='folder for the tables; default: beside')
    parser.add_argument('--processes', type=int, help='default: 1; with --ray, one a CPU')
    parser.add_argument(
        '--batch', type=int, default=1, help='observations given at once to an engine that can'
    )
    parser.add_argument(
        '--corrections', default='', metavar='TOPIC', help='std_msgs/Bool: a person has control'
    )
    parser.add_argument(
        '--ray', nargs='?', const='local', metavar='ADDRESS',
        help='score on a Ray cluster; without an address on one that is started here',
    )  # fmt: skip
    args = parser.parse_args(argv)
    for name in ('processes', 'batch', 'rate'):
        number = getattr(args, name)
        if number is not None and not number > 0:
            raise ConfigurationError(f'--{name} is {number}, must be above 0')
    return args


def _absolute(engine: str) -> str:
    return str(Path(engine).expanduser().absolute()) if engine else ''
