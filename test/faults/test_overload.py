# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Row 42 of the fault table: an engine process without a processor is late, one that hangs is killed.

The engine and processes that never rest share one core; no test depends on how long that takes.
"""

import threading
from collections.abc import Iterator

import pytest
from support.errors import raises
from support.publishing_robot import PublishingRobot
from support.ros import wait
from support.working_engine import KIND, LOOP, SLEEP, busy_core, deed, install, pin

from viva_ros.core.errors import EngineError
from viva_ros.engine.isolated_process import ProcessEngine
from viva_ros.engine.manifest import read_manifest
from viva_ros.engine.resources import engine_folder

pytestmark = pytest.mark.medium

PATIENCE = 0.4  # s; a third of the CPU time that one thread may use
WORK = 0.6  # s of CPU: more than the patience, on any machine
FOREVER = 600.0  # s
BUSY = 4  # processes on the core of the engine
CROWD = 24  # enough to delay an estimate that needs 10 ms of CPU


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Return a function that starts an engine whose process has one core, with busy others."""
    install(monkeypatch, tmp_path / 'site')
    engines: list[ProcessEngine] = []

    def begin(overload: float = FOREVER) -> ProcessEngine:
        engines.append(ProcessEngine(tmp_path, 'lift', KIND, PATIENCE, overload=overload))
        pin(engines[-1].process_id)
        return engines[-1]

    yield begin
    for engine in engines:
        engine.close()


def test_starved_engine_is_given_time_and_answers(start):
    engine, made = start(), []
    child = engine.process_id
    with busy_core(BUSY):
        thread = threading.Thread(target=lambda: made.append(engine.estimate(deed(WORK))))
        thread.start()
        wait(lambda: 'machine is overloaded' in engine.delay or made, 'the reason of the delay')
        assert not made, 'a core shared by five gives no estimate before the overload is seen'
        thread.join(FOREVER)
    assert made[0].value == 0.25
    assert engine.restarts == 0 and engine.process_id == child and engine.delay == ''


@pytest.mark.parametrize(
    ('what', 'reason'),
    [(SLEEP, 'engine has not answered for 0.4 s'), (LOOP, 's of CPU without an answer')],
    ids=['sleep', 'loop'],
)
@pytest.mark.parametrize(
    'busy', [0, pytest.param(BUSY, marks=pytest.mark.slow)], ids=['idle', 'busy']
)
def test_hanging_engine_is_killed_on_idle_and_busy_core(start, what, reason, busy):
    engine = start()
    with busy_core(busy):
        with raises('engine-process-lost', reason, of=EngineError):
            engine.estimate(deed(what))
        with raises('engine-restarting', reason, '(restart 1)', of=EngineError):
            engine.estimate(deed(0.0))


@pytest.mark.slow
def test_engine_without_any_processor_is_killed_in_the_end(start):
    engine = start(overload=2.0)
    with busy_core(BUSY), raises('engine-process-lost', 'overloaded machine', of=EngineError):
        engine.estimate(deed(LOOP))


@pytest.fixture(scope='module')
def source(running) -> Iterator[PublishingRobot]:
    made = PublishingRobot(running[0], read_manifest(engine_folder('', 'tray_lift')).ranges.names)
    yield made
    made.close()


@pytest.mark.slow
def test_monitor_on_starved_core_is_unknown_and_keeps_its_engine(running, source):
    import psutil

    process = running[1].start(
        'viva_ros.nodes.monitor', '--ros-args', '-p', 'transport:=raw', '-p',
        'input_timeout:=0.0', '-p', 'estimate_timeout:=0.1', '-p', 'overload_timeout:=600.0',
        '-p', 'sync.max_age:=5.0',
    )  # fmt: skip
    wait(source.known, 'a value')
    (child,) = psutil.Process(process.pid).children()
    pin(child.pid)
    with busy_core(CROWD):
        wait(
            lambda: any('the machine is overloaded' in v.reason for v in source.values),
            'unknown values with the reason',
        )
        late = next(v for v in source.values if 'the machine is overloaded' in v.reason)
        assert late.reason_kind == 'engine' and late.value != late.value
    count = len(source.values)
    wait(lambda: len(source.values) > count and source.known(), 'values again')
    assert psutil.Process(process.pid).children() == [child] and child.is_running()
    facts = {v.key: v.value for v in source.entries('/monitor: engine')[-1].values}
    assert facts['engine_restarts'] == '0'
