# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The thread that runs an engine, and one retry after an error of its device.

There is no queue: the caller checks that the worker is idle, then submits the newest job.
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
    """Runs a function on one job at a time; ``take`` returns its result."""

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
        """
        Whether a job would start at once; not before the last result is taken.

        So a caller that has nothing to submit knows that no older result is still to come.
        """
        return self._began is None and not self._results

    @property
    def busy_for(self) -> float:
        """Time since the start of the present job, s; 0 when idle."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def submit(self, job: Job) -> None:
        """
        Submit a job.

        :raises ValueError: if it is not idle
        """
        if not self.idle:
            raise ValueError('the worker is busy: check idle, and take its result, first')
        self._began = time.monotonic()
        self._jobs.append(job)
        self._wake.set()

    def take(self) -> Result | None:
        """Return the result of the last job, once; None without one."""
        return self._results.popleft() if self._results else None

    def stop(self) -> None:
        """End the thread after its present job, whose result is dropped; return at once."""
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
                with self._guard:
                    if self._open:
                        self._results.append(result)
                    self._began = None
                    if self._open:
                        self._notify()


#: Parts of messages of libraries, in lower case; their error classes share no base class.
DEVICE_ERROR_TEXTS: Final = (
    'out of memory', 'outofmemory', 'cuda error', 'cuda failure', 'cudaerror', 'cudnn_status',
    'cublas_status', 'device-side assert', 'failed to allocate memory',
)  # fmt: skip


@runtime_checkable
class Freeable(Protocol):
    """An engine that can free the memory of its caches."""

    def free(self) -> None:
        """Free memory that can be allocated again."""
        ...


def is_device_error(error: BaseException) -> bool:
    """Return whether an error, or one in its chain of causes, is an error of the device."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DeviceError | MemoryError):
            return True
        if any(text in str(cause).lower() for text in DEVICE_ERROR_TEXTS):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def retry_on_device_error(act: Callable[[], Result], engine: object) -> Result:
    """
    Call a function; if the device fails, free the memory of the engine and call it again.

    :raises DeviceError: if the device fails again
    """
    try:
        return act()
    except Exception as error:
        if not is_device_error(error):
            raise
    gc.collect()
    try:
        if isinstance(engine, Freeable):
            engine.free()
        return act()
    except Exception as error:
        if not is_device_error(error):
            raise
        raise DeviceError(
            'device-failed',
            f'device failed again after its memory was freed: {error}; this process ends and '
            'restarts: close other programs on the device, or use a smaller engine',
        ) from error
