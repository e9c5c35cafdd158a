# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluate engines on test recordings."""

import argparse
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from viva_ros.console.arguments import add_options, read_options
from viva_ros.console.progress import note
from viva_ros.console.provenance import made_by
from viva_ros.console.terminal import Terminal
from viva_ros.core.detection.thresholds import Calibration, announce, calibration_file
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.files import write_atomically
from viva_ros.data.split import CALIBRATION, TEST, SelectedRecordings, check_disjoint, select
from viva_ros.engine.manifest import read_calibration, trained_episodes
from viva_ros.engine.resources import DEFAULT_TASK, engine_folder
from viva_ros.evaluation import tables
from viva_ros.evaluation.from_scores import (
    calibrations_of,
    check_alphas,
    check_tables,
    engine_of,
    read_tables,
    results_of,
)
from viva_ros.evaluation.perturbations import measure_checks
from viva_ros.evaluation.plots import draw, draw_surrogates
from viva_ros.evaluation.results import Result
from viva_ros.evaluation.run import (
    PROPRIO,
    VIVA,
    EvaluationConfig,
    load_contenders,
    mean_duration,
    read_identities,
    read_tests,
    run,
    tasks_of,
)
from viva_ros.evaluation.summary import by_task, of_all
from viva_ros.evaluation.surrogates import SurrogateResult, figures, measure_surrogates
from viva_ros.scoring.scorer import RATE
from viva_ros.sim.tasks import registry

__all__ = ['camera_only', 'main', 'mean_duration']

DESCRIPTION: Final = (
    'Evaluate an engine on test recordings and compare it with a proprioception-only model (with '
    '--proprio), a time counter and further engines. Engines without a calibration are calibrated '
    'on the same recordings; alarms come from the detector that runs on the robot. With --scores '
    "the values come from the tables of 'viva score'."
)
WIDTH = 120  # of the tables in a file
ALL = 'all tasks'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 if a recording could not be read."""
    config = parse(argv)
    if config.report:
        from viva_ros.evaluation import html_report  # noqa: F401 (fail early without libraries)
    evaluation = of_scores(config) if config.scores else of_engines(config)
    results, checks, changed = evaluation.results, evaluation.checks, evaluation.surrogates
    surrogates = figures(changed) if changed else {}
    measured, parts = of_all(results, camera_only()), by_task(results, camera_only())
    left_out = [str(path) for path in evaluation.left_out]
    content = tables.content(
        measured, parts, checks, surrogates, results, evaluation.engine, left_out
    )
    config.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(config.out, content)
    text = tables.markdown({ALL: measured, **parts}, checks, surrogates)
    head = '\n\n'.join(
        [made_by('evaluate', '`'), *map(tables.escaped, tables.left_out_note(left_out))]
    )
    write_atomically(config.out.with_suffix('.md'), f'{head}\n\n{text}')
    draw(results, camera_only(), config.out.with_suffix('.png'))
    if changed:
        draw_surrogates(changed, config.out.with_name(f'{config.out.stem}_surrogates.png'))
    if config.report:
        write_report(config.report, {ALL: measured, **parts}, surrogates, evaluation)
    tables.show(
        measured, checks, surrogates, Terminal(width=None if sys.stdout.isatty() else WIDTH)
    )
    for text in tables.left_out_note(left_out):
        note(f'FAILED: {text}')
    return 2 if left_out else 0


@dataclass(frozen=True)
class Evaluation:
    """
    Results of all contenders on the test recordings, the evaluated engine first.

    :param paths: of the recordings, in the order of the results
    :param engine: description of the first engine
    :param checks: figures under perturbed inputs, by check; empty without checks
    :param calibrations: of the first engine, by task
    :param surrogates: results of all contenders on surrogate failures; empty without them
    :param left_out: recordings that could not be read
    """

    results: dict[str, list[Result]]
    paths: list[Path]
    engine: dict[str, Any]
    checks: Mapping[str, Any]
    calibrations: Mapping[str, Calibration]
    surrogates: Mapping[str, Sequence[SurrogateResult]] = field(default_factory=dict)
    left_out: Sequence[Path] = ()


def of_engines(config: EvaluationConfig) -> Evaluation:
    """Run engines and the time counter on the recordings."""
    assert config.calibration_recordings is not None  # checked by the configuration
    named = engines(config)
    tests = test_recordings(config)
    calibrating = select(
        [config.calibration_recordings], config.calibration_part, CALIBRATION,
        '--calibration-part', note,
    )  # fmt: skip
    seen = read_tests(tests.recordings)
    testing = {path: one.identities for path, one in seen.items()}
    known = read_identities(calibrating.recordings)
    for folder in named.values():
        trained = trained_episodes(folder)
        tests.check_untrained(testing, trained, str(folder), note)
        calibrating.check_untrained(known, trained, str(folder), ignore)  # a warning is printed
    check_disjoint(known, testing)
    tasks = tasks_of(seen, next(iter(named.values())))
    if config.task:
        tasks = {path: task for path, task in tasks.items() if task == config.task}
    others = seen.keys() - tasks.keys()  # of other tasks
    tests.check_uncalibrated(testing, used_by(named.values(), sorted(set(tasks.values()))), note)
    rate = config.rate or RATE
    contenders = load_contenders(
        named, sorted(set(tasks.values())), config.alpha, calibrating, rate
    )
    for one in contenders:
        if one.name in named:
            announce(one.calibrations, note, one.name)
    (results, paths), first = run(contenders, tasks, rate), contenders[0]
    tasks = {path: tasks[path] for path in paths}
    checks = measure_checks(first, tasks, config.checks, rate) if config.checks else {}
    count = config.surrogates
    changed = measure_surrogates(contenders, tasks, count, rate) if count else {}
    info = next(iter(first.engines.values()))().info
    wanted = [path for path in dict.fromkeys(tests.recordings) if path not in others]
    left_out = [path for path in wanted if path not in tasks]
    return Evaluation(results, paths, asdict(info), checks, first.calibrations, changed, left_out)


def ignore(text: str) -> None:
    """Do not print a warning."""


def used_by(
    folders: Iterable[Path], tasks: Sequence[str]
) -> dict[str, Collection[str] | None]:  # fmt: skip
    """Return the identities of the episodes of the calibrations that engines have, by file."""
    files = [calibration_file(folder, task) for folder in folders for task in tasks]
    return {
        str(file): read_calibration(file).episode_identities for file in files if file.exists()
    }


def of_scores(config: EvaluationConfig) -> Evaluation:
    """Read the values from the tables of 'viva score'."""
    folders = by_name(config.scores)
    scored = {name: read_tables(Path(folder), config.task) for name, folder in folders.items()}
    check_alphas([table for tables in scored.values() for table in tables.values()])
    tests = test_recordings(config)
    for name, folder in folders.items():
        check_tables(tests, scored[name], folder, note)
    results, paths, left_out = results_of(scored, tests.recordings, config.task)
    calibrations = {name: calibrations_of(rows) for name, rows in scored.items()}
    for name, found in calibrations.items():
        announce(found, note, name)
    first = next(iter(scored))
    return Evaluation(
        results, paths, engine_of(scored[first]), {}, calibrations[first], left_out=left_out
    )


def test_recordings(config: EvaluationConfig) -> SelectedRecordings:
    """Return the test recordings of the command line."""
    return select(config.recordings, config.part, TEST, note=note, task_option='--task')


def parse(argv: Sequence[str] | None) -> EvaluationConfig:
    """
    Read the command line.

    :raises ConfigurationError: if a value or a combination is not allowed
    """
    parser = argparse.ArgumentParser('viva evaluate', description=DESCRIPTION)
    folders = {'action': 'append', 'nargs': None, 'metavar': '[NAME=]FOLDER'}
    count = {'metavar': 'N'}
    add_options(
        parser, EvaluationConfig, flags={'recordings': 'recordings'},
        keywords={
            'engine': folders, 'scores': folders, 'checks': count, 'surrogates': count,
        },
    )  # fmt: skip
    return EvaluationConfig(**read_options(parser.parse_args(argv), EvaluationConfig))


def write_report(
    out: Path, scopes: Mapping[str, Any], surrogates: Mapping[str, Any], evaluation: Evaluation
) -> None:
    """Write the report page of the first engine."""
    from viva_ros.evaluation.html_report import page  # needs the extra 'report'

    rows = next(iter(evaluation.results.values()))
    paths = {(one.task, one.name): path for one, path in zip(rows, evaluation.paths, strict=True)}
    title = f'viva_ros: engine {evaluation.engine["fingerprint"]} on {len(rows)} test episodes'
    about = (
        f'{made_by("evaluate")} {tables.hardware()}. The value rises towards '
        'success and starts at the base rate of its training data. Advisory, not a safety '
        'function.'
    )
    about = ' '.join([about, *tables.left_out_note([str(path) for path in evaluation.left_out])])
    out.parent.mkdir(parents=True, exist_ok=True)
    content = page(
        title, about, scopes, evaluation.checks, surrogates, rows, paths, evaluation.calibrations
    )
    write_atomically(out, content)


def engines(config: EvaluationConfig) -> dict[str, Path]:
    """
    Return the folders of the engines by name, the evaluated engine first.

    :raises ConfigurationError: if two have the same name
    """
    task = config.task or DEFAULT_TASK
    folders = by_name(config.engine or [''])
    named = {name: engine_folder(folder, task) for name, folder in folders.items()}
    if config.proprio:
        named[PROPRIO] = config.proprio
    return named


def by_name(texts: Sequence[str]) -> dict[str, str]:
    """
    Return folders by name, from texts such as NAME=FOLDER or FOLDER.

    :raises ConfigurationError: if two have the same name
    """
    named: dict[str, str] = {}
    for number, text in enumerate(texts):
        name, _, folder = text.rpartition('=')
        name = name or (VIVA if number == 0 else Path(folder).name)
        if name in named:
            raise ConfigurationError(
                'evaluate-name-twice', f'two folders have the name {name!r}: use NAME=FOLDER'
            )
        named[name] = folder
    return named


def camera_only() -> frozenset[str]:
    """Return the injected failures that only cameras can detect; none without the simulator."""
    return registry.camera_only() if find_spec('mujoco') is not None else frozenset()
