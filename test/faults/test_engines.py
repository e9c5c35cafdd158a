# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows 12 to 15 and 25 of the fault table: engines, and termination during inference."""

import itertools
import os
import shutil
import signal
import time

import psutil
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import SubscriptionEventCallbacks
from std_msgs.msg import Header
from support.publishing_robot import PublishingRobot
from support.ros import PATIENCE, wait

from viva_ros.core.errors import EngineError
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import read_manifest
from viva_ros.engine.resources import engine_folder
from viva_ros.msg import Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_ns

OPTIONS = ('--ros-args', '-p', 'transport:=raw', '-p', 'input_timeout:=0.0')
SHIPPED = engine_folder('', 'tray_lift')


class Lease:
    """Records when the middleware reports the loss of liveliness of a node."""

    def __init__(self, node, topic: str) -> None:
        self.lost: list[float] = []
        self.alive = False
        events = SubscriptionEventCallbacks(liveliness=self._note, use_default_callbacks=False)
        self._subscription = node.create_subscription(
            Header, topic, lambda _: None, qos.HEARTBEAT, event_callbacks=events
        )

    def _note(self, event) -> None:
        if self.alive and event.alive_count == 0:
            self.lost.append(time.time())
        self.alive = event.alive_count > 0


@pytest.fixture(scope='module')
def source(running):
    """Return a robot with the joints of the shipped engine and of the fake one."""
    node, _ = running
    joints = ('right_waist', *read_manifest(SHIPPED).ranges.names)
    made = PublishingRobot(node, tuple(dict.fromkeys(joints)))
    yield made
    made.close()


@pytest.fixture
def monitor(running, source):
    """Return a function that starts a monitor and waits for its first output."""
    _, processes = running
    started = []

    def start(script: str, *arguments: object, first=None, **extra: str):
        source.values.clear()
        source.diagnoses.clear()
        process = processes.start(script, *OPTIONS, *arguments, **extra)
        process.begun = time.time_ns()
        started.append(process)
        wait(first or source.known, f'output of {script}')
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def values_of(source, process):
    """Return the values of a process; those of an earlier one may arrive late."""
    return [value for value in source.values if to_ns(value.header.stamp) > process.begun]


def known(values):
    return [value for value in values if value.status == Value.STATUS_OK]


def end(process, number) -> float:
    """Send a signal to a process; return the time until it ends, s."""
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    return time.monotonic() - began


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_slow_engine_uses_newest_input_and_ends_in_inference(
    source, monitor, record_property, number
):
    process = monitor('fake_monitor.py', FAKE_ENGINE='slow')
    wait(lambda: len(known(source.values)) > 3, 'values')
    given = known(source.values)
    stamps = [v.header.stamp.sec * 10**9 + v.header.stamp.nanosec for v in given]
    # An estimate takes 0.5 s: most of the 10 images per second are skipped, none is queued.
    gaps = [b - a for a, b in itertools.pairwise(stamps)]
    assert min(gaps) > 0 and sum(gaps) >= 400_000_000 * len(gaps)
    wait(lambda: 'latency_p50_ms' in str(source.entries('/monitor: value')), 'diagnostics')
    entry = {v.key: v.value for v in source.entries('/monitor: value')[-1].values}
    assert float(entry['latency_p50_ms']) >= 500.0 and int(entry['rate_hz']) <= 2
    record_property('end_s', round(end(process, number), 3))


def suspend_engine(process) -> psutil.Process:
    """Suspend the process of the engine; a busy machine may replace it just now."""
    suspended = []

    def suspend() -> bool:
        children = psutil.Process(process.pid).children()
        assert len(children) <= 1
        try:
            for child in children:
                child.suspend()
                suspended.append(child)
        except psutil.NoSuchProcess:
            return False
        return bool(suspended)

    wait(suspend, 'the process of the engine')
    return suspended[0]


def test_hanging_engine_is_killed_restarted_and_reported(
    running, source, monitor, record_property
):
    lease = Lease(running[0], 'monitor/heartbeat')
    process = monitor('viva_ros.nodes.monitor', '-p', 'estimate_timeout:=1.0')
    wait(lambda: lease.alive, 'a sign of life')
    before = source.values[-1]
    hung, child = time.time(), suspend_engine(process)
    wait(lambda: any(at > hung for at in lease.lost), 'the end of the lease')
    lost = next(at for at in lease.lost if at > hung)
    record_property('detection_s', round(lost - hung, 3))
    wait(
        lambda: any(
            e.level == DiagnosticStatus.ERROR and 'has not answered' in e.message
            for e in source.entries('/monitor: engine')
        ),
        'an error in /diagnostics',
    )
    count = len(source.values)
    wait(lambda: len(source.values) > count and source.known(), 'values again')
    wait(lambda: lease.alive, 'a sign of life again')
    between = source.values[source.values.index(before) + 1 :]
    assert any(v.reason_kind == 'engine' and v.value != v.value for v in between)
    assert not child.is_running()
    again = suspend_engine(process)
    time.sleep(0.3)
    end(process, signal.SIGTERM)
    assert not again.is_running()


def test_second_device_failure_ends_process_with_error(running, source, monitor, record_property):
    _, processes = running
    process = monitor(
        'fake_monitor.py', first=lambda: any('device failed' in v.reason for v in source.values),
        FAKE_ENGINE='device',
    )  # fmt: skip
    began = time.monotonic()
    assert process.wait(PATIENCE) == 1
    record_property('detection_s', round(time.monotonic() - began, 3))
    assert 'device failed again after its memory was freed: CUDA error' in processes.log(process)
    assert all(value.status == Value.STATUS_UNKNOWN for value in values_of(source, process))


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda folder: (folder / 'engine.onnx').write_bytes(b'x'), 'has 1 bytes'),
        (lambda folder: (folder / 'engine.onnx').unlink(), 'is missing'),
        (lambda folder: os.chmod(folder / 'engine.json', 0o666), "run 'chmod o-w"),
    ],
)
def test_changed_engine_is_refused_with_reason_and_remedy(
    running, source, monitor, tmp_path, record_property, change, reason
):
    folder = tmp_path / 'engine'
    shutil.copytree(SHIPPED, folder)
    change(folder)
    with pytest.raises(EngineError) as refused:
        load(folder, 'tray_lift')
    began = time.monotonic()
    process = monitor(
        'viva_ros.nodes.monitor', '-p', f'engine:={folder}',
        first=lambda: any(
            e.level == DiagnosticStatus.ERROR and e.message == str(refused.value)
            for e in source.entries('/monitor: configuration')
        ),
    )  # fmt: skip
    record_property('detection_s', round(time.monotonic() - began, 3))
    assert reason in str(refused.value) and not values_of(source, process)
    assert process.poll() is None, 'the node can be configured again'
