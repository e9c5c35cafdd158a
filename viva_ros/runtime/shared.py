# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An engine that a server runs for several monitors; without the server, one of our own.

When the server is gone or does not answer, the engine is loaded in this process; the server is
looked for again from time to time. ``state`` says which of both it is.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError, InputError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.runtime import exchange, wire
from viva_ros.runtime.engine import Engine, EngineInfo

AGAIN: Final = 5.0  # s, until the server is looked for again
HUNG_UP: Final = 'it hung up'


class SharedEngine:
    """
    See ``Engine``.

    :param load: gives the engine of our own
    :param expected: fingerprint that the server's engine must have; empty: any
    :param patience: with an answer, s
    :raises EngineError: if the server's engine is another
    """

    def __init__(
        self, address: Path, task: str, load: Callable[[], Engine], expected: str,
        patience: float,
    ) -> None:  # fmt: skip
        self._address, self._task, self._load = address, task, load
        self._expected, self._patience = expected, patience
        self._connection: _Connection | None = None
        self._own: Engine | None = None
        self._looked = time.monotonic()
        try:
            self._connection = self._connect()
            self.info = self._connection.info
        except OSError as error:
            self.info = self._fall_back(error).info

    @property
    def is_served(self) -> bool:
        """Whether the server estimates."""
        return self._connection is not None

    @property
    def state(self) -> str:
        """Who estimates, and why, for a person."""
        return self._state

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        self._look_again()
        if self._connection is not None:
            try:
                return self._connection.ask(observation)
            except OSError as error:
                self._fall_back(error)
        assert self._own is not None
        return self._own.estimate(observation)

    def close(self) -> None:
        """Free what it holds."""
        if self._connection is not None:
            self._connection.close()
        if self._own is not None:
            self._own.close()
        self._connection = self._own = None

    def _connect(self) -> '_Connection':
        made = _Connection(self._address, self._task, self._patience)
        if self._expected not in ('', made.info.fingerprint):
            made.close()
            raise EngineError(
                f'the server at {self._address} runs engine {made.info.fingerprint}, this monitor '
                f"is for {self._expected}: start 'viva serve' with the same engine"
            )
        self._state = f'server at {self._address} ({made.info.kind})'
        return made

    def _fall_back(self, error: OSError) -> Engine:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._looked = None, time.monotonic()
        if self._own is None:
            self._own = self._load()
        self._state = f'in this process ({self._own.info.kind}): no server at {self._address} ' \
                      f'({error.strerror or error})'  # fmt: skip
        return self._own

    def _look_again(self) -> None:
        if self._connection is not None or time.monotonic() - self._looked < AGAIN:
            return
        self._looked = time.monotonic()
        try:
            self._connection = self._connect()
        except (OSError, EngineError):
            return


class _Connection:
    """
    A connection to a server.

    :raises OSError: if there is none
    :raises EngineError: if it is another user's, or for another task
    """

    def __init__(self, address: Path, task: str, patience: float) -> None:
        self._socket, self._number = exchange.open_socket(), 0
        try:
            self._socket.settimeout(patience)
            self._socket.connect(str(address))
            if not exchange.is_same_user(self._socket):
                raise EngineError(f"the server at {address} is another user's: start your own")
            self.info: EngineInfo = exchange.from_greeting(self._receive(), task)
            self._memory = wire.take(self._socket, self.info)
        except EOFError as error:
            self.close()
            raise ConnectionError(HUNG_UP) from error
        except BaseException:
            self.close()
            raise

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
        status, text = wire.read_reply(self._receive())
        if status == wire.BAD_INPUT:
            raise InputError(text)
        if status == wire.FAILED:
            raise EngineError(text)
        return self._memory.estimate()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _receive(self) -> bytes:
        packet = self._socket.recv(wire.LONGEST)
        if not packet:
            raise ConnectionError(HUNG_UP)
        return packet
