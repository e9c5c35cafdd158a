# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`scripts/bench`: measure engines, start, node, and many robots on one engine, in one run.

Variants take turns, so that load of the machine affects all alike; figures are medians; compare
figures of one run only. The command writes a JSON file and a plot next to it.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.speed import processes
from viva_ros.console.program import ConsoleProgram, run
from viva_ros.console.progress import new_bar
from viva_ros.console.provenance import command_line, processor, versions
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.files import write_atomically
from viva_ros.engine.resources import DEFAULT_TASK, engine_folder

LIBRARIES: Final = (
    'numpy', 'opencv-python-headless', 'onnxruntime', 'openvino', 'torch', 'diffusers',
    'tensorrt', 'tensorrt-rtx', 'rclpy', 'ros-rmw-fastrtps-cpp',
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Return processor, memory, load, versions, date and command."""
    return {
        'command': command_line('scripts/bench'), 'date': f'{datetime.now(UTC):%Y-%m-%d}',
        'processor': processor(), 'cores': len(os.sched_getaffinity(0)),
        'memory_gib': round(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30, 1),
        'load_before': round(os.getloadavg()[0], 2), 'system': platform.platform(),
        'python': platform.python_version(), 'libraries': versions(LIBRARIES),
    }  # fmt: skip


def medians(rows: Sequence[Mapping[str, Any]], by: Sequence[str]) -> list[dict[str, Any]]:
    """
    Return one row for each case: the median of each figure over its runs.

    :param by: keys of a case
    """
    runs: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        runs.setdefault(tuple(row[key] for key in by), []).append(row)
    return [{key: _median(key, same) for key in same[0]} for same in runs.values()]


def _median(key: str, runs: Sequence[Mapping[str, Any]]) -> Any:
    first = runs[0][key]
    return float(np.median([run[key] for run in runs])) if isinstance(first, float) else first


PARTS: Final = ('engines', 'start', 'robots', 'node')


@dataclass(frozen=True)
class Effort:
    """Durations and repetitions of the parts."""

    engine_rounds: int
    start_rounds: int
    node_rounds: int
    node_seconds: float
    cases: int | None
    robots: tuple[int, ...]
    robot_rounds: int
    robot_seconds: float


FULL: Final = Effort(12, 3, 3, 2.5, None, (1, 2, 4, 8), 3, 5.0)
QUICK: Final = Effort(1, 1, 1, 3.0, 1, (1, 2), 1, 1.5)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('scripts/bench', description=__doc__)
    parser.add_argument('--engine', default='', help='Engine folder; default: the shipped engine')
    parser.add_argument('--task', default=DEFAULT_TASK,
                        help='Task of the engine (default: %(default)s)')  # fmt: skip
    parser.add_argument(
        '--parts',
        default=','.join(PARTS),
        help='Parts to measure, separated by commas (default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('benchmarks/results/speed.json'),
        help='JSON file of the results (default: %(default)s)',
    )
    parser.add_argument('--quick', action='store_true',
                        help='Short test of the benchmark; the figures mean nothing')  # fmt: skip
    args = parser.parse_args(argv)
    parts = args.parts.split(',')
    for part in parts:
        if part not in PARTS:
            raise ConfigurationError(
                'bench-part', f'--parts has {part!r}, must be one of {", ".join(PARTS)}'
            )
    os.environ.update(processes.ONE_THREAD)
    effort = QUICK if args.quick else FULL
    found: dict[str, Any] = {'machine': describe(), 'quick': args.quick}
    try:
        for part in parts:
            found[part] = RUN[part](args, effort)
    except BaseException:  # keep the results of earlier runs and of finished parts
        if found.keys() & RUN.keys():
            write(args.out.with_suffix('.unfinished.json'), found)
        raise
    write(args.out, found)
    return 0


def write(out: Path, found: dict[str, Any]) -> None:
    """Write the JSON file and the plot, and print the tables."""
    from benchmarks.speed import plot

    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, json.dumps(found, indent=1) + '\n')
    plot.draw(found, out.with_suffix('.png'))
    plot.show(found)
    print(f'{out} and {out.with_suffix(".png")}')


def run_engines(args: argparse.Namespace, effort: Effort) -> dict[str, Any]:
    """Time the engines."""
    from benchmarks.speed import engines  # imports torch, which some parts do not need

    folder = engine_folder(args.engine, args.task)
    with new_bar('engines', effort.engine_rounds) as progress:
        return engines.measure(
            folder, args.task, effort.engine_rounds,
            lambda: progress.advance(progress.task_ids[0]),
        )  # fmt: skip


def run_start(args: argparse.Namespace, effort: Effort) -> list[dict[str, Any]]:
    """Time the start of the engines that load, and of eager models."""
    from benchmarks.speed import engines

    folder = engine_folder(args.engine, args.task)
    return engines.measure_start(folder, args.task, effort.start_rounds)


def run_node(args: argparse.Namespace, effort: Effort) -> list[dict[str, Any]]:
    """Compare the monitor with a naive node."""
    from benchmarks.speed import nodes

    cases = nodes.all_cases()[: effort.cases]
    turns = [(c, n) for _ in range(effort.node_rounds) for c in cases for n in nodes.NODES]
    rows = []
    with new_bar('node', len(turns)) as progress:
        for case, name in turns:
            rows.append(nodes.patiently(case, name, args.engine, args.task, effort.node_seconds))
            progress.advance(progress.task_ids[0])
    return medians(rows, ('case', 'node'))


def run_robots(args: argparse.Namespace, effort: Effort) -> list[dict[str, Any]]:
    """Measure the cost of a robot for several numbers of robots."""
    from benchmarks.speed import batches, many_robots

    folder = engine_folder(args.engine, args.task)
    fleets = many_robots.all_fleets(effort.robots) * effort.robot_rounds
    rows = []
    with new_bar('robots', len(fleets)) as progress:
        for fleet in fleets:
            rows.append(
                many_robots.measure(fleet, folder, 'auto', args.task, effort.robot_seconds)
            )
            progress.advance(progress.task_ids[0])
    rows += batches.measure(effort.robots, folder, 'auto', args.task)
    return many_robots.with_cost(medians(rows, ('robots', 'where', 'phases')))


RUN: Final[dict[str, Callable[[argparse.Namespace, Effort], Any]]] = {
    'engines': run_engines, 'start': run_start, 'robots': run_robots, 'node': run_node,
}  # fmt: skip


if __name__ == '__main__':
    raise SystemExit(run(ConsoleProgram('scripts/bench'), main, is_process=True))
