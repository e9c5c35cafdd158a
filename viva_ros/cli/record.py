# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Record simulated episodes, faster than real time.

Each seed has a fixed mode (see ``mode_of``), so the same command records the same motion, bit by
bit with the same NumPy on x86-64 processors with AVX2. Complete files are kept: a second run
continues where the first one stopped.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from viva_ros.console.terminal import Terminal
from viva_ros.engine.resources import DEFAULT_TASK
from viva_ros.sim.recording import plan, record
from viva_ros.sim.robots.registry import DEFAULT_ROBOT, ROBOTS
from viva_ros.sim.tasks.registry import TASKS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('viva record', description=__doc__.split('\n\n')[0])
    parser.add_argument(
        '--task', default=DEFAULT_TASK,
        help=f'Task, one of {", ".join(TASKS)} (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--robot', default=DEFAULT_ROBOT,
        help=f'Robot, one of {", ".join(ROBOTS)} (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--seeds', type=parse_seeds, required=True, help='Seeds, such as 0-699 or 3,5,8-9'
    )
    parser.add_argument('--out', type=Path, required=True, help='Folder of the recordings')
    parser.add_argument(
        '--processes', type=int, default=2,
        help='Number of worker processes (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--failure', help='Failure mode of all seeds; default: the mix')
    parser.add_argument('--successes', action='store_true', help='No failures, for calibration')
    parser.add_argument(
        '--size', type=int, default=128,
        help='Width and height of the images, px (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--noise', type=float, default=1.0,
        help='Standard deviation of the camera noise, of 255 (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--joined', action='store_true',
        help='Record a retry in one file with the failed attempt and the way home, for training',
    )  # fmt: skip
    args = parser.parse_args(argv)
    size = (args.size, args.size)
    jobs = plan(
        args.task, args.seeds, args.out, args.failure, args.successes, size, args.noise,
        args.robot, args.joined,
    )  # fmt: skip
    outcomes = record(jobs, args.processes)
    written = [success for success in outcomes.values() if success is not None]
    Terminal().print(
        f'{len(written)} recordings written to {args.out}, {sum(written)} of them successes; '
        f'{len(jobs) - len(outcomes)} existed, {len(outcomes) - len(written)} not possible'
    )
    return 0


def parse_seeds(text: str) -> list[int]:
    """
    Return the seeds of a text such as '0-699' or '3,5,8-9'.

    :raises ArgumentTypeError: if the text has another form
    """
    seeds: set[int] = set()
    for part in text.split(','):
        first, _, last = part.partition('-')
        if not first.isdecimal() or not (last or first).isdecimal():
            raise argparse.ArgumentTypeError(f'{text!r} must have the form 0-699 or 3,5,8-9')
        seeds.update(range(int(first), int(last or first) + 1))
    return sorted(seeds)
