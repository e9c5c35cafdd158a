# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An engine that a server runs for several monitors; without the server, a local engine.

When the server has ended or does not answer, a thread loads the engine in this process; until it
is loaded, estimates fail at once. The client tries to reconnect without blocking: a server that
hangs is used when it answers again. ``state`` tells which engine estimates.
"""

import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError, UntrustedError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.core.progress_watch import ProgressLimits, ProgressWatch
from viva_ros.engine import shared_memory
from viva_ros.engine.api import Engine, EngineInfo, Interruptible
from viva_ros.engine.remote import protocol
from viva_ros.engine.worker import Freeable

CONNECT_TIMEOUT: Final = 0.05  # s; a server that does not hang answers at once
CLOSED: Final = 'it closed the connection'


class Connection:
    """
    A connection to a server; call ``open`` when the greeting is readable.

    The kernel also accepts connections to a server that hangs.

    :raises OSError: if no server listens
    :raises UntrustedError: if address or server belong to another user
    """

    info: EngineInfo

    def __init__(self, address: Path) -> None:
        self.watch: ProgressWatch | None = None  # while it waits for an answer
        self._socket, self._number = protocol.open_socket(), 0
        try:
            self._socket.settimeout(CONNECT_TIMEOUT)
            _connect(self._socket, address)
            if not protocol.is_same_user(self._socket):
                raise UntrustedError(
                    'server-owner',
                    f"the server at {address} belongs to another user: run 'viva serve' with "
                    'an address of your own',
                )
        except BaseException:
            self.close()
            raise

    def is_readable(self, timeout: float) -> bool:
        """Return whether a packet or the end of the server arrives within the timeout, s."""
        return bool(select.select([self._socket], [], [], timeout)[0])

    def wait(self, limits: ProgressLimits) -> None:
        """
        Wait for a packet while the server makes progress or waits for a processor.

        :raises TimeoutError: if it does neither
        """
        self.watch = ProgressWatch(limits, time.monotonic())
        process = protocol.process_of(self._socket)
        fault = shared_memory.await_packet(self._socket, process, self.watch)
        self.watch = None
        if fault:
            raise TimeoutError(fault)

    def open(self, task: str, limits: ProgressLimits) -> None:
        """
        Read the greeting and map the shared memory.

        :param limits: of each answer
        :raises OSError: if the server has ended
        :raises EngineError: if the server has another version or task
        """
        self.info = protocol.from_greeting(self._receive(), task)
        try:
            self._memory = shared_memory.attach(self._socket, self.info)
        except EOFError as error:
            raise ConnectionError(CLOSED) from error
        self._limits = limits
        self._socket.settimeout(limits.idle)

    def request(self, observation: Observation) -> Estimate:
        """
        Request an estimate.

        :raises OSError: if the server has ended, or does not answer in time
        :raises InputError: as ``Engine.estimate``
        :raises EngineError: likewise
        """
        self._memory.put(observation)
        self._number += 1
        self._socket.send(shared_memory.REQUEST.pack(self._number))
        self.wait(self._limits)
        shared_memory.check_done(*shared_memory.read_reply(self._receive()))
        return self._memory.estimate()

    def interrupt(self) -> None:
        """Wake the thread that waits for an answer; its request fails."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # already closed
            return

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive(self) -> bytes:
        packet = self._socket.recv(shared_memory.MAX_PACKET)
        if not packet:
            raise ConnectionError(CLOSED)
        return packet


def _connect(made: socket.socket, address: Path) -> None:
    """
    Connect to a socket of this user, in a folder that no other user can write.

    :raises OSError: if no server listens
    :raises UntrustedError: if it is something else
    """
    place = protocol.SocketPlace(address)
    try:
        place.check()
        made.connect(place.path)
    finally:
        place.close()


RETRY_DELAY: Final = 5.0  # s, until the next attempt


class LocalEngine:
    """
    The engine of this process, loaded when it is needed.

    One thread gets it; ``interrupt`` may be called by another.

    :param load: returns the engine
    :param check: compares the loaded engine with the first one; raises EngineError
    """

    def __init__(self, load: Callable[[], Engine], check: Callable[[EngineInfo], None]) -> None:
        self._load, self._check = load, check
        self._guard = threading.Lock()  # between the end of loading and interrupt
        self._loading, self._closed, self._failed = False, False, 0.0
        self.engine: Engine | None = None
        self.error: Exception | None = None  # why it could not be loaded

    def load_now(self) -> Engine:
        """Load it while the caller waits; skip the check, as it is the first engine."""
        self.engine = self._load()
        return self.engine

    def get(self) -> Engine | None:
        """
        Return the engine, or None while it is loaded.

        :raises EngineError: if loading failed; it is repeated every RETRY_DELAY seconds
        """
        if self.engine is not None:
            return self.engine
        if not self._loading and (
            self.error is None or time.monotonic() - self._failed >= RETRY_DELAY
        ):
            self._loading = True
            threading.Thread(target=self._run, name='viva_local_engine', daemon=True).start()
        error = self.error
        if error is not None:
            raise EngineError(
                'local-engine-failed', f'the local engine cannot be loaded: {error}'
            ) from error
        return None

    def drop(self) -> None:
        """Free its memory; ``get`` loads it again."""
        with self._guard:
            engine, self.engine, self.error = self.engine, None, None
        if engine is not None:
            engine.close()

    def interrupt(self) -> None:
        """End an estimate that hangs, if the engine can; it cannot be used afterwards."""
        with self._guard:
            self._closed = True
            engine = self.engine
        if isinstance(engine, Interruptible):
            engine.interrupt()

    def close(self) -> None:
        """Free it; an engine that is being loaded is freed afterwards."""
        with self._guard:
            self._closed = True
        self.drop()

    def _run(self) -> None:
        try:
            engine = self._load()
            try:
                self._check(engine.info)
            except EngineError:
                engine.close()
                raise
            with self._guard:
                if not self._closed:
                    self.engine, self.error = engine, None
            if self._closed and self.engine is not engine:
                engine.close()
        except Exception as error:  # whatever a library raises
            self.error, self._failed = error, time.monotonic()
        finally:
            self._loading = False


MAX_RETRY_DELAY: Final = 60.0  # s
KEEP_LOCAL: Final = 60.0  # s that the server must be used before the local engine is freed


class SharedEngine:
    """
    See ``Engine``. One thread estimates; ``interrupt`` may be called by another.

    :param load: returns the local engine
    :param expected: fingerprint that the engine must have; empty: that of the first engine
    :param patience: time limit of an answer of the server, s
    :param overload: wall time of an answer while the server waits for a processor, s, likewise
    :raises EngineError: if the server runs another engine
    :raises UntrustedError: if the address is not safe from other users; with the default address,
        'auto', the local engine estimates instead, and ``state`` names the reason
    """

    def __init__(
        self, address: Path, task: str, load: Callable[[], Engine], expected: str,
        patience: float, overload: float = 0.0,
    ) -> None:  # fmt: skip
        self._address, self._task = address, task
        self._expected, self._limits = expected, ProgressLimits(patience, overload)
        self._connection: Connection | None = None
        self._pending: Connection | None = None  # without a greeting so far
        self._local = LocalEngine(load, self._check_local)
        self._attempted, self._retry_delay, self._connected = time.monotonic(), RETRY_DELAY, 0.0
        self._why, self._closed = '', False
        try:
            self.info = self._begin()
        except OSError as error:
            self._disconnect(error)
            self.info = self._local.load_now().info
        except UntrustedError as error:
            if address != protocol.address_of(protocol.AUTO):
                raise
            self._why = str(error)
            self.info = self._local.load_now().info
        self._expected = self._expected or self.info.fingerprint

    @property
    def is_served(self) -> bool:
        """Whether the server estimates."""
        return self._connection is not None

    @property
    def state(self) -> str:
        """Which engine estimates, and why, for a person."""
        connection, local, error = self._connection, self._local.engine, self._local.error
        if connection is not None:
            return f'server at {self._address} ({connection.info.kind})'
        if local is not None:
            return f'in this process ({local.info.kind}): {self._why}'
        if error is not None:
            return f'none, the local engine cannot be loaded ({error}): {self._why}'
        return f'the local engine is being loaded: {self._why}'

    @property
    def restarts(self) -> int:
        """Return the number of restarts of the process of the local engine."""
        local = self._local.engine
        return local.restarts if isinstance(local, Interruptible) else 0

    @property
    def delay(self) -> str | None:
        """Why the running estimate has not ended, see ``ProcessEngine``; None if not watched."""
        if self._connection is None:
            return getattr(self._local.engine, 'delay', None)
        watch = self._connection.watch
        return '' if watch is None else watch.delay

    def estimate(self, observation: Observation) -> Estimate:
        """
        See ``Engine``.

        :raises EngineError: also while the local engine is being loaded, or if it cannot be
        """
        self._reconnect()
        if self._connection is not None:
            try:
                made = self._connection.request(observation)
            except OSError as error:
                self._disconnect(error)
            else:
                self._release_local()
                return made
        return self._get_local().estimate(observation)

    def free(self) -> None:
        """Free memory of the local engine that can be allocated again."""
        local = self._local.engine
        if self._connection is None and isinstance(local, Freeable):
            local.free()

    def interrupt(self) -> None:
        """End an estimate that hangs; the engine cannot be used afterwards."""
        self._closed = True
        connection = self._connection
        if connection is not None:
            connection.interrupt()
        self._local.interrupt()

    def close(self) -> None:
        """Close the connection and free the local engine."""
        self._closed = True
        for connection in (self._connection, self._pending):
            if connection is not None:
                connection.close()
        self._connection = self._pending = None
        self._local.close()

    def _begin(self) -> EngineInfo:
        """Connect for the first time, waiting for the greeting."""
        made = Connection(self._address)
        try:
            made.wait(self._limits)
        except TimeoutError:
            made.close()
            raise
        return self._use(made)

    def _use(self, made: Connection) -> EngineInfo:
        try:
            made.open(self._task, self._limits)
            if self._expected not in ('', made.info.fingerprint):
                raise EngineError(
                    'server-engine',
                    f'the server at {self._address} runs engine {made.info.fingerprint}, this '
                    f"monitor is for {self._expected}: start 'viva serve' with the same engine",
                )
        except BaseException:
            made.close()
            raise
        self._connection, self._connected = made, time.monotonic()
        return made.info

    def _check_local(self, info: EngineInfo) -> None:
        if info.fingerprint != self._expected:
            raise EngineError(
                'local-engine-mismatch',
                f'the local engine is {info.fingerprint}, the engine of the server at '
                f'{self._address} was {self._expected}: set both to the same folder and '
                'configure again',
            )

    def _get_local(self) -> Engine:
        if self._closed:
            raise EngineError('engine-closed', 'engine was closed')
        engine = self._local.get()
        if engine is None:
            raise EngineError(
                'local-engine-loading',
                f'the server at {self._address} has ended: the local engine is being loaded',
            )
        return engine

    def _disconnect(self, error: OSError) -> None:
        self._why = f'no server at {self._address} ({error.strerror or error})'
        if self._connection is not None:
            self._connection.close()
        self._connection, self._attempted = None, time.monotonic()
        if isinstance(error, TimeoutError):
            self._retry_delay = min(2.0 * self._retry_delay, MAX_RETRY_DELAY)

    def _release_local(self) -> None:
        """Free the local engine when the server has been used for KEEP_LOCAL seconds."""
        if time.monotonic() - self._connected >= KEEP_LOCAL:
            self._retry_delay = RETRY_DELAY
            self._local.drop()

    def _reconnect(self) -> None:
        """Connect if an attempt is due; use the connection once the greeting has arrived."""
        if self._connection is not None or self._closed:
            return
        timeout = 0.0
        try:
            if self._pending is None:
                if time.monotonic() - self._attempted < self._retry_delay:
                    return
                self._attempted, timeout = time.monotonic(), CONNECT_TIMEOUT
                self._pending = Connection(self._address)
            if self._pending.is_readable(timeout):
                made, self._pending = self._pending, None
                self._use(made)
        except OSError:
            return
        except EngineError as error:
            self._why = str(error)
