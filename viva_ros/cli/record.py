# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Record simulated episodes, faster than real time.

Each seed has a fixed mode (see ``mix``), so the same command gives the same files. Whole files
are kept: a second run goes on where the first one stopped.
"""

import argparse
import multiprocessing
import os
import signal
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.sim import recording as simulate
from viva_ros.sim.recording import Job, StoppedError, plan

# One thread each: the processes share the cores. Read when the libraries are loaded.
WORKER_ENVIRONMENT = {'MUJOCO_GL': 'egl', 'LP_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1'}
_stop: Event | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run `viva record`."""
    parser = argparse.ArgumentParser('viva record', description=__doc__.split('\n\n')[0])
    parser.add_argument('--task', default='tray_lift', help='tray_lift or cube_transfer')
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
    jobs = plan(args.task, args.seeds, args.out, args.failure, args.successes, size, args.noise)
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


def record(jobs: Collection[Job], processes: int = 2) -> dict[Path, bool | None]:
    """
    Run those jobs whose file is not there, and show a progress bar.

    :returns: by path of those run: success, or None where a retry was not possible
    :raises RecordingError: if a process dies
    """
    if processes < 1:
        raise ConfigurationError(f'processes is {processes}, must be at least 1')
    todo = [job for job in jobs if not job.path.exists()]
    for folder in {job.path.parent for job in todo}:
        folder.mkdir(parents=True, exist_ok=True)
    for name, value in WORKER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    outcomes: dict[Path, bool | None] = {}
    with _bar(len(jobs)) as bar, _pool(processes) as pool:
        bar.advance(bar.task_ids[0], len(jobs) - len(todo))
        futures = {pool.submit(_work, job): job for job in todo}
        for future in as_completed(futures):
            outcomes[futures[future].path] = _result(future, futures[future])
            bar.advance(bar.task_ids[0])
    return outcomes


def _result(future: 'Future[bool | None]', job: Job) -> bool | None:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise RecordingError(
            f'a process died around seed {job.seed}: is there memory left? Run it again to go on, '
            'with fewer --processes'
        ) from error


def _bar(total: int) -> Progress:
    columns = (
        TextColumn('recording'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )  # fmt: skip
    progress = Progress(*columns, console=Console(stderr=True))
    progress.add_task('recording', total=total)
    return progress


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes that leave no half file behind, however this block is left."""
    context = multiprocessing.get_context('spawn')
    stop = context.Event()
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(stop,))
    try:
        yield pool
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(stop: Event) -> None:
    """Prepare a worker: Ctrl-C is the parent's to act on."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(job: Job) -> bool | None:
    stop = _stop
    try:
        return simulate.record_episode(job, stopped=stop.is_set if stop else lambda: False)
    except StoppedError:
        return None
