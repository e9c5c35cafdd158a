# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A monitor in a process of its own, and a robot whose sources can be made to fail one by one.

The monitor lives for a whole file: a test breaks something, sees it named, mends it, and sees the
values come back. That it does come back is part of each fault.
"""

import importlib.util
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import Image, JointState

from viva_ros.msg import Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_image, to_joint_state

NODES = Path(__file__).parents[1] / 'nodes'
PERIOD = 100_000_000  # ns
CAMERAS = ('head', 'left_wrist', 'right_wrist')


def load(name: str) -> ModuleType:
    """Give a module of test/nodes, whose tools are used here too."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, NODES / f'{name}.py')
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


spec = importlib.util.spec_from_file_location('viva_nodes_conftest', NODES / 'conftest.py')
tools = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tools)
calibration, domain, listener = tools.calibration, tools.domain, tools.listener
processes, until = tools.processes, tools.until
source = load('fake_source')


class Robot:
    """
    Publishes all inputs ten times a second; ``change`` holds what is done to a message first.

    A change gives the message to publish, or None for none.
    """

    def __init__(self, node: Any, joints: Sequence[str] = source.JOINTS) -> None:
        self._joints = joints
        self.change: dict[str, Callable[[Any], Any]] = {}
        self.broken_since = 0
        self.values: list[Any] = node.listen(Value, 'value', qos.RELIABLE)
        self.diagnoses: list[Any] = node.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
        self._publishers = {
            camera: node.create_publisher(Image, f'{camera}/image_raw', qos.IMAGE)
            for camera in CAMERAS
        }
        self._publishers['joint_states'] = node.create_publisher(
            JointState, 'joint_states', qos.JOINTS
        )
        self._open = True
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._thread.start()

    def known(self) -> bool:
        return bool(self.values) and self.values[-1].status == Value.STATUS_OK

    def wait_for_values(self) -> None:
        self.change.clear()
        count = len(self.values)
        tools.wait(lambda: len(self.values) > count + 2 and self.known(), 'values')

    def suffer(self, change: dict[str, Callable[[Any], Any]], said: str) -> float:
        """Break something, see the reason, mend it, see values again; give the delay, s."""
        self.wait_for_values()
        begun, broken = len(self.values), time.time()
        self.change = change
        tools.wait(lambda: self._found(begun, said), f'unknown with {said!r}')
        found = self._found(begun, said)[0]
        assert found.status == Value.STATUS_UNKNOWN and found.value != found.value
        tools.wait(lambda: self._warned(said), f'a warning of {said!r} in /diagnostics')
        self.wait_for_values()
        return max(0.0, found.header.stamp.sec + 1e-9 * found.header.stamp.nanosec - broken)

    def _found(self, begun: int, said: str) -> list[Any]:
        return [value for value in self.values[begun:] if said in value.reason]

    def _warned(self, said: str) -> bool:
        entries = self.entries('/monitor: value')
        return any(e.level == DiagnosticStatus.WARN and said in e.message for e in entries)

    def entries(self, name: str) -> list[Any]:
        """Give the entries of a name in /diagnostics."""
        return [s for d in list(self.diagnoses) for s in d.status if s.name == name]

    def close(self) -> None:
        self._open = False
        self._thread.join()

    def _publish(self) -> None:
        count = 0
        while self._open:
            due = time.time_ns() // PERIOD * PERIOD + PERIOD
            time.sleep(max(0.0, (due - time.time_ns()) * 1e-9))
            count += 1
            changes = dict(self.change)
            for name, publisher in self._publishers.items():
                message = changes.get(name, lambda m: m)(self._message(name, count, due))
                if message is not None:
                    publisher.publish(message)

    def _message(self, name: str, count: int, stamp: int) -> Any:
        if name != 'joint_states':
            return to_image(source.picture(160.0, count), stamp, name)
        positions = {name: 0.1 * i + 0.02 * count for i, name in enumerate(self._joints)}
        return to_joint_state(positions, stamp)


@pytest.fixture(scope='module')
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give processes and a node of ours, in a domain for the tests of one file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_HOME', str(tmp_path_factory.mktemp('ros')))
        patch.setenv('ROS_DOMAIN_ID', str(tools.draw_domain()))
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        for name in ('AMENT_PREFIX_PATH', 'FASTDDS_DEFAULT_PROFILES_FILE'):
            patch.setenv(name, tools.environment()[name])
        context = Context()
        rclpy.init(context=context)
        node = tools.Listener(context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)

        def spin() -> None:
            try:
                executor.spin()
            except ExternalShutdownException:
                pass

        thread = threading.Thread(target=spin, daemon=True)
        thread.start()
        started = tools.Processes(tmp_path_factory.mktemp('processes'))
        yield node, started
        started.end()
        executor.shutdown(timeout_sec=2.0)
        thread.join(timeout=5.0)
        rclpy.try_shutdown(context=context)


@pytest.fixture(scope='module')
def robot(running: Any) -> Iterator[Robot]:
    """Give a robot that a monitor of five estimates a second watches."""
    node, started = running
    made = Robot(node)
    monitor = started.start(
        'fake_monitor.py', '--ros-args', '-p', 'transport:=raw', '-p', 'rate:=5.0',
        '-p', 'input_timeout:=0.0', '-p', 'sync.slop:=0.02',
    )  # fmt: skip
    tools.wait(lambda: len(made.values) > 3 and made.known(), 'values')
    made.process, made.log = monitor, lambda: started.log(monitor)
    yield made
    made.close()
    monitor.send_signal(signal.SIGTERM)
    assert monitor.wait(30.0) == 0, made.log()


@pytest.fixture(scope='module')
def new_robot() -> type[Robot]:
    """Give ``Robot`` to tests, which cannot import this file."""
    return Robot


@pytest.fixture(scope='module')
def wait_for() -> Callable[..., None]:
    """Give ``wait`` to the fixtures of a file."""
    return tools.wait


@pytest.fixture(scope='module')
def new_calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give thresholds for a whole file."""
    return tools.write_calibration(tmp_path_factory.mktemp('calibration'))
