# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run robot, monitor and supervisor: a successful and a failing episode."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from viva_ros.console.terminal import Terminal
from viva_ros.core.files import write_atomically
from viva_ros.demo import summary
from viva_ros.demo.run import DemoPlan, check_engine, draw, isolate, report, run
from viva_ros.engine.resources import DEFAULT_TASK
from viva_ros.nodes.registry import ADVISORY
from viva_ros.sim.tasks.registry import TASKS

ABOUT = 'Run robot, monitor and supervisor as three processes: a successful and a failing episode.'


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva demo', description=ABOUT)
    parser.add_argument(
        '--task', default=DEFAULT_TASK,
        help=f'Task, one of {", ".join(TASKS)} (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--failure', default='slip',
        help='Failure to inject in the second episode (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--seed', type=int, help='Seed of the layout; default: a fixed seed for each task'
    )
    parser.add_argument(
        '--out', type=Path,
        help='Folder of recording, plot and summary; default: demo_out/DATE-TIME',
    )  # fmt: skip
    parser.add_argument('--engine', type=Path, help='Engine folder; default: the shipped engine')
    parser.add_argument(
        '--headless', action='store_true', help='Print lines instead of the live view'
    )
    if any(one.startswith('--duration') for one in (sys.argv[2:] if argv is None else argv)):
        parser.error('--duration moved to a benchmark: run scripts/soak --duration SECONDS')
    args = parser.parse_args(argv)
    check_mode(parser, args.task, args.failure)
    args.seed = TASKS[args.task].demo_seed if args.seed is None else args.seed
    if args.seed < 0:
        parser.error(f'--seed is {args.seed}, must be at least 0')
    return args


def check_mode(parser: argparse.ArgumentParser, task: str, failure: str) -> None:
    """End with an error that lists the valid names if a task or its failure is unknown."""
    if task not in TASKS:
        parser.error(f'--task is {task!r}, must be one of {", ".join(TASKS)}')
    if failure not in TASKS[task].failures:
        allowed = ', '.join(TASKS[task].failures)
        parser.error(f'--failure is {failure!r}, must be one of {allowed} for {task}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; exit code 0 if the expected alert and retry were observed."""
    args = parse(argv)
    check_engine(str(args.engine or ''), args.task)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as on Ctrl-C
    isolate()
    out = args.out or Path('demo_out') / datetime.now().strftime('%Y%m%d-%H%M%S')
    out.mkdir(parents=True, exist_ok=True)
    console = Terminal()
    console.print(ADVISORY, style='dim')
    plan = DemoPlan(args.task, args.failure, args.seed, args.engine, args.headless)
    session, checks = run(plan, out, console)
    facts = {'task': args.task, 'failure': args.failure, 'seed': args.seed}
    result = summary.summarise(session, checks, facts)
    write_atomically(out / 'summary.json', json.dumps(result, indent=2) + '\n')
    draw(out)
    report(console, result, out)
    return 0 if result['passed'] else 1
