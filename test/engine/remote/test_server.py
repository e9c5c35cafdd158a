# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several monitors on one engine: real sockets, a server in a thread or in a process."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from viva_ros.core.errors import DeviceError, EngineError, InputError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine import shared_memory as wire
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.factory import load
from viva_ros.engine.remote import client as shared
from viva_ros.engine.remote import protocol as exchange
from viva_ros.engine.remote.client import SharedEngine
from viva_ros.engine.remote.server import Server, warm_up

PATIENCE = 20.0  # s
INFO = EngineInfo(('head',), ('waist',), 1.0, (2, 2), ('lift',), 'f' * 16, 'fake')


class Gate:
    """Value = the joint; every call waits until the gate is open. 9 spoils a whole batch."""

    info = INFO

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Event()
        self.batches: list[int] = []

    def estimate(self, observation: Observation) -> Estimate:
        return self.estimate_batch([observation])[0]

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        self.begun.set()
        assert self.open.wait(PATIENCE)
        self.batches.append(len(observations))
        values = [one.proprio['waist'] for one in observations]
        if 9.0 in values:
            raise EngineError('nine is out of order')
        return [Estimate(value, {'waist': value + 1.0}) for value in values]

    def close(self) -> None:
        pass


class Own(Gate):
    """Told apart from the server's: its values are negative."""

    def estimate(self, observation: Observation) -> Estimate:
        return Estimate(-observation.proprio['waist'], {})


def seen(value: float) -> Observation:
    return Observation({'head': np.full((2, 2, 3), 7, np.uint8)}, {'waist': value}, {'head': 1})


def connect(address: Path, task: str = 'lift', expected: str = '') -> SharedEngine:
    return SharedEngine(address, task, Own, expected, PATIENCE)


def settled(engine: SharedEngine, observation: Observation, wanted: float) -> Estimate:
    """Ask until the value is as wanted; in between nothing but errors or the other engine."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            estimate = engine.estimate(observation)
        except EngineError as error:
            assert 'is being loaded' in str(error)
        else:
            if estimate.value == wanted:
                return estimate
        time.sleep(0.01)
    raise AssertionError(f'never {wanted}: {engine.state}')


def test_a_server_gives_what_the_engine_gives_in_process(make_engine, address, serving):
    folder = make_engine()
    rng = np.random.default_rng(0)
    look = Observation(
        {name: rng.integers(0, 256, (9, 7, 3), dtype=np.uint8) for name in ('head', 'wrist')},
        {'left_waist': 0.25, 'right_waist': -0.5}, {'head': 1},
    )  # fmt: skip
    expected = load(folder, 'pass').estimate(look)
    with serving(load(folder, 'pass'), address, task='pass'):
        engine = connect(address, 'pass', '0123456789abcdef')
        assert engine.is_served and engine.info.image_size == (4, 4)
        given = engine.estimate(look)
        assert (given.value, given.forecast) == (expected.value, expected.forecast)
        engine.close()


def test_what_is_asked_while_the_engine_is_at_work_becomes_one_batch(address, serving):
    gate = Gate()
    with serving(gate, address) as server, ThreadPoolExecutor(4) as pool:
        engines = [connect(address) for _ in range(4)]
        gate.open.clear()
        first = pool.submit(engines[0].estimate, seen(0.0))
        assert gate.begun.wait(PATIENCE)
        others = [pool.submit(e.estimate, seen(float(n))) for n, e in enumerate(engines) if n]
        time.sleep(1.0)  # they are in the sockets now
        gate.open.set()
        values = [future.result(PATIENCE).value for future in (first, *others)]
        for engine in engines:
            engine.close()
    assert values == [0.0, 1.0, 2.0, 3.0]
    assert sum(gate.batches) == 4 and gate.batches[0] == 1 and max(gate.batches) == 3
    assert server.served.requests == 4


def test_who_waits_longest_is_served_first_and_no_batch_is_larger_than_allowed(address, serving):
    gate = Gate()
    with serving(gate, address, batch=2), ThreadPoolExecutor(4) as pool:
        engines = [connect(address) for _ in range(4)]
        answers = [pool.submit(e.estimate, seen(float(n))) for n, e in enumerate(engines)]
        assert sorted(answer.result(PATIENCE).value for answer in answers) == [0.0, 1.0, 2.0, 3.0]
        for engine in engines:
            engine.close()
    assert max(gate.batches) <= 2


def test_a_request_does_not_wait_for_company_for_longer_than_told(address, serving):
    gate = Gate()
    with serving(gate, address, wait=0.05):
        asks, silent = connect(address), connect(address)
        silent.estimate(seen(1.0))  # has asked lately, and asks no more
        assert asks.estimate(seen(2.0)).value == 2.0
        for engine in (asks, silent):
            engine.close()
    assert gate.batches == [1, 1]


def test_one_request_that_fails_does_not_spoil_those_beside_it(address, serving):
    gate = Gate()
    with serving(gate, address), ThreadPoolExecutor(3) as pool:
        engines = [connect(address) for _ in range(3)]
        gate.open.clear()
        futures = [pool.submit(engines[0].estimate, seen(0.0))]
        assert gate.begun.wait(PATIENCE)
        futures += [pool.submit(engines[1].estimate, seen(9.0))]
        futures += [pool.submit(engines[2].estimate, seen(2.0))]
        time.sleep(1.0)
        gate.open.set()
        assert futures[2].result(PATIENCE).value == 2.0
        with pytest.raises(EngineError, match='nine is out of order'):
            futures[1].result(PATIENCE)
        assert engines[1].is_served  # an error is an answer
        for engine in engines:
            engine.close()


def test_without_a_server_the_engine_is_ones_own_and_later_the_server_again(
    address, monkeypatch, serving
):
    engine = connect(address)
    assert not engine.is_served
    assert engine.estimate(seen(3.0)).value == -3.0
    assert f'no server at {address}' in engine.state
    monkeypatch.setattr(shared, 'AGAIN', 0.0)
    with serving(Gate(), address):
        settled(engine, seen(3.0), 3.0)
        assert engine.state == f'server at {address} (fake)'
    assert engine.estimate(seen(3.0)).value == -3.0  # it has ended
    engine.close()


def test_when_a_server_is_killed_an_engine_of_ones_own_is_loaded(make_engine, address, serving):
    folder = make_engine()
    process = subprocess.Popen(
        [sys.executable, '-m', 'viva_ros.cli.main', 'serve', '--engine', str(folder),
         '--task', 'lift', '--address', str(address)], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert str(address) in process.stdout.readline()
        engine = SharedEngine(address, 'lift', lambda: load(folder, 'lift'), '', PATIENCE)
        look = Observation(
            dict.fromkeys(('head', 'wrist'), np.zeros((4, 4, 3), np.uint8)),
            {'left_waist': 0.25, 'right_waist': 0.0}, {'head': 1},
        )  # fmt: skip
        assert engine.is_served and engine.estimate(look).value == 0.25
        process.kill()
        process.wait()
        with pytest.raises(EngineError, match='is gone, an engine of our own is being loaded'):
            engine.estimate(look)
        settled(engine, look, 0.25)
        assert not engine.is_served
        engine.close()
        with serving(load(folder, 'lift'), address):  # its socket was left behind
            pass
    finally:
        process.kill()
        process.wait()


def test_a_server_with_another_engine_or_task_is_refused(address, serving):
    with serving(Gate(), address):
        with pytest.raises(EngineError, match=r'runs engine f{16}, this monitor is for 0123'):
            connect(address, expected='0123')
        with pytest.raises(EngineError, match=r"for task 'lift', not 'pass'.*--task pass"):
            connect(address, 'pass')


def test_an_address_that_is_taken_or_that_others_may_write_to_is_refused(address, serving):
    with serving(Gate(), address), pytest.raises(EngineError, match='is served already'):
        Server(Gate(), 'lift', address, 0.0, 1)
    address.parent.chmod(0o777)
    with pytest.raises(EngineError, match='may be written by others'):
        Server(Gate(), 'lift', address, 0.0, 1)


def test_only_the_same_user_is_let_in(monkeypatch):
    ours, theirs = socket.socketpair()
    assert exchange.is_same_user(ours)
    monkeypatch.setattr(exchange.os, 'getuid', lambda: 12345)
    assert not exchange.is_same_user(ours)
    ours.close()
    theirs.close()


def test_a_client_that_sends_more_than_one_request_at_a_time_is_sent_away(address, serving):
    with serving(Gate(), address):
        rude = exchange.open_socket()
        rude.settimeout(PATIENCE)
        rude.connect(str(address))
        assert exchange.from_greeting(rude.recv(wire.LONGEST), 'lift') == INFO
        wire.take(rude, INFO)
        rude.send(bytes(wire.REQUEST.size + 1))
        assert rude.recv(wire.LONGEST) == b''
        rude.close()
        polite = connect(address)
        assert polite.estimate(seen(1.0)).value == 1.0
        polite.close()


def test_a_client_that_asks_again_while_it_waits_is_sent_away(address, serving):
    with serving(Gate(), address, wait=PATIENCE):
        rude, silent = exchange.open_socket(), connect(address)
        silent.estimate(seen(1.0))  # so that the next is waited with
        rude.settimeout(PATIENCE)
        rude.connect(str(address))
        rude.recv(wire.LONGEST)
        wire.take(rude, INFO)
        rude.send(wire.REQUEST.pack(1))
        rude.send(wire.REQUEST.pack(2))
        assert rude.recv(wire.LONGEST) == b''
        rude.close()
        silent.close()


def test_a_client_cannot_take_the_memory_away_that_the_server_reads(address, serving):
    with serving(Gate(), address):
        rude = exchange.open_socket()
        rude.settimeout(PATIENCE)
        rude.connect(str(address))
        rude.recv(wire.LONGEST)
        descriptor = socket.recv_fds(rude, wire.LONGEST, 1)[1][0]
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, 0)
        os.close(descriptor)
        rude.close()


def test_an_observation_that_cannot_be_used_is_the_askers_own_error(address, serving):
    with serving(Gate(), address):
        engine = connect(address)
        with pytest.raises(InputError, match='camera head is missing'):
            engine.estimate(Observation({}, {'waist': 1.0}, {}))
        assert engine.is_served and engine.estimate(seen(1.0)).value == 1.0
        engine.close()


class Broken(Gate):
    """Its device fails, and stays so."""

    def estimate(self, observation: Observation) -> Estimate:
        raise RuntimeError('CUDA error: an illegal memory access was encountered')


def test_a_server_whose_device_has_failed_ends_and_monitors_go_on_by_themselves(address):
    server = Server(Broken(), 'lift', address, 0.0, 8)
    with ThreadPoolExecutor(1) as pool:
        engine = pool.submit(connect, address)
        server._receive()
        engine = engine.result(PATIENCE)
        answer = pool.submit(settled, engine, seen(3.0), -3.0)
        with pytest.raises(DeviceError, match='device failed twice'):
            server.run(lambda: False)
        server.close()
        assert answer.result(PATIENCE).value == -3.0 and not engine.is_served
        engine.close()


class AtMostThree(Gate):
    """Has no memory for more."""

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        if len(observations) > 3:
            raise EngineError('no memory for so many')
        return super().estimate_batch(observations)


def test_every_size_of_batch_is_tried_before_anybody_waits_and_what_fails_is_never_asked(capsys):
    gate = Gate()
    assert warm_up(gate, 6) == 6 and gate.batches == [1, 2, 4, 6]
    assert warm_up(AtMostThree(), 8) == 2
    told = capsys.readouterr().out
    assert '4 requests at once cannot be estimated: no memory for so many' in told
