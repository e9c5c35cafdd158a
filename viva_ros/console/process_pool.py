# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Processes beside this one that do not outlive it, and that end at once when it is stopped.

What they do can be killed at any moment: files appear under their names when whole, and work goes
on from what was finished.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, connection, get_context, parent_process
from typing import Any, Final

PATIENCE: Final = 2.0  # s for a process to end by itself


@contextmanager
def processes(
    count: int, prepare: Callable[..., Any], *given: Any
) -> Iterator[ProcessPoolExecutor]:  # fmt: skip
    """
    Return fresh processes; left by an error or Ctrl-C, they are ended, whatever they are at.

    :param prepare: called in each with what is given
    """
    others = set(active_children())
    pool = ProcessPoolExecutor(count, get_context('spawn'), begin, (prepare, *given))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(active_children()) - others:
            child.terminate()
            child.join(PATIENCE)
            child.kill()
        raise
    pool.shutdown()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """
    Hold Ctrl-C back, also from processes that begin in this block, that is: at ``submit``.

    A terminal sends it to them as well, and before ``begin`` they would answer with a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin(prepare: Callable[..., Any], *given: Any) -> None:
    """Prepare a process: Ctrl-C is for the parent to act on; it ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare(*given)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
