# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A process pool that does not outlive its parent, and that ends at once when the parent is stopped.

The work can be killed at any moment: files are renamed when complete, and a restart continues from
finished work.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, connection, parent_process, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Final

from viva_ros.core.child_process import child_environment

PATIENCE: Final = 2.0  # s until a process that does not end is killed


class ChildProcess(SpawnProcess):
    """A process of ``spawn_context``."""

    def start(self) -> None:
        """Start the process, which does not look for modules in the working directory."""
        with child_variables():
            super().start()


class ChildContext(SpawnContext):
    """multiprocessing's context 'spawn', whose processes are ``ChildProcess``."""

    Process = ChildProcess


def spawn_context() -> SpawnContext:
    """
    Return the context of all process pools of this package.

    Its processes have the search path of this process once they run; what they import before
    that, they must not find in the working directory.
    """
    with child_variables():
        resource_tracker.ensure_running()  # a program, too
    return ChildContext()


@contextmanager
def child_variables() -> Iterator[None]:
    """Set the environment of children in this process during a block."""
    before = dict(os.environ)
    after = child_environment(before)
    _replace(after)
    try:
        yield
    finally:
        _replace(before)


def _replace(env: Mapping[str, str]) -> None:
    for name in os.environ.keys() - env.keys():
        del os.environ[name]
    for name, value in env.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


@contextmanager
def processes(
    count: int, prepare: Callable[..., Any], *arguments: Any
) -> Iterator[ProcessPoolExecutor]:  # fmt: skip
    """
    Start a pool of new processes; an error or Ctrl-C in the block ends them at once.

    :param prepare: called in each process with ``arguments``
    """
    others = set(active_children())
    pool = ProcessPoolExecutor(count, spawn_context(), begin, (prepare, *arguments))
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
def mapping(
    count: int, prepare: Callable[..., Any], *arguments: Any
) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """
    Return ``map`` of this process for a count of 1, else that of a pool; results are in order.

    The script that runs is not run again in each process, as it may have no
    ``if __name__ == '__main__'``; the work must be defined in a module.

    :param prepare: as in ``processes``
    """
    if count <= 1:
        yield map
        return
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # the processes share the cores
    with processes(count, prepare, *arguments) as pool:

        def run(work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
            with uninterrupted(), without_script():
                return pool.map(work, items)

        yield run


@contextmanager
def uninterrupted() -> Iterator[None]:
    """
    Block Ctrl-C in this block, also for processes that start in it, at ``submit``.

    A terminal sends Ctrl-C to these too, and before ``begin`` they would print a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def without_script() -> Iterator[None]:
    """Hide the script that runs from processes that start in this block, at ``submit``."""
    script = sys.modules['__main__']
    before = {name: getattr(script, name) for name in ('__file__', '__spec__')
              if hasattr(script, name)}  # fmt: skip
    for name in before:
        setattr(script, name, None)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(script, name, value)


def begin(prepare: Callable[..., Any], *arguments: Any) -> None:
    """Prepare a process: it ignores Ctrl-C, which the parent handles, and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
