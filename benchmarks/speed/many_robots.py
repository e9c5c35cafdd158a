# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Cost of a robot for several numbers of robots: each with its own engine, or all with one server.

Cost is the CPU time of all processes for one estimate. Simultaneous requests are the worst case of
latency; requests spread evenly over a period rarely coincide.
"""

import argparse
import json
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.speed.processes import BenchError, environment, last_words, running
from viva_ros.core.child_process import python_child
from viva_ros.core.observation import Observation
from viva_ros.engine.api import Engine, EngineInfo
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import named
from viva_ros.engine.remote.client import SharedEngine
from viva_ros.engine.remote.protocol import address_of
from viva_ros.engine.usage import cpu_seconds

ROBOT_PATIENCE = 5.0  # s
WARM = 3  # estimates before the measurement


def main() -> None:
    """Read the start time from the input; then estimate, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--engine', type=Path, required=True)
    parser.add_argument('--kind', required=True)
    parser.add_argument('--task', required=True)
    parser.add_argument('--address', default='')
    parser.add_argument('--rate', type=float, required=True)
    parser.add_argument('--seconds', type=float, required=True)
    parser.add_argument('--phase', type=float, required=True, help='Phase, share of a period')
    args = parser.parse_args()

    def own() -> Engine:
        return load(args.engine, args.task, args.kind)

    engine: Engine
    if not args.address:
        engine = own()
    else:
        address, expected = address_of(args.address), named(args.engine)
        engine = SharedEngine(address, args.task, own, expected, ROBOT_PATIENCE)
    observation = look(engine.info)
    for _ in range(WARM):
        engine.estimate(observation)
    print('ready', flush=True)
    begin = float(sys.stdin.readline()) + args.phase / args.rate
    times, used = run_robot(engine, observation, begin, args.rate, args.seconds)
    served = not isinstance(engine, SharedEngine) or engine.is_served
    print(json.dumps({'seconds': times, 'cpu': used, 'served': served}))


def look(info: EngineInfo) -> Observation:
    """Return an observation with noise as images."""
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    joints = dict.fromkeys(info.joint_names, 0.1)
    return Observation(dict.fromkeys(info.cameras, picture), joints, {'images': 1})


def run_robot(
    engine: Engine, observation: Observation, begin: float, rate: float, seconds: float
) -> tuple[list[float], float]:
    """Return the time of each estimate since it was due, s, and the total CPU time, s."""
    times, used = [], time.process_time()
    for count in range(max(1, round(seconds * rate))):
        due = begin + count / rate
        time.sleep(max(0.0, due - time.monotonic()))
        engine.estimate(observation)
        times.append(time.monotonic() - due)
    return times, time.process_time() - used


if __name__ == '__main__':
    main()


RATE: Final = 10.0  # Hz
AHEAD: Final = 0.3  # s, from the last robot that is ready to the first estimate
PATIENCE: Final = 60.0  # s
OWN: Final = 'own engine'
SERVER: Final = 'server'
ALONE: Final = 'engine alone'  # see batches


@dataclass(frozen=True)
class Fleet:
    """
    A number of robots.

    :param where: OWN or SERVER
    :param phases: 'together' or 'spread'
    """

    robots: int
    where: str
    phases: str


@dataclass(frozen=True)
class Robot:
    """
    Process of one robot.

    :param log: file of its error output
    """

    process: subprocess.Popen[str]
    log: Path


def all_fleets(numbers: Sequence[int]) -> list[Fleet]:
    """Return the fleets of each number of robots: own engines, server, and server with spread."""
    fleets = [Fleet(n, where, 'together') for n in numbers for where in (OWN, SERVER)]
    return fleets + [Fleet(n, SERVER, 'spread') for n in numbers if n > 1]


def measure(fleet: Fleet, folder: Path, kind: str, task: str, seconds: float) -> dict[str, Any]:
    """
    Run a fleet for some seconds.

    :raises BenchError: if one of its processes fails
    """
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        env, address, words = environment(), Path(place) / 'own' / 'e.sock', Path(place) / 's.txt'
        engine = ['--engine', str(folder), '--task', task]
        options = [*engine, '--kind', kind, '--rate', str(RATE), '--seconds', str(seconds)]
        server = None
        if fleet.where == SERVER:
            server = stack.enter_context(
                running('viva_ros.cli.main', 'serve', *engine, '--engine-kind', kind,
                        '--address', address, env=env, log=words)
            )  # fmt: skip
            _wait_for(address, server, words)
            options += ['--address', str(address)]
        robots = []
        for index in range(fleet.robots):
            phase = index / fleet.robots if fleet.phases == 'spread' else 0.0
            log = Path(place) / f'{index}.txt'
            robots.append(start([*options, '--phase', str(phase)], env, log, stack))
        runs, served = run(robots, server, PATIENCE + seconds)
        if server is not None:
            server.terminate()
            server.wait(PATIENCE)
        return figures(fleet, runs, served, words.read_text() if server else '')


def figures(
    fleet: Fleet, runs: Sequence[dict[str, Any]], served: float, words: str
) -> dict[str, Any]:
    """
    Return the figures of the output of robots and server.

    :param served: CPU time of the server, s
    :param words: output of the server; its last line has the numbers of requests and batches
    """
    if not all(run['served'] for run in runs):
        raise BenchError(
            'bench-server-lost', f'the server was lost with {fleet.robots} robots: {words[-300:]}'
        )
    times = [1e3 * seconds for run in runs for seconds in run['seconds']]
    used = served + sum(run['cpu'] for run in runs)
    made = {
        'robots': fleet.robots, 'where': fleet.where, 'phases': fleet.phases,
        'cpu_ms': 1e3 * used / len(times), 'p50_ms': float(np.percentile(times, 50)),
        'p95_ms': float(np.percentile(times, 95)),
    }  # fmt: skip
    last = words.split('\n')[-2].split() if words.endswith('batches\n') else []
    if last:
        made['batch'] = int(last[0]) / max(1, int(last[3]))
    return made


def with_cost(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Add the cost of a robot relative to one robot with its own engine.

    The engine alone is compared with itself for one observation, because its caches are warm. Also
    add p95 relative to as many robots with their own engines (``slower``), and relative to one
    robot with its own engine (``slower_than_one``).
    """
    found = {(row['where'], row['robots'], row['phases']): row for row in rows}
    made = []
    for row in rows:
        alone = row['where'] == ALONE
        one = found[(ALONE, 1, 'one call') if alone else (OWN, 1, 'together')]
        added = {'cost': row['cpu_ms'] / one['cpu_ms']}
        if not alone:
            added['slower_than_one'] = row['p95_ms'] / one['p95_ms']
            same = found.get((OWN, row['robots'], 'together'))
            if same is not None:
                added['slower'] = row['p95_ms'] / same['p95_ms']
        made.append({**row, **added})
    return made


def start(options: Sequence[str], env: dict[str, str], log: Path, stack: ExitStack) -> Robot:
    """Start a robot that ends with the stack."""
    pipe = subprocess.PIPE
    with log.open('w') as words:
        process = subprocess.Popen(
            **python_child('benchmarks.speed.many_robots', *options, env=env), stdin=pipe,
            stdout=pipe, stderr=words, text=True,
        )  # fmt: skip
    stack.callback(process.wait)
    stack.callback(process.kill)
    return Robot(process, log)


def run(
    robots: Sequence[Robot], server: subprocess.Popen[bytes] | None, patience: float
) -> tuple[list[dict[str, Any]], float]:
    """
    Return the output of the robots, and the CPU time of the server after all were ready, s.

    :param patience: limit until all are ready, and from the start until each has ended, s
    :raises BenchError: if a robot takes longer, or prints something else
    """
    end = time.monotonic() + patience
    for robot in robots:
        _wait_until_ready(robot, end)
    before = cpu_seconds(server.pid) if server is not None else 0.0
    begin = time.monotonic() + AHEAD
    for robot in robots:
        assert robot.process.stdin is not None
        try:
            robot.process.stdin.write(f'{begin}\n')
            robot.process.stdin.flush()
        except BrokenPipeError:  # the robot has ended: its output is reported below
            continue
    runs = [_figures_of(robot, patience) for robot in robots]
    after = cpu_seconds(server.pid) if server is not None else 0.0
    return runs, after - before


def _wait_until_ready(robot: Robot, end: float) -> None:
    output = robot.process.stdout
    assert output is not None
    spoke = select.select([output], [], [], max(0.0, end - time.monotonic()))[0]
    if not spoke:
        raise BenchError(
            'bench-robot-ready', f'a robot is not ready in time: {last_words(robot.log)}'
        )
    if output.readline() != 'ready\n':
        raise BenchError('bench-robot-start', f'a robot does not start: {last_words(robot.log)}')


def _figures_of(robot: Robot, patience: float) -> dict[str, Any]:
    try:
        output = robot.process.communicate(timeout=patience)[0]
        found: dict[str, Any] = json.loads(output)
    except subprocess.TimeoutExpired as error:
        raise BenchError('bench-robot-hangs', f'a robot hangs: {last_words(robot.log)}') from error
    except (ValueError, BrokenPipeError) as error:
        raise BenchError(
            'bench-robot-ended',
            f'a robot ended too early (exit code {robot.process.wait()}): {last_words(robot.log)}',
        ) from error
    return found


def _wait_for(address: Path, server: subprocess.Popen[bytes], words: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not address.exists():
        if server.poll() is not None or time.monotonic() > end:
            raise BenchError('bench-serve', f'viva serve does not start: {last_words(words)}')
        time.sleep(0.05)
