# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An engine that a server runs for several monitors; without the server, one of our own.

When the server is gone or does not answer, the engine is loaded in this process, in a thread;
until then estimates fail at once. The server is looked for again from time to time, which waits
for nobody: one that hangs is used when it goes on. ``state`` says which of both it is.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.api import Engine, EngineInfo, Interruptible
from viva_ros.runtime.connection import PROMPT, Connection
from viva_ros.runtime.device import Freeable
from viva_ros.runtime.spare import Spare

AGAIN: Final = 5.0  # s, until the server is looked for again; doubled when it does not answer
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
        """Give up our own engine when the server has been there for long enough."""
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
