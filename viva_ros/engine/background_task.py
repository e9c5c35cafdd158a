# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One slow function in a thread, such as loading an engine, while the owner continues.

Python cannot end a thread from outside. A cancelled job runs to its end; then its result is
discarded. Jobs never overlap: the next job starts when the cancelled one has ended, so two engines
are never in memory at once.
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

Result = TypeVar('Result')


def nothing(*_: Any) -> None:
    """Do nothing."""


class BackgroundTask(Generic[Result]):
    """One call of a function and its result; a thread calls ``run``, the owner all else."""

    def __init__(self, make: Callable[[], Result], discard: Callable[[Result], Any]) -> None:
        self._make, self._discard = make, discard
        self._guard = threading.Lock()  # between the end of the call and cancel
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._cancelled = False
        self.begun = self.done = False

    def run(self) -> None:
        """Call the function, unless the job was already cancelled."""
        self.begun = True
        try:
            if not self._cancelled:
                self._results.append(self._make())
        except BaseException as error:  # ``take`` raises it in the owner's thread
            self._error = error
        with self._guard:
            self.done = True
            discarded = self._results if self._cancelled else []
        for result in discarded:
            self._discard(result)

    def take(self) -> Result:
        """Return the result; raise what the function raised."""
        if self._error is not None:
            raise self._error
        return self._results[0]

    def cancel(self) -> list[Result]:
        """Cancel; return an existing result, for the caller to discard."""
        with self._guard:
            self._cancelled = True
            return self._results if self.done else []


class Preparation(Generic[Result]):
    """
    Runs one job at a time; its owner polls ``done``.

    The owner's thread calls all methods; they return at once, except ``join``.
    """

    def __init__(self, discard: Callable[[Result], Any] = nothing) -> None:
        """
        Start without a job.

        :param discard: frees a result that is not used; called in a thread
        """
        self._discard = discard
        self._job: BackgroundTask[Result] | None = None
        self._interrupt: Callable[[], Any] = nothing
        self._what, self._began = '', 0.0
        self._thread: threading.Thread | None = None  # the newest; it ends after all others

    @property
    def pending(self) -> bool:
        """Whether a job has begun whose result was not taken and that was not cancelled."""
        return self._job is not None

    @property
    def done(self) -> bool:
        """Whether the result of the job can be taken."""
        return self._job is not None and self._job.done

    @property
    def state(self) -> str:
        """Name of the pending job and time since its start, for a person; '' without a job."""
        if self._job is None:
            return ''
        waits = '' if self._job.begun else ', after an earlier job,'
        return f'{self._what}{waits} for {time.monotonic() - self._began:.1f} s'

    def begin(
        self, what: str, make: Callable[[], Result], interrupt: Callable[[], Any] = nothing
    ) -> None:
        """
        Begin a job; cancel a pending one.

        :param what: name of the job, such as 'loading engine viperx'
        :param make: called in a thread, after all earlier jobs have ended
        :param interrupt: called by ``cancel``, to end the function early if it can
        """
        self.cancel()
        self._job = BackgroundTask(make, self._discard)
        self._interrupt, self._what, self._began = interrupt, what, time.monotonic()
        self.run_after(self._job.run)

    def take(self) -> Result:
        """
        Return the result of the job, once.

        :raises ValueError: if the job is not done
        """
        if self._job is None or not self._job.done:
            raise ValueError('the job is not done: check done first')
        job, self._job = self._job, None
        return job.take()

    def cancel(self) -> None:
        """Cancel the pending job, if any; its result is discarded."""
        if self._job is None:
            return
        job, self._job = self._job, None
        for result in job.cancel():
            self.discard(result)
        self._interrupt()

    def discard(self, result: Result) -> None:
        """Free a result that is not needed, in a thread."""
        self.run_after(partial(self._discard, result))

    def run_after(self, act: Callable[[], Any]) -> None:
        """Run a function in a thread after all earlier jobs; later jobs wait for it."""
        before = self._thread

        def run() -> None:
            nonlocal before
            if before is not None:
                before.join()
            before = None  # else each thread keeps the previous one in memory
            act()

        self._thread = threading.Thread(target=run, name='viva_preparation', daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait until all threads have ended; False if one still runs after the timeout, s."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()
