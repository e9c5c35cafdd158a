# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Real processes over real DDS: a listener node, processes, and waiting for conditions.

The fixtures are in support/ros_fixtures.py, which can be imported without rclpy.
"""

import errno
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from std_srvs.srv import Trigger

from viva_ros.bringup.processes import environment
from viva_ros.core.child_process import python_child
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration, Threshold

HERE = Path(__file__).parent
GRACE = 4.0  # s; nodes end within 3
TRIES = 3  # of a service call, within the patience
InvalidHandle = rclpy_implementation.InvalidHandle
PATIENCE = 60.0  # s; long for a busy machine, no test measures speed
#: Parameters with which the delays of a busy machine are no fault, where none is tested.
PATIENT_MONITOR = ('-p', 'sync.max_age:=5.0')
PATIENT_SUPERVISOR = ('-p', 'silence.silence_after:=10.0', '-p', 'robot.report_timeout:=10.0')


class Listener(Node):
    """Collects published messages."""

    def __init__(self, context: Context) -> None:
        super().__init__('listener', context=context)
        self.heard: dict[str, list[Any]] = {}

    def listen(self, kind: type, topic: str, profile: Any) -> list[Any]:
        """Return the list of received messages, which grows."""
        messages = self.heard.setdefault(topic, [])
        self.create_subscription(kind, topic, messages.append, profile)
        return messages

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """Call a service and wait for the answer."""
        # An answer is lost if the server has not discovered the client, or if the service that
        # was found is that of a killed process.
        for number in range(TRIES):
            if number != 1:  # the server knows that of the first try by now
                client = self.create_client(kind, service)
            assert client.wait_for_service(PATIENCE), f'no service {service}'
            future = client.call_async(request)
            end = time.monotonic() + PATIENCE / TRIES
            while not future.done() and time.monotonic() < end:
                time.sleep(0.02)
            if future.done():
                return future.result()
        raise AssertionError(
            f'waited {PATIENCE:.0f} s for an answer of {service}: {self.count_services(service)} '
            f'servers, nodes {self.get_node_names()}, listener spins: {self.is_spinning()}'
        )

    def is_spinning(self) -> bool:
        """Return whether the thread of the executor runs this node's callbacks."""
        called = threading.Event()
        self.executor.create_task(called.set)
        return called.wait(PATIENCE / TRIES)

    def trigger(self, service: str) -> Any:
        """Call a std_srvs/Trigger service."""
        return self.call(Trigger, service, Trigger.Request())


class Processes:
    """Starts processes, and ends all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: list[subprocess.Popen[bytes]] = []

    def start(self, what: str, *arguments: object, **extra: str) -> subprocess.Popen[bytes]:
        """Start a script of test/support ('x.py') or a module ('viva_ros.nodes.x')."""
        child = python_child(what, *arguments, env=environment() | extra)
        if what.endswith('.py'):
            child['args'] = [sys.executable, str(HERE / what), *child['args'][4:]]
        log = (self.folder / f'{len(self.all)}_{Path(what).stem}.log').open('wb')
        process = subprocess.Popen(**child, stdout=log, stderr=subprocess.STDOUT)
        log.close()
        self.all.append(process)
        return process

    def log(self, process: subprocess.Popen[bytes]) -> str:
        """Return the output of a process."""
        number = self.all.index(process)
        return next(self.folder.glob(f'{number}_*.log')).read_text(errors='replace')

    def end(self) -> None:
        """End all processes; by SIGTERM first, because a killed process leaves shared memory."""
        running = [process for process in self.all if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        end = time.monotonic() + GRACE
        for process in running:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    """Wait until a condition holds; fail with its name after ``patience``, s."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f'waited {patience:.0f} s for {what}'
        time.sleep(0.02)


#: Domain of the suite, of nodes that tests start without a domain of their own.
BASE = int(os.environ.get('ROS_DOMAIN_ID', '0'))
_turns = itertools.count(BASE)


@contextmanager
def reserved_domain() -> Iterator[int]:
    """
    Reserve a DDS domain, of 1 to 101, during a block.

    A socket of its name holds it, so that suites in the same network never share one: a test
    would see the nodes of another.
    """
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    count = 101 // workers
    for turn in itertools.islice(_turns, count):
        domain = 1 + worker + workers * (turn % count)
        with socket.socket(socket.AF_UNIX) as holder:
            try:
                holder.bind(f'\0viva_ros_domain_{domain}')
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue  # of another suite
            if domain != BASE:
                yield domain
                return
    raise RuntimeError('all DDS domains are used by other test suites: wait until one ends')


@contextmanager
def enter_domain(patch: pytest.MonkeyPatch, home: Path) -> Iterator[None]:
    """Set a DDS domain limited to this machine, reserved during a block, and ROS_HOME."""
    with reserved_domain() as domain:
        patch.setenv('ROS_HOME', str(home))
        patch.setenv('ROS_DOMAIN_ID', str(domain))
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        for name in ('AMENT_PREFIX_PATH', 'FASTDDS_DEFAULT_PROFILES_FILE'):
            patch.setenv(name, environment()[name])
        yield


@contextmanager
def listening() -> Iterator[Listener]:
    """Run a listener in a thread during a block."""
    context = Context()
    rclpy.init(context=context)
    node = Listener(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        while True:
            try:
                return executor.spin()
            except ExternalShutdownException:
                return
            except InvalidHandle:  # a test has destroyed an entity in another thread
                continue

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown(timeout_sec=2.0)
        thread.join(timeout=5.0)
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def write_calibration(folder: Path, rate: float = 10.0) -> Path:
    """Write thresholds for the engine of fake_monitor.py: only a fall of 0.5 raises an alarm."""
    never = {'no_rise': Threshold(2.0, 2.0), 'floor': Threshold(1.0, 1.0)}  # the largest values
    made = Calibration(
        'f' * 16, 'tray_lift', 40, 0.1, 0.3, 38, (0.9, 1.0), RuleSettings(),
        rate, {'drop': Threshold(0.3, 0.5), **never}, 'by hand',
    )  # fmt: skip
    path = folder / 'calibration.json'
    made.save(path)
    return path
