# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure latency, start time and memory of every engine kind that loads here.

Each kind has a process of its own with one thread. The kinds take turns, so that load of the
machine affects all alike; compare figures of one run only. Latency: from decoded images, resize
included, to an estimate. Start: from loading to the first estimate. Memory: peak of the process.
Nodes, fleets and models without an engine: `scripts/bench` in a checkout of the repository.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from viva_ros.console.process_pool import spawn_context, uninterrupted
from viva_ros.console.progress import new_bar
from viva_ros.console.provenance import processor
from viva_ros.core.errors import EngineError, VivaError
from viva_ros.core.observation import Observation
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.backend import AUTO, kinds
from viva_ros.engine.factory import choose, load
from viva_ros.engine.resources import DEFAULT_TASK, engine_folder
from viva_ros.engine.usage import peak_mib

BURST: Final = 5  # estimates of a kind in its turn, after one that is not counted
ONE_THREAD: Final = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
#: Options of scripts/bench, which `viva bench` had before.
MOVED: Final = ('--out', '--parts', '--quick')


@dataclass(frozen=True)
class EngineFigures:
    """
    Figures of one engine kind.

    :param relative: latency p50 divided by that of the fastest kind
    :param start_s: from loading to the first estimate
    """

    kind: str
    library: str
    device: str
    p50_ms: float
    p95_ms: float
    relative: float
    start_s: float
    memory_mib: float
    torch_loaded: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        'viva bench', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('--engine', default='', help='Engine folder; default: the shipped engine')
    parser.add_argument(
        '--task', default=DEFAULT_TASK, help='Task of the engine (default: %(default)s)'
    )
    known = [kind for kind in kinds() if kind != AUTO]
    parser.add_argument(
        '--kinds', nargs='+', choices=known, default=known, help='Engine kinds; default: all'
    )
    parser.add_argument(
        '--rounds', type=int, default=12, help='Turns of each kind (default: %(default)s)'
    )
    parser.add_argument(
        '--camera-size', type=int, nargs=2, default=(128, 128), metavar=('HEIGHT', 'WIDTH'),
        help='Size of the camera images, px (default: 128 128)',
    )  # fmt: skip
    parser.add_argument('--json', action='store_true', help='Print JSON instead of a table')
    for option in MOVED:
        if any(text.partition('=')[0] == option for text in argv or ()):
            parser.error(f'{option} is an option of scripts/bench, in a checkout')
    args = parser.parse_args(argv)
    if args.rounds < 1 or min(args.camera_size) < 1:
        parser.error('--rounds and --camera-size must be at least 1')
    folder = engine_folder(args.engine, args.task)
    default = choose(folder).kind
    rows, failed = measure(folder, args.task, args.kinds, args.rounds, tuple(args.camera_size))
    if args.json:
        content = {
            'engine': str(folder), 'task': args.task, 'default': default,
            'camera_size': list(args.camera_size), 'processor': processor(),
            'cores': len(os.sched_getaffinity(0)), 'threads': 1,
            'engines': [asdict(row) for row in rows], 'unavailable': failed,
        }  # fmt: skip
        print(json.dumps(content, indent=1))
    else:
        show(rows, failed, default)
    return 0


def measure(
    folder: Path, task: str, kinds: Sequence[str], rounds: int, size: tuple[int, int]
) -> tuple[list[EngineFigures], dict[str, str]]:
    """
    Measure engine kinds in turn.

    :param size: of the images, (height, width), px
    :returns: a row for each kind that loads, fastest first; kind to the error of the others
    :raises EngineError: if none loads, or a process ends during the measurement
    """
    os.environ.update(ONE_THREAD)  # read by the libraries in each process
    started: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    times: dict[str, list[float]] = {}
    with _processes(folder, task, kinds, size) as pipes, new_bar('engines', rounds) as progress:
        for kind in kinds:
            answer = _receive(kind, pipes[kind])
            if isinstance(answer, str):
                failed[kind] = answer
            else:
                started[kind], times[kind] = answer, []
        if not started:
            reasons = '; '.join(f'{kind}: {why}' for kind, why in failed.items())
            raise EngineError('bench-no-engine', f'no engine kind loads from {folder}: {reasons}')
        order = list(started)
        for turn in range(rounds):
            first = turn % len(order)
            for kind in order[first:] + order[:first]:
                times[kind] += _ask(kind, pipes[kind], 'estimate')
            progress.advance(progress.task_ids[0])
        held = {kind: _ask(kind, pipes[kind], 'memory') for kind in order}
    fastest = min(float(np.median(seconds)) for seconds in times.values())
    rows = []
    for kind, seconds in times.items():
        p50, p95 = (float(x) for x in np.percentile(seconds, (50, 95)))
        about: dict[str, Any] = {**started[kind], **held[kind]}
        rows.append(EngineFigures(
            kind, p50_ms=1e3 * p50, p95_ms=1e3 * p95, relative=p50 / fastest, **about
        ))  # fmt: skip
    return sorted(rows, key=lambda row: row.p50_ms), failed


@contextmanager
def _processes(
    folder: Path, task: str, kinds: Sequence[str], size: tuple[int, int]
) -> Iterator[dict[str, Connection]]:
    """Start a process for each kind, one after the other is ready; end all of them."""
    context = spawn_context()
    pipes, running = {}, []
    try:
        for kind in kinds:
            pipes[kind], other = context.Pipe()
            process = context.Process(
                target=_serve, args=(other, folder, task, kind, size), daemon=True
            )
            with uninterrupted():
                process.start()
            running.append(process)
            other.close()
            pipes[kind].poll(None)  # else one would measure the start of all at once
        yield pipes
    finally:
        for process in running:
            process.kill()
            process.join()


def _ask(kind: str, pipe: Connection, what: str) -> Any:
    pipe.send(what)
    return _receive(kind, pipe)


def _receive(kind: str, pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except (EOFError, ConnectionError) as error:
        raise EngineError(
            'bench-process-ended', f'the process of engine kind {kind} ended during a measurement'
        ) from error


def _serve(pipe: Connection, folder: Path, task: str, kind: str, size: tuple[int, int]) -> None:
    """Load an engine and answer requests, until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    began = time.perf_counter()
    try:
        engine = load(folder, task, kind)
        observation = make_observation(engine.info, size)
        engine.estimate(observation)
    except VivaError as error:
        return pipe.send(str(error))
    pipe.send({
        'start_s': time.perf_counter() - began, 'library': engine.info.library,
        'device': engine.info.device,
    })  # fmt: skip
    while True:
        try:
            request = pipe.recv()
        except EOFError:
            return None
        if request == 'memory':
            pipe.send({'memory_mib': peak_mib(), 'torch_loaded': 'torch' in sys.modules})
            continue
        engine.estimate(observation)
        seconds = []
        for _ in range(BURST):
            began = time.perf_counter()
            engine.estimate(observation)
            seconds.append(time.perf_counter() - began)
        pipe.send(seconds)


def make_observation(info: EngineInfo, size: tuple[int, int]) -> Observation:
    """Return an observation with noise as images: latency does not depend on the content."""
    random = np.random.default_rng(0)
    images = {camera: random.integers(0, 256, (*size, 3), np.uint8) for camera in info.cameras}
    return Observation(images, dict.fromkeys(info.joint_names, 0.1), {'images': 1})


def show(rows: Sequence[EngineFigures], failed: dict[str, str], default: str) -> None:
    """Print the table, and why the other kinds do not load."""
    from rich.table import Table

    from viva_ros.console.terminal import Terminal  # not in the measured processes

    table = Table('engine kind', 'library', 'device')
    for column in ('p50, ms', 'p95, ms', 'relative', 'start, s', 'memory, MiB'):
        table.add_column(column, justify='right')
    for row in rows:
        table.add_row(
            row.kind + ' (auto)' * (row.kind == default), row.library, row.device,
            f'{row.p50_ms:.1f}', f'{row.p95_ms:.1f}', f'{row.relative:.2f}',
            f'{row.start_s:.1f}', f'{row.memory_mib:.0f}',
        )  # fmt: skip
    console = Terminal(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table)
    for kind, why in failed.items():
        console.print(f'{kind} does not load: {why}', markup=False, soft_wrap=True)
