# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A monitor in its own process, and a robot whose sources can fail one by one.

The monitor runs for a whole test file: each test injects a fault, checks the reported reason,
removes the fault, and checks that the values recover.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.publishing_robot import PublishingRobot
from support.ros import (
    PATIENCE,
    Listener,
    Processes,
    enter_domain,
    listening,
    wait,
    write_calibration,
)


@pytest.fixture(scope='module')
def running(
    shared_memory: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Listener, Processes]]:
    """Return a listener and processes, in a ROS domain for the tests of one file."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp('ros')
        with enter_domain(patch, home), listening() as node:
            started = Processes(tmp_path_factory.mktemp('processes'))
            yield node, started
            started.end()


@pytest.fixture(scope='module')
def robot(running: tuple[Listener, Processes]) -> Iterator[PublishingRobot]:
    """Return a robot with a monitor of 5 Hz."""
    node, started = running
    made = PublishingRobot(node)
    monitor = started.start(
        'fake_monitor.py', '--ros-args', '-p', 'transport:=raw', '-p', 'rate:=5.0',
        '-p', 'input_timeout:=0.0', '-p', 'sync.slop:=0.02',
    )  # fmt: skip
    wait(lambda: len(made.values) > 3 and made.known(), 'values')
    made.process, made.log = monitor, lambda: started.log(monitor)
    yield made
    made.close()
    monitor.send_signal(signal.SIGTERM)
    assert monitor.wait(PATIENCE) == 0, made.log()


@pytest.fixture(scope='module')
def new_calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return thresholds for a whole file."""
    return write_calibration(tmp_path_factory.mktemp('calibration'))
