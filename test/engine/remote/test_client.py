# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A monitor's engine when the server hangs, is gone, or comes back as another one."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine import shared_memory as wire
from viva_ros.engine.api import Engine, EngineInfo
from viva_ros.engine.remote import client as shared
from viva_ros.engine.remote import client as spare
from viva_ros.engine.remote import protocol as exchange
from viva_ros.engine.remote.client import SharedEngine
from viva_ros.engine.remote.server import Server
from viva_ros.nodes.estimation import Estimation

PATIENCE = 20.0  # s
INFO = EngineInfo(('head',), ('waist',), 1.0, (2, 2), ('lift',), 'f' * 16, 'fake')
SEEN = Observation({'head': np.full((2, 2, 3), 7, np.uint8)}, {'waist': 3.0}, {'head': 1})


class Fake:
    """Value = the joint, times a sign that tells the server's (1) from one's own (-1)."""

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
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, 'AGAIN', 0.0)


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def value(engine: SharedEngine) -> float | None:
    try:
        return engine.estimate(SEEN).value
    except EngineError:
        return None


@pytest.mark.usefixtures('_at_once')
def test_a_server_that_hangs_holds_up_no_estimate_and_is_used_when_it_goes_on(
    address, monkeypatch
):
    engine = SharedEngine(address, 'lift', Fake, '', PATIENCE)
    waits: list[float] = []
    spoke = shared.Connection.spoke
    monkeypatch.setattr(
        shared.Connection, 'spoke',
        lambda self, timeout: waits.append(timeout) or spoke(self, timeout),
    )  # fmt: skip
    server = Server(Fake(1.0), 'lift', address, 0.0, 8)  # listens, and does not run yet
    assert [value(engine) for _ in range(5)] == [-3.0] * 5
    assert waits == [0.05, 0.0, 0.0, 0.0, 0.0]  # s: looked for once, not with all patience
    over = threading.Event()
    thread = threading.Thread(target=server.run, args=(over.is_set,))
    thread.start()
    until(lambda: value(engine) == 3.0)
    assert engine.is_served
    engine.close()
    over.set()
    thread.join(PATIENCE)
    server.close()


def test_a_server_that_greets_but_does_not_answer_is_looked_for_ever_more_rarely(
    address, monkeypatch
):
    listening = exchange.open_socket()
    listening.bind(str(address))
    listening.listen()

    def greet() -> None:
        for _ in range(3):
            theirs, _ = listening.accept()
            theirs.send(exchange.greeting(INFO, 'lift'))
            kept.append((theirs, wire.share(theirs, INFO)))

    kept: list[object] = []
    thread = threading.Thread(target=greet)
    thread.start()
    engine = SharedEngine(address, 'lift', Fake, '', 0.01)
    until(lambda: value(engine) == -3.0)
    waits = [engine._wait]
    for _ in range(2):
        engine._looked = -1e9
        until(lambda: value(engine) == -3.0 and engine._looked > 0.0 and not engine._pending)
        waits.append(engine._wait)
    thread.join(PATIENCE)
    assert waits == [10.0, 20.0, 40.0]
    engine.close()
    listening.close()


def test_an_engine_that_cannot_be_loaded_is_told_each_time_and_tried_again(
    address, monkeypatch, serving
):
    tries: list[int] = []

    def load() -> Engine:
        tries.append(1)
        if len(tries) == 1:
            raise EngineError('weights are missing')
        return Fake()

    with serving(Fake(1.0), address):
        engine = SharedEngine(address, 'lift', load, '', PATIENCE)
        assert value(engine) == 3.0
    until(lambda: value(engine) is None and engine._spare.error is not None)
    for _ in range(2):
        with pytest.raises(EngineError, match='cannot be loaded: weights are missing'):
            engine.estimate(SEEN)
    assert len(tries) == 1 and 'weights are missing' in engine.state
    assert f'no server at {address}' in engine.state
    monkeypatch.setattr(spare, 'AGAIN', 0.0)
    until(lambda: value(engine) == -3.0)
    assert len(tries) == 2 and engine.state.startswith('in this process (fake)')
    engine.close()


def test_while_an_engine_is_loaded_an_estimate_is_refused_at_once(address, serving):
    may_load = threading.Event()

    def load() -> Engine:
        assert may_load.wait(PATIENCE)
        return Fake()

    with serving(Fake(1.0), address):
        engine = SharedEngine(address, 'lift', load, '', PATIENCE)
    for _ in range(2):
        with pytest.raises(EngineError, match='is gone, an engine of our own is being loaded'):
            engine.estimate(SEEN)
    assert engine.state.startswith('one of our own is being loaded: no server at')
    may_load.set()
    until(lambda: value(engine) == -3.0)
    engine.close()


def test_an_engine_that_is_loaded_after_the_end_is_freed(address, serving):
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


@pytest.mark.usefixtures('_at_once')
def test_when_the_server_is_back_to_stay_ones_own_engine_gives_its_memory_back(
    address,
    monkeypatch,
    serving,
):
    own = Fake()
    engine = SharedEngine(address, 'lift', lambda: own, '', PATIENCE)
    with serving(Fake(1.0), address):
        until(lambda: value(engine) == 3.0)
        assert value(engine) == 3.0 and not own.closed  # may be needed again soon
        monkeypatch.setattr(shared, 'SETTLED', 0.0)
        assert value(engine) == 3.0 and own.closed
    engine.close()


@pytest.mark.usefixtures('_at_once')
def test_without_a_name_the_first_engine_is_the_one_that_all_others_must_be(address, serving):
    other = replace(INFO, fingerprint='e' * 16)
    engine = SharedEngine(address, 'lift', Fake, '', PATIENCE)  # its own is the first
    with serving(Fake(1.0, other), address):
        until(lambda: value(engine) == -3.0 and 'runs engine' in engine.state)
        assert 'e' * 16 in engine.state and 'f' * 16 in engine.state and not engine.is_served
    engine.close()
    with serving(Fake(1.0), address):
        engine = SharedEngine(address, 'lift', lambda: Fake(-1.0, other), '', PATIENCE)
    until(lambda: value(engine) is None and engine._spare.error is not None)
    with pytest.raises(EngineError, match=r'of our own is e{16}, that of the server .* f{16}'):
        engine.estimate(SEEN)
    engine.close()


def test_ones_own_engine_can_be_freed_counted_and_interrupted_behind_it(address):
    own = Fake()
    engine = SharedEngine(address, 'lift', lambda: own, '', PATIENCE)
    observer = SimpleNamespace(observe=lambda selection: SEEN)
    work = Estimation(engine, observer, lambda: None)
    own.restarts = 2
    assert work.restarts == 2
    engine.free()
    assert own.freed
    own.hangs.clear()
    work.submit(None, 0)
    until(lambda: work.busy_for > 0.0)
    assert work.close() and own.closed  # a hang is ended, not waited for


def test_an_estimate_that_waits_for_a_server_is_ended_by_an_interrupt(address, serving):
    hung = Fake(1.0)
    with serving(hung, address):
        engine = SharedEngine(address, 'lift', Fake, '', PATIENCE)
        hung.hangs.clear()
        work = Estimation(engine, SimpleNamespace(observe=lambda _: SEEN), lambda: None)
        work.submit(None, 0)
        until(lambda: work.busy_for > 0.1)
        assert work.close()
        hung.hangs.set()
