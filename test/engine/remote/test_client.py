# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine of a monitor when the server hangs, ends, or returns with another engine."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.errors import raises

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine import shared_memory
from viva_ros.engine.api import Engine, EngineInfo
from viva_ros.engine.remote import client, protocol
from viva_ros.engine.remote.client import SharedEngine
from viva_ros.engine.remote.server import Server
from viva_ros.nodes.estimation import Estimation

PATIENCE = 20.0  # s
INFO = EngineInfo(('head',), ('waist',), 1.0, (2, 2), ('lift',), 'f' * 16, 'fake')
OBSERVATION = Observation({'head': np.full((2, 2, 3), 7, np.uint8)}, {'waist': 3.0}, {'head': 1})


class Fake:
    """Value = sign * joint; the sign is 1 on the server and -1 for the local engine."""

    def __init__(self, sign: float = -1.0, info: EngineInfo = INFO) -> None:
        self.info, self.sign = info, sign
        self.closed = self.freed = False
        self.restarts, self.hangs = 0, threading.Event()
        self.hangs.set()

    def estimate(self, observation: Observation) -> Estimate:
        assert self.hangs.wait(PATIENCE)
        return Estimate(self.sign * observation.proprio['waist'], {})

    def free(self) -> None:
        self.freed = True

    def interrupt(self) -> None:
        self.hangs.set()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def _without_retry_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, 'RETRY_DELAY', 0.0)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def value(engine: SharedEngine) -> float | None:
    try:
        return engine.estimate(OBSERVATION).value
    except EngineError:
        return None


@pytest.mark.usefixtures('_without_retry_delay')
def test_hung_server_never_blocks_and_is_used_on_recovery(address, monkeypatch):
    engine = SharedEngine(address, 'lift', Fake, '', PATIENCE)
    waits: list[float] = []
    is_readable = client.Connection.is_readable
    monkeypatch.setattr(
        client.Connection, 'is_readable',
        lambda self, timeout: waits.append(timeout) or is_readable(self, timeout),
    )  # fmt: skip
    server = Server(Fake(1.0), 'lift', address, 0.0, 8)  # listens without answering
    assert [value(engine) for _ in range(5)] == [-3.0] * 5
    assert waits == [0.05, 0.0, 0.0, 0.0, 0.0]  # s: one attempt with a short timeout
    over = threading.Event()
    thread = threading.Thread(target=server.run, args=(over.is_set,))
    thread.start()
    until(lambda: value(engine) == 3.0)
    assert engine.is_served
    engine.close()
    over.set()
    thread.join(PATIENCE)
    server.close()


def test_reconnection_to_silent_server_backs_off(address, monkeypatch):
    listening = protocol.open_socket()
    listening.bind(str(address))
    listening.listen()

    def greet() -> None:
        for _ in range(3):
            theirs, _ = listening.accept()
            theirs.send(protocol.greeting(INFO, 'lift'))
            kept.append((theirs, shared_memory.share(theirs, INFO)))

    kept: list[object] = []
    thread = threading.Thread(target=greet)
    thread.start()
    engine = SharedEngine(address, 'lift', Fake, '', 0.01)
    until(lambda: value(engine) == -3.0)
    waits = [engine._retry_delay]
    for _ in range(2):
        engine._attempted = -1e9
        until(lambda: value(engine) == -3.0 and engine._attempted > 0.0 and not engine._pending)
        waits.append(engine._retry_delay)
    thread.join(PATIENCE)
    assert waits == [10.0, 20.0, 40.0]
    engine.close()
    listening.close()


def test_local_load_error_is_raised_and_load_retried(address, monkeypatch, serving):
    tries: list[int] = []

    def load() -> Engine:
        tries.append(1)
        if len(tries) == 1:
            raise EngineError('weights-missing', 'weights are missing')
        return Fake()

    with serving(Fake(1.0), address):
        engine = SharedEngine(address, 'lift', load, '', PATIENCE)
        assert value(engine) == 3.0
    until(lambda: value(engine) is None and engine._local.error is not None)
    for _ in range(2):
        with raises('local-engine-failed', 'weights are missing', of=EngineError):
            engine.estimate(OBSERVATION)
    assert len(tries) == 1 and 'weights are missing' in engine.state
    assert f'no server at {address}' in engine.state
    monkeypatch.setattr(client, 'RETRY_DELAY', 0.0)
    until(lambda: value(engine) == -3.0)
    assert len(tries) == 2 and engine.state.startswith('in this process (fake)')
    engine.close()


def test_estimate_fails_while_local_engine_is_loading(address, serving):
    may_load = threading.Event()

    def load() -> Engine:
        assert may_load.wait(PATIENCE)
        return Fake()

    with serving(Fake(1.0), address):
        engine = SharedEngine(address, 'lift', load, '', PATIENCE)
    for _ in range(2):
        with raises('local-engine-loading', address, of=EngineError):
            engine.estimate(OBSERVATION)
    assert engine.state.startswith('the local engine is being loaded: no server at')
    may_load.set()
    until(lambda: value(engine) == -3.0)
    engine.close()


def test_local_engine_loaded_after_close_is_freed(address, serving):
    may_load, made = threading.Event(), Fake()

    def load() -> Engine:
        assert may_load.wait(PATIENCE)
        return made

    with serving(Fake(1.0), address):
        engine = SharedEngine(address, 'lift', load, '', PATIENCE)
    assert value(engine) is None
    engine.close()
    may_load.set()
    until(lambda: made.closed)


@pytest.mark.usefixtures('_without_retry_delay')
def test_local_engine_is_freed_when_server_stays(
    address,
    monkeypatch,
    serving,
):
    local = Fake()
    engine = SharedEngine(address, 'lift', lambda: local, '', PATIENCE)
    with serving(Fake(1.0), address):
        until(lambda: value(engine) == 3.0)
        assert (
            value(engine) == 3.0 and not local.closed
        )  # kept until the server has been used for KEEP_LOCAL s
        monkeypatch.setattr(client, 'KEEP_LOCAL', 0.0)
        assert value(engine) == 3.0 and local.closed
    engine.close()


@pytest.mark.usefixtures('_without_retry_delay')
def test_first_engine_sets_the_expected_fingerprint(address, serving):
    other = replace(INFO, fingerprint='e' * 16)
    engine = SharedEngine(address, 'lift', Fake, '', PATIENCE)  # the local engine is the first
    with serving(Fake(1.0, other), address):
        until(lambda: value(engine) == -3.0 and 'runs engine' in engine.state)
        assert 'e' * 16 in engine.state and 'f' * 16 in engine.state and not engine.is_served
    engine.close()
    with serving(Fake(1.0), address):
        engine = SharedEngine(address, 'lift', lambda: Fake(-1.0, other), '', PATIENCE)
    until(lambda: value(engine) is None and engine._local.error is not None)
    error = engine._local.error
    assert isinstance(error, EngineError) and error.code == 'local-engine-mismatch'
    with raises('local-engine-failed', 'e' * 16, 'f' * 16, address):
        engine.estimate(OBSERVATION)
    engine.close()
    with raises('engine-closed', of=EngineError):
        engine.estimate(OBSERVATION)


def test_local_engine_is_freed_counted_and_interrupted(address):
    local = Fake()
    engine = SharedEngine(address, 'lift', lambda: local, '', PATIENCE)
    observer = SimpleNamespace(observe=lambda selection: OBSERVATION)
    work = Estimation(engine, observer, lambda: None)
    local.restarts = 2
    assert work.restarts == 2
    engine.free()
    assert local.freed
    local.hangs.clear()
    work.submit(None, 0)
    until(lambda: work.busy_for > 0.0)
    assert work.close() and local.closed  # close does not wait for a hung estimate


def test_interrupt_ends_a_waiting_request(address, serving):
    hung = Fake(1.0)
    with serving(hung, address):
        engine = SharedEngine(address, 'lift', Fake, '', PATIENCE)
        hung.hangs.clear()
        work = Estimation(engine, SimpleNamespace(observe=lambda _: OBSERVATION), lambda: None)
        work.submit(None, 0)
        until(lambda: work.busy_for > 0.1)
        assert work.close()
        hung.hangs.set()


def test_reason_of_a_late_estimate_names_what_is_late(address, serving):
    server, local, decoded = Fake(1.0), Fake(), threading.Event()

    def observe(_):
        assert decoded.wait(PATIENCE)
        return OBSERVATION

    with serving(server, address):
        engine = SharedEngine(address, 'lift', lambda: local, '', PATIENCE)
        work = Estimation(engine, SimpleNamespace(observe=observe), lambda: None)
        server.hangs.clear()
        work.submit(None, 0)
        until(lambda: work.busy_for > 0.0)
        assert 'images wait to be decoded' in work.delay(1.0)
        decoded.set()
        until(lambda: ' s of CPU' in work.delay(1.0))
        assert 'restart the node' not in work.delay(1.0)
        server.hangs.set()
        until(lambda: work.take() is not None)
    local.hangs.clear()
    work.submit(None, 0)
    until(lambda: 'restart the node' in work.delay(1.0))
    local.hangs.set()
    assert work.close()
