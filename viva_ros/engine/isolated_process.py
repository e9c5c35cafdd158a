# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An engine in its own process: a library that hangs is killed with the process, which restarts.

While the engine is loaded again, each estimate fails at once with the reason.
"""

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

from viva_ros.core.child_process import python_child
from viva_ros.core.errors import EngineError, VivaError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine import shared_memory
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.background_task import nothing

CHILD: Final = 'viva_ros.engine.isolated_child'
LOAD_TIMEOUT: Final = 120.0  # s
RESTART_AFTER: Final = 1.0  # s between two starts, for an engine that always fails


class ProcessEngine:
    """
    Any engine, in a child process; ``restarts`` counts the restarts of the child.

    One thread estimates; ``close`` may be called by another, and ends an estimate that hangs.
    """

    def __init__(
        self, folder: Path, task: str, kind: str, patience: float,
        started: Callable[['ProcessEngine'], Any] = nothing,
    ) -> None:  # fmt: skip
        """
        Start the child, and wait until it has loaded the engine.

        :param patience: time limit of an estimate, s; then the child is killed
        :param started: called with this engine before it waits: ``interrupt`` ends the wait
        :raises EngineError: as ``load`` would
        """
        self._arguments = [str(folder), task, kind]
        self._patience = patience
        self._guard = threading.Lock()  # between close and a restart
        self._open = True
        self.restarts = 0
        self._why = ''  # reason of the last restart
        self._child = Child(self._arguments)
        self._began = time.monotonic()
        started(self)
        self.info = self._child.wait_loaded(LOAD_TIMEOUT)

    @property
    def process_id(self) -> int:
        """Process id of the child."""
        return self._child.process.pid

    def estimate(self, observation: Observation) -> Estimate:
        """
        See ``Engine``.

        :raises EngineError: also while the engine is loaded again
        """
        if not self._child.loaded:
            self._check_restart()
        try:
            return self._child.ask(observation, self._patience)
        except LostError as error:
            self._why = str(error)
            self._restart()
            raise EngineError('engine-process-lost', f'{error}: it is being restarted') from error

    def free(self) -> None:
        """Free all that the engine holds, and wait until it is loaded again."""
        self._restart()
        self._child.wait_loaded(LOAD_TIMEOUT)

    def interrupt(self) -> None:
        """End an estimate that hangs; the engine cannot be used afterwards."""
        self.close()

    def close(self) -> None:
        """Kill the child, which has nothing to clean up."""
        with self._guard:
            self._open = False
            self._child.kill()

    def _check_restart(self) -> None:
        """Use the restarted child if it has loaded the engine."""
        if not self._child.is_readable(0.0):
            if time.monotonic() - self._began > LOAD_TIMEOUT:
                self._restart()
            raise EngineError('engine-restarting', f'{self._why}: it is being restarted')
        try:
            info = self._child.wait_loaded(0.0)
        except VivaError:
            if time.monotonic() - self._began > RESTART_AFTER:
                self._restart()
            raise
        if info != self.info:
            self._child.kill()
            raise EngineError(
                'engine-exchanged',
                'engine was exchanged while it ran: clean up and configure again',
            )

    def _restart(self) -> None:
        with self._guard:
            self._child.kill()
            if self._open:
                self._child = Child(self._arguments)
                self._began = time.monotonic()
                self.restarts += 1


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

    def __init__(self, arguments: list[str]) -> None:
        self._socket, theirs = shared_memory.pair()
        line = (Path(arguments[0]), *arguments[1:])
        with theirs:
            self.process = starter(os.getpid()).submit(
                lambda: subprocess.Popen(
                    **python_child(CHILD, *line, theirs.fileno(), apart=True),
                    pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
                )
            ).result()  # fmt: skip
        self._number = 0
        self.loaded = False

    def is_readable(self, timeout: float) -> bool:
        """Return whether a packet or the end of the child arrives within the timeout, s."""
        try:
            return bool(select.select([self._socket], [], [], timeout)[0])
        except (OSError, ValueError):  # closed by another thread
            return True

    def wait_loaded(self, timeout: float) -> EngineInfo:
        """
        Wait until the child has loaded the engine.

        :param timeout: s
        :raises VivaError: as ``load`` would; EngineError if the child ended or took too long
        """
        try:
            if not self.is_readable(timeout):
                raise LostError(f'engine was not loaded after {timeout:g} s')
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
        self._memory = shared_memory.share(self._socket, info)
        self.loaded = True
        return info

    def ask(self, observation: Observation, patience: float) -> Estimate:
        """
        Estimate.

        :param patience: time limit, s
        :raises LostError: without an answer in time
        :raises InputError: as ``Engine.estimate``
        :raises EngineError: likewise
        """
        self._memory.put(observation)
        self._number += 1
        try:
            self._socket.send(shared_memory.REQUEST.pack(self._number))
        except OSError as error:
            raise LostError(self._ending()) from error
        if not self.is_readable(patience):
            raise LostError(f'engine has not answered for {patience:g} s, its process was killed')
        shared_memory.check_done(*self._receive())
        return self._memory.estimate()

    def kill(self) -> None:
        """Kill the child; a thread that waits for its answer gets an error at once."""
        self.loaded = False
        self.process.kill()
        self.process.wait()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a waiting thread
        except OSError:  # the child has closed its end before
            pass

    def _receive(self) -> tuple[int, str]:
        try:
            packet = self._socket.recv(shared_memory.MAX_PACKET)
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
