# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run monitor and supervisor while other programs want 0, 1, 2 and 4 times the cores of the machine.

Recorded episodes of the simulated robot, a success and a failure in turn, are played to the real
nodes with the shipped engine and its calibration. A row has the rate and age of the values, the
share of unknown ones, restarts of the engine, and what was found. Other monitors (``--monitors``)
each have an engine of their own.

    python -m benchmarks.overload.main --out benchmarks/results/overload.json
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from benchmarks.speed.processes import BenchError, end, environment, last_words
from viva_ros.core.child_process import python_child
from viva_ros.core.detection.rules import RULES
from viva_ros.core.files import write_atomically
from viva_ros.engine.manifest import read_manifest
from viva_ros.engine.resources import engine_folder
from viva_ros.evaluation.tables import hardware, plain
from viva_ros.msg import Alert, SupervisorState, Value
from viva_ros.nodes import qos
from viva_ros.sim.recording import plan, record
from viva_ros.srv import StartEpisode

LOADS: Final = (0, 1, 2, 4)  # demand of other programs, in cores of the machine
SEED: Final = 90001
FAILURE: Final = 'slip'
TASK: Final = 'tray_lift'
PATIENCE: Final = 120.0  # s, for a node or an answer
TRIES: Final = 3  # of a call within the patience
SETTLE: Final = 1.0  # s, between two episodes
BEGIN: Final = 3.0  # s of an episode in which the level is UNKNOWN until values arrive


@dataclass(frozen=True)
class Load:
    """
    What else runs.

    :param cores: processes that never rest, in cores of the machine
    :param monitors: monitors with an engine of their own, that one included which is measured
    """

    cores: int
    monitors: int = 1


@dataclass
class Played:
    """
    One episode and what the supervisor said.

    :param late: 95th percentile of the lateness of the inputs, s
    :param levels: time since the begin, s, and level of the supervisor
    """

    success: bool
    seconds: float
    late: float
    values: list[Any]
    alerts: list[Any]
    levels: list[tuple[float, int]]

    @property
    def alarmed(self) -> bool:
        """Whether a rule raised an alarm."""
        return any(a.level == Alert.ALARM and a.kind in RULES for a in self.alerts)

    @property
    def unknown(self) -> bool:
        """Whether the supervisor said that it cannot judge."""
        return any(at > BEGIN and level == Alert.UNKNOWN for at, level in self.levels)


class Watcher(Node):
    """Collects what monitor and supervisor publish."""

    def __init__(self) -> None:
        super().__init__('overload')
        self.values: list[Any] = []
        self.alerts: list[Any] = []
        self.levels: list[tuple[float, int]] = []
        self._began = time.monotonic()
        self.restarts = 0
        self.texts: set[str] = set()
        self.create_subscription(Value, 'value', self._add_value, qos.RELIABLE)
        self.create_subscription(Alert, 'alert', self.alerts.append, qos.LATCHED_READER)
        self.create_subscription(
            SupervisorState, 'supervisor/state', self._add_state, qos.LATCHED_READER
        )
        self.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, qos.RELIABLE)

    def _add_value(self, message: Value) -> None:
        self.values.append(message)
        if message.reason:
            self.texts.add(message.reason)

    def _add_state(self, message: SupervisorState) -> None:
        if message.executing:
            self.levels.append((time.monotonic() - self._began, int(message.level)))

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == '/monitor: engine':
                facts = {pair.key: pair.value for pair in status.values}
                self.restarts = int(facts['engine_restarts'])

    def clear(self) -> None:
        """Forget values, alerts and levels: an episode begins."""
        self.values.clear()
        self.alerts.clear()
        self.levels.clear()
        self._began = time.monotonic()

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """Call a service of the supervisor; an answer may be lost before its discovery."""
        client = self.create_client(kind, service)
        for _ in range(TRIES):
            if client.wait_for_service(PATIENCE / TRIES):
                future = client.call_async(request)
                until(future.done, PATIENCE / TRIES)
                if future.done():
                    self.destroy_client(client)
                    return future.result()
        raise BenchError('bench-overload-service', f'{service} does not answer: see its log')


@contextmanager
def watching() -> Iterator[Watcher]:
    """Spin a watcher in a thread during a block."""
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node, executor = Watcher(), SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown(timeout_sec=2.0)
        thread.join(2.0)
        node.destroy_node()
        rclpy.try_shutdown()


def until(condition: Any, patience: float) -> bool:
    """Wait until a condition holds; return whether it does."""
    limit = time.monotonic() + patience
    while not condition() and time.monotonic() < limit:
        time.sleep(0.02)
    return bool(condition())


class Bench:
    """Nodes, player and busy processes of one load; all end with the stack."""

    def __init__(self, stack: ExitStack, node: Watcher, folder: Path, load: Load) -> None:
        self._stack, self._node, self._folder, self._load = stack, node, folder, load
        self._env = environment() | {'ROS_DOMAIN_ID': os.environ['ROS_DOMAIN_ID']}
        self._player = self._start('benchmarks.overload.player')

    def run(self, episodes: Sequence[tuple[Path, bool]], seconds: float) -> list[Played]:
        """
        Play episodes in turn.

        :param episodes: recording, and whether it is a success
        :param seconds: at least; an episode that has begun is played to its end
        """
        self._order(episodes[0][0], 0.0)
        for number in range(self._load.monitors):
            self._start('viva_ros.nodes', 'monitor', '--ros-args', *self._monitor(number))
        supervisor = self._start('viva_ros.nodes', 'supervisor')
        self._warm_up(episodes[0][0], supervisor)
        for _ in range(self._load.cores * (os.cpu_count() or 1)):
            line = ['sh', '-c', 'while :; do :; done']
            self._keep(subprocess.Popen(line, start_new_session=True))
        played: list[Played] = []
        limit = time.monotonic() + seconds
        while time.monotonic() < limit or len(played) < len(episodes):
            path, success = episodes[len(played) % len(episodes)]
            played.append(self._play(path, success, seconds))
        return played

    def _monitor(self, number: int) -> list[str]:
        if number == 0:
            return []
        cameras = read_manifest(engine_folder('', TASK)).cameras
        topics = ','.join(f'/{camera}/image_raw' for camera in cameras)
        return ['-r', f'__ns:=/other_{number}', '-p', f'camera_topics:=[{topics}]',
                '-p', 'joint_states_topic:=/joint_states']  # fmt: skip

    def _warm_up(self, path: Path, supervisor: 'subprocess.Popen[str]') -> None:
        """Play until there is a known value, before the load begins."""
        limit = time.monotonic() + PATIENCE
        while not any(value.status == Value.STATUS_OK for value in self._node.values):
            if supervisor.poll() is not None or time.monotonic() > limit:
                words = [last_words(log) for log in sorted(self._folder.glob('*.log'))]
                raise BenchError('bench-overload-start', f'no value is published: {words}')
            self._order(path, 2.0)

    def _play(self, path: Path, success: bool, seconds: float) -> Played:
        begin = self._node.call(StartEpisode, 'supervisor/start_episode', StartEpisode.Request())
        if not begin.success:
            raise BenchError('bench-overload-episode', f'no episode begins: {begin.message}')
        self._node.clear()
        began = time.monotonic()
        late = float(self._order(path, seconds))
        spent = time.monotonic() - began
        time.sleep(SETTLE)
        node = self._node
        made = Played(
            success, spent, late, list(node.values), list(node.alerts), list(node.levels)
        )
        node.call(Trigger, 'supervisor/end_episode', Trigger.Request())
        return made

    def _order(self, path: Path, seconds: float) -> str:
        """Order the player to play; return what it prints at the end."""
        assert self._player.stdin is not None and self._player.stdout is not None
        self._player.stdin.write(json.dumps({'path': str(path), 'seconds': seconds}) + '\n')
        self._player.stdin.flush()
        return self._player.stdout.readline().strip()

    def _start(self, module: str, *arguments: str) -> 'subprocess.Popen[str]':
        number = len(list(self._folder.glob('*.log')))
        log = self._folder / f'{number}_{module}_{arguments[0] if arguments else ""}.log'
        with log.open('w') as words:
            process = subprocess.Popen(
                **python_child(module, *arguments, env=self._env), text=True,
                stdin=subprocess.PIPE, start_new_session=True, stderr=words,
                stdout=subprocess.PIPE if module.endswith('player') else words,
            )  # fmt: skip
        self._keep(process)
        return process

    def _keep(self, process: Any) -> None:
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        if process.stdin is not None:  # a node; a busy process has nothing to clean up
            self._stack.callback(end, process)


def measure(load: Load, episodes: Sequence[tuple[Path, bool]], seconds: float) -> dict[str, Any]:
    """Run one load; return its row."""
    with tempfile.TemporaryDirectory() as place, watching() as node, ExitStack() as stack:
        average = os.getloadavg()[0]
        played = Bench(stack, node, Path(place), load).run(episodes, seconds)
        return row(load, played, node.restarts, average)


def row(load: Load, played: Sequence[Played], restarts: int, average: float) -> dict[str, Any]:
    """Return the figures of one load."""
    values = [value for one in played for value in one.values]
    known = [value for value in values if value.status == Value.STATUS_OK]
    ages = [1e3 * value.latency for value in known] or [float('nan')]
    good = [one for one in played if one.success]
    bad = [one for one in played if not one.success]
    retries = sum('retry' in alert.kind for one in good for alert in one.alerts)
    reasons: dict[str, int] = {}
    for value in values:
        if value.reason_kind:
            reasons[value.reason_kind] = reasons.get(value.reason_kind, 0) + 1
    return {
        **asdict(load), 'seconds': round(sum(one.seconds for one in played), 1),
        'load_before': round(average, 1),
        'rate_hz': round(len(known) / sum(one.seconds for one in played), 2),
        'age_p50_ms': round(float(np.percentile(ages, 50)), 1),
        'age_p95_ms': round(float(np.percentile(ages, 95)), 1),
        'unknown_share': round(1.0 - len(known) / max(1, len(values)), 3),
        'unknown_reasons': reasons, 'restarts': restarts,
        'inputs_late_p95_ms': round(1e3 * max(one.late for one in played), 1),
        'successes': len(good), 'false_alarms': sum(one.alarmed for one in good),
        'retries_of_successes': retries, 'failures': len(bad),
        'detected': sum(one.alarmed for one in bad),
        'unknown_instead': sum(one.unknown and not one.alarmed for one in bad),
        'missed': sum(not one.unknown and not one.alarmed for one in bad),
    }  # fmt: skip


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as Markdown."""
    lines = [
        '| other programs | monitors | rate | age p50, p95 | unknown | restarts | false alarms | '
        'failures detected, unknown, missed |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for one in rows:
        lines.append(
            f'| {one["cores"]} x cores | {one["monitors"]} | {one["rate_hz"]} Hz | '
            f'{one["age_p50_ms"]:.0f}, {one["age_p95_ms"]:.0f} ms | '
            f'{100 * one["unknown_share"]:.0f} % | {one["restarts"]} | {one["false_alarms"]} of '
            f'{one["successes"]} | {one["detected"]}, {one["unknown_instead"]}, {one["missed"]} '
            f'of {one["failures"]} |'
        )
    return '\n'.join(lines) + '\n'


def simulate(folder: Path) -> list[tuple[Path, bool]]:
    """Record a success and a failure."""
    jobs = [
        job
        for name, failure in (('success', 'none'), ('failure', FAILURE))
        for job in plan(TASK, [SEED], folder / name, failure)[:1]
    ]
    outcomes = record(jobs)
    return [(path, bool(success)) for path, success in outcomes.items()]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        'python -m benchmarks.overload.main', description=__doc__.split('\n\n')[0]
    )
    parser.add_argument('--out', type=Path, required=True,
                        help='JSON file of the results; the table (.md) next to it')  # fmt: skip
    parser.add_argument('--seconds', type=float, default=60.0,
                        help='Time of each load, s (default: %(default)g)')  # fmt: skip
    parser.add_argument('--monitors', type=int, default=8,
                        help='Monitors of the last row (default: %(default)s)')  # fmt: skip
    parser.add_argument('--tiny', action='store_true',
                        help='One load for a few seconds; its figures mean nothing')  # fmt: skip
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure all loads and write the results."""
    given = sys.argv[1:] if argv is None else argv
    args = parse(given)
    os.environ.update(environment())
    loads = [Load(cores) for cores in LOADS] + [Load(0, args.monitors)]
    seconds = args.seconds
    if args.tiny:
        loads, seconds = [Load(4)], 5.0
    with tempfile.TemporaryDirectory() as folder:
        episodes = simulate(Path(folder))
        rows = [measure(load, episodes, seconds) for load in loads]
    content = {
        'format': 'viva_ros overload 1', 'date': date.today().isoformat(),
        'command': shlex.join(['python', '-m', 'benchmarks.overload.main', *given]),
        'hardware': f'{hardware()}, no GPU used', 'rows': rows,
    }  # fmt: skip
    write_atomically(args.out, json.dumps(plain(content), indent=1) + '\n')
    write_atomically(args.out.with_suffix('.md'), table(rows))
    print(table(rows))
    return 0


if __name__ == '__main__':
    sys.exit(main())
