# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Fixtures for real processes over real DDS, each test in its own domain.

This is a plugin of the whole suite: each fixture imports rclpy when it is used, so that other
tests run without ROS.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.ros import Listener, Processes


@pytest.fixture(scope='module')
def shared_memory() -> Iterator[None]:
    """Remove the shared-memory segments of killed processes after the tests of a file."""
    yield
    from viva_ros.doctor.shared_memory import remove_leftovers

    remove_leftovers()


@pytest.fixture
def domain(shared_memory: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Set a DDS domain and ROS_HOME for one test."""
    from support.ros import enter_domain

    with enter_domain(monkeypatch, tmp_path / 'ros'):
        yield


@pytest.fixture
def processes(domain: None, tmp_path: Path) -> Iterator['Processes']:
    from support.ros import Processes

    started = Processes(tmp_path)
    yield started
    started.end()
    for process in started.all:  # pytest shows the output of a failed test
        print(f'--- {process.args[1:4]}, exit code {process.returncode}')
        print(started.log(process)[-3000:])


@pytest.fixture
def listener(domain: None) -> Iterator['Listener']:
    from support.ros import listening

    with listening() as node:
        yield node


@pytest.fixture
def simulator() -> None:
    """Skip a test of the simulated robot if mujoco is not installed."""
    pytest.importorskip('mujoco', reason='mujoco is not installed')


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """Return thresholds for fake_monitor.py: only a fall of 0.5 raises an alarm."""
    from support.ros import write_calibration

    return write_calibration(tmp_path)


@pytest.fixture
def begin_episode(listener: 'Listener') -> Callable[..., str]:
    """Return a function that starts an episode and returns its id."""
    from viva_ros.srv import StartEpisode

    def begin(task: str = '', supervisor: str = 'supervisor') -> str:
        request = StartEpisode.Request(task=task)
        answer = listener.call(StartEpisode, f'{supervisor}/start_episode', request)
        assert answer.success, answer.message
        return str(answer.episode_id)

    return begin


@pytest.fixture
def said(listener: 'Listener') -> Callable[[], list[str]]:
    """Return a function that returns the configuration messages of /diagnostics."""
    from diagnostic_msgs.msg import DiagnosticArray

    from viva_ros.nodes import qos

    diagnoses = listener.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)

    def texts() -> list[str]:
        entries = (s for d in list(diagnoses) for s in d.status if 'configuration' in s.name)
        return [entry.message for entry in entries]

    return texts


@pytest.fixture
def start_supervisor(processes: 'Processes', calibration: Path) -> Callable[..., Any]:
    """Return a function that starts a supervisor with a calibration."""
    from support.ros import PATIENT_SUPERVISOR

    def start(*arguments: str, **environment: str) -> Any:
        return processes.start(
            'viva_ros.nodes.supervisor', '--ros-args', '-p', f'calibration:={calibration}',
            *PATIENT_SUPERVISOR, *arguments, **environment,
        )  # fmt: skip

    return start
