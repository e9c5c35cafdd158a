# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`scripts/supervise`: evaluate the supervision on recordings outside of training and calibration.

It measures false alarms against their bound, detected failures and delays, the contribution of the
forecast residual, the gain of retries, and the time of an update. Slow results are stored below
--scored: run the command again to continue.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.supervision import tables
from benchmarks.supervision.detectors import (
    BOTH,
    CLOCK,
    Watched,
    cost,
    thresholds,
    watch,
    watchers,
)
from benchmarks.supervision.episodes import (
    Case,
    read_cases,
    read_identities,
    score_missing,
)
from benchmarks.supervision.metrics import measures
from benchmarks.supervision.retries import worth
from viva_ros.console.process_pool import spawn_context
from viva_ros.console.program import ConsoleProgram, run
from viva_ros.console.progress import note
from viva_ros.console.provenance import command_line
from viva_ros.console.terminal import Terminal
from viva_ros.core.detection.thresholds import Calibration, announce, calibration_file
from viva_ros.core.errors import CalibrationError
from viva_ros.core.files import write_atomically
from viva_ros.data.split import (
    CALIBRATION,
    CHOICES,
    TEST,
    SelectedRecordings,
    check_disjoint,
    select,
)
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import trained_episodes
from viva_ros.engine.resources import DEFAULT_TASK, engine_folder
from viva_ros.evaluation.tables import hardware, plain
from viva_ros.scoring.jobs import calibration_of
from viva_ros.scoring.scorer import RATE

WIDTH = 120  # of the tables in a file
KNOWN = 'retry_endings.json'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    folder = engine_folder(args.engine, DEFAULT_TASK)
    infos = engine_infos(folder)
    parts = calibrating, testing = selections(args)
    seen = [read_identities(one.recordings, args.scored, infos) for one in parts]
    trained = trained_episodes(folder)
    testing.check_untrained(seen[1], trained, str(folder), note)
    calibrating.check_untrained(seen[0], trained, str(folder), lambda text: None)
    check_disjoint(*seen)
    used = {
        str(calibration_file(folder, task)): one.episode_identities
        for task, info in infos.items()
        if (one := own(folder, task, info.fingerprint, args.alpha))
    }
    testing.check_uncalibrated(seen[1], used, note)
    for one in parts:
        score_missing(one, args.scored, folder, infos, command_line('scripts/supervise'))
    known, tested = (read_cases(one.recordings, args.scored, infos) for one in parts)
    engine = next(iter(infos.values())).fingerprint
    watched, content = measure(known, tested, engine, args.alpha, folder)
    if not args.without_retries:
        with ProcessPoolExecutor(args.processes, spawn_context()) as pool:
            content['retry'] = worth(watched[BOTH], watched[CLOCK], args.scored / KNOWN, pool.map)
    write(args.out, watched, content)
    show(content)
    return 0


def selections(args: argparse.Namespace) -> tuple[SelectedRecordings, SelectedRecordings]:
    """Return the recordings for the calibration and for the test."""
    calibrating = select(
        [args.calibration_recordings], args.calibration_part, CALIBRATION, '--calibration-part',
        note,
    )  # fmt: skip
    return calibrating, select(args.recordings, args.part, TEST, note=note)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('scripts/supervise', description=__doc__.split('\n\n')[0])
    parser.add_argument(
        'recordings', type=Path, nargs='+', help='Test recordings: files or folders'
    )
    parser.add_argument('--calibration-recordings', type=Path, required=True,
                        help='Folder of recordings to calibrate the detectors on')  # fmt: skip
    divided = (
        'of a folder with split.json or subfolders of parts; all of others, if the engine names '
        'its training episodes'
    )
    parser.add_argument('--part', choices=CHOICES,
                        help=f'Part of each test folder; default: test {divided}')  # fmt: skip
    parser.add_argument(
        '--calibration-part', choices=CHOICES,
        help=f'Part of the calibration folder; default: calibration {divided}',
    )  # fmt: skip
    parser.add_argument('--engine', default='', help='Engine folder; default: the shipped engine')
    parser.add_argument(
        '--alpha',
        type=float,
        default=0.05,
        help='Share of successes that may raise an alarm (default: %(default)s)',
    )
    parser.add_argument('--scored', type=Path, required=True, help='Folder of the value tables')
    parser.add_argument(
        '--processes',
        type=int,
        default=2,
        help='Worker processes of the simulated retries (default: %(default)s)',
    )
    parser.add_argument('--without-retries', action='store_true',
                        help='Skip the simulation that measures the gain of retries')  # fmt: skip
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        help='JSON file of the results; the plot is written next to it',
    )
    return parser.parse_args(argv)


def engine_infos(folder: Path) -> dict[str, EngineInfo]:
    """Return the descriptions of an engine by task."""
    first = load(folder, next(iter(_tasks(folder)))).info
    return {task: load(folder, task).info for task in first.tasks}


def _tasks(folder: Path) -> list[str]:
    found = [path.stem.removeprefix('calibration_') for path in folder.glob('calibration_*.json')]
    if not found:
        raise CalibrationError(
            'supervision-calibration', f"{folder} has no calibration: run 'viva calibrate'"
        )
    return sorted(found)


def measure(
    known: Sequence[Case], tested: Sequence[Case], engine: str, alpha: float, folder: Path
) -> tuple[dict[str, list[Watched]], dict[str, Any]]:
    """Evaluate all detectors on all episodes; the first has the thresholds of the engine."""
    watched: dict[str, list[Watched]] = {}
    figures: dict[str, Any] = {}
    content: dict[str, Any] = {'engine': engine, 'alpha': alpha, 'episodes': len(tested)}
    for watcher in watchers():
        made: Mapping[str, Calibration] = thresholds(watcher, known, engine, alpha)
        if watcher.name == BOTH:
            made = {task: own(folder, task, engine, alpha) or one for task, one in made.items()}
            content['cost'] = cost(tested[:40], made)
        if watcher.name != CLOCK:
            announce(made, note, watcher.name)
        rows = [watch(watcher, case, made) for case in tested]
        watched[watcher.name], figures[watcher.name] = rows, measures(rows, made)
    return watched, {**content, 'watchers': figures}


def own(folder: Path, task: str, engine: str, alpha: float) -> Calibration | None:
    """Return the thresholds of the engine, if they have the same alpha."""
    found = calibration_of(folder, task, engine, RATE)
    return found if found is not None and found.alpha == alpha else None


def write(out: Path, watched: Mapping[str, Sequence[Watched]], content: Mapping[str, Any]) -> None:
    """Write the JSON file and the plot next to it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    about = {
        'format': 'viva_ros supervision 1', 'date': datetime.now(UTC).date().isoformat(),
        'command': command_line('scripts/supervise'), 'hardware': hardware(),
    }  # fmt: skip
    each = [
        {
            'name': one.case.path.stem, 'task': one.case.label.task,
            'mode': one.case.label.failure, 'group': one.case.group,
            'alarms': [[at, e.kind] for at, e in zip(one.times, one.alarms, strict=True)],
            'manifest': one.case.label.times.get('manifest'),
        }
        for one in watched[BOTH]
    ]  # fmt: skip
    write_atomically(out, json.dumps(plain({**about, **content, 'each': each}), indent=1))
    tables.draw(watched, content, out.with_suffix('.png'))


def show(content: Mapping[str, Any]) -> None:
    """Print the tables."""
    console = Terminal(width=None if sys.stdout.isatty() else WIDTH)
    console.print(tables.overview(content))
    console.print(tables.by_mode(content['watchers'][BOTH]))
    if 'retry' in content:
        console.print(tables.retries(content['retry']))
    took = content['cost']
    console.print(
        f'detector update: median {took["median_us"]:.0f} us, p95 {took["p95_us"]:.0f} us'
    )


if __name__ == '__main__':
    raise SystemExit(run(ConsoleProgram('scripts/supervise', resumes=True), main, is_process=True))
