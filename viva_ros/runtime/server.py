# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One engine for several monitors: what they ask at about the same time is one batch.

A monitor has one request under way, so the order of arrival is fair: nobody is served twice while
another waits. A request waits for company only while others have asked lately, and for a bounded
time.
"""

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError, VivaError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.runtime import exchange
from viva_ros.runtime.engine import BatchEngine, Engine

LATELY: Final = 0.5  # s; who has asked within is expected to ask again
CHUNK: Final = 1 << 20  # bytes
IDLE: Final = 0.2  # s, between looks whether to end


@dataclass
class Client:
    """A monitor."""

    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)
    asked: float = -LATELY


@dataclass(frozen=True)
class Served:
    """How many requests were served, in how many batches."""

    requests: int = 0
    batches: int = 0


class Server:
    """
    Serves until told to end, in one thread; it owns the engine.

    :param wait: that a request waits for others at most, s
    :param batch: requests in one call of the engine at most
    """

    def __init__(self, engine: Engine, task: str, address: Path, wait: float, batch: int) -> None:
        self._engine, self._task, self._address = engine, task, address
        self._wait, self._batch = wait, batch
        self._clients: list[Client] = []
        self._waiting: list[tuple[float, Client]] = []
        self.served = Served()
        self._selector = selectors.DefaultSelector()
        self._socket = _listen(address)
        self._selector.register(self._socket, selectors.EVENT_READ)

    def run(self, is_over: Callable[[], bool]) -> None:
        """Serve until told to end."""
        while not is_over():
            self._receive()
            if self._is_time(time.monotonic()):
                self._serve()

    def close(self) -> None:
        """Send all away and free the engine."""
        for client in list(self._clients):
            self._drop(client)
        self._selector.close()
        self._socket.close()
        self._address.unlink(missing_ok=True)
        self._engine.close()

    def _receive(self) -> None:
        timeout = IDLE
        if self._waiting:
            timeout = max(0.0, self._waiting[0][0] + self._wait - time.monotonic())
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._socket:
                self._welcome()
            else:
                self._read(key.data)

    def _welcome(self) -> None:
        connection, _ = self._socket.accept()
        if not exchange.is_same_user(connection):
            connection.close()
            return
        connection.setblocking(False)
        client = Client(connection)
        self._clients.append(client)
        self._selector.register(connection, selectors.EVENT_READ, client)
        self._send(client, exchange.greeting(self._engine.info, self._task))

    def _read(self, client: Client) -> None:
        try:
            data = client.connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b''
        client.received += data
        size = exchange.request_size(self._engine.info)
        if not data or len(client.received) > size:  # gone, or does not wait for its answer
            self._drop(client)
        elif len(client.received) == size:
            client.asked = time.monotonic()
            self._waiting.append((client.asked, client))

    def _is_time(self, now: float) -> bool:
        """Say whether nobody is to be waited for."""
        if not self._waiting:
            return False
        expected = sum(now - client.asked < LATELY for client in self._clients)
        enough = min(self._batch, expected)
        return len(self._waiting) >= enough or now - self._waiting[0][0] >= self._wait

    def _serve(self) -> None:
        """Answer those who have waited longest."""
        now, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
        clients = [client for _, client in now]
        observations = [exchange.from_request(c.received, self._engine.info) for c in clients]
        for client, answer in zip(clients, self._estimate(observations), strict=True):
            client.received = bytearray()
            self._send(client, answer)
        self.served = Served(self.served.requests + len(now), self.served.batches + 1)

    def _estimate(self, observations: list[Observation]) -> list[bytes]:
        try:
            return [exchange.to_answer(estimate) for estimate in self._run(observations)]
        except VivaError as error:
            if len(observations) > 1:  # one of them may spoil it for all
                return [answer for one in observations for answer in self._estimate([one])]
            return [exchange.to_line({'error': str(error)})]

    def _run(self, observations: list[Observation]) -> list[Estimate]:
        if len(observations) > 1 and isinstance(self._engine, BatchEngine):
            return self._engine.estimate_batch(observations)
        return [self._engine.estimate(observation) for observation in observations]

    def _send(self, client: Client, line: bytes) -> None:
        try:
            client.connection.sendall(line)
        except OSError:  # gone, or does not read
            self._drop(client)

    def _drop(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            self._waiting = [one for one in self._waiting if one[1] is not client]
            self._selector.unregister(client.connection)
            client.connection.close()


def _listen(address: Path) -> socket.socket:
    """
    Open the socket.

    :raises EngineError: if another server is there, or the folder is not safe
    """
    exchange.check_folder(address.parent)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if address.exists():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.connect(str(address))
            listening.close()
            raise EngineError(f'{address} is served already: end that server first')
        address.unlink(missing_ok=True)  # left behind by one that was killed
    listening.bind(str(address))
    address.chmod(0o600)
    listening.listen()
    return listening
