# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped engine in its own process; SIGSTOP makes it hang."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from support.errors import raises
from support.working_engine import KIND, deed, install

from viva_ros.core.errors import EngineError, InputError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine import isolated_process, load_slots
from viva_ros.engine.api import Engine
from viva_ros.engine.factory import load
from viva_ros.engine.isolated_process import ProcessEngine
from viva_ros.engine.resources import engine_folder

pytestmark = pytest.mark.medium

TASK = 'tray_lift'
PATIENCE = 3.0  # s; generous, for a busy machine


@pytest.fixture(scope='module')
def engine() -> Iterator[ProcessEngine]:
    made = ProcessEngine(engine_folder('', TASK), TASK, 'auto', PATIENCE)
    yield made
    made.close()


def observation(engine: ProcessEngine, seed: int = 0) -> Observation:
    draw = np.random.default_rng(seed)
    images = {
        camera: draw.integers(0, 256, (120, 160, 3), dtype=np.uint8)
        for camera in engine.info.cameras
    }
    joints = {name: float(draw.uniform(-1.0, 1.0)) for name in engine.info.joint_names}
    return Observation(images, joints, dict.fromkeys((*images, 'joint_states'), 1))


def recover(engine: ProcessEngine) -> Estimate:
    """Estimate until the child has restarted."""
    end = time.monotonic() + 60.0
    while True:
        try:
            return engine.estimate(observation(engine))
        except EngineError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_values_equal_those_of_engine_in_this_process(
    engine: ProcessEngine, shipped_engine: Engine
) -> None:
    assert engine.info == shipped_engine.info
    for seed in range(3):
        ours, theirs = (e.estimate(observation(engine, seed)) for e in (shipped_engine, engine))
        assert (ours.value, ours.forecast) == (theirs.value, theirs.forecast)
        np.testing.assert_equal((ours.progress, ours.success), (theirs.progress, theirs.success))


def test_invalid_observation_is_refused_as_in_process(engine: ProcessEngine) -> None:
    with raises('camera-missing', 'none', of=InputError):
        engine.estimate(Observation({}, {}, {'joint_states': 1}))


@pytest.mark.parametrize(
    ('number', 'cause'),
    [(signal.SIGSTOP, 'has not answered for 3 s'), (signal.SIGKILL, 'SIGKILL')],
    ids=['SIGSTOP', 'SIGKILL'],
)
def test_hung_or_killed_engine_restarts_without_value(
    engine: ProcessEngine, number: signal.Signals, cause: str
) -> None:
    before, lost, count = recover(engine), engine.process_id, engine.restarts
    os.kill(lost, number)
    with raises('engine-process-lost', cause, of=EngineError):
        engine.estimate(observation(engine))
    with raises('engine-restarting', cause, of=EngineError):
        engine.estimate(observation(engine))
    assert recover(engine) == before
    assert engine.restarts == count + 1
    assert not psutil.pid_exists(lost)


def test_close_ends_a_hung_estimate() -> None:
    engine = ProcessEngine(engine_folder('', TASK), TASK, 'auto', 600.0)
    os.kill(engine.process_id, signal.SIGSTOP)
    errors: list[EngineError] = []

    def ask() -> None:
        try:
            engine.estimate(observation(engine))
        except EngineError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    engine.close()
    thread.join(10.0)
    assert not thread.is_alive() and [error.code for error in errors] == ['engine-process-lost']


def test_load_error_has_same_class_code_and_text(
    tmp_path: Path,
) -> None:
    with pytest.raises(EngineError) as expected:
        load(tmp_path, TASK)
    with pytest.raises(EngineError) as raised:
        ProcessEngine(tmp_path, TASK, 'auto', PATIENCE)
    assert raised.type is expected.type
    assert raised.value.args == expected.value.args
    assert raised.value.code == 'engine-file-missing'


def test_engine_outlives_the_thread_that_loaded_it() -> None:
    """PR_SET_PDEATHSIG counts the thread that started a child as its parent."""
    made: list[ProcessEngine] = []
    load_it = partial(ProcessEngine, engine_folder('', TASK), TASK, 'auto', PATIENCE)
    thread = threading.Thread(target=lambda: made.append(load_it()))
    thread.start()
    thread.join(60.0)
    child = psutil.Process(made[0].process_id)
    time.sleep(0.2)  # for the delivery of the signal
    assert child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    made[0].estimate(observation(made[0]))
    assert made[0].restarts == 0
    made[0].close()


def test_interrupt_ends_an_engine_that_is_being_loaded() -> None:
    children: list[int] = []

    def interrupt(engine: ProcessEngine) -> None:
        while not engine.process_id:  # it waits for a slot to load
            time.sleep(0.001)
        children.append(engine.process_id)
        os.kill(engine.process_id, signal.SIGSTOP)  # else it could finish loading first
        engine.interrupt()

    def begin(engine: ProcessEngine) -> None:
        threading.Thread(target=interrupt, args=(engine,)).start()

    with raises('engine-process-start', 'SIGKILL', of=EngineError):
        ProcessEngine(engine_folder('', TASK), TASK, 'auto', PATIENCE, begin)
    assert not psutil.pid_exists(children[0])


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[socket.socket]:
    """Install the working engine; take all slots to load, which are those of this test alone."""
    install(monkeypatch, tmp_path / 'site')
    monkeypatch.setattr(load_slots, 'NAME', f'viva_ros_test_{os.getpid()}_{tmp_path.name}')
    taken = [load_slots.take_slot() for _ in range(load_slots.slot_count())]
    assert all(taken) and load_slots.take_slot() is None
    return [slot for slot in taken if slot is not None]


def free(slots: list[socket.socket]) -> None:
    for slot in slots:
        slot.close()


def working(folder: Path, started: Callable[[ProcessEngine], Any]) -> ProcessEngine:
    return ProcessEngine(folder, 'lift', KIND, PATIENCE, started)


def test_first_load_waits_for_a_slot(slots: list[socket.socket], tmp_path: Path) -> None:
    def check(engine: ProcessEngine) -> None:
        def release() -> None:
            time.sleep(0.5)
            seen.append(engine.process_id)
            free(slots)

        threading.Thread(target=release).start()

    seen: list[int] = []
    engine = working(tmp_path, check)
    assert seen == [0], 'no process before the slot is free'
    slot = load_slots.take_slot()
    assert slot is not None, 'the engine has freed its slot'
    slot.close()
    assert engine.estimate(deed(0.0)).value == 0.25
    engine.close()


def test_close_ends_the_wait_for_a_slot(slots: list[socket.socket], tmp_path: Path) -> None:
    def begin(engine: ProcessEngine) -> None:
        threading.Timer(0.3, engine.close).start()

    with raises('engine-process-closed', 'clean up and configure again', of=EngineError):
        working(tmp_path, begin)
    free(slots)


def test_restart_waits_for_its_delay_and_for_a_slot(
    slots: list[socket.socket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(slots)
    engine = working(tmp_path, lambda _: None)
    longest = SimpleNamespace(random=lambda: 60.0)  # the delay, s
    monkeypatch.setattr(isolated_process, 'random', longest)
    os.kill(engine.process_id, signal.SIGKILL)
    with raises('engine-process-lost', 'SIGKILL', '(restart 1)', of=EngineError):
        engine.estimate(deed(0.0))
    with raises(
        'engine-restarting', 'SIGKILL): waiting ', ' s before engine is loaded again (restart 1)',
        of=EngineError,
    ):  # fmt: skip
        engine.estimate(deed(0.0))
    now = time.monotonic()
    monkeypatch.setattr(isolated_process, 'time', SimpleNamespace(monotonic=lambda: now + 61.0))
    taken = [load_slots.take_slot() for _ in range(load_slots.slot_count())]
    with raises('engine-restarting', 'waiting for other engines to load', of=EngineError):
        engine.estimate(deed(0.0))
    assert engine.restarts == 0
    monkeypatch.setattr(isolated_process, 'time', SimpleNamespace(monotonic=lambda: now + 100.0))
    with raises('engine-restarting', 'it is being restarted (restart 1)', of=EngineError):
        engine.estimate(deed(0.0))
    monkeypatch.undo()
    assert engine.restarts == 1, 'the limit is a courtesy: it does not wait for ever'
    end = time.monotonic() + 60.0
    while True:
        try:
            assert engine.estimate(deed(0.0)).value == 0.25
            break
        except EngineError:
            assert time.monotonic() < end
            time.sleep(0.05)
    free([slot for slot in taken if slot is not None])
    engine.close()
