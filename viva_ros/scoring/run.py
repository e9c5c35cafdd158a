# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva score`: values and alarms of recordings, into tables beside them; they stay as they are.

Each recording gets NAME_values.parquet and NAME_progress.parquet. Those that have them, made with
the same engine of the same file, are left alone: run the command again to go on.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from viva_ros.console.progress import new_bar
from viva_ros.console.provenance import command_line
from viva_ros.core.errors import ConfigurationError, EngineError
from viva_ros.data.lerobot.reader import is_dataset
from viva_ros.data.open import find
from viva_ros.scoring.jobs import FAILED, THERE, Job, Order, Outcome, calibration_of
from viva_ros.scoring.lerobot_columns import join_progress
from viva_ros.scoring.scorer import RATE, Scores, score
from viva_ros.scoring.workers import Beside, Here, Worker, share_out

ROWS: Final = 40  # of the table; thousands would say nothing


def describe(outcome: Outcome, brief: bool) -> str:
    """
    Say what a row of the table cannot.

    :param brief: failures and losses alone
    """
    if outcome.state == FAILED:
        return f'{outcome.path.name}: {outcome.text}'
    lines = [] if brief or outcome.state == THERE else outcome.text.splitlines()
    lines += [f'damaged: {loss}' for loss in outcome.losses]
    return '\n'.join([f'{outcome.path.name}:', *(f'  {line}' for line in lines)]) if lines else ''


def table(outcomes: Sequence[Outcome]) -> Table:
    """Give a row a recording, the troubled first where there are many, and what it comes to."""
    counts = Counter('damaged' if one.losses else one.state for one in outcomes)
    title = ', '.join(f'{number} {state}' for state, number in sorted(counts.items()))
    shown = Table(title=f'{len(outcomes)} recordings: {title}', title_justify='left')
    for name in ('recording', 'state', 'task', 'episodes', 'values', 'unknown', 'V', 'alarms'):
        number = name in ('episodes', 'values', 'unknown', 'alarms')
        shown.add_column(name, justify='right' if number else 'left', no_wrap=True)
    rows = list(outcomes)
    if len(rows) > ROWS:
        rows = sorted(rows, key=_trouble)[:ROWS]
    for one in rows:
        shown.add_row(one.path.name, _state(one), *_figures(one))
    if len(outcomes) > ROWS:
        shown.add_row(f'... {len(outcomes) - ROWS} more')
    shown.add_section()
    whole = Outcome(
        outcomes[0].path, '', engine='', task='', **{
            name: sum(getattr(one, name) for one in outcomes)
            for name in ('episodes', 'known', 'unknown', 'alarms')
        },
    )  # fmt: skip
    shown.add_row('all', '', *_figures(whole))
    return shown


def _trouble(outcome: Outcome) -> tuple[bool, bool, int, int]:
    return outcome.state != FAILED, not outcome.losses, -outcome.unknown, -outcome.alarms


def _state(one: Outcome) -> str:
    return f'{one.state}, damaged' if one.losses else one.state


def _figures(one: Outcome) -> tuple[str, ...]:
    if one.state == FAILED:
        return ()
    span = f'{one.first:+.2f} to {one.last:+.2f}' if math.isfinite(one.first) else ''
    counts = (one.episodes, one.known, one.unknown)
    return one.task, *(str(count) for count in counts), span, str(one.alarms)


__all__ = ['Scores', 'calibration_of', 'find', 'main', 'score']

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


def plan(given: Sequence[Path], out: Path | None) -> list[Job]:
    """
    Give each recording its place for the tables; folders keep their form below ``out``.

    :raises RecordingError: if there is nothing
    :raises ConfigurationError: if two recordings would be written to one place
    """
    jobs: dict[Path, Job] = {}
    for root in given:
        for path in dict.fromkeys(find([root])):
            job = _job(root.absolute(), path.absolute(), out and out.absolute())
            other = jobs.setdefault(job.values, job)
            if other.path != job.path:
                raise ConfigurationError(
                    f'{other.path} and {job.path} would both be written to {job.values}: give '
                    'their common folder, or another --out for one of them'
                )
    return list(jobs.values())


def _job(root: Path, path: Path, out: Path | None) -> Job:
    name = path.name if path.is_dir() else path.stem
    in_data_set = is_dataset(path.parent)
    if out is not None:
        below = path.parent.relative_to(root) if path.parent.is_relative_to(root) else Path()
        return Job(path, out / below, name)
    beside = path.parent
    return Job(path, beside.with_name(f'{beside.name}_scored') if in_data_set else beside, name)


def run(
    jobs: Sequence[Job], order: Order, processes: int | None, ray: str | None, console: Console
) -> list[Outcome]:
    """Score all, with a progress bar; what there is to say is said when it is known."""
    outcomes: list[Outcome] = []
    with _workers(order, min(processes or 0, len(jobs)) or None, ray) as workers, \
            new_bar('scoring', len(jobs)) as bar, \
            closing(share_out(jobs, workers)) as coming:  # fmt: skip
        for outcome in coming:
            outcomes.append(outcome)
            check_engine(outcomes)
            bar.advance(bar.task_ids[0])
            if text := describe(outcome, brief=len(jobs) > 20):
                console.print(text, highlight=False, markup=False)
    return sorted(outcomes, key=lambda one: one.path)


@contextmanager
def _workers(order: Order, processes: int | None, ray: str | None) -> Iterator[Sequence[Worker]]:
    if ray is None:
        count = processes or 1
        yield [Here(order)] if count == 1 else [Beside(order) for _ in range(count)]
        return
    from viva_ros.scoring import ray_workers

    try:
        yield ray_workers.start(ray, order, processes)
    finally:
        ray_workers.stop()


def check_engine(outcomes: Sequence[Outcome]) -> None:
    """
    Refuse to go on where two machines have different engines in the same folder.

    :raises EngineError: naming both
    """
    new = outcomes[-1]
    for one in outcomes[:-1]:
        if new.task and one.task == new.task and one.engine != new.engine:
            raise EngineError(
                f'{new.host} has engine {new.engine}, {one.host} has {one.engine} for task '
                f'{new.task}: give all machines the same, then run the command again'
            )


def _absolute(engine: str) -> str:
    return str(Path(engine).expanduser().absolute()) if engine else ''
