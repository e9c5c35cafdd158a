# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An engine that a server runs for several monitors; without the server, one of our own.

When the server is gone or does not answer, the engine is loaded in this process, in a thread;
until then estimates fail at once. The server is looked for again from time to time, which waits
for nobody: one that hangs is used when it goes on. ``state`` says which of both it is.
"""

import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine import shared_memory as wire
from viva_ros.engine.api import Engine, EngineInfo, Interruptible
from viva_ros.engine.remote import protocol as exchange
from viva_ros.engine.worker import Freeable

PROMPT: Final = 0.05  # s, for what is there at once unless the server hangs
HUNG_UP: Final = 'it hung up'


class Connection:
    """
    A connection to a server; ``join`` it when the server has spoken.

    One that hangs is connected to all the same: the kernel does that for it.

    :raises OSError: if there is none
    :raises EngineError: if it is another user's
    """

    info: EngineInfo

    def __init__(self, address: Path) -> None:
        self._socket, self._number = exchange.open_socket(), 0
        try:
            self._socket.settimeout(PROMPT)
            self._socket.connect(str(address))
            if not exchange.is_same_user(self._socket):
                raise EngineError(f"the server at {address} is another user's: start your own")
        except BaseException:
            self.close()
            raise

    def spoke(self, timeout: float) -> bool:
        """Return whether there is something to read, or the server has hung up."""
        return bool(select.select([self._socket], [], [], timeout)[0])

    def join(self, task: str, patience: float) -> None:
        """
        Read the greeting, which is there, and take the memory.

        :param patience: with an answer, s
        :raises OSError: if the server is gone
        :raises EngineError: if it is for another task
        """
        self.info = exchange.from_greeting(self._receive(), task)
        try:
            self._memory = wire.take(self._socket, self.info)
        except EOFError as error:
            raise ConnectionError(HUNG_UP) from error
        self._socket.settimeout(patience)

    def ask(self, observation: Observation) -> Estimate:
        """
        Have an observation estimated.

        :raises OSError: if the server is gone, or does not answer in time
        :raises InputError: as ``Engine.estimate``
        :raises EngineError: likewise
        """
        self._memory.put(observation)
        self._number += 1
        self._socket.send(wire.REQUEST.pack(self._number))
        wire.check_done(*wire.read_reply(self._receive()))
        return self._memory.estimate()

    def interrupt(self) -> None:
        """Wake the thread that waits for an answer: there is none."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # closed already
            return

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _receive(self) -> bytes:
        packet = self._socket.recv(wire.LONGEST)
        if not packet:
            raise ConnectionError(HUNG_UP)
        return packet


AGAIN: Final = 5.0  # s, until what failed is tried again


class Spare:
    """
    One thread asks for it; ``interrupt`` may be called by another.

    :param load: gives the engine
    :param check: what is loaded is compared with what was there before; raises EngineError
    """

    def __init__(self, load: Callable[[], Engine], check: Callable[[EngineInfo], None]) -> None:
        self._load, self._check = load, check
        self._guard = threading.Lock()  # between the end of loading and interrupt
        self._loading, self._closed, self._failed = False, False, 0.0
        self.engine: Engine | None = None
        self.error: Exception | None = None  # why it could not be loaded

    def load_now(self) -> Engine:
        """Load it while the caller waits; nothing is there to compare it with."""
        self.engine = self._load()
        return self.engine

    def get(self) -> Engine | None:
        """
        Return the engine, or None while it is loaded.

        :raises EngineError: if that failed; it is tried again every AGAIN seconds
        """
        if self.engine is not None:
            return self.engine
        if not self._loading and (self.error is None or time.monotonic() - self._failed >= AGAIN):
            self._loading = True
            threading.Thread(target=self._run, name='viva_spare', daemon=True).start()
        error = self.error
        if error is not None:
            raise EngineError(f'an engine of our own cannot be loaded: {error}') from error
        return None

    def drop(self) -> None:
        """Return its memory back; it can be asked for again."""
        with self._guard:
            engine, self.engine, self.error = self.engine, None, None
        if engine is not None:
            engine.close()

    def interrupt(self) -> None:
        """End an estimate that hangs, where the engine can; it is of no use after."""
        with self._guard:
            self._closed = True
            engine = self.engine
        if isinstance(engine, Interruptible):
            engine.interrupt()

    def close(self) -> None:
        """Free it; one that is being loaded is freed when it is."""
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


RARELY: Final = 60.0  # s, at most
SETTLED: Final = 60.0  # s of use, until an engine of our own is given up


class SharedEngine:
    """
    See ``Engine``. One thread estimates; ``interrupt`` may be called by another.

    :param load: gives the engine of our own
    :param expected: fingerprint that the engine must have; empty: that of the first one
    :param patience: with an answer, s
    :raises EngineError: if the server's engine is another
    """

    def __init__(
        self, address: Path, task: str, load: Callable[[], Engine], expected: str,
        patience: float,
    ) -> None:  # fmt: skip
        self._address, self._task = address, task
        self._expected, self._patience = expected, patience
        self._connection: Connection | None = None
        self._pending: Connection | None = None  # to a server that has not spoken yet
        self._spare = Spare(load, self._check_own)
        self._looked, self._wait, self._since = time.monotonic(), AGAIN, 0.0
        self._why, self._closed = '', False
        try:
            self.info = self._begin()
        except OSError as error:
            self._lose(error)
            self.info = self._spare.load_now().info
        self._expected = self._expected or self.info.fingerprint

    @property
    def is_served(self) -> bool:
        """Whether the server estimates."""
        return self._connection is not None

    @property
    def state(self) -> str:
        """Who estimates, and why, for a person."""
        connection, own, error = self._connection, self._spare.engine, self._spare.error
        if connection is not None:
            return f'server at {self._address} ({connection.info.kind})'
        if own is not None:
            return f'in this process ({own.info.kind}): {self._why}'
        if error is not None:
            return f'none, one of our own cannot be loaded ({error}): {self._why}'
        return f'one of our own is being loaded: {self._why}'

    @property
    def restarts(self) -> int:
        """How often a process of our own engine had to be started again."""
        own = self._spare.engine
        return own.restarts if isinstance(own, Interruptible) else 0

    def estimate(self, observation: Observation) -> Estimate:
        """
        See ``Engine``.

        :raises EngineError: also while the engine of our own is loaded, or cannot be
        """
        self._look_again()
        if self._connection is not None:
            try:
                made = self._connection.ask(observation)
            except OSError as error:
                self._lose(error)
            else:
                self._settle()
                return made
        return self._own().estimate(observation)

    def free(self) -> None:
        """Free what our own engine can make again."""
        own = self._spare.engine
        if self._connection is None and isinstance(own, Freeable):
            own.free()

    def interrupt(self) -> None:
        """End an estimate that hangs; the engine is of no use after."""
        self._closed = True
        connection = self._connection
        if connection is not None:
            connection.interrupt()
        self._spare.interrupt()

    def close(self) -> None:
        """Free what it holds."""
        self._closed = True
        for connection in (self._connection, self._pending):
            if connection is not None:
                connection.close()
        self._connection = self._pending = None
        self._spare.close()

    def _begin(self) -> EngineInfo:
        """Connect for the first time: here one can wait."""
        made = Connection(self._address)
        if not made.spoke(self._patience):
            made.close()
            raise TimeoutError('it does not answer')
        return self._use(made)

    def _use(self, made: Connection) -> EngineInfo:
        try:
            made.join(self._task, self._patience)
            if self._expected not in ('', made.info.fingerprint):
                raise EngineError(
                    f'the server at {self._address} runs engine {made.info.fingerprint}, this '
                    f"monitor is for {self._expected}: start 'viva serve' with the same engine"
                )
        except BaseException:
            made.close()
            raise
        self._connection, self._since = made, time.monotonic()
        return made.info

    def _check_own(self, info: EngineInfo) -> None:
        if info.fingerprint != self._expected:
            raise EngineError(
                f'engine of our own is {info.fingerprint}, that of the server at {self._address} '
                f'was {self._expected}: have both load the same, and configure again'
            )

    def _own(self) -> Engine:
        if self._closed:
            raise EngineError('engine was closed')
        engine = self._spare.get()
        if engine is None:
            raise EngineError(
                f'the server at {self._address} is gone, an engine of our own is being loaded'
            )
        return engine

    def _lose(self, error: OSError) -> None:
        self._why = f'no server at {self._address} ({error.strerror or error})'
        if self._connection is not None:
            self._connection.close()
        self._connection, self._looked = None, time.monotonic()
        if isinstance(error, TimeoutError):
            self._wait = min(2.0 * self._wait, RARELY)

    def _settle(self) -> None:
        """Close our own engine when the server has been there for long enough."""
        if time.monotonic() - self._since >= SETTLED:
            self._wait = AGAIN
            self._spare.drop()

    def _look_again(self) -> None:
        """Connect if it is time, and use the connection once the server has spoken."""
        if self._connection is not None or self._closed:
            return
        timeout = 0.0
        try:
            if self._pending is None:
                if time.monotonic() - self._looked < self._wait:
                    return
                self._looked, timeout = time.monotonic(), PROMPT
                self._pending = Connection(self._address)
            if self._pending.spoke(timeout):
                made, self._pending = self._pending, None
                self._use(made)
        except OSError:
            return
        except EngineError as error:
            self._why = str(error)
