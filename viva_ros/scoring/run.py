# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Score recordings: distribute them to workers, and collect the outcomes."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from viva_ros.console.progress import new_bar
from viva_ros.core.errors import ConfigurationError, EngineError
from viva_ros.data.open import resolve
from viva_ros.data.recording import recording_name
from viva_ros.data.split import Note, select
from viva_ros.scoring.jobs import FAILED, UNCHANGED, ScoreJob, ScoreOptions, ScoreOutcome
from viva_ros.scoring.workers import ChildProcessWorker, InProcessWorker, ScoreWorker, share_out

ROWS: Final = 40  # of the table, at most


def describe(outcome: ScoreOutcome, brief: bool) -> str:
    """
    Return the text of an outcome that does not fit into a row of the table.

    :param brief: return failures, losses and reasons of an import only
    """
    if outcome.state == FAILED:
        return f'{outcome.path.name}: {outcome.text}'
    lines = [] if brief or outcome.state == UNCHANGED else outcome.text.splitlines()
    lines += [f'damaged: {loss}' for loss in outcome.losses]
    lines += [f'judged by moment; an import refuses it: {text}' for text in outcome.refused]
    return '\n'.join([f'{outcome.path.name}:', *(f'  {line}' for line in lines)]) if lines else ''


def table(outcomes: Sequence[ScoreOutcome]) -> Table:
    """Return the table: a row for each recording, at most ROWS with the worst first, and a sum."""
    counts = Counter('damaged' if one.losses else one.state for one in outcomes)
    title = ', '.join(f'{number} {state}' for state, number in sorted(counts.items()))
    shown = Table(title=f'{len(outcomes)} recordings: {title}', title_justify='left')
    for name in ('recording', 'state', 'task', 'episodes', 'values', 'unknown', 'V', 'alarms'):
        number = name in ('episodes', 'values', 'unknown', 'alarms')
        shown.add_column(name, justify='right' if number else 'left', no_wrap=True)
    rows = list(outcomes)
    if len(rows) > ROWS:
        rows = sorted(rows, key=_severity)[:ROWS]
    for one in rows:
        shown.add_row(one.path.name, _state(one), *_figures(one))
    if len(outcomes) > ROWS:
        shown.add_row(f'... {len(outcomes) - ROWS} more')
    shown.add_section()
    whole = ScoreOutcome(
        outcomes[0].path, '', engine='', task='', **{
            name: sum(getattr(one, name) for one in outcomes)
            for name in ('episodes', 'known', 'unknown', 'alarms')
        },
    )  # fmt: skip
    shown.add_row('all', '', *_figures(whole))
    return shown


def _severity(outcome: ScoreOutcome) -> tuple[bool, bool, int, int]:
    return outcome.state != FAILED, not outcome.losses, -outcome.unknown, -outcome.alarms


def _state(one: ScoreOutcome) -> str:
    return f'{one.state}, damaged' if one.losses else one.state


def _figures(one: ScoreOutcome) -> tuple[str, ...]:
    if one.state == FAILED:
        return ()
    span = f'{one.first:+.2f} to {one.last:+.2f}' if math.isfinite(one.first) else ''
    counts = (one.episodes, one.known, one.unknown)
    return one.task, *(str(count) for count in counts), span, str(one.alarms)


def plan(
    paths: Sequence[Path], out: Path | None, part: str | None = None,
    note: Note = lambda text: None,
) -> list[ScoreJob]:  # fmt: skip
    """
    Return a job for each recording; subfolders are kept below ``out``.

    :param paths: recordings, or folders of recordings
    :param out: folder of the tables; None for the folder of each recording
    :param part: of each folder, see ``data.split``; None for all recordings
    :param note: called with a sentence for each folder of which a part is selected
    :raises RecordingError: if no recording is found
    :raises ConfigurationError: if the tables of two recordings have the same path
    """
    jobs: dict[Path, ScoreJob] = {}
    for root in paths:
        for path in dict.fromkeys(select([root], part, note=note).recordings):
            job = _job(root.absolute(), path.absolute(), out and out.absolute())
            other = jobs.setdefault(job.values, job)
            if other.path != job.path:
                raise ConfigurationError(
                    'tables-same-path',
                    f'{other.path} and {job.path} would both be written to {job.values}: give '
                    'their common folder, or another --out for one of the two',
                )
    return list(jobs.values())


def _job(root: Path, path: Path, out: Path | None) -> ScoreJob:
    name = recording_name(path)
    ref = resolve(path)
    if out is not None:
        below = path.parent.relative_to(root) if path.parent.is_relative_to(root) else Path()
        return ScoreJob(ref, out / below, name)
    folder = path.parent
    return ScoreJob(
        ref, folder.with_name(f'{folder.name}_scored') if ref.dataset else folder, name
    )


def run(
    jobs: Sequence[ScoreJob],
    options: ScoreOptions,
    processes: int | None,
    ray: str | None,
    console: Console,
) -> list[ScoreOutcome]:
    """
    Run all jobs with a progress bar; print the text of each outcome when the job ends.

    :param processes: number of worker processes; None for this process, or for all CPUs with Ray
    :param ray: address of a Ray cluster; None for this machine
    """
    outcomes: list[ScoreOutcome] = []
    with _workers(options, min(processes or 0, len(jobs)) or None, ray) as workers, \
            new_bar('scoring', len(jobs)) as bar, \
            closing(share_out(jobs, workers)) as results:  # fmt: skip
        for outcome in results:
            for text in set(outcome.warnings).difference(*(one.warnings for one in outcomes)):
                console.print(f'warning: {text}', highlight=False, markup=False, soft_wrap=True)
            outcomes.append(outcome)
            check_engine(outcomes)
            bar.advance(bar.task_ids[0])
            if text := describe(outcome, brief=len(jobs) > 20):
                console.print(text, highlight=False, markup=False)
    return sorted(outcomes, key=lambda one: one.path)


@contextmanager
def _workers(
    options: ScoreOptions, processes: int | None, ray: str | None
) -> Iterator[Sequence[ScoreWorker]]:
    if ray is None:
        count = processes or 1
        yield (
            [InProcessWorker(options)]
            if count == 1
            else [ChildProcessWorker(options) for _ in range(count)]
        )
        return
    from viva_ros.scoring import ray_workers

    try:
        yield ray_workers.start(ray, options, processes)
    finally:
        ray_workers.stop()


def check_engine(outcomes: Sequence[ScoreOutcome]) -> None:
    """
    Check that all machines scored a task with the same engine.

    :raises EngineError: naming both machines and engines
    """
    new = outcomes[-1]
    for one in outcomes[:-1]:
        if new.task and one.task == new.task and one.engine != new.engine:
            raise EngineError(
                'engine-differs-by-host',
                f'{new.host} has engine {new.engine}, {one.host} has {one.engine} for task '
                f'{new.task}: copy the same engine to all machines, then run the command again',
            )
