# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A monitor's end of the connection to an engine server."""

import select
import socket
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine import shared_memory as wire
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.remote import protocol as exchange

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
        """Say whether there is something to read, or the server has hung up."""
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
