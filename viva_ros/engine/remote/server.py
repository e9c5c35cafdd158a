# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serve one engine to the monitors of several robots on this machine."""

import math
import os
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
from viva_ros.core.foreign_text import shown
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine import shared_memory
from viva_ros.engine.api import BatchEngine, Engine
from viva_ros.engine.remote import protocol
from viva_ros.engine.worker import retry_on_device_error

ACTIVE: Final = 0.5  # s since its last request, in which a monitor counts as active
POLL: Final = 0.2  # s between checks whether to end


@dataclass
class Client:
    """
    A connected monitor.

    :param number: of its pending request; None without one
    """

    connection: socket.socket
    memory: shared_memory.ObservationMemory
    number: int | None = None
    requested: float = -math.inf


@dataclass(frozen=True)
class Served:
    """
    How many requests were served, in how many batches.

    :param apart: failed batches whose requests were estimated one by one
    """

    requests: int = 0
    batches: int = 0
    apart: int = 0


class Server:
    """
    Serves one engine in one thread; it owns the engine.

    :param wait: longest time that a request waits for others, s
    :param batch: most requests in one call of the engine
    """

    def __init__(self, engine: Engine, task: str, address: Path, wait: float, batch: int) -> None:
        self._engine, self._task = engine, task
        self._wait, self._batch = wait, batch
        self._clients: list[Client] = []
        self._queue: list[Client] = []
        self.served = Served()
        self._selector = selectors.DefaultSelector()
        self._place = protocol.SocketPlace(address, create=True)
        try:
            self._socket, self._own = _listen(self._place)
        except BaseException:
            self._place.close()
            raise
        self._selector.register(self._socket, selectors.EVENT_READ)

    def run(self, is_over: Callable[[], bool]) -> None:
        """Serve until ``is_over`` returns true."""
        while not is_over():
            self._receive()
            if self._is_batch_due(time.monotonic()):
                self._serve()

    def close(self) -> None:
        """Disconnect all monitors and free the engine."""
        for client in list(self._clients):
            self._drop(client)
        self._selector.close()
        self._socket.close()
        self._place.unlink(self._own)
        self._place.close()
        self._engine.close()

    def _receive(self) -> None:
        timeout = POLL
        if self._queue:
            timeout = max(0.0, self._queue[0].requested + self._wait - time.monotonic())
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._socket:
                self._accept()
            else:
                self._read(key.data)

    def _accept(self) -> None:
        connection, _ = self._socket.accept()
        if not protocol.is_same_user(connection):
            connection.close()
            return
        connection.setblocking(False)
        try:
            connection.send(protocol.greeting(self._engine.info, self._task))
            client = Client(connection, shared_memory.share(connection, self._engine.info))
        except OSError:  # it has disconnected
            connection.close()
            return
        self._clients.append(client)
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _read(self, client: Client) -> None:
        try:
            packet = client.connection.recv(shared_memory.MAX_PACKET)
        except BlockingIOError:
            return
        except OSError:
            packet = b''
        if len(packet) != shared_memory.REQUEST.size or client.number is not None:
            self._drop(client)  # disconnected, or a request before the last was answered
            return
        (client.number,) = shared_memory.REQUEST.unpack(packet)
        client.requested = time.monotonic()
        self._queue.append(client)

    def _is_batch_due(self, now: float) -> bool:
        """Return whether the queue is full, or its first request has waited long enough."""
        if not self._queue:
            return False
        expected = sum(now - client.requested < ACTIVE for client in self._clients)
        enough = min(self._batch, expected)
        return len(self._queue) >= enough or now - self._queue[0].requested >= self._wait

    def _serve(self) -> None:
        """Answer the requests that have waited longest."""
        batch, self._queue = self._queue[: self._batch], self._queue[self._batch :]
        estimates = self._estimate(batch)
        for client, estimate in zip(batch, estimates, strict=True):
            self._answer(client, estimate)
        self.served = replace(
            self.served,
            requests=self.served.requests + len(batch),
            batches=self.served.batches + 1,
        )

    def _estimate(self, clients: list[Client]) -> list[Estimate | Exception]:
        if len(clients) > 1 and isinstance(self._engine, BatchEngine):
            try:
                observations = [client.memory.observation() for client in clients]
                return list(self._engine.estimate_batch(observations))
            except Exception:  # one observation is invalid, or memory does not suffice
                self.served = replace(self.served, apart=self.served.apart + 1)
        return [self._estimate_one(client.memory) for client in clients]

    def _estimate_one(self, memory: shared_memory.ObservationMemory) -> Estimate | Exception:
        """
        Return the estimate, or the error.

        :raises DeviceError: the server must end, so that monitors load local engines
        """
        try:
            observation = memory.observation()
            return retry_on_device_error(lambda: self._engine.estimate(observation), self._engine)
        except DeviceError:
            raise
        except Exception as error:  # whatever a library raises
            return error

    def _answer(self, client: Client, estimate: Estimate | Exception) -> None:
        number, client.number = client.number or 0, None
        if isinstance(estimate, Estimate):
            client.memory.answer(estimate)
            packet = shared_memory.reply(number)
        else:
            packet = shared_memory.reply(number, *shared_memory.failure(estimate))
        try:
            client.connection.send(packet)
        except OSError:  # it has disconnected, or does not read
            self._drop(client)

    def _drop(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            self._queue = [other for other in self._queue if other is not client]
            self._selector.unregister(client.connection)
            client.connection.close()


def _listen(place: protocol.SocketPlace) -> tuple[socket.socket, os.stat_result]:
    """
    Open the socket; delete the one that a killed server left, and nothing else.

    :returns: the socket, and the status of its file
    :raises EngineError: if another server uses the address
    :raises UntrustedError: if the address is no socket of this user
    """
    listening = protocol.open_socket()
    try:
        if (before := place.status()) is not None:
            place.check()
            with protocol.open_socket() as probe, suppress(OSError):
                probe.connect(place.path)
                raise EngineError(
                    'server-address-used',
                    f'another server uses {place.address}: stop that server first',
                )
            place.unlink(before)
        listening.bind(place.path)
        own = place.status()
        assert own is not None
        os.chmod(place.path, 0o600)
        listening.listen()
    except BaseException:
        listening.close()
        raise
    return listening, own


def warm_up(engine: Engine, most: int) -> int:
    """
    Estimate once with each batch size that libraries compile for, before monitors connect.

    :param most: largest batch to try
    :returns: largest batch that can be estimated
    :raises EngineError: if a single observation cannot be estimated
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
            print(f'a batch of {count:d} cannot be estimated: {shown(error)}', flush=True)
            return count // 2
    return most
