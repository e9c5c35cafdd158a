# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several monitors on one server over real sockets; the server is a thread or a process."""

import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.errors import raises

from viva_ros.core.errors import DeviceError, EngineError, InputError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.core.progress_watch import ProgressLimits
from viva_ros.engine import shared_memory
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.factory import load
from viva_ros.engine.remote import client, protocol
from viva_ros.engine.remote.client import SharedEngine
from viva_ros.engine.remote.server import Server, warm_up

PATIENCE = 20.0  # s
INFO = EngineInfo(('head',), ('waist',), 1.0, (2, 2), ('lift',), 'f' * 16, 'fake')


class Gate:
    """Value = joint; each call waits until the gate is open. A joint of 9 fails its batch."""

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
            raise EngineError('joint-nine', 'nine is invalid')
        return [Estimate(value, {'waist': value + 1.0}) for value in values]

    def close(self) -> None:
        pass


class LocalGate(Gate):
    """The local engine; its values are negative."""

    def estimate(self, observation: Observation) -> Estimate:
        return Estimate(-observation.proprio['waist'], {})


def sample(value: float) -> Observation:
    return Observation({'head': np.full((2, 2, 3), 7, np.uint8)}, {'waist': value}, {'head': 1})


def connect(address: Path, task: str = 'lift', expected: str = '') -> SharedEngine:
    return SharedEngine(address, task, LocalGate, expected, PATIENCE)


def wait_for(engine: SharedEngine, observation: Observation, expected: float) -> Estimate:
    """Estimate until the value is as expected; only errors of loading may occur before."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            estimate = engine.estimate(observation)
        except EngineError as error:
            assert error.code == 'local-engine-loading'
        else:
            if estimate.value == expected:
                return estimate
        time.sleep(0.01)
    raise AssertionError(f'never {expected}: {engine.state}')


def test_served_estimate_equals_engine_in_process(make_engine, address, serving):
    folder = make_engine()
    rng = np.random.default_rng(0)
    observation = Observation(
        {name: rng.integers(0, 256, (9, 7, 3), dtype=np.uint8) for name in ('head', 'wrist')},
        {'left_waist': 0.25, 'right_waist': -0.5}, {'head': 1},
    )  # fmt: skip
    expected = load(folder, 'pass').estimate(observation)
    with serving(load(folder, 'pass'), address, task='pass'):
        engine = connect(address, 'pass', '0123456789abcdef')
        assert engine.is_served and engine.info.image_size == (4, 4)
        given = engine.estimate(observation)
        assert (given.value, given.forecast) == (expected.value, expected.forecast)
        engine.close()


@pytest.fixture
def until_sent(monkeypatch) -> Callable[[int], None]:
    """Return a function that waits until a number of requests is in the sockets."""
    requests: list[client.Connection] = []
    wait = client.Connection.wait

    def count(self: client.Connection, limits: ProgressLimits) -> None:
        if self._number:  # after a request; before the first it waits for the greeting
            requests.append(self)
        wait(self, limits)

    monkeypatch.setattr(client.Connection, 'wait', count)

    def until(number: int) -> None:
        end = time.monotonic() + PATIENCE
        while len(requests) < number:
            assert time.monotonic() < end
            time.sleep(0.01)

    return until


def test_requests_during_an_estimate_form_one_batch(address, serving, until_sent):
    gate = Gate()
    with serving(gate, address) as server, ThreadPoolExecutor(4) as pool:
        engines = [connect(address) for _ in range(4)]
        gate.open.clear()
        first = pool.submit(engines[0].estimate, sample(0.0))
        assert gate.begun.wait(PATIENCE)
        others = [pool.submit(e.estimate, sample(float(n))) for n, e in enumerate(engines) if n]
        until_sent(4)
        gate.open.set()
        values = [future.result(PATIENCE).value for future in (first, *others)]
        for engine in engines:
            engine.close()
    assert values == [0.0, 1.0, 2.0, 3.0]
    assert sum(gate.batches) == 4 and gate.batches[0] == 1 and max(gate.batches) == 3
    assert server.served.requests == 4


def test_batch_never_exceeds_its_limit(address, serving):
    gate = Gate()
    with serving(gate, address, batch=2), ThreadPoolExecutor(4) as pool:
        engines = [connect(address) for _ in range(4)]
        answers = [pool.submit(e.estimate, sample(float(n))) for n, e in enumerate(engines)]
        assert sorted(answer.result(PATIENCE).value for answer in answers) == [0.0, 1.0, 2.0, 3.0]
        for engine in engines:
            engine.close()
    assert max(gate.batches) <= 2


def test_request_waits_for_others_within_limit(address, serving):
    gate = Gate()
    with serving(gate, address, wait=0.05):
        active, silent = connect(address), connect(address)
        silent.estimate(sample(1.0))  # counts as active, and sends no more requests
        assert active.estimate(sample(2.0)).value == 2.0
        for engine in (active, silent):
            engine.close()
    assert gate.batches == [1, 1]


def test_failed_request_does_not_fail_its_batch(address, serving, until_sent):
    gate = Gate()
    with serving(gate, address), ThreadPoolExecutor(3) as pool:
        engines = [connect(address) for _ in range(3)]
        gate.open.clear()
        futures = [pool.submit(engines[0].estimate, sample(0.0))]
        assert gate.begun.wait(PATIENCE)
        futures += [pool.submit(engines[1].estimate, sample(9.0))]
        futures += [pool.submit(engines[2].estimate, sample(2.0))]
        until_sent(3)
        gate.open.set()
        assert futures[2].result(PATIENCE).value == 2.0
        with raises('joint-nine', 'nine', of=EngineError):
            futures[1].result(PATIENCE)
        assert engines[1].is_served  # an error does not disconnect
        for engine in engines:
            engine.close()


def test_local_engine_is_used_until_server_returns(address, monkeypatch, serving):
    engine = connect(address)
    assert not engine.is_served
    assert engine.estimate(sample(3.0)).value == -3.0
    assert f'no server at {address}' in engine.state
    monkeypatch.setattr(client, 'RETRY_DELAY', 0.0)
    with serving(Gate(), address):
        wait_for(engine, sample(3.0), 3.0)
        assert engine.state == f'server at {address} (fake)'
    assert engine.estimate(sample(3.0)).value == -3.0  # the server has ended
    engine.close()


def test_killed_server_is_replaced_by_local_engine(make_engine, address, serving):
    folder = make_engine()
    process = subprocess.Popen(
        [sys.executable, '-P', '-m', 'viva_ros.cli.main', 'serve', '--engine', str(folder),
         '--task', 'lift', '--address', str(address)], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert str(address) in process.stdout.readline()
        engine = SharedEngine(address, 'lift', lambda: load(folder, 'lift'), '', PATIENCE)
        observation = Observation(
            dict.fromkeys(('head', 'wrist'), np.zeros((4, 4, 3), np.uint8)),
            {'left_waist': 0.25, 'right_waist': 0.0}, {'head': 1},
        )  # fmt: skip
        assert engine.is_served and engine.estimate(observation).value == 0.25
        process.kill()
        process.wait()
        with raises('local-engine-loading', address, of=EngineError):
            engine.estimate(observation)
        wait_for(engine, observation, 0.25)
        assert not engine.is_served
        engine.close()
        with serving(load(folder, 'lift'), address):  # the killed server left its socket
            pass
    finally:
        process.kill()
        process.wait()


def test_server_with_other_engine_or_task_is_refused(address, serving):
    with serving(Gate(), address):
        with raises('server-engine', 'f' * 16, '0123', 'viva serve', of=EngineError):
            connect(address, expected='0123')
        with raises('server-task', "'lift'", "'pass'", '--task pass', of=EngineError):
            connect(address, 'pass')


def test_used_or_writable_address_is_refused(address, serving):
    with serving(Gate(), address), raises('server-address-used', address, of=EngineError):
        Server(Gate(), 'lift', address, 0.0, 1)
    address.parent.chmod(0o777)
    with raises('file-world-writable', address.parent, 'chmod o-w', of=EngineError):
        Server(Gate(), 'lift', address, 0.0, 1)


def test_only_same_user_is_accepted(monkeypatch):
    ours, theirs = socket.socketpair()
    assert protocol.is_same_user(ours)
    monkeypatch.setattr(protocol.os, 'getuid', lambda: 12345)
    assert not protocol.is_same_user(ours)
    ours.close()
    theirs.close()


def test_server_and_folder_of_other_user_are_refused(address, serving, monkeypatch):
    with serving(Gate(), address):
        monkeypatch.setattr(protocol, 'is_same_user', lambda _: False)
        with raises('server-owner', address, 'viva serve', of=EngineError):
            client.Connection(address)
    monkeypatch.setattr(protocol.os, 'getuid', lambda: 12345)
    with raises('socket-folder-owner', address.parent, f'user {os.geteuid()}', of=EngineError):
        protocol.SocketPlace(address)


def test_greeting_of_other_version_or_content_is_refused():
    greeting = json.loads(protocol.greeting(INFO, 'lift'))
    assert protocol.from_greeting(json.dumps(greeting).encode(), 'lift') == INFO
    older = json.dumps({**greeting, 'version': 2}).encode()
    with raises('server-version', 'version 2', 'must be 3', 'install', of=EngineError):
        protocol.from_greeting(older, 'lift')
    for packet in (b'HTTP/1.1 400', b'[]', b'[' * 9999, json.dumps({'version': 3}).encode()):
        with raises('server-greeting', of=EngineError):
            protocol.from_greeting(packet, 'lift')


@pytest.mark.parametrize(
    ('field', 'value'),
    [('cameras', 'head'), ('cameras', ['head', 'head']), ('joint_names', [1]), ('tasks', {}),
     ('image_size', [9]), ('image_size', [9, math.inf]), ('image_size', [9, 10**15]),
     ('horizon', math.nan), ('horizon', '1'), ('fingerprint', None), ('kind', []), ('why', 5),
     ('fits', 'yes'), ('other', 1)],
)  # fmt: skip
def test_greeting_with_a_field_of_another_type_is_refused(field, value):
    greeting = json.loads(protocol.greeting(INFO, 'lift'))
    greeting['info'][field] = value
    with raises('server-greeting', field, 'install', of=EngineError):
        protocol.from_greeting(json.dumps(greeting).encode(), 'lift')


def test_client_with_oversized_request_is_disconnected(address, serving):
    with serving(Gate(), address):
        intruder = protocol.open_socket()
        intruder.settimeout(PATIENCE)
        intruder.connect(str(address))
        assert protocol.from_greeting(intruder.recv(shared_memory.MAX_PACKET), 'lift') == INFO
        shared_memory.attach(intruder, INFO)
        intruder.send(bytes(shared_memory.REQUEST.size + 1))
        assert intruder.recv(shared_memory.MAX_PACKET) == b''
        intruder.close()
        monitor = connect(address)
        assert monitor.estimate(sample(1.0)).value == 1.0
        monitor.close()


def test_client_with_second_pending_request_is_disconnected(address, serving):
    with serving(Gate(), address, wait=PATIENCE):
        intruder, silent = protocol.open_socket(), connect(address)
        silent.estimate(sample(1.0))  # so that the next request waits for others
        intruder.settimeout(PATIENCE)
        intruder.connect(str(address))
        intruder.recv(shared_memory.MAX_PACKET)
        shared_memory.attach(intruder, INFO)
        intruder.send(shared_memory.REQUEST.pack(1))
        intruder.send(shared_memory.REQUEST.pack(2))
        assert intruder.recv(shared_memory.MAX_PACKET) == b''
        intruder.close()
        silent.close()


def test_client_cannot_shrink_shared_memory(address, serving):
    with serving(Gate(), address):
        intruder = protocol.open_socket()
        intruder.settimeout(PATIENCE)
        intruder.connect(str(address))
        intruder.recv(shared_memory.MAX_PACKET)
        descriptor = socket.recv_fds(intruder, shared_memory.MAX_PACKET, 1)[1][0]
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, 0)
        os.close(descriptor)
        intruder.close()


def test_invalid_observation_fails_its_request_alone(address, serving):
    with serving(Gate(), address):
        engine = connect(address)
        with raises('camera-missing', 'camera head', of=InputError):
            engine.estimate(Observation({}, {'waist': 1.0}, {}))
        assert engine.is_served and engine.estimate(sample(1.0)).value == 1.0
        engine.close()


class Broken(Gate):
    """Its device fails permanently."""

    def estimate(self, observation: Observation) -> Estimate:
        raise RuntimeError('CUDA error: an illegal memory access was encountered')


def test_device_failure_ends_server_and_monitors_go_local(address):
    server = Server(Broken(), 'lift', address, 0.0, 8)
    with ThreadPoolExecutor(1) as pool:
        engine = pool.submit(connect, address)
        server._receive()
        engine = engine.result(PATIENCE)
        answer = pool.submit(wait_for, engine, sample(3.0), -3.0)
        with raises('device-failed', 'illegal memory access', of=DeviceError):
            server.run(lambda: False)
        server.close()
        assert answer.result(PATIENCE).value == -3.0 and not engine.is_served
        engine.close()


class AtMostThree(Gate):
    """Has memory for three observations."""

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        if len(observations) > 3:
            raise EngineError('memory-full', 'no memory for so many')
        return super().estimate_batch(observations)


def test_warm_up_finds_largest_batch_that_works(capsys):
    gate = Gate()
    assert warm_up(gate, 6) == 6 and gate.batches == [1, 2, 4, 6]
    assert warm_up(AtMostThree(), 8) == 2
    printed = capsys.readouterr().out
    assert 'a batch of 4 cannot be estimated: no memory for so many' in printed
