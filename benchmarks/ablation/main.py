# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare ViVa with its baselines and ablations: same recordings, budget and evaluation.

Decode, train the shared VAE and the video stage once, then train each contender for the same
number of steps, two at a time. Calibrate each and evaluate it on the test recordings. A stopped
run continues when the same command runs again; contenders can be added later.
"""

import argparse
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import torch
from rich.console import Console

from benchmarks.ablation import table, values
from benchmarks.ablation.budget import PARTS, Budget
from benchmarks.ablation.entries import (
    ENTRIES,
    FACTORS,
    REFERENCES,
    TIME,
    VIVA,
    Entry,
    chosen,
    entry_of,
    key_of,
)
from benchmarks.ablation.measure import (
    Measured,
    current,
    estimate_all,
    examine,
    latencies,
    missing,
    step_times,
    wanted,
)
from benchmarks.ablation.packs import check_parts, check_tasks, identities_in, pack_part
from benchmarks.ablation.pooling import Pool, Trainings
from benchmarks.ablation.train import (
    encode_copy,
    folder_of,
    gather,
    learn_frames,
    learn_motion,
    step_of,
    train,
)
from viva_ros.console import program
from viva_ros.console.process_pool import processes as worker_processes
from viva_ros.console.process_pool import uninterrupted
from viva_ros.console.progress import new_bar
from viva_ros.console.terminal import Terminal
from viva_ros.core.errors import ConfigurationError
from viva_ros.data.split import TRAIN
from viva_ros.evaluation.results import Result
from viva_ros.evaluation.summary import measures
from viva_ros.model.config import PRESETS
from viva_ros.sim.tasks.registry import camera_only
from viva_ros.training import checkpointing

POLL: Final = 2.0  # s
COMPARE: Final = program.ConsoleProgram('scripts/compare', resumes=True)


@dataclass(frozen=True)
class Job:
    """
    One job.

    :param steps: number of its steps
    :param done: returns the number of finished steps
    """

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    steps: int = 1
    done: Callable[[], int] = lambda: 0


def run(what: str, jobs: Sequence[Job], processes: int) -> dict[str, Any]:
    """
    Run all jobs and return their results by name. An error or Ctrl-C ends all of them.

    :param what: title of the progress bar
    :param processes: number of worker processes; 1: this process
    """
    if processes == 1:
        return {job.name: job.work(*job.arguments) for job in jobs}
    os.environ['OMP_NUM_THREADS'] = '1'
    console = Terminal(stderr=True)
    with worker_processes(processes, one_thread) as pool:
        with uninterrupted():
            running = {pool.submit(job.work, *job.arguments): job for job in jobs}
        return _follow(what, running, console)


def one_thread() -> None:
    """Limit torch to one thread, so that two processes do not compete."""
    import torch

    torch.set_num_threads(1)


def _follow(what: str, running: Mapping[Future[Any], Job], console: Console) -> dict[str, Any]:
    found: dict[str, Any] = {}
    total = sum(job.steps for job in running.values())
    waiting = set(running)
    with new_bar(what, total) as progress:
        while waiting:
            over, waiting = wait(waiting, POLL, FIRST_COMPLETED)
            for future in over:
                found[running[future].name] = future.result()
                left = f'{len(waiting)} left' if waiting else 'all done'
                console.print(f'{what}: {running[future].name} done, {left}', highlight=False)
            done = sum(job.steps for job in running.values() if job.name in found)
            done += sum(min(running[future].done(), running[future].steps) for future in waiting)
            progress.update(progress.task_ids[0], completed=done)
    return {job.name: found[job.name] for job in running.values()}


#: Options with a whole number: name, default, help.
NUMBERS: Final = (
    ('seed', 0, 'Seed of all random draws'),
    ('steps', 1500, 'Training steps of ViVa'),
    ('batch', 32, 'Samples of each step'),
    ('vae-steps', 1600, 'Training steps of the VAE'),
    ('video-steps', 1500, 'Training steps of the video stage'),
    ('copies', 2, 'Augmented copies of all views, in addition to the recorded views'),
    ('repeats', 1, 'Seeds of the contenders that are trained several times'),
    ('limit', 0, 'Largest number of recordings of each part and task; 0: all'),
    ('processes', 2, 'Worker processes, one thread each'),
)
SMOKE: Final = {
    'preset': 'tiny', 'steps': 4, 'batch': 4, 'vae_steps': 4, 'video_steps': 2, 'copies': 1,
    'alpha': 0.5, 'limit': 8,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    names = ('preset', 'seed', 'steps', 'batch', 'vae_steps', 'video_steps', 'copies', 'alpha')
    more = ('processes', 'limit', 'repeats', 'rate', 'test')
    given = {name: getattr(args, name) for name in (*names, *more)}
    for name in ('steps', 'batch', 'vae_steps', 'video_steps', 'processes', 'repeats'):
        if given[name] < 1:
            raise ConfigurationError(
                'compare-option', f'{name} is {given[name]}, must be at least 1'
            )
    for name in ('copies', 'limit', 'rate'):
        if not 0.0 <= given[name] < float('inf'):
            raise ConfigurationError(
                'compare-option', f'{name} is {given[name]}, must be at least 0'
            )
    if not 0.0 < args.alpha < 1.0:
        raise ConfigurationError(
            'compare-option', f'alpha is {args.alpha}, must be above 0 and below 1'
        )
    given['values'] = args.values
    budget = Budget(args.recordings, args.out, args.cache or args.out / 'cache', **given)
    if args.smoke:
        budget = replace(budget, **SMOKE)
    entries = chosen(args.contenders.split(',') if args.contenders else ())
    compare(budget, entries, args.report)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('scripts/compare', description=__doc__)
    parser.add_argument(
        '--recordings', type=Path, default=Path('recordings'),
        help='Folder with the subfolders train, calibration and test (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, default=Path('runs/compare'),
        help='Folder of the runs (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--report', type=Path, default=Path('benchmarks/results/compare'),
        help='Path of the results without suffix: JSON, Markdown, plot (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--cache', type=Path, help='Folder of decoded data; default: OUT/cache')
    parser.add_argument(
        '--values', type=Path,
        help='Folder of the estimates: a training whose estimates are there is not repeated; '
        'default: OUT/values',
    )  # fmt: skip
    known = ', '.join(entry.name for entry in ENTRIES)
    parser.add_argument(
        '--contenders', default='', help=f'Some of {known}, separated by commas; default: all'
    )
    parser.add_argument(
        '--preset', default='small', choices=sorted(PRESETS),
        help='Size of the model (default: %(default)s)',
    )  # fmt: skip
    for name, default, text in NUMBERS:
        parser.add_argument(
            f'--{name}', type=int, default=default, help=f'{text} (default: %(default)s)'
        )
    parser.add_argument(
        '--alpha', type=float, default=0.05,
        help='Share of successes that may raise an alarm (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--rate', type=float, default=0.0,
        help='Learning rate of all contenders, to tune it; default: that of each',
    )  # fmt: skip
    parser.add_argument(
        '--test', default='test',
        help='Subfolder of the recordings that are evaluated (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--smoke', action='store_true',
        help='Short test with a tiny model and few recordings; the figures mean nothing',
    )  # fmt: skip
    return parser.parse_args(argv)


def compare(budget: Budget, entries: Sequence[Entry], report: Path) -> None:
    """
    Run all stages that are not finished, and write the report.

    :raises RecordingError: if recordings are missing or cannot be read
    :raises ConfigurationError: if the folder was started with another budget or other data, or
        estimates are of another budget
    :raises CalibrationError: if training, calibration and test have an episode in common
    """
    for part in (TRAIN, *PARTS):
        budget.paths(part)  # refused now if there are none, not after the training
    budget.keep()
    cv2.setNumThreads(1)
    torch.set_num_threads(budget.processes)
    data, _ = gather(budget)
    learnt = checkpointing.identities(data)[TRAIN]
    budget.keep(moments=data.digest, episodes=values.digest(learnt))
    keys = [
        key_of(entry, repeat) for entry in entries
        for repeat in range(budget.repeats if entry.repeats else 1)
    ]  # fmt: skip
    for key in keys:
        current(budget, key)  # refused now if they are of another plan
    go = partial(run, processes=budget.processes)
    seen = go('identities', [Job(part, identities_in, (budget, part)) for part in PARTS])
    check_parts(seen, learnt)
    learn_frames(budget)
    go('shared', _shared(budget))
    check_tasks(budget)
    of = wanted(budget)
    left = [key for key in keys if missing(budget, key, of)]
    go('training', [_training(budget, key) for key in left])
    go('estimating', [Job(key, estimate_all, (budget, key)) for key in left])
    found = go('evaluating', [Job(key, examine, (budget, key)) for key in (*keys, TIME)])
    rows, effects = joined(found)
    names = [entry.name for entry in entries]
    add_costs(rows, latencies(budget, names), step_times(budget, names))
    tested = next(iter(found.values())).results
    table.write(rows, effects, budget.settings(), report, tested)
    print(table.markdown(rows, effects))


def joined(
    found: Mapping[str, Measured],
) -> tuple[dict[str, dict[str, Any]], dict[str, table.Rows]]:
    """
    Join the trainings of each contender.

    :param found: by key of the training
    :returns: the row of each contender, whose figures are means over its seeds; and the effect of
        each factor of the grid over all tasks ('') and for each, empty without the whole grid
    """
    by_name: dict[str, list[Measured]] = {}
    for key, one in found.items():
        by_name.setdefault(key.partition('.')[0], []).append(one)
    rows = {name: trainings[0].figures for name, trainings in by_name.items()}
    everything = _pool(by_name)
    for name, row in rows.items():
        row['repeats'] = len(by_name[name])
        row['all'] |= everything.figures(name)
        row['differences'] = {
            other: everything.contrast([name], [other]) for other in REFERENCES if other in rows
        }
    pools = {'': everything}
    for task in next(iter(rows.values()))['tasks']:
        pools[task] = _pool(by_name, task)
        for name, row in rows.items():
            row['tasks'][task] |= pools[task].figures(name)
    effects = {task: _effects(pool, rows) for task, pool in pools.items()}
    return rows, {task: found for task, found in effects.items() if found}


def _pool(found: Mapping[str, Sequence[Measured]], task: str = '') -> Pool:
    """Join the figures of all contenders, of one task or of all."""
    return Pool({
        name: Trainings([_measures(one.results, task) for one in trainings], name != TIME)
        for name, trainings in found.items()
    })  # fmt: skip


def _measures(results: Sequence[Result], task: str = '') -> dict[str, Any]:
    return measures([one for one in results if not task or one.task == task], camera_only())


def _effects(pool: Pool, names: Collection[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the mean difference of the contenders with and without each factor of the grid."""
    grid = {entry.name: entry.grid for entry in ENTRIES if entry.grid is not None}
    if not set(grid) <= set(names):
        return {}
    return {
        factor: pool.contrast(
            [name for name, cell in grid.items() if cell[place]],
            [name for name, cell in grid.items() if not cell[place]],
        )
        for place, (factor, _) in enumerate(FACTORS)
    }


def _shared(budget: Budget) -> list[Job]:
    """Return the jobs of the shared stage: video, latent copies and packs."""
    jobs = [Job('video', learn_motion, (budget,))]
    jobs += [Job(f'copy {n}', encode_copy, (budget, n)) for n in range(1, budget.copies + 1)]
    return jobs + [Job(part, pack_part, (budget, part, 0, 1)) for part in PARTS]


def _training(budget: Budget, key: str) -> Job:
    steps = budget.schedule(entry_of(key)[0]).steps
    return Job(key, train, (budget, key), steps, partial(step_of, folder_of(budget, key)))


def add_costs(
    rows: dict[str, dict[str, Any]], latency: dict[str, float], step: dict[str, float]
) -> None:
    """Add the times of an estimate and of training, s, and the ratio of the first to ViVa's."""
    for name, spent in latency.items():
        rows[name]['latency'] = spent
        rows[name]['training'] = step[name] * rows[name]['steps']
        if VIVA in latency:
            rows[name]['ratio'] = spent / latency[VIVA]


if __name__ == '__main__':
    raise SystemExit(program.run(COMPARE, main, is_process=True))
