# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A server that waits for a processor is late; one that hangs is replaced."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from support.working_engine import busy_core, deed, install, pin

from viva_ros.core.observation import Estimate
from viva_ros.engine.remote.client import SharedEngine

pytestmark = pytest.mark.medium

PATIENCE = 0.4  # s
WORK = 0.6  # s of CPU: more than the patience
FOREVER = 600.0  # s
SERVE = """
import sys
from pathlib import Path
from working_backend import WorkingEngine
from viva_ros.engine.remote.server import Server

server = Server(WorkingEngine(None, 'lift'), 'lift', Path(sys.argv[1]), 0.0, 8)
print('ready', flush=True)
server.run(lambda: False)
"""


class Local:
    """The engine of the monitor itself; its value is -1."""

    def __init__(self, info) -> None:
        self.info = info

    def estimate(self, observation):
        return Estimate(-1.0, {})

    def close(self) -> None:
        pass


@pytest.fixture
def server(monkeypatch, tmp_path, address):
    install(monkeypatch, tmp_path / 'site')
    line = [sys.executable, '-c', SERVE, str(address)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == 'ready\n'
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def engine(server, address):
    made = SharedEngine(address, 'lift', lambda: Local(made.info), '', PATIENCE, FOREVER)
    assert made.is_served
    yield made
    made.close()


def test_starved_server_is_waited_for(server, engine):
    pin(server.pid)
    with busy_core(4):
        assert engine.estimate(deed(WORK)).value == 0.25
    assert engine.is_served and engine.delay == ''


def test_stopped_server_is_replaced(server, engine):
    values: list[float] = []

    def ask() -> None:
        while not values:
            try:
                values.append(engine.estimate(deed(0.0)).value)
            except Exception:  # the local engine is being loaded
                continue

    os.kill(server.pid, signal.SIGSTOP)
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(60.0)
    assert values == [-1.0] and not engine.is_served
    assert 'has not answered for 0.4 s' in engine.state
