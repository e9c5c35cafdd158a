# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The thread that runs an engine, and one retry after an error of its device.

There is no queue. Who has work asks first whether the worker is idle, and then gives the newest.
"""

import gc
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar, runtime_checkable

from viva_ros.core.errors import DeviceError

Job = TypeVar('Job')
Result = TypeVar('Result')


class EngineWorker(Generic[Job, Result]):
    """Runs a function on one job at a time; ``take`` gives what came out."""

    def __init__(self, work: Callable[[Job], Result], notify: Callable[[], None]) -> None:
        """
        Start the thread.

        :param work: called in the thread; must not raise
        :param notify: called in the thread when a result can be taken
        """
        self._work, self._notify = work, notify
        self._jobs: deque[Job] = deque(maxlen=1)
        self._results: deque[Result] = deque(maxlen=1)
        self._wake = threading.Event()
        self._began: float | None = None
        self._guard = threading.Lock()  # between notify and stop
        self._open = True
        self._thread = threading.Thread(target=self._run, name='viva_worker', daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether a job would be begun at once."""
        return self._began is None

    @property
    def busy_for(self) -> float:
        """How long the present job has taken, s; 0 when idle."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def submit(self, job: Job) -> None:
        """
        Submit a job.

        :raises ValueError: if it is not idle
        """
        if not self.idle:
            raise ValueError('the worker is busy: ask whether it is idle first')
        self._began = time.monotonic()
        self._jobs.append(job)
        self._wake.set()

    def take(self) -> Result | None:
        """Return the newest result, once."""
        return self._results.popleft() if self._results else None

    def stop(self) -> None:
        """Have the thread end after its present job, without a result; returns at once."""
        with self._guard:
            self._open = False
        self._wake.set()

    def close(self, timeout: float = 1.0) -> bool:
        """End the thread after its present job; False if that lasts longer than the timeout, s."""
        self.stop()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while self._open:
            self._wake.wait()
            self._wake.clear()
            if self._open and self._jobs:
                result = self._work(self._jobs.popleft())
                self._began = None
                with self._guard:
                    if self._open:
                        self._results.append(result)
                        self._notify()


#: What the libraries say, in lower case; their error classes have no base in common.
SIGNS: Final = (
    'out of memory', 'outofmemory', 'cuda error', 'cuda failure', 'cudaerror', 'cudnn_status',
    'cublas_status', 'device-side assert', 'failed to allocate memory',
)  # fmt: skip


@runtime_checkable
class Freeable(Protocol):
    """An engine that can give back memory that it keeps for later."""

    def free(self) -> None:
        """Free what can be made again."""
        ...


def is_of_device(error: BaseException) -> bool:
    """Return whether an error, or one that led to it, is the device's."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DeviceError | MemoryError):
            return True
        if any(sign in str(seen).lower() for sign in SIGNS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def with_one_more_try(act: Callable[[], Result], engine: object) -> Result:
    """
    Act; free the engine's memory and act again if the device fails.

    :raises DeviceError: if it fails again
    """
    try:
        return act()
    except Exception as error:
        if not is_of_device(error):
            raise
    gc.collect()
    try:
        if isinstance(engine, Freeable):
            engine.free()
        return act()
    except Exception as error:
        if not is_of_device(error):
            raise
        raise DeviceError(
            f'device failed twice, memory freed between: {error}; this process ends to be '
            'started again: close what else uses the device, or use a smaller engine'
        ) from error
