# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two robots on one domain and one machine are independent."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from support.ros import PATIENT_MONITOR, PATIENT_SUPERVISOR, wait

from viva_ros.data.open import open_recording
from viva_ros.msg import Alert, Value
from viva_ros.nodes import qos

CAMERAS = ('head', 'left_wrist', 'right_wrist')
NODES = ('monitor', 'supervisor', 'black_box')
FAILING, FINE = 60, 200  # brightness, which is the value
# There are nine processes: how late a loaded machine is decides nothing here, nor between inputs.
UNEVEN = ('-p', 'sync.slop:=1.0')


class Robot:
    """One robot with its nodes, and the received messages."""

    def __init__(self, name, listener, processes, calibration, folder):
        self.name, self.folder, self.asked = name, folder / name, 0
        self.stopped_for = 0  # reports of execution
        self.folder.mkdir()
        self.look(FINE)
        here = ('--ros-args', '-r', f'__ns:=/{name}')
        processes.start('fake_source.py', self.folder, *CAMERAS, 'joint_states', *here)
        processes.start(
            'fake_monitor.py', *here, '-p', 'transport:=raw', *PATIENT_MONITOR, *UNEVEN
        )
        processes.start(
            'viva_ros.nodes.supervisor', *here, '-p', f'calibration:={calibration}',
            '-p', 'retry.dry_run:=false', '-p', 'robot.executing_topic:=executing',
            *PATIENT_SUPERVISOR,
        )  # fmt: skip
        processes.start(
            'viva_ros.nodes.black_box', *here, '-p', f'folder:={folder / "box"}',
            '-p', 'limits.after:=1.0',
        )  # fmt: skip
        self.values = listener.listen(Value, f'/{name}/value', qos.RELIABLE)
        self.alerts = listener.listen(Alert, f'/{name}/alert', qos.LATCHED_READER)
        listener.create_service(Trigger, f'/{name}/retry', self._retry)
        self._executing = listener.create_publisher(Bool, f'/{name}/executing', qos.RELIABLE)
        listener.create_timer(0.2, self._report)

    def look(self, brightness: int) -> None:
        """Set the brightness of its cameras, which is its value."""
        (self.folder / 'level').write_text(str(brightness))

    def fails(self) -> bool:
        """
        Fail once; return whether a retry was requested within 15 s.

        A gap in the values longer than ``max_gap`` at the failure hides it.
        """
        self.look(FINE)
        fine = self.known
        wait(lambda: self.known > fine + 30, f'values of {self.name}')
        self.look(FAILING)
        end = time.monotonic() + 15.0
        while not self.asked and time.monotonic() < end:
            time.sleep(0.05)
        return bool(self.asked)

    def _report(self) -> None:
        self.stopped_for -= 1
        self._executing.publish(Bool(data=self.stopped_for < 0))

    def _retry(self, request, response):
        """Stop for a second, then try again with success."""
        self.asked, self.stopped_for = self.asked + 1, 5
        self.look(FINE)
        response.success = True
        return response

    @property
    def known(self) -> int:
        """Return the number of judged values."""
        return sum(v.executing and v.status == Value.STATUS_OK for v in self.values)

    @property
    def alarms(self) -> list[str]:
        raised = (Alert.ALARM, Alert.NEEDS_OPERATOR)
        return [alert.kind for alert in self.alerts if alert.level in raised]


@pytest.fixture
def robots(listener, processes, calibration, tmp_path):
    return [Robot(n, listener, processes, calibration, tmp_path) for n in ('left', 'right')]


@pytest.mark.timeout(400)
def test_failure_of_one_robot_does_not_affect_the_other(robots, listener, begin_episode, tmp_path):
    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
    left, right = robots
    episodes = {}
    for robot in robots:
        wait(lambda: robot.values, f'the monitor of {robot.name}')  # noqa: B023
        episodes[robot.name] = begin_episode(supervisor=f'/{robot.name}/supervisor')
    wait(lambda: right.known > 30, 'values of the right')
    before = right.known
    assert any(left.fails() for _ in range(6)), 'a retry of the left'
    box = tmp_path / 'box'
    wait(lambda: list(box.glob('left/alert_*.mcap')), 'the recording')
    wait(lambda: right.known > before + 10, 'values of the right')

    assert left.asked == 1 and 'drop' in left.alarms
    assert right.asked == 0 and right.alarms == []
    for robot in robots:
        ids = {value.episode_id for value in robot.values if value.executing}
        assert ids == {episodes[robot.name]}
    assert episodes['left'] != episodes['right']

    assert [path.parent.name for path in box.rglob('*.mcap')] == ['left']
    (path,) = box.glob('left/*.mcap')
    recorded = set(open_recording(path).tracks) - {'/diagnostics'}  # which all robots share
    assert '/left/value' in recorded and not [t for t in recorded if not t.startswith('/left/')]

    domain = os.environ['ROS_DOMAIN_ID']
    folder = Path(os.environ['ROS_HOME']) / 'viva_retries' / domain
    memories = {
        str(path.relative_to(folder)): json.loads(path.read_text())
        for path in folder.rglob('*.json')
    }
    asked = {name: content['asked'] for name, content in memories.items()}
    assert len(asked['left/supervisor.json']) == 1
    assert asked.get('right/supervisor.json', []) == []

    entries = [status for array in list(diagnoses) for status in array.status]
    nodes = {(entry.name.partition(': ')[0], entry.hardware_id) for entry in entries}
    assert nodes == {(f'/{r}/{n}', f'/{r}') for r in ('left', 'right') for n in NODES}


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_viva_up_twice_runs_two_independent_robots(domain, listener, tmp_path):
    def names(robot):
        here = listener.get_node_names_and_namespaces()
        return sorted(name for name, space in here if space == f'/{robot}')

    started = {}
    for robot in ('left', 'right'):
        line = [sys.executable, '-P', '-m', 'viva_ros.cli.main', 'up', 'demo']
        with (tmp_path / f'{robot}.log').open('w') as log:
            started[robot] = subprocess.Popen(
                [*line, f'namespace:={robot}'], stdout=log, stderr=subprocess.STDOUT
            )
    try:
        for robot in started:
            wait(lambda r=robot: names(r) == ['monitor', 'sim', 'supervisor'], robot, 90.0)
        values = {
            robot: listener.listen(Value, f'/{robot}/value', qos.RELIABLE) for robot in started
        }
        for robot in started:
            wait(lambda: values[robot], f'values of {robot}', 90.0)  # noqa: B023
        topics = dict(listener.get_topic_names_and_types())
        shared = {'/diagnostics', '/parameter_events', '/rosout', '/clock'}
        own = {f'/{robot}/' for robot in started}
        assert [t for t in topics if t not in shared and not t.startswith(tuple(own))] == []
        started['left'].send_signal(signal.SIGINT)
        assert started['left'].wait(30.0) == 0
        wait(lambda: not names('left'), 'the end of the left')
        heard = len(values['right'])
        wait(lambda: len(values['right']) > heard + 5, 'more values of the right')
    finally:
        for process in started.values():
            process.send_signal(signal.SIGINT)
            process.wait(30.0)
    wait(lambda: not names('right'), 'the end of the right')
