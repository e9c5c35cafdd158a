# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation, as a table for a person and as JSON for the record."""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from viva_ros.evaluation.results import Result
from viva_ros.offline.command import command_line
from viva_ros.offline.evaluation_tables import CHECKS, FIGURES, interval_text, number_text
from viva_ros.offline.figures import IN_TIME
from viva_ros.offline.hardware import processor

Figures = Mapping[str, Any]


def content(
    measured: Mapping[str, Figures], tasks: Mapping[str, Mapping[str, Figures]],
    checks: Mapping[str, Figures], results: Mapping[str, Sequence[Result]], engine: Figures,
) -> str:  # fmt: skip
    """
    Give the text of the result file; NaN becomes null.

    :param measured: figures over all tasks, by contender
    :param tasks: the same of each task
    :param engine: what is known of the one that is measured
    """
    everything = {
        'format': 'viva_ros evaluation 1',
        'date': datetime.now(UTC).date().isoformat(),
        'command': command_line('evaluate'),
        'hardware': hardware(),
        'engine': engine,
        'figures': measured,
        'tasks': tasks,
        'checks': checks,
        'episodes': {name: [_episode(one) for one in rows] for name, rows in results.items()},
    }
    return json.dumps(plain(everything), indent=1, allow_nan=False) + '\n'


def _episode(one: Result) -> dict[str, Any]:
    return {
        'name': one.name, 'task': one.task, 'mode': one.mode, 'group': one.group,
        'success': one.success, 'duration': one.duration, 'final': one.final,
        'spearman': one.order, 'true_order': one.true_order,
        'alarms': one.alarms, 'manifest': one.manifest,
    }  # fmt: skip


def hardware() -> str:
    """Name the processor and how many cores of it can be used."""
    cores = len(os.sched_getaffinity(0))
    return f'{processor()}, {cores} cores, Python {platform.python_version()}'


def plain(value: Any) -> Any:
    """Make content JSON: NaN becomes null, other numbers are rounded to six digits."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def show(measured: Mapping[str, Figures], checks: Mapping[str, Figures], console: Console) -> None:
    """Print the tables."""
    console.print(overview(measured))
    console.print(by_mode(measured))
    console.print(apart(measured))
    if checks:
        console.print(fooled(checks))


def fooled(checks: Mapping[str, Figures]) -> Table:
    """One row a check; what a good value does stands below."""
    table = Table(title='What the value does when it is shown something else')
    table.add_column('shown')
    for title, _ in CHECKS:
        table.add_column(title, justify='right')
    for name, row in checks.items():
        cells = (interval_text(row[key]) for _, key in CHECKS)
        table.add_row(name, *cells)
    told = [f'{name}: a good value {row["good"]}' for name, row in checks.items()]
    table.caption = '\n'.join(told[1:])  # the first is the recording as it was
    return table


def overview(measured: Mapping[str, Figures]) -> Table:
    """One row a figure, one column a contender."""
    first = next(iter(measured.values()))
    counts = first['detection']
    told = f'{counts["successes"]} successes, {counts["failures"]} failures'
    table = Table(title=f'{told}; 95 % interval over episodes in brackets')
    table.add_column('figure')
    for name in measured:
        table.add_column(name, justify='right')
    for key, label, _ in FIGURES:
        table.add_row(label, *(interval_text(figures[key]) for figures in measured.values()))
    return table


def by_mode(measured: Mapping[str, Figures]) -> Table:
    """One row a failure mode: episodes, then share detected and median delay of each."""
    title = f'Failures: share detected until {IN_TIME:g} s after the evidence, and at all; '
    table = Table(title=f'{title}median and 90 % delay from the evidence, s')
    table.add_column('mode')
    table.add_column('episodes', justify='right')
    for name in measured:
        table.add_column(name, justify='right')
    first = next(iter(measured.values()))
    for mode, row in first['failures'].items():
        cells = (_detected(figures['failures'][mode]) for figures in measured.values())
        table.add_row(mode, str(row['episodes']), *cells)
    table.add_section()
    for label, key in (('only cameras can tell', 'camera_only'), ('the arms can tell', 'arms')):
        cells = (_detected(figures[key]) for figures in measured.values())
        table.add_row(label, str(first[key]['episodes']), *cells)
    return table


def apart(measured: Mapping[str, Figures]) -> Table:
    """Return a table of what is neither a clean success nor a failure."""
    title = 'Mended, and retried (judged afresh, without the cool-down that follows an alarm): '
    table = Table(title=f'{title}share with an alarm, Spearman with true progress')
    table.add_column('mode')
    table.add_column('episodes', justify='right')
    for name in measured:
        table.add_column(name, justify='right')
    first = next(iter(measured.values()))
    for mode, row in first['mended'].items():
        cells = (_alarmed(figures['mended'][mode]) for figures in measured.values())
        table.add_row(mode, str(row['episodes']), *cells)
    table.add_section()
    for outcome, row in first['retries'].items():
        cells = (_alarmed(figures['retries'][outcome]) for figures in measured.values())
        table.add_row(f'after a retry, {outcome}', str(row['episodes']), *cells)
    return table


def _detected(row: Mapping[str, float]) -> str:
    delays = f'{_seconds(row["delay_median"])} {_seconds(row["delay_p90"])}'
    return f'{row["in_time"]:4.0%} {row["detected"]:4.0%} {delays}'


def _seconds(delay: float) -> str:
    return f'{delay:+5.2f}' if math.isfinite(delay) else '    -'


def _alarmed(row: Mapping[str, float]) -> str:
    return f'{number_text(row["alarmed"])}  {number_text(row["true_order"])}'
