# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Record simulated episodes, faster than real time.

Each seed has a fixed mode (see ``mix``), so the same command gives the same files. Whole files
are kept: a second run goes on where the first one stopped.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from viva_ros.engine.resources import DEFAULT_TASK
from viva_ros.sim.recording import plan, record
from viva_ros.sim.robots.registry import DEFAULT_ROBOT, ROBOTS
from viva_ros.sim.tasks.registry import TASKS

# One thread each: the processes share the cores. Read when the libraries are loaded.


def main(argv: Sequence[str] | None = None) -> int:
    """Run `viva record`."""
    parser = argparse.ArgumentParser('viva record', description=__doc__.split('\n\n')[0])
    parser.add_argument('--task', default=DEFAULT_TASK, help=f'one of {", ".join(TASKS)}')
    parser.add_argument('--robot', default=DEFAULT_ROBOT, help=f'one of {", ".join(ROBOTS)}')
    parser.add_argument('--seeds', type=parse_seeds, required=True, help='as in 0-699 or 3,5,8-9')
    parser.add_argument('--out', type=Path, required=True, help='folder for the recordings')
    parser.add_argument('--processes', type=int, default=2, help='default: %(default)s')
    parser.add_argument('--failure', help='one mode for all seeds, instead of the mix')
    parser.add_argument('--successes', action='store_true', help='no failures, for calibration')
    parser.add_argument('--size', type=int, default=128, help='of the images, px; default 128')
    parser.add_argument('--noise', type=float, default=1.0,
                        help='of the cameras, standard deviation of 255; default 1')  # fmt: skip
    args = parser.parse_args(argv)
    size = (args.size, args.size)
    jobs = plan(
        args.task, args.seeds, args.out, args.failure, args.successes, size, args.noise, args.robot
    )
    outcomes = record(jobs, args.processes)
    written = [success for success in outcomes.values() if success is not None]
    Console().print(
        f'{len(written)} recordings written to {args.out}, {sum(written)} of them successes; '
        f'{len(jobs) - len(outcomes)} were there, {len(outcomes) - len(written)} not possible'
    )
    return 0


def parse_seeds(text: str) -> list[int]:
    """
    Read seeds such as '0-699' or '3,5,8-9'.

    :raises ArgumentTypeError: if the text is of another form
    """
    seeds: set[int] = set()
    for part in text.split(','):
        first, _, last = part.partition('-')
        if not first.isdecimal() or not (last or first).isdecimal():
            raise argparse.ArgumentTypeError(f'{text!r} is not of the form 0-699 or 3,5,8-9')
        seeds.update(range(int(first), int(last or first) + 1))
    return sorted(seeds)
