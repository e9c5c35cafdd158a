# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real processes over real DDS, each test in a domain of its own, on this machine only."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from viva_ros.bringup.processes import environment
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration, Threshold
from viva_ros.nodes import qos
from viva_ros.srv import StartEpisode

HERE = Path(__file__).parent
PROPERLY = 4.0  # s; nodes end within 3
TRIES = 3  # of a service call, within the patience
PATIENCE = 30.0  # s; on a busy machine all takes long, and no test is about speed


class Listener(Node):
    """Collects what is published."""

    def __init__(self, context: Context) -> None:
        super().__init__('listener', context=context)
        self.heard: dict[str, list[Any]] = {}

    def listen(self, kind: type, topic: str, profile: Any) -> list[Any]:
        """Give the list that grows as messages come."""
        messages = self.heard.setdefault(topic, [])
        self.create_subscription(kind, topic, messages.append, profile)
        return messages

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """Call a service and wait for the answer."""
        client = self.create_client(kind, service)
        assert client.wait_for_service(PATIENCE), f'no service {service}'
        for _ in range(TRIES):  # an answer is lost if its server does not know the client yet
            future = client.call_async(request)
            end = time.monotonic() + PATIENCE / TRIES
            while not future.done() and time.monotonic() < end:
                time.sleep(0.02)
            if future.done():
                return future.result()
        raise AssertionError(f'waited {PATIENCE:.0f} s for an answer of {service}')

    def trigger(self, service: str) -> Any:
        """Call a std_srvs/Trigger service."""
        return self.call(Trigger, service, Trigger.Request())


class Processes:
    """Starts processes, and ends all of them at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: list[subprocess.Popen[bytes]] = []

    def start(self, what: str, *arguments: object, **extra: str) -> subprocess.Popen[bytes]:
        """Start a script of this folder ('x.py') or a module ('viva_ros.nodes.x')."""
        program = [str(HERE / what)] if what.endswith('.py') else ['-m', what]
        env = environment() | extra
        log = (self.folder / f'{len(self.all)}_{Path(what).stem}.log').open('wb')
        line = [sys.executable, *program, *map(str, arguments)]
        process = subprocess.Popen(line, env=env, stdout=log, stderr=subprocess.STDOUT)
        log.close()
        self.all.append(process)
        return process

    def log(self, process: subprocess.Popen[bytes]) -> str:
        """Give what a process has written."""
        number = self.all.index(process)
        return next(self.folder.glob(f'{number}_*.log')).read_text(errors='replace')

    def end(self) -> None:
        """End all: properly where that is possible, for what is killed leaves shared memory."""
        running = [process for process in self.all if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        end = time.monotonic() + PROPERLY
        for process in running:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    """Wait until something is so; fail with its name if that takes too long."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f'waited {patience:.0f} s for {what}'
        time.sleep(0.02)


def draw_domain() -> int:
    """Draw a DDS domain that no other worker of pytest-xdist draws."""
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    return random.SystemRandom().choice(range(1 + worker, 102, workers))


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take a DDS domain, and a home for what nodes keep, for this test alone."""
    monkeypatch.setenv('ROS_HOME', str(tmp_path / 'ros'))
    monkeypatch.setenv('ROS_DOMAIN_ID', str(draw_domain()))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    for name in ('AMENT_PREFIX_PATH', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        monkeypatch.setenv(name, environment()[name])


@pytest.fixture
def processes(domain: None, tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    started.end()
    for process in started.all:  # pytest shows it when the test has failed
        print(f'--- {process.args[1:4]}, exit code {process.returncode}')
        print(started.log(process)[-3000:])


@pytest.fixture
def listener(domain: None) -> Iterator[Listener]:
    context = Context()
    rclpy.init(context=context)
    node = Listener(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    yield node
    executor.shutdown(timeout_sec=2.0)
    thread.join(timeout=5.0)
    node.destroy_node()
    rclpy.try_shutdown(context=context)


@pytest.fixture
def simulator() -> None:
    """Skip a test of the simulated robot where its physics is not installed."""
    pytest.importorskip('mujoco', reason='mujoco is not installed')


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """Thresholds for the engine of fake_monitor.py: a fall of 0.5 alarms, nothing else does."""
    return write_calibration(tmp_path)


def write_calibration(folder: Path) -> Path:
    """Write them into a folder."""
    never = Threshold(9.0, 9.0)
    made = Calibration(
        'f' * 16, 'tray_lift', 40, 0.1, 0.3, 38, (0.9, 1.0), RuleSettings(),
        {'drop': Threshold(0.3, 0.5), 'no_rise': never, 'floor': never}, 'by hand',
    )  # fmt: skip
    path = folder / 'calibration.json'
    made.save(path)
    return path


@pytest.fixture
def begin_episode(listener: Listener) -> Callable[..., str]:
    """Return a function that starts an episode at a supervisor and returns its id."""

    def begin(task: str = '', supervisor: str = 'supervisor') -> str:
        request = StartEpisode.Request(task=task)
        answer = listener.call(StartEpisode, f'{supervisor}/start_episode', request)
        assert answer.success, answer.message
        return str(answer.episode_id)

    return begin


@pytest.fixture
def said(listener: Listener) -> Callable[[], list[str]]:
    """Return the texts that /diagnostics has had of the configuration."""
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)

    def texts() -> list[str]:
        entries = (s for d in list(diagnoses) for s in d.status if 'configuration' in s.name)
        return [entry.message for entry in entries]

    return texts


@pytest.fixture
def until() -> Callable[..., None]:
    """Give ``wait`` to tests, which cannot import this file."""
    return wait


def pytest_configure() -> None:
    os.environ.setdefault('OMP_NUM_THREADS', '1')
