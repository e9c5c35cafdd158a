# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that works, sleeps or loops as its input says, and processes that keep a core busy."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from support.added_package import write_package
from viva_ros.core.observation import Observation

KIND = 'working'
#: Of the joint 'deed': seconds of CPU time of an estimate, or one of these.
SLEEP, LOOP = -1.0, -2.0
BACKEND = """
import time
from viva_ros.core.observation import Estimate
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.backend import Backend


class WorkingEngine:
    info = EngineInfo((), ('deed',), 1.0, (4, 4), ('lift',), 'f' * 16, 'working')

    def __init__(self, folder, task):
        pass

    def estimate(self, observation):
        deed = observation.proprio['deed']
        while deed == -1.0:
            time.sleep(3600.0)
        end = time.thread_time() + deed
        while deed == -2.0 or time.thread_time() < end:
            pass
        return Estimate(0.25, {})

    def close(self):
        pass


BACKEND = Backend('working_backend', WorkingEngine, ('float32',), 'working_backend:build')
"""


def install(patch: pytest.MonkeyPatch, site: Path) -> None:
    """Install the backend for child processes, as pip does."""
    entry = f'{KIND} = working_backend:BACKEND'
    write_package(site, 'working_backend', 'viva_ros.engine_backends', entry, BACKEND)
    others = os.environ.get('PYTHONPATH', '')
    patch.setenv('PYTHONPATH', os.pathsep.join(filter(None, (str(site), others))))


def deed(what: float) -> Observation:
    """Return the observation that makes the engine work for some seconds, sleep or loop."""
    return Observation({}, {'deed': what}, {'joint_states': 1})


def pin(process: int) -> None:
    """Pin all threads of a process to one core, always the same."""
    for thread in psutil.Process(process).threads():
        os.sched_setaffinity(thread.id, {min(os.sched_getaffinity(0))})


@contextmanager
def busy_core(count: int) -> Iterator[None]:
    """
    Keep the core of ``pin`` busy with processes during a block.

    Each is in a session of its own, as the kernel may share a core among sessions (autogroup).
    """
    started = [
        subprocess.Popen(['sh', '-c', 'while :; do :; done'], start_new_session=True)
        for _ in range(count)
    ]
    try:
        for process in started:
            pin(process.pid)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
