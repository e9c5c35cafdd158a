# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sharing recordings out to workers, each with an engine of its own and one recording at a time.

So a worker that dies (memory, a broken decoder) takes one recording with it, and its name is
known: it is tried once more by a new worker, then reported.
"""

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import Final, Protocol

from viva_ros.console.process_pool import begin, uninterrupted
from viva_ros.core.errors import ConfigurationError
from viva_ros.scoring.jobs import FAILED, STOP, Order, ScoreJob, ScoreOutcome, Scorer

TRIES: Final = 2
_scorer: Scorer | None = None  # of this process, where it is a worker


class ScoreWorker(Protocol):
    """
    Scores one recording at a time.

    ``deaths`` are the errors that mean that the worker is no more, not that the recording is bad.
    """

    deaths: tuple[type[Exception], ...]

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        """Begin."""
        ...

    def revive(self) -> None:
        """Replace what died."""
        ...

    def close(self) -> None:
        """End, whatever it is at."""
        ...


class Here:
    """Scores in this process."""

    deaths: tuple[type[Exception], ...] = ()

    def __init__(self, order: Order) -> None:
        self._scorer = Scorer(order)

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        """See ``ScoreWorker``; it is done when this returns."""
        future: Future[ScoreOutcome] = Future()
        future.set_result(self._scorer.attempt(job))
        return future

    def revive(self) -> None:
        """Do nothing: this process cannot outlive itself."""

    def close(self) -> None:
        """Free the engines."""
        self._scorer.close()


class Beside:
    """Scores in a process beside this one."""

    deaths: tuple[type[Exception], ...] = (BrokenProcessPool,)

    def __init__(self, order: Order) -> None:
        self._order = order
        os.environ.setdefault('OMP_NUM_THREADS', '1')  # the processes share the cores
        self.revive()

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        """See ``ScoreWorker``."""
        with uninterrupted():
            return self._pool.submit(_attempt, job)

    def revive(self) -> None:
        """Make a new process."""
        self._pool = ProcessPoolExecutor(1, get_context('spawn'), begin, (_prepare, self._order))

    def close(self) -> None:
        """End the process; a table that it is writing is then not written."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in active_children():
            child.terminate()


def _prepare(order: Order) -> None:
    global _scorer
    _scorer = Scorer(order)


def _attempt(job: ScoreJob) -> ScoreOutcome:
    assert _scorer is not None  # set by _prepare
    return _scorer.attempt(job)


def share_out(
    jobs: Sequence[ScoreJob], workers: Sequence[ScoreWorker]
) -> Generator[ScoreOutcome, None, None]:
    """
    Yield the outcomes as they come.

    :raises ConfigurationError: if one says that the others would fare no better
    """
    waiting = deque((job, 1) for job in jobs)
    idle = deque(workers)
    busy: dict[Future[ScoreOutcome], tuple[ScoreWorker, ScoreJob, int]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                worker, (job, number) = idle.popleft(), waiting.popleft()
                busy[worker.submit(job)] = worker, job, number
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                worker, job, number = busy.pop(future)
                outcome = _result(future, worker, job, number)
                idle.append(worker)
                if outcome is None:
                    waiting.append((job, number + 1))
                elif outcome.state == STOP:
                    raise ConfigurationError(outcome.text)
                else:
                    yield outcome
    finally:
        for worker in workers:
            worker.close()


def _result(
    future: 'Future[ScoreOutcome]', worker: ScoreWorker, job: ScoreJob, number: int
) -> ScoreOutcome | None:
    """Return the outcome of a job; None if it is to be tried again."""
    try:
        return future.result()
    except worker.deaths as error:
        worker.revive()
        if number < TRIES:
            return None
        why = str(error).partition('\n')[0]
        return ScoreOutcome(
            job.path, FAILED, text=f'{job.path}: {number} workers died over it ({why}): is there '
            'memory left? Score it alone to see more',
        )  # fmt: skip
    except Exception as error:
        error.add_note(f'while scoring {job.path}')
        raise
