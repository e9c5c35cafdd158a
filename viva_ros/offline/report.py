# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation, as a table for a person and as JSON for the record."""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from viva_ros.offline.command import command_line
from viva_ros.offline.figures import IN_TIME
from viva_ros.offline.trials import Result
from viva_ros.runtime.engine import EngineInfo

Figures = Mapping[str, Any]

#: What is shown of the figures: key, label, and whether it has an interval.
FIGURES: Final = (
    ('spearman', 'Expert-VOC: Spearman of V with time, successes', 'interval'),
    ('true_order', 'Spearman of V with true progress, successes', 'interval'),
    ('kendall', "Kendall's tau a with time, successes", 'interval'),
    ('retry_voc', 'Retry-VOC: order over a failed try and what follows', 'interval'),
    ('hesitation_rmse', 'Hesitation-RMSE: drift while the robot stands still', 'interval'),
    ('auroc', 'AUROC of the outcome by final V', 'interval'),
    ('auroc_mean', 'AUROC by mean V', 'interval'),
    ('auroc_minimum', 'AUROC by lowest V', 'interval'),
    ('auprc_failure', 'AUPRC of failure by final V', 'interval'),
    ('err_dr', 'ErrDR: errors that the value answers', 'interval'),
    ('err_false', '... falsely, at moments of successes', 'interval'),
    ('mdr', 'MDR: milestones that the value answers', 'interval'),
    ('tpr', 'failures found', 'interval'),
    ('in_time', f'failures found until {IN_TIME:g} s after the evidence', 'interval'),
    ('false_alarms', 'successes with a false alarm', 'interval'),
    ('delay_median', 'delay from the evidence, median, s', 'number'),
    ('delay_p90', 'delay from the evidence, 90 %, s', 'number'),
    ('twa', 'time-weighted accuracy', 'number'),
    ('balanced_accuracy', 'balanced accuracy', 'number'),
    ('false_alarms_per_hour', 'false alarms per hour of success', 'number'),
)


def content(
    measured: Mapping[str, Figures], tasks: Mapping[str, Mapping[str, Figures]],
    checks: Mapping[str, Figures], results: Mapping[str, Sequence[Result]], engine: EngineInfo,
) -> str:  # fmt: skip
    """
    Give the text of the result file; NaN becomes null.

    :param measured: figures over all tasks, by contender
    :param tasks: the same of each task
    """
    everything = {
        'format': 'viva_ros evaluation 1',
        'date': datetime.now(UTC).date().isoformat(),
        'command': command_line('evaluate'),
        'hardware': hardware(),
        'engine': asdict(engine),
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
    model = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if 'model name' in line]
        model = lines[0].partition(':')[2].strip() if lines else model
    return f'{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}'


def plain(value: Any) -> Any:
    """Make content JSON: NaN becomes null, other numbers are rounded to six digits."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def show(
    measured: Mapping[str, Figures], checks: Mapping[str, Figures], console: Console
) -> None:
    """Print the tables."""
    console.print(overview(measured))
    console.print(by_mode(measured))
    console.print(apart(measured))
    if checks:
        console.print(fooled(checks))


def fooled_columns() -> tuple[tuple[str, str], ...]:
    """Give heading and key of what is measured of each check."""
    return (
        ('order by true progress', 'order'), ('order by time shown', 'time_order'),
        ('change in successes', 'change_in_successes'),
        ('change in failures', 'change_in_failures'),
        ('false alarms', 'false_alarms'), ('failures found', 'detected'),
    )  # fmt: skip


def fooled(checks: Mapping[str, Figures]) -> Table:
    """One row a check; what a good value does stands below."""
    table = Table(title='What the value does when it is shown something else')
    table.add_column('shown')
    for title, _ in fooled_columns():
        table.add_column(title, justify='right')
    for name, row in checks.items():
        cells = (_number(row[key]['value']) for _, key in fooled_columns())
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
    for key, label, kind in FIGURES:
        if kind == 'interval':
            cells = [_interval(figures[key]) for figures in measured.values()]
        else:
            cells = [_number(figures['detection'][key]) for figures in measured.values()]
        table.add_row(label, *cells)
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
    """What is neither a clean success nor a failure."""
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


def _interval(figure: Mapping[str, float]) -> str:
    number = _number(figure['value'])
    return f'{number} [{_number(figure["low"])}, {_number(figure["high"])}]'


def _detected(row: Mapping[str, float]) -> str:
    delays = f'{_seconds(row["delay_median"])} {_seconds(row["delay_p90"])}'
    return f'{row["in_time"]:4.0%} {row["detected"]:4.0%} {delays}'


def _seconds(delay: float) -> str:
    return f'{delay:+5.2f}' if math.isfinite(delay) else '    -'


def _alarmed(row: Mapping[str, float]) -> str:
    return f'{_number(row["alarmed"])}  {_number(row["true_order"])}'


def _number(value: float) -> str:
    if not math.isfinite(value):
        return '-'
    return f'{value:.3f}' if abs(value) < 10 else f'{value:.1f}'
