# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serve one engine to the monitors of several robots on this machine."""

import math
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from viva_ros.core.errors import DeviceError, EngineError, VivaError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine import shared_memory as wire
from viva_ros.engine.api import BatchEngine, Engine
from viva_ros.engine.remote import protocol as exchange
from viva_ros.engine.worker import with_one_more_try

LATELY: Final = 0.5  # s; who has asked within is expected to ask again
IDLE: Final = 0.2  # s, between looks whether to end


@dataclass
class Client:
    """
    A monitor.

    :param number: of its request under way; None while it has none
    """

    connection: socket.socket
    memory: wire.ObservationMemory
    number: int | None = None
    asked: float = -math.inf


@dataclass(frozen=True)
class Served:
    """
    How many requests were served, in how many batches.

    :param apart: batches that failed, and were estimated one by one
    """

    requests: int = 0
    batches: int = 0
    apart: int = 0


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
        self._waiting: list[Client] = []
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
            timeout = max(0.0, self._waiting[0].asked + self._wait - time.monotonic())
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
        try:
            connection.send(exchange.greeting(self._engine.info, self._task))
            client = Client(connection, wire.share(connection, self._engine.info))
        except OSError:  # gone already
            connection.close()
            return
        self._clients.append(client)
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _read(self, client: Client) -> None:
        try:
            packet = client.connection.recv(wire.LONGEST)
        except BlockingIOError:
            return
        except OSError:
            packet = b''
        if len(packet) != wire.REQUEST.size or client.number is not None:
            self._drop(client)  # gone, or does not wait for its answer
            return
        (client.number,) = wire.REQUEST.unpack(packet)
        client.asked = time.monotonic()
        self._waiting.append(client)

    def _is_time(self, now: float) -> bool:
        """Return whether nobody is to be waited for."""
        if not self._waiting:
            return False
        expected = sum(now - client.asked < LATELY for client in self._clients)
        enough = min(self._batch, expected)
        return len(self._waiting) >= enough or now - self._waiting[0].asked >= self._wait

    def _serve(self) -> None:
        """Answer those who have waited longest."""
        now, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
        estimates = self._estimate(now)
        for client, estimate in zip(now, estimates, strict=True):
            self._answer(client, estimate)
        self.served = replace(
            self.served,
            requests=self.served.requests + len(now),
            batches=self.served.batches + 1,
        )

    def _estimate(self, clients: list[Client]) -> list[Estimate | Exception]:
        if len(clients) > 1 and isinstance(self._engine, BatchEngine):
            try:
                observations = [client.memory.observation() for client in clients]
                return list(self._engine.estimate_batch(observations))
            except Exception:  # one may spoil it for all, or memory lack for so many
                self.served = replace(self.served, apart=self.served.apart + 1)
        return [self._estimate_one(client.memory) for client in clients]

    def _estimate_one(self, memory: wire.ObservationMemory) -> Estimate | Exception:
        """
        Estimate, or give what went wrong.

        :raises DeviceError: the server must end, so that monitors go on with engines of their own
        """
        try:
            observation = memory.observation()
            return with_one_more_try(lambda: self._engine.estimate(observation), self._engine)
        except DeviceError:
            raise
        except Exception as error:  # whatever a library raises
            return error

    def _answer(self, client: Client, estimate: Estimate | Exception) -> None:
        number, client.number = client.number or 0, None
        if isinstance(estimate, Estimate):
            client.memory.answer(estimate)
            packet = wire.reply(number)
        else:
            packet = wire.reply(number, *wire.failure(estimate))
        try:
            client.connection.send(packet)
        except OSError:  # gone, or does not read
            self._drop(client)

    def _drop(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            self._waiting = [one for one in self._waiting if one is not client]
            self._selector.unregister(client.connection)
            client.connection.close()


def _listen(address: Path) -> socket.socket:
    """
    Open the socket.

    :raises EngineError: if another server is there, or the folder is not safe
    """
    exchange.check_folder(address.parent)
    listening = exchange.open_socket()
    if address.exists():
        with exchange.open_socket() as probe, suppress(OSError):
            probe.connect(str(address))
            listening.close()
            raise EngineError(f'{address} is served already: end that server first')
        address.unlink(missing_ok=True)  # left behind by one that was killed
    listening.bind(str(address))
    address.chmod(0o600)
    listening.listen()
    return listening


def warm_up(engine: Engine, most: int) -> int:
    """
    Estimate once for every size of batch that libraries compile for, before anybody waits.

    :param most: requests at once
    :returns: how many there can be
    :raises EngineError: if not even one can be estimated
    """
    info = engine.info
    black = np.zeros((*info.image_size, 3), np.uint8)
    one = Observation(dict.fromkeys(info.cameras, black), dict.fromkeys(info.joint_names, 0.0), {})
    engine.estimate(one)
    if not isinstance(engine, BatchEngine):
        return 1
    for count in sorted({min(most, 2**power) for power in range(1, most.bit_length() + 1)}):
        try:
            engine.estimate_batch([one] * count)
        except VivaError as error:
            print(f'{count} requests at once cannot be estimated: {error}', flush=True)
            return count // 2
    return most
