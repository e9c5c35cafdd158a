# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Row 26 of the fault table: memory and handles do not grow, with inputs at 50 Hz.

VIVA_SOAK_SECONDS is short in CI; scripts/nightly takes ten minutes and writes the figures to
VIVA_SOAK_OUT. Robot, monitor with the shipped engine, supervisor and black box are processes.
"""

import json
import os
import platform
import time
from datetime import date
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.ros import wait

from viva_ros.core.files import write_atomically
from viva_ros.engine.manifest import read_manifest
from viva_ros.engine.resources import engine_folder
from viva_ros.msg import Value
from viva_ros.nodes import qos

SECONDS = float(os.environ.get('VIVA_SOAK_SECONDS', '25'))
OUT = os.environ.get('VIVA_SOAK_OUT')
RATE = 50.0  # Hz
WARM_UP = 0.3  # share of the time in which caches and windows fill
SLOPE = 1.0  # MiB per minute, at most, over ten minutes; ten times that in the short form
RING = 2.0  # MiB, buffer of the black box; full before the end of the warm-up
CAMERAS = ('head', 'left_wrist', 'right_wrist')


class Gauge:
    """Records memory and handles of processes."""

    def __init__(self, processes: dict[str, psutil.Process]) -> None:
        self._processes = processes
        self.times: list[float] = []
        self.memory: dict[str, list[float]] = {name: [] for name in processes}
        self.handles: dict[str, list[int]] = {name: [] for name in processes}

    def sample(self) -> None:
        self.times.append(time.monotonic())
        for name, process in self._processes.items():
            self.memory[name].append(process.memory_info().rss / 2**20)
            self.handles[name].append(process.num_fds() + process.num_threads())

    def figures(self, name: str) -> dict[str, float]:
        begin = round(WARM_UP * len(self.times))
        minutes = (np.array(self.times[begin:]) - self.times[0]) / 60.0
        slope = float(np.polyfit(minutes, self.memory[name][begin:], 1)[0])
        handles = self.handles[name][begin:]
        tenth = max(1, len(handles) // 10)
        return {
            'memory_first_mib': round(self.memory[name][begin], 1),
            'memory_last_mib': round(self.memory[name][-1], 1),
            'slope_mib_per_minute': round(slope, 4),
            'handles_first': int(np.median(handles[:tenth])),
            'handles_last': int(np.median(handles[-tenth:])), 'handles_most': max(handles),
        }  # fmt: skip


@pytest.fixture
def robot(processes, calibration, listener, tmp_path):
    """Start all processes; return those to measure, and the values."""
    values = listener.listen(Value, 'value', qos.RELIABLE)
    joints = ','.join(read_manifest(engine_folder('', 'tray_lift')).ranges.names)
    (tmp_path / 'level').write_text('160')
    started = {
        'source': processes.start(
            'fake_source.py', tmp_path, *CAMERAS, 'joint_states', FAKE_RATE=str(RATE),
            FAKE_JOINTS=joints,
        ),
        'monitor': processes.start(
            'viva_ros.nodes', 'monitor', '--ros-args', '-p', 'transport:=raw',
            '-p', 'estimate_timeout:=20.0',  # a busy machine is not a fault
        ),
        'supervisor': processes.start('viva_ros.nodes', 'supervisor'),
        'black_box': processes.start(
            'viva_ros.nodes', 'black_box', '--ros-args', '-p', f'folder:={tmp_path / "box"}',
            '-p', f'limits.memory:={RING}', '-p', 'limits.folder:=20.0',
        ),
    }  # fmt: skip
    wait(lambda: any(value.status == Value.STATUS_OK for value in values), 'a value', 90.0)
    watched = {name: psutil.Process(one.pid) for name, one in started.items() if name != 'source'}
    (watched['engine'],) = watched['monitor'].children()
    return watched, values


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 300)
def test_memory_and_handles_stay_flat(robot):
    watched, values = robot
    gauge, end = Gauge(watched), time.monotonic() + SECONDS
    values.clear()
    received = 0
    while time.monotonic() < end:
        gauge.sample()
        time.sleep(1.0)
        received += sum(value.status == Value.STATUS_OK for value in values)
        values.clear()
    rows = {name: gauge.figures(name) for name in watched}
    report(rows, received / SECONDS)
    limit = SLOPE * max(1.0, min(10.0, 600.0 / SECONDS))
    for name, row in rows.items():
        assert row['slope_mib_per_minute'] < limit, f'memory of {name}: {row}'
        assert row['handles_last'] <= row['handles_first'], f'handles of {name}: {row}'
    assert received > SECONDS, 'at least a value a second, however busy the machine'


def report(rows: dict[str, dict[str, float]], rate: float) -> None:
    content = {
        'format': 'viva_ros soak 1', 'date': date.today().isoformat(), 'seconds': SECONDS,
        'command': 'scripts/nightly', 'input_hz': RATE, 'values_per_second': round(rate, 2),
        'hardware': f'{platform.machine()}, {os.cpu_count()} cores, no GPU used',
        'load_average': os.getloadavg()[0], 'processes': rows,
    }  # fmt: skip
    print(json.dumps(content, indent=1))
    if OUT:
        write_atomically(Path(OUT), json.dumps(content, indent=1) + '\n')
