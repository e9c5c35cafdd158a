# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva evaluate`: measure an engine on test recordings, beside what knows less.

Beside it stand a model that feels only the joints, and a clock; other engines may be named. All
are calibrated by the same code on the same recordings, and judged by the judge that runs live.
With --scores the values come from the tables of `viva score`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from viva_ros.core.detection.thresholds import Calibration
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.files import write_atomically
from viva_ros.data.open import find
from viva_ros.engine.resources import DEFAULT_TASK, engine_folder
from viva_ros.evaluation import tables as report
from viva_ros.evaluation.from_scores import calibrations_of, engine_of, read_tables, results_of
from viva_ros.evaluation.html_report import page
from viva_ros.evaluation.perturbations import measure_checks
from viva_ros.evaluation.plots import draw
from viva_ros.evaluation.results import Result
from viva_ros.evaluation.run import PROPRIO, VIVA, check_apart, enter, mean_duration, run, tasks_of
from viva_ros.evaluation.summary import by_task, of_all
from viva_ros.evaluation.tables import markdown

__all__ = ['camera_only', 'main', 'mean_duration']

WIDTH = 120  # of the tables in a file
ALL = 'all tasks'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    judged = of_scores(args.scores, args) if args.scores else of_engines(args)
    results, checks = judged.results, judged.checks
    measured, parts = of_all(results, camera_only()), by_task(results, camera_only())
    content = report.content(measured, parts, checks, results, judged.engine)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.out, content)
    write_atomically(args.out.with_suffix('.md'), markdown({ALL: measured, **parts}, checks))
    draw(results, camera_only(), args.out.with_suffix('.png'))
    if args.report:
        write_report(args.report, {ALL: measured, **parts}, judged)
    report.show(measured, checks, Console(width=None if sys.stdout.isatty() else WIDTH))
    return 0


@dataclass(frozen=True)
class Judged:
    """
    What was judged, of everyone who is measured; the first is the one that matters.

    :param paths: of the recordings, in the order of the results
    :param engine: what is known of the first one's
    :param calibrations: of the first one, by task
    """

    results: dict[str, list[Result]]
    paths: list[Path]
    engine: dict[str, Any]
    checks: Mapping[str, Any]
    calibrations: Mapping[str, Calibration]


def of_engines(args: argparse.Namespace) -> Judged:
    """Show the recordings to engines, and to a clock."""
    named = engines(args)
    calibrating, testing = find([args.calibration_recordings]), find(args.recordings)
    check_apart(calibrating, testing)
    tasks = tasks_of(testing, next(iter(named.values())))
    if args.task:
        tasks = {path: task for path, task in tasks.items() if task == args.task}
    contenders = enter(named, sorted(set(tasks.values())), args.alpha, calibrating)
    results, first = run(contenders, tasks), contenders[0]
    checks = measure_checks(first, tasks, args.checks) if args.checks else {}
    info = next(iter(first.engines.values()))().info
    return Judged(results, list(tasks), asdict(info), checks, first.calibrations)


def of_scores(given: Sequence[str], args: argparse.Namespace) -> Judged:
    """Take the values from tables."""
    tables = {
        name: read_tables(Path(folder), args.task) for name, folder in by_name(given).items()
    }
    results, paths = results_of(tables, find(args.recordings), args.task)
    first = next(iter(tables.values()))
    return Judged(results, paths, engine_of(first), {}, calibrations_of(first))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva evaluate', description=__doc__)
    parser.add_argument('recordings', type=Path, nargs='+', help='test recordings or folders')
    parser.add_argument(
        '--engine', action='append', default=[], metavar='[NAME=]FOLDER',
        help='the one that is measured, then others to compare with; default: the shipped one',
    )  # fmt: skip
    parser.add_argument('--proprio', type=Path, help='folder of the proprioception-only engine')
    parser.add_argument('--task', default='', help='default: all that the engine knows')
    parser.add_argument('--calibration-recordings', type=Path, help='to calibrate the others on')
    parser.add_argument(
        '--scores', action='append', default=[], metavar='[NAME=]FOLDER',
        help="take the values from tables of 'viva score' instead: no engine, no picture",
    )  # fmt: skip
    parser.add_argument('--alpha', type=float, default=0.1, help='share that may alarm')
    parser.add_argument(
        '--checks', type=int, default=0, metavar='N',
        help='also try what no good value may do, on N recordings of each task and outcome',
    )  # fmt: skip
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        help='JSON file; the tables in Markdown and the plot lie beside',
    )
    parser.add_argument('--report', type=Path, help='also write a page for a browser')
    args = parser.parse_args(argv)
    others = (args.engine, args.proprio, args.checks, args.calibration_recordings)
    if args.scores and any(others):
        parser.error(
            '--scores takes values and alarms as they are: leave out --engine, --proprio, '
            '--checks and --calibration-recordings'
        )
    if not args.scores and args.calibration_recordings is None:
        parser.error('--calibration-recordings is missing')
    return args


def write_report(out: Path, scopes: Mapping[str, Any], judged: Judged) -> None:
    """Write the page, of the engine that was named first."""
    rows = next(iter(judged.results.values()))
    places = {(one.task, one.name): path for one, path in zip(rows, judged.paths, strict=True)}
    title = f'viva_ros: engine {judged.engine["fingerprint"]} on {len(rows)} test episodes'
    about = (
        f'{datetime.now(UTC).date().isoformat()}, {report.hardware()}. The value rises '
        'towards success and starts at the base rate of its training data. Advisory, not a '
        'safety function.'
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    content = page(title, about, scopes, judged.checks, rows, places, judged.calibrations)
    write_atomically(out, content)


def engines(args: argparse.Namespace) -> dict[str, Path]:
    """
    Give the folders of the engines by name, the measured one first.

    :raises ConfigurationError: if two have the same name
    """
    task = args.task or DEFAULT_TASK
    folders = by_name(args.engine or [''])
    named = {name: engine_folder(folder, task) for name, folder in folders.items()}
    if args.proprio:
        named[PROPRIO] = args.proprio
    return named


def by_name(given: Sequence[str]) -> dict[str, str]:
    """
    Give folders by name, of texts such as NAME=FOLDER or FOLDER.

    :raises ConfigurationError: if two have the same name
    """
    named: dict[str, str] = {}
    for number, text in enumerate(given):
        name, _, folder = text.rpartition('=')
        name = name or (VIVA if number == 0 else Path(folder).name)
        if name in named:
            raise ConfigurationError(f'two are called {name!r}: use NAME=FOLDER')
        named[name] = folder
    return named


def camera_only() -> frozenset[str]:
    """Give the injected failures that only a camera can see; none without the simulation."""
    try:
        from viva_ros.sim.tasks.registry import CAMERA_ONLY
    except ImportError:
        return frozenset()
    return frozenset(CAMERA_ONLY)
