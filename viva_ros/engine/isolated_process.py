# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An engine in its own process: a library that hangs is killed with the process, which restarts.

A process that waits for a processor does not hang: it is given time (``core/progress_watch``).
Loading takes much processor time, so after each kill the next load waits longer, and few engines
of a machine load at once. Until the engine is loaded again, each estimate fails at once with the
reason.
"""

import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any, Final

from viva_ros.core.child_process import python_child
from viva_ros.core.errors import EngineError, VivaError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.core.progress_watch import ProgressLimits, ProgressWatch, RestartBackoff
from viva_ros.engine import shared_memory
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.background_task import nothing
from viva_ros.engine.load_slots import LONGEST_WAIT, slot_count, take_slot
from viva_ros.engine.usage import process_usage

CHILD: Final = 'viva_ros.engine.isolated_child'
LOAD_LIMITS: Final = ProgressLimits(idle=120.0, wall=600.0)
SLOT_PERIOD: Final = 0.2  # s, at most, between two looks for a free slot


class ProcessEngine:
    """
    Any engine, in a child process; ``restarts`` counts the restarts of the child.

    One thread estimates; ``close`` may be called by another, and ends an estimate that hangs.
    """

    def __init__(
        self, folder: Path, task: str, kind: str, patience: float,
        started: Callable[['ProcessEngine'], Any] = nothing, overload: float = 0.0,
    ) -> None:  # fmt: skip
        """
        Start the child when few others load, and wait until it has loaded the engine.

        :param patience: time of an estimate without progress, s; then the child is killed
        :param started: called with this engine before it waits: ``interrupt`` ends the wait
        :param overload: wall time of an estimate that waits for a processor, s, likewise
        :raises EngineError: as ``load`` would
        """
        self._arguments = [str(folder), task, kind]
        self._limits = ProgressLimits(patience, overload)
        self._guard = threading.Lock()  # between close and a restart
        self._closed = threading.Event()
        self.restarts = 0
        self._why = ''  # reason of the last restart
        self._backoff = RestartBackoff()
        self._due: float | None = None  # of the next start, while there is no child
        self._watch: ProgressWatch | None = None  # of the estimate that runs
        self._child: Child | None = None
        started(self)
        self.info = self._start(self._wait_for_slot()).wait_loaded()

    @property
    def process_id(self) -> int:
        """Process id of the child; 0 while there is none."""
        child = self._child
        return 0 if child is None else child.process.pid

    @property
    def delay(self) -> str:
        """Why the running estimate has not ended yet, for a person; '' without a reading."""
        watch = self._watch
        return '' if watch is None else watch.delay

    def estimate(self, observation: Observation) -> Estimate:
        """
        See ``Engine``.

        :raises EngineError: also while the engine is loaded again
        """
        child = self._child
        if child is None or not child.loaded:
            child = self._resume()
        self._watch = ProgressWatch(self._limits, time.monotonic())
        try:
            made = child.ask(observation, self._watch)
        except LostError as error:
            self._lose(str(error))
            raise EngineError('engine-process-lost', f'{error}: {self._next()}') from error
        finally:
            self._watch = None
        self._backoff.succeed(time.monotonic())
        return made

    def free(self) -> None:
        """Free all that the engine holds, and wait until it is loaded again."""
        self._kill()
        self.restarts += 1
        self._start(self._wait_for_slot()).wait_loaded()

    def interrupt(self) -> None:
        """End an estimate that hangs; the engine cannot be used afterwards."""
        self.close()

    def close(self) -> None:
        """Kill the child, which has nothing to clean up."""
        self._closed.set()
        self._kill()

    def _resume(self) -> 'Child':
        """
        Return the child if it has loaded the engine again; start it when it is due.

        :raises EngineError: otherwise, with the reason of the restart and the state of the load
        """
        child = self._child
        if self._due is not None:
            self._start_if_due(self._due)
        elif child is not None and shared_memory.is_readable(child.connection, 0.0):
            self._check_loaded(child)
            return child
        elif child is not None and (fault := child.stuck()):
            self._lose(fault)
        raise EngineError('engine-restarting', f'{self._why}: {self._next()}')

    def _start_if_due(self, due: float) -> None:
        now = time.monotonic()
        if now < due:
            return
        slot = take_slot()
        if slot is None and now - due < LONGEST_WAIT:
            return
        self.restarts += 1
        self._start(slot)

    def _check_loaded(self, child: 'Child') -> None:
        """Check what the restarted child has loaded."""
        try:
            info = child.wait_loaded()
        except VivaError as error:
            self._lose(str(error))
            raise
        if info != self.info:
            child.kill()
            raise EngineError(
                'engine-exchanged',
                'engine was exchanged while it ran: clean up and configure again',
            )

    def _next(self) -> str:
        """Return what happens before the engine is loaded again, for a person."""
        if self._due is None:
            return f'it is being restarted (restart {self.restarts})'
        number, wait = self.restarts + 1, self._due - time.monotonic()
        if wait > 0.0:
            return f'waiting {wait:.1f} s before engine is loaded again (restart {number})'
        return (
            f'waiting for other engines to load, {slot_count()} at once on this machine '
            f'(restart {number})'
        )

    def _wait_for_slot(self) -> socket.socket | None:
        """Wait until a slot is free, for LONGEST_WAIT at most."""
        end = time.monotonic() + LONGEST_WAIT
        slot = take_slot()
        while slot is None and time.monotonic() < end:
            if self._closed.wait(random.uniform(0.1, 1.0) * SLOT_PERIOD):
                return None
            slot = take_slot()
        return slot

    def _start(self, slot: socket.socket | None) -> 'Child':
        """
        Start a child.

        :param slot: for the child, which frees it when it has loaded the engine
        :raises EngineError: if this engine was closed
        """
        with self._guard, slot or nullcontext():
            if self._closed.is_set():
                raise EngineError(
                    'engine-process-closed', 'engine was closed: clean up and configure again'
                )
            self._child, self._due = Child(self._arguments, slot), None
            return self._child

    def _lose(self, why: str) -> None:
        """Kill the child; the next one starts after a random share of a growing delay."""
        self._why = why
        self._kill()
        self._due = time.monotonic() + self._backoff.fail(random.random())

    def _kill(self) -> None:
        with self._guard:
            if self._child is not None:
                self._child.kill()


@cache
def starter(process: int) -> ThreadPoolExecutor:
    """
    Return the thread that starts all children of this process and lives as long as the process.

    The kernel kills a child when the *thread* that started it ends (PR_SET_PDEATHSIG), and an
    engine is often loaded in a thread that ends after loading.

    :param process: id of this process, as a fork does not copy threads
    """
    return ThreadPoolExecutor(1, 'viva_starter')


class LostError(Exception):
    """The child hangs or has ended."""


class Child:
    """One process that loads an engine once."""

    def __init__(self, arguments: list[str], slot: socket.socket | None = None) -> None:
        """
        Start the process.

        :param arguments: folder, task and kind of the engine
        :param slot: see ``load_slots``
        """
        self.connection, theirs = shared_memory.pair()
        passed = [one.fileno() for one in (theirs, slot) if one is not None]
        line = (Path(arguments[0]), *arguments[1:], *passed)
        with theirs:
            self.process = starter(os.getpid()).submit(
                lambda: subprocess.Popen(
                    **python_child(CHILD, *line, apart=True),
                    pass_fds=passed, stdin=subprocess.DEVNULL, start_new_session=True,
                )
            ).result()  # fmt: skip
        self._number = 0
        self._loading = ProgressWatch(LOAD_LIMITS, time.monotonic())
        self.loaded = False

    def stuck(self) -> str:
        """Return why the child will not load its engine; '' while it makes progress."""
        return self._loading.update(time.monotonic(), process_usage(self.process.pid))

    def wait_loaded(self) -> EngineInfo:
        """
        Wait until the child has loaded the engine.

        :raises VivaError: as ``load`` would; EngineError if the child ended or is stuck
        """
        try:
            fault = shared_memory.await_packet(self.connection, self.process.pid, self._loading)
            if fault:
                raise LostError(fault)
            status, text = self._receive()
        except LostError as error:
            self.kill()
            raise EngineError(
                'engine-process-start', f'{error}: read its output in the log'
            ) from error
        if status != shared_memory.DONE:
            self.kill()
        shared_memory.check_done(status, text)
        info = shared_memory.info_from(text)
        self._memory = shared_memory.share(self.connection, info)
        self.loaded = True
        return info

    def ask(self, observation: Observation, watch: ProgressWatch) -> Estimate:
        """
        Estimate.

        :param watch: of this estimate
        :raises LostError: if the child makes no progress, or has ended
        :raises InputError: as ``Engine.estimate``
        :raises EngineError: likewise
        """
        self._memory.put(observation)
        self._number += 1
        try:
            self.connection.send(shared_memory.REQUEST.pack(self._number))
        except OSError as error:
            raise LostError(self._ending()) from error
        fault = shared_memory.await_packet(self.connection, self.process.pid, watch)
        if fault:
            raise LostError(f'{fault}, its process was killed')
        shared_memory.check_done(*self._receive())
        return self._memory.estimate()

    def kill(self) -> None:
        """Kill the child; a thread that waits for its answer gets an error at once."""
        self.loaded = False
        self.process.kill()
        self.process.wait()
        try:
            self.connection.shutdown(socket.SHUT_RDWR)  # wakes a waiting thread
        except OSError:  # the child has closed its end before
            pass

    def _receive(self) -> tuple[int, str]:
        try:
            packet = self.connection.recv(shared_memory.MAX_PACKET)
        except OSError:
            packet = b''
        if len(packet) < shared_memory.REPLY.size:
            raise LostError(self._ending())
        return shared_memory.read_reply(packet)

    def _ending(self) -> str:
        try:
            code = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            return 'engine process closed its socket'
        reason = signal.Signals(-code).name if code < 0 else f'exit code {code}'
        return f'engine process ended ({reason})'
