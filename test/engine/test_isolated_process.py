# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped engine in its own process; SIGSTOP makes it hang."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.errors import raises

from viva_ros.core.errors import EngineError, InputError
from viva_ros.core.observation import Estimate, Observation
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
