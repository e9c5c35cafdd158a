# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`scripts/soak`: run the demo for a long time; measure rate, latency and memory by minute."""

import argparse
import json
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.soak.endurance import Gauge, live_report
from viva_ros.console import program
from viva_ros.console.provenance import command_line
from viva_ros.console.terminal import Terminal
from viva_ros.core.files import write_atomically
from viva_ros.demo.run import DemoPlan, check_engine, isolate, run
from viva_ros.engine.resources import DEFAULT_TASK
from viva_ros.evaluation.tables import plain

LONGEST = 86400  # s


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; Ctrl-C ends it without a result."""
    args = parse(argv)
    check_engine('', args.task)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    isolate()
    args.out.mkdir(parents=True, exist_ok=True)
    gauges: list[Gauge] = []

    def watch(processes: Mapping[str, int]) -> Callable[[], None]:
        gauges.append(Gauge(processes))
        return gauges[0].look

    plan = DemoPlan(
        args.task, args.failure, args.seed, headless=args.headless, duration=args.duration
    )
    session, _ = run(plan, args.out, Terminal(), watch)
    report = live_report(session, gauges[0], command_line('scripts/soak'))
    path = args.out / 'live.json'
    write_atomically(path, json.dumps(plain(report), indent=1) + '\n')
    print(path)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('scripts/soak', description=__doc__)
    parser.add_argument(
        '--duration', type=float, default=480.0, help='Duration, s (default: %(default)g)'
    )
    parser.add_argument(
        '--task', default=DEFAULT_TASK, help='Task of the robot (default: %(default)s)'
    )
    parser.add_argument('--failure', default='slip',
                        help='Failure of every second episode (default: %(default)s)')  # fmt: skip
    parser.add_argument(
        '--seed',
        type=int,
        default=90001,
        help='Seed of the layout of the first episode (default: %(default)s)',
    )
    parser.add_argument('--out', type=Path, required=True, help='Folder of the result, live.json')
    parser.add_argument('--headless', action='store_true',
                        help='Print lines instead of the live view')  # fmt: skip
    args = parser.parse_args(argv)
    if not 0.0 < args.duration <= LONGEST:
        parser.error(f'--duration is {args.duration:g} s, must be above 0, at most {LONGEST}')
    return args


if __name__ == '__main__':
    soak = program.ConsoleProgram('scripts/soak', interactive=True)
    raise SystemExit(program.run(soak, main, is_process=True))
