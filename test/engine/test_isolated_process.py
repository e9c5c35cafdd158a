# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped engine in a real process of its own; it hangs because it is stopped."""

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

from viva_ros.core.errors import EngineError, InputError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.factory import load
from viva_ros.engine.isolated_process import ProcessEngine
from viva_ros.engine.resources import engine_folder

TASK = 'tray_lift'
PATIENCE = 3.0  # s; generous: the machine may be busy


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
    """Ask until it has been started again."""
    end = time.monotonic() + 60.0
    while True:
        try:
            return engine.estimate(observation(engine))
        except EngineError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_its_values_are_those_of_an_engine_in_this_process(engine: ProcessEngine) -> None:
    here = load(engine_folder('', TASK), TASK)
    assert engine.info == here.info
    for seed in range(3):
        ours, theirs = (e.estimate(observation(engine, seed)) for e in (here, engine))
        assert (ours.value, ours.forecast) == (theirs.value, theirs.forecast)
        np.testing.assert_equal((ours.progress, ours.success), (theirs.progress, theirs.success))


def test_what_cannot_be_used_is_refused_as_it_would_be_here(engine: ProcessEngine) -> None:
    with pytest.raises(InputError, match='is missing; there are none'):
        engine.estimate(Observation({}, {}, {'joint_states': 1}))


@pytest.mark.parametrize(
    ('number', 'said'), [(signal.SIGSTOP, 'has not answered for 3 s'), (signal.SIGKILL, 'SIGKILL')]
)
def test_one_that_hangs_or_dies_is_started_again_and_never_makes_a_value_up(
    engine: ProcessEngine, number: signal.Signals, said: str
) -> None:
    before, lost, count = recover(engine), engine.process_id, engine.restarts
    os.kill(lost, number)
    with pytest.raises(EngineError, match=said):
        engine.estimate(observation(engine))
    with pytest.raises(EngineError, match='loaded anew'):
        engine.estimate(observation(engine))
    assert recover(engine) == before
    assert engine.restarts == count + 1
    assert not psutil.pid_exists(lost)


def test_closing_ends_an_estimate_that_hangs() -> None:
    engine = ProcessEngine(engine_folder('', TASK), TASK, 'auto', 600.0)
    os.kill(engine.process_id, signal.SIGSTOP)
    refused: list[EngineError] = []

    def ask() -> None:
        try:
            engine.estimate(observation(engine))
        except EngineError as error:
            refused.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    engine.close()
    thread.join(10.0)
    assert not thread.is_alive() and refused


def test_an_engine_that_is_refused_here_is_refused_with_the_same_words(
    tmp_path: Path,
) -> None:
    with pytest.raises(EngineError) as here:
        load(tmp_path, TASK)
    with pytest.raises(EngineError) as there:
        ProcessEngine(tmp_path, TASK, 'auto', PATIENCE)
    assert str(there.value) == str(here.value)


def test_engine_outlives_the_thread_that_loaded_it() -> None:
    """PR_SET_PDEATHSIG counts the thread that started a child as its parent."""
    made: list[ProcessEngine] = []
    load_it = partial(ProcessEngine, engine_folder('', TASK), TASK, 'auto', PATIENCE)
    thread = threading.Thread(target=lambda: made.append(load_it()))
    thread.start()
    thread.join(60.0)
    child = psutil.Process(made[0].process_id)
    time.sleep(0.2)  # a signal needs a moment
    assert child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    made[0].estimate(observation(made[0]))
    assert made[0].restarts == 0
    made[0].close()


def test_interrupt_ends_an_engine_that_is_being_loaded() -> None:
    children: list[int] = []

    def interrupt(engine: ProcessEngine) -> None:
        children.append(engine.process_id)
        os.kill(engine.process_id, signal.SIGSTOP)  # else it might be loaded first
        threading.Thread(target=engine.interrupt).start()

    with pytest.raises(EngineError, match='SIGKILL'):
        ProcessEngine(engine_folder('', TASK), TASK, 'auto', PATIENCE, interrupt)
    assert not psutil.pid_exists(children[0])
