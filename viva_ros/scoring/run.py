# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Score recordings: share them out to workers, and collect what came of each."""

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
from viva_ros.data.open import find, resolve
from viva_ros.scoring.jobs import FAILED, THERE, Order, ScoreJob, ScoreOutcome
from viva_ros.scoring.workers import Beside, Here, ScoreWorker, share_out

ROWS: Final = 40  # of the table; thousands would say nothing


def describe(outcome: ScoreOutcome, brief: bool) -> str:
    """
    Say what a row of the table cannot.

    :param brief: failures and losses alone
    """
    if outcome.state == FAILED:
        return f'{outcome.path.name}: {outcome.text}'
    lines = [] if brief or outcome.state == THERE else outcome.text.splitlines()
    lines += [f'damaged: {loss}' for loss in outcome.losses]
    return '\n'.join([f'{outcome.path.name}:', *(f'  {line}' for line in lines)]) if lines else ''


def table(outcomes: Sequence[ScoreOutcome]) -> Table:
    """Return a row a recording, the troubled first where there are many, and what it comes to."""
    counts = Counter('damaged' if one.losses else one.state for one in outcomes)
    title = ', '.join(f'{number} {state}' for state, number in sorted(counts.items()))
    shown = Table(title=f'{len(outcomes)} recordings: {title}', title_justify='left')
    for name in ('recording', 'state', 'task', 'episodes', 'values', 'unknown', 'V', 'alarms'):
        number = name in ('episodes', 'values', 'unknown', 'alarms')
        shown.add_column(name, justify='right' if number else 'left', no_wrap=True)
    rows = list(outcomes)
    if len(rows) > ROWS:
        rows = sorted(rows, key=_trouble)[:ROWS]
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


def _trouble(outcome: ScoreOutcome) -> tuple[bool, bool, int, int]:
    return outcome.state != FAILED, not outcome.losses, -outcome.unknown, -outcome.alarms


def _state(one: ScoreOutcome) -> str:
    return f'{one.state}, damaged' if one.losses else one.state


def _figures(one: ScoreOutcome) -> tuple[str, ...]:
    if one.state == FAILED:
        return ()
    span = f'{one.first:+.2f} to {one.last:+.2f}' if math.isfinite(one.first) else ''
    counts = (one.episodes, one.known, one.unknown)
    return one.task, *(str(count) for count in counts), span, str(one.alarms)


def plan(given: Sequence[Path], out: Path | None) -> list[ScoreJob]:
    """
    Return a job for each recording; folders keep their form below ``out``.

    :raises RecordingError: if there is nothing
    :raises ConfigurationError: if two recordings would be written to one place
    """
    jobs: dict[Path, ScoreJob] = {}
    for root in given:
        for path in dict.fromkeys(find([root])):
            job = _job(root.absolute(), path.absolute(), out and out.absolute())
            other = jobs.setdefault(job.values, job)
            if other.path != job.path:
                raise ConfigurationError(
                    f'{other.path} and {job.path} would both be written to {job.values}: give '
                    'their common folder, or another --out for one of them'
                )
    return list(jobs.values())


def _job(root: Path, path: Path, out: Path | None) -> ScoreJob:
    name = path.name if path.is_dir() else path.stem
    ref = resolve(path)
    if out is not None:
        below = path.parent.relative_to(root) if path.parent.is_relative_to(root) else Path()
        return ScoreJob(ref, out / below, name)
    beside = path.parent
    return ScoreJob(
        ref, beside.with_name(f'{beside.name}_scored') if ref.dataset else beside, name
    )


def run(
    jobs: Sequence[ScoreJob],
    order: Order,
    processes: int | None,
    ray: str | None,
    console: Console,
) -> list[ScoreOutcome]:
    """Score all, with a progress bar; what there is to say is said when it is known."""
    outcomes: list[ScoreOutcome] = []
    with _workers(order, min(processes or 0, len(jobs)) or None, ray) as workers, \
            new_bar('scoring', len(jobs)) as bar, \
            closing(share_out(jobs, workers)) as coming:  # fmt: skip
        for outcome in coming:
            outcomes.append(outcome)
            check_engine(outcomes)
            bar.advance(bar.task_ids[0])
            if text := describe(outcome, brief=len(jobs) > 20):
                console.print(text, highlight=False, markup=False)
    return sorted(outcomes, key=lambda one: one.path)


@contextmanager
def _workers(
    order: Order, processes: int | None, ray: str | None
) -> Iterator[Sequence[ScoreWorker]]:
    if ray is None:
        count = processes or 1
        yield [Here(order)] if count == 1 else [Beside(order) for _ in range(count)]
        return
    from viva_ros.scoring import ray_workers

    try:
        yield ray_workers.start(ray, order, processes)
    finally:
        ray_workers.stop()


def check_engine(outcomes: Sequence[ScoreOutcome]) -> None:
    """
    Refuse to go on where two machines have different engines in the same folder.

    :raises EngineError: naming both
    """
    new = outcomes[-1]
    for one in outcomes[:-1]:
        if new.task and one.task == new.task and one.engine != new.engine:
            raise EngineError(
                f'{new.host} has engine {new.engine}, {one.host} has {one.engine} for task '
                f'{new.task}: give all machines the same, then run the command again'
            )
