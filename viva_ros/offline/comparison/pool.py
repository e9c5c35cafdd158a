# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work side by side, one thread each, and how far it is."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from viva_ros.console.process_pool import processes as beside
from viva_ros.console.process_pool import uninterrupted
from viva_ros.console.progress import new_bar

POLL: Final = 2.0  # s


@dataclass(frozen=True)
class Job:
    """
    One piece of work.

    :param steps: how many it has
    :param done: tells how many of them are over
    """

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    steps: int = 1
    done: Callable[[], int] = lambda: 0


def run(what: str, jobs: Sequence[Job], processes: int) -> dict[str, Any]:
    """
    Do all jobs and give what they return, by name; an error or Ctrl-C ends the rest at once.

    :param what: for the progress bar
    :param processes: 1 is this one
    """
    if processes == 1:
        return {job.name: job.work(*job.arguments) for job in jobs}
    os.environ['OMP_NUM_THREADS'] = '1'
    console = Console(stderr=True)
    with beside(processes, one_thread) as pool:
        with uninterrupted():
            running = {pool.submit(job.work, *job.arguments): job for job in jobs}
        return _follow(what, running, console)


def one_thread() -> None:
    """Keep a process to one thread, so that two do not stand in each other's way."""
    import torch

    torch.set_num_threads(1)


def _follow(what: str, running: Mapping[Future[Any], Job], console: Console) -> dict[str, Any]:
    found: dict[str, Any] = {}
    total = sum(job.steps for job in running.values())
    waiting = set(running)
    with new_bar(what, total) as progress:
        while waiting:
            over, waiting = wait(waiting, POLL, FIRST_COMPLETED)
            for future in over:
                found[running[future].name] = future.result()
                left = f'{len(waiting)} left' if waiting else 'all done'
                console.print(f'{what}: {running[future].name} done, {left}', highlight=False)
            done = sum(job.steps for job in running.values() if job.name in found)
            done += sum(min(running[future].done(), running[future].steps) for future in waiting)
            progress.update(progress.task_ids[0], completed=done)
    return {job.name: found[job.name] for job in running.values()}
