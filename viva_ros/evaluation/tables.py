# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation, as a table for a person and as JSON for the record."""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from viva_ros.console.provenance import command_line, processor
from viva_ros.evaluation.results import Result
from viva_ros.evaluation.summary import IN_TIME

Figures = Mapping[str, Any]

#: What is shown of the figures: key, label, and whether more is better; None where neither is.
FIGURES: Final = (
    ('spearman', 'Expert-VOC: Spearman of V with time, successes', True),
    ('true_order', 'Spearman of V with true progress, successes', True),
    ('pearson', 'Pearson with time, successes', True),
    ('kendall', "Kendall's tau a with time, successes", True),
    ('retry_voc', 'Retry-VOC: order over a failed try and what follows', True),
    ('retry_gap', '... V after a retry less that of successes as far on', None),
    ('hesitation_rmse', 'Hesitation-RMSE: drift while the robot stands still', False),
    ('auroc', 'AUROC of the outcome by final V', True),
    ('auroc_mean', '... by mean V', True),
    ('auroc_minimum', '... by lowest V', True),
    ('auprc_failure', 'AUPRC of failure by final V', True),
    ('auprc_mean', '... by mean V', True),
    ('auprc_minimum', '... by lowest V', True),
    ('prevalence', '... of chance: share of failures', None),
    ('err_dr', 'ErrDR: errors that the value answers', True),
    ('err_false', '... falsely, at moments of successes', False),
    ('ers_error', 'ERS of errors, median', True),
    ('mdr', 'MDR: milestones that the value answers', True),
    ('mdr_false', '... falsely, in pauses', False),
    ('ers_milestone', 'ERS of milestones, median', True),
    ('tpr', 'failures found', True),
    ('in_time', f'failures found until {IN_TIME:g} s after the evidence', True),
    ('camera_in_time', '... of those that only a camera can see', True),
    ('false_alarms', 'successes with a false alarm', False),
    ('false_alarms_per_hour', 'false alarms per hour of success', False),
    ('balanced_accuracy', 'balanced accuracy', True),
    ('relative_delay', 'DT: alarm at this share of the failed episode', False),
    ('delay_median', 'delay from the evidence, median, s', False),
    ('delay_p90', 'delay from the evidence, 90 %, s', False),
    ('twa', 'TWA: time-weighted accuracy', True),
)

#: What is shown of a check: heading and key.
CHECKS: Final = (
    ('order by true progress', 'order'), ('order by time shown', 'time_order'),
    ('change in successes', 'change_in_successes'),
    ('change in failures', 'change_in_failures'),
    ('false alarms', 'false_alarms'), ('failures found', 'detected'),
)  # fmt: skip


def markdown(scopes: Mapping[str, Mapping[str, Figures]], checks: Mapping[str, Figures]) -> str:
    """
    Return the tables of figures, of failures by their mode, and of checks.

    :param scopes: figures by contender, over all tasks and of each
    """
    parts = [_section(scope, measured) for scope, measured in scopes.items()]
    if checks:
        parts.append(_checks(checks))
    return '\n'.join(parts)


def _section(scope: str, measured: Mapping[str, Figures]) -> str:
    counts = next(iter(measured.values()))['detection']
    told = f'{counts["failures"]} failures, {counts["successes"]} undisturbed successes; 95 % '
    told += 'interval over episodes in brackets. Bold: not as the first, on the same episodes.'
    rows = [
        [_label(label, more), *(_figure(figures, key) for figures in measured.values())]
        for key, label, more in FIGURES
    ]
    modes = next(iter(measured.values()))['failures']
    found = [
        [mode, str(row['episodes']), *(_found(one['failures'][mode]) for one in measured.values())]
        for mode, row in modes.items()
    ]
    lines = [f'## {_text(scope)}', '', told, '', *_table(['', *measured], rows), '']
    if found:
        told = f'Failures found until {IN_TIME:g} s after the evidence, and at all.'
        lines += [told, '', *_table(['failure', 'episodes', *measured], found), '']
    return '\n'.join(lines)


def _checks(checks: Mapping[str, Figures]) -> str:
    head = ['shown', *(title for title, _ in CHECKS), 'a good value']
    rows = [
        [name, *(interval_text(row[key]) for _, key in CHECKS), row['good']]
        for name, row in checks.items()
    ]
    title = '## What the value does when it is shown something else'
    return '\n'.join([title, '', *_table(head, rows), ''])


def _figure(figures: Figures, key: str) -> str:
    text = interval_text(figures[key])
    less = figures['differences'].get(key)
    return f'**{text}**' if less and (less['low'] > 0.0 or less['high'] < 0.0) else text


def _label(label: str, more: bool | None) -> str:
    return label if more is None else f'{label} {"↑" if more else "↓"}'


def _found(row: Mapping[str, float]) -> str:
    return f'{number_text(row["in_time"])}, {number_text(row["detected"])}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(head), _line(['---', *['---:'] * (len(head) - 1)]), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f'| {" | ".join(map(_text, cells))} |'


def _text(text: str) -> str:
    """Keep names from recordings from being read as markup."""
    plain = ' '.join(text.split())
    for mark, kept in (('&', '&amp;'), ('<', '&lt;'), ('|', '\\|'), ('`', '\\`'), ('](', ']\\(')):
        plain = plain.replace(mark, kept)
    return plain


def interval_text(figure: Mapping[str, float]) -> str:
    """Write a figure with its interval, as far as it has one."""
    number = number_text(figure['value'])
    if not math.isfinite(figure['low']):
        return number
    return f'{number} [{number_text(figure["low"])}, {number_text(figure["high"])}]'


def number_text(value: float) -> str:
    """Write a number; a dash where it is not known."""
    if not math.isfinite(value):
        return '-'
    return f'{value:.3f}' if abs(value) < 10 else f'{value:.1f}'


def content(
    measured: Mapping[str, Figures], tasks: Mapping[str, Mapping[str, Figures]],
    checks: Mapping[str, Figures], results: Mapping[str, Sequence[Result]], engine: Figures,
) -> str:  # fmt: skip
    """
    Return the text of the result file; NaN becomes null.

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
