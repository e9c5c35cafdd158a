# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The processes of a run: the launch, the robot, the recorder and the stranger."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil
import yaml

from benchmarks.chaos.history import Sample
from viva_ros.bringup.processes import environment
from viva_ros.core.child_process import python_child
from viva_ros.engine.usage import signal_at_end_of_parent

NODES: Final = ('monitor', 'supervisor', 'black_box')
SOURCES: Final = ('head', 'wrist', 'robot')
ENGINE: Final = 'engine'
#: Order in which processes end; sources of the robot and second nodes have OTHERS.
ENDS: Final[Mapping[str, int]] = {'launch': 0, 'stranger': 2, 'recorder': 3}
OTHERS: Final = 1
RESTART: Final = 1.0  # s, of a source of the robot
#: Parameters of the nodes: many retries, and a robot whose reports are missed at once.
PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {
    'monitor': {'input_timeout': 120.0},
    'supervisor': {
        'alarm.cool_down': 2.0, 'retry.budget': 50, 'retry.hourly_budget': 1000,
        'retry.backoff': 0.5, 'robot.report_timeout': 0.5,
    },
    'black_box': {
        'limits.before': 5.0, 'limits.after': 2.0, 'limits.memory': 16.0, 'limits.folder': 40.0,
    },
}  # fmt: skip


class Cell:
    """
    A robot cell whose processes are disturbed.

    :param folder: for logs, files of the nodes, and the recording
    :param engine: folder of the engine
    :param calibration: of the engine
    """

    def __init__(
        self, folder: Path, engine: Path, calibration: Path, sim_time: bool = False
    ) -> None:
        self.folder, self.recording = folder, folder / 'chaos.mcap'
        self._sim_time = sim_time
        self._env = environment() | {'ROS_HOME': str(folder / 'ros'), 'PYTHONUNBUFFERED': '1'}
        self._env['PYTHONPATH'] = os.pathsep.join(
            filter(None, [str(Path(__file__).parents[2]), os.environ.get('PYTHONPATH', '')])
        )
        self._sources: dict[str, subprocess.Popen[bytes]] = {}
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._gone: dict[str, float] = {}
        self.told: list[dict[str, Any]] = []  # of the stranger
        self.is_ok = False
        extra = ['--sim-time'] if sim_time else []
        self._recorder = self._start('recorder', 'benchmarks.chaos.recorder', self.recording)
        self._stranger = self._start('stranger', 'benchmarks.chaos.stranger', *extra)
        for process, note in ((self._recorder, self._note_ok), (self._stranger, self._note_told)):
            threading.Thread(target=self._follow, args=(process, note), daemon=True).start()
        for name in SOURCES:
            self._start_source(name)
        self.parameters = folder / 'parameters.yaml'
        sections = {name: {'ros__parameters': dict(values)} for name, values in PARAMETERS.items()}
        self.parameters.write_text(yaml.safe_dump(sections))
        options = {
            'engine': engine, 'calibration': calibration, 'transport': 'raw', 'dry_run': 'false',
            'executing_topic': 'executing', 'black_box_folder': folder / 'black_box',
            'params_file': self.parameters, 'use_sim_time': str(sim_time).lower(),
        }  # fmt: skip
        self.launch = self._start(
            'launch', 'viva_ros.cli.main', 'up', 'monitor',
            *(f'{key}:={value}' for key, value in options.items()),
        )  # fmt: skip
        self._options = options

    def _start(self, name: str, module: str, *arguments: object) -> subprocess.Popen[bytes]:
        is_piped = name in ('recorder', 'stranger')
        with (self.folder / f'{name}.log').open('ab') as log:
            process = subprocess.Popen(
                **python_child(module, *arguments, env=self._env),
                stdin=subprocess.PIPE if is_piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if is_piped else log,
                stderr=log if is_piped else subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C goes to this process, which ends the others
                preexec_fn=partial(signal_at_end_of_parent, signal.SIGINT),  # a SIGKILL
            )  # fmt: skip
        self._started.append((name, process))
        return process

    def _start_source(self, name: str) -> None:
        use = ['--ros-args', '-p', 'use_sim_time:=true'] if self._sim_time else []
        self._sources[name] = self._start(name, 'benchmarks.chaos.robot', name, *use)

    def start_second(self, name: str) -> subprocess.Popen[bytes]:
        """Start another monitor or supervisor with the same parameters."""
        wanted = {'engine': 'engine', 'calibration': 'calibration', 'transport': 'transport'}
        if name == 'supervisor':
            wanted = {'engine': 'engine', 'calibration': 'calibration',
                      'dry_run': 'retry.dry_run',
                      'executing_topic': 'robot.executing_topic'}  # fmt: skip
        given = [text for key, parameter in wanted.items()
                 for text in ('-p', f'{parameter}:={self._options[key]}')]  # fmt: skip
        return self._start(
            f'second_{name}', 'viva_ros.nodes', name, '--ros-args', '--params-file',
            self.parameters, *given,
        )  # fmt: skip

    def process(self, name: str) -> psutil.Process | None:
        """Return the present process of a node, the engine, or a source; None without one."""
        try:
            if name in SOURCES:
                one = self._sources.get(name)
                return psutil.Process(one.pid) if one and one.poll() is None else None
            if name == ENGINE:
                monitor = self.process('monitor')
                children = monitor.children() if monitor else []
                return children[0] if children else None
            for child in psutil.Process(self.launch.pid).children():
                line = child.cmdline()
                if 'viva_ros.nodes' in line and line[line.index('viva_ros.nodes') + 1] == name:
                    return child if child.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.Error, IndexError):
            pass
        return None

    def tend(self, now: float) -> None:
        """Start sources of the robot that have ended again, as their drivers' launch does."""
        for name, process in self._sources.items():
            if process.poll() is not None:
                self._gone.setdefault(name, now)
        for name, at in list(self._gone.items()):
            if now - at >= RESTART:
                del self._gone[name]
                self._start_source(name)

    def sample(self, now: float) -> list[Sample]:
        """Return memory and handles of nodes and engine."""
        found = []
        for name in (*NODES, ENGINE):
            one = self.process(name)
            try:
                if one is not None:
                    handles = one.num_fds() + one.num_threads()
                    found.append(
                        Sample(now, name, one.pid, one.memory_info().rss / 2**20, handles)
                    )
            except psutil.Error:
                pass
        return found

    def command(self, **command: Any) -> None:
        """Send a command to the stranger."""
        if self._stranger.stdin is not None:
            self._stranger.stdin.write(json.dumps(command).encode() + b'\n')
            self._stranger.stdin.flush()

    def end(self) -> None:
        """End all processes, the launch first and the recorder last; also second nodes."""
        for _, process in sorted(self._started, key=lambda one: ENDS.get(one[0], OTHERS)):
            end(process)

    def _follow(self, process: subprocess.Popen[bytes], note: Any) -> None:
        for line in process.stdout or ():
            note(line.decode(errors='replace').strip())

    def _note_ok(self, line: str) -> None:
        self.is_ok = line == 'ok'

    def _note_told(self, line: str) -> None:
        if line.startswith('{'):
            self.told.append(json.loads(line))


def end(process: subprocess.Popen[bytes], patience: float = 15.0) -> None:
    """End a process by SIGINT, after some time by SIGKILL."""
    if process.poll() is not None:
        return
    try:
        psutil.Process(process.pid).resume()
        process.send_signal(2)
        process.wait(patience)
    except (psutil.Error, subprocess.TimeoutExpired):
        process.kill()
        process.wait()


def wait_until(condition: Any, patience: float) -> bool:
    """Wait until a condition holds; return whether it does."""
    until = time.monotonic() + patience
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
