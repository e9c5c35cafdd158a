# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Distribute recordings to workers; each worker has its own engine and one recording at a time.

If a worker dies (out of memory, a crash in a decoder), its recording is known: a new worker tries
it once more, then it is reported as failed.
"""

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children
from typing import Final, Protocol

from viva_ros.console.process_pool import begin, spawn_context, uninterrupted
from viva_ros.core.errors import ConfigurationError
from viva_ros.scoring.jobs import FAILED, STOP, ScoreJob, ScoreOptions, ScoreOutcome, Scorer

TRIES: Final = 2
_scorer: Scorer | None = None  # of a worker process


class ScoreWorker(Protocol):
    """
    Scores one recording at a time.

    ``deaths`` are the errors that mean that the worker died.
    """

    deaths: tuple[type[Exception], ...]

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        """Start a job."""
        ...

    def revive(self) -> None:
        """Replace a worker that died."""
        ...

    def close(self) -> None:
        """Stop the worker, also during a job."""
        ...


class InProcessWorker:
    """Scores in this process."""

    deaths: tuple[type[Exception], ...] = ()

    def __init__(self, options: ScoreOptions) -> None:
        self._scorer = Scorer(options)

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        """Run a job; the future is done when this returns."""
        future: Future[ScoreOutcome] = Future()
        future.set_result(self._scorer.attempt(job))
        return future

    def revive(self) -> None:
        """Do nothing: the worker is this process."""

    def close(self) -> None:
        """Free the engines."""
        self._scorer.close()


class ChildProcessWorker:
    """Scores in a child process."""

    deaths: tuple[type[Exception], ...] = (BrokenProcessPool,)

    def __init__(self, options: ScoreOptions) -> None:
        self._options = options
        os.environ.setdefault('OMP_NUM_THREADS', '1')  # the processes share the cores
        self.revive()

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        """Start a job."""
        with uninterrupted():
            return self._pool.submit(_attempt, job)

    def revive(self) -> None:
        """Start a new process."""
        self._pool = ProcessPoolExecutor(1, spawn_context(), begin, (_prepare, self._options))

    def close(self) -> None:
        """End the process; an unfinished table is not written."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in active_children():
            child.terminate()


def _prepare(options: ScoreOptions) -> None:
    global _scorer
    _scorer = Scorer(options)


def _attempt(job: ScoreJob) -> ScoreOutcome:
    assert _scorer is not None  # set by _prepare
    return _scorer.attempt(job)


def share_out(
    jobs: Sequence[ScoreJob], workers: Sequence[ScoreWorker]
) -> Generator[ScoreOutcome, None, None]:
    """
    Run all jobs; yield each outcome when its job ends.

    :raises ConfigurationError: on an error that all recordings share
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
                    raise ConfigurationError('scoring-stopped', outcome.text)
                else:
                    yield outcome
    finally:
        for worker in workers:
            worker.close()


def _result(
    future: 'Future[ScoreOutcome]', worker: ScoreWorker, job: ScoreJob, number: int
) -> ScoreOutcome | None:
    """Return the outcome of a job; None to try it again."""
    try:
        return future.result()
    except worker.deaths as error:
        worker.revive()
        if number < TRIES:
            return None
        why = str(error).partition('\n')[0]
        return ScoreOutcome(
            job.path, FAILED, text=f'{job.path}: {number} workers died ({why}): check the free '
            'memory, and score this recording alone',
        )  # fmt: skip
    except Exception as error:
        error.add_note(f'while scoring {job.path}')
        raise
