# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`scripts/chaos`: disturb a running watch at random, and check the recording of it."""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.chaos import plot
from benchmarks.chaos.history import History
from benchmarks.chaos.invariants import (
    INVARIANTS,
    Limits,
    Violation,
    recovered_after,
    violations,
)
from benchmarks.chaos.processes import Cell
from benchmarks.chaos.runner import Runner, Stopped, make_engine
from benchmarks.chaos.schedule import KINDS, draw
from viva_ros.core.files import write_atomically

SHOWN = 40  # violations in the report, of each invariant
STOPPED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run; exit code 1 if an invariant is broken, 130 if a signal has stopped the run.

    Logs and recording are deleted after a whole run without --keep, and kept after any other.
    """
    args = parse(argv)
    folder = args.keep or Path(tempfile.mkdtemp(prefix='viva_chaos_'))
    try:
        with stopping() as stopped:
            history = run(
                folder, 60.0 * args.minutes, args.seed, args.sim_time, args.kinds, stopped
            )
        found = violations(history, Limits())
        content = report(history, found, args)
        write_atomically(args.out, json.dumps(content, indent=1) + '\n')
        write_atomically(args.out.with_suffix('.md'), markdown(content))
        plot.draw(history, found, args.out.with_suffix('.png'))
    except (Stopped, KeyboardInterrupt):
        print(f'scripts/chaos: stopped; recording (chaos.mcap) and logs so far are in {folder}, '
              'no figures were written', file=sys.stderr)  # fmt: skip
        return STOPPED
    if args.keep is None:
        shutil.rmtree(folder)
    print(markdown(content))
    return 1 if found else 0


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Set an event on a signal: an exception at any place would leave processes behind."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in SIGNALS}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    folder: Path, seconds: float, seed: int, sim_time: bool = False, kinds: Sequence[str] = (),
    stopped: threading.Event | None = None,
) -> History:  # fmt: skip
    """
    Disturb a new cell in a folder; return the history.

    :param kinds: of disturbances; empty: all
    :raises Stopped: if the event ``stopped`` is set; the cell has ended then
    """
    engine, calibration = make_engine(folder)
    cell = Cell(folder, engine, calibration, sim_time)
    try:
        return Runner(cell, draw(seconds, seed, sim_time, kinds), stopped).run(seconds)
    finally:
        cell.end()


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('scripts/chaos', description=__doc__)
    parser.add_argument('--minutes', type=float, default=1.0,
                        help='Duration, min (default: %(default)g)')  # fmt: skip
    parser.add_argument('--seed', type=int, default=1,
                        help='Seed of the disturbances (default: %(default)s)')  # fmt: skip
    parser.add_argument('--sim-time', action='store_true',
                        help='Let the nodes follow /clock, which then jumps, too')  # fmt: skip
    parser.add_argument('--kinds', nargs='+', default=(), metavar='KIND', choices=list(KINDS),
                        help=f'Disturbances (default: all): {", ".join(KINDS)}')  # fmt: skip
    parser.add_argument('--keep', type=Path,
                        help='Folder for logs and recording (default: deleted)')  # fmt: skip
    parser.add_argument('--out', type=Path, default=Path('benchmarks/results/chaos.json'),
                        help='Figures, with .md and .png (default: %(default)s)')  # fmt: skip
    args = parser.parse_args(argv)
    if not 0.8 <= args.minutes <= 1440.0:
        parser.error(f'--minutes is {args.minutes:g}, must be from 0.8 to 1440')
    if 'clock' in args.kinds and not args.sim_time:
        parser.error("--kinds has 'clock', which no node follows: add --sim-time")
    for name, folder in (('--out', args.out.parent), ('--keep', args.keep)):
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f'{name}: the folder {folder} cannot be made ({error}): name another')
    return args


def report(
    history: History, found: Sequence[Violation], args: argparse.Namespace
) -> dict[str, Any]:
    """Return the figures of a run."""
    recovered = recovered_after(history)
    late = sorted(lateness for _, lateness in history.late)
    return {
        'format': 'viva_ros chaos 1', 'date': date.today().isoformat(),
        'command': ' '.join(['scripts/chaos', *sys.argv[1:]]), 'seed': args.seed,
        'sim_time': args.sim_time, 'seconds': round(history.end - history.begin, 1),
        'hardware': f'{platform.machine()}, {os.cpu_count()} cores, no GPU used',
        'late_p99_s': round(late[int(0.99 * (len(late) - 1))], 3) if late else None,
        'late_max_s': round(late[-1], 3) if late else None,
        'disturbances': dict(sorted(Counter(
            f'{one.kind} {one.target}' for one in history.disturbances
        ).items())),
        'values': sum(one.node == 'monitor' for one in history.values),
        'known_values': sum(one.known and one.node == 'monitor' for one in history.values),
        'alerts': len(history.alerts), 'retries': len(history.retries),
        'files': len(history.files),
        'recovered_after_s': None if recovered is None else round(recovered, 2),
        'violations': {name: sum(one.invariant == name for one in found) for name in INVARIANTS},
        'first_violations': [
            {'invariant': one.invariant, 'at': round(one.at - history.begin, 2), 'text': one.text}
            for name in INVARIANTS
            for one in [two for two in found if two.invariant == name][:SHOWN]
        ],
    }  # fmt: skip


def markdown(content: dict[str, Any]) -> str:
    """Return the report as a page."""
    lines = [
        '# Chaos run', '',
        f'`{content["command"]}`, {content["date"]}, {content["hardware"]}: '
        f'{content["seconds"]:.0f} s, {sum(content["disturbances"].values())} disturbances, '
        f'{content["known_values"]} known of {content["values"]} values, {content["alerts"]} '
        f'alerts, {content["retries"]} retries. Level OK with a known value '
        f'{content["recovered_after_s"]} s after the last disturbance. Lateness of a timer at '
        f'10 Hz: p99 {content["late_p99_s"]} s, at most {content["late_max_s"]} s.', '',
        '| invariant | violations |', '|---|---|',
        *(f'| {name} | {count} |' for name, count in content['violations'].items()), '',
        '| disturbance | number |', '|---|---|',
        *(f'| {name} | {count} |' for name, count in content['disturbances'].items()),
    ]  # fmt: skip
    if content['first_violations']:
        lines += ['', '| at, s | invariant | violation |', '|---|---|---|']
        lines += [f'| {one["at"]} | {one["invariant"]} | {one["text"]} |'
                  for one in content['first_violations']]  # fmt: skip
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    raise SystemExit(main())
