# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of an evaluation as tables (terminal, Markdown) and as JSON."""

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
from viva_ros.core.foreign_text import ERROR_LENGTH, shown, shown_list
from viva_ros.evaluation.results import Result
from viva_ros.evaluation.summary import IN_TIME, disturbed, error_responses

Figures = Mapping[str, Any]

#: Rows of the table of figures: key, label, and whether larger is better (None: neither).
FIGURES: Final = (
    ('spearman', 'Expert-VOC: Spearman of V with time, successes', True),
    ('true_order', 'Spearman of V with true progress, successes', True),
    ('pearson', 'Pearson with time, successes', True),
    ('kendall', "Kendall's tau a with time, successes", True),
    ('pair_order', 'pairs of moments of two successes in the order of their shares', True),
    ('share_error', 'mean |V - share of the episode that is over|, successes', False),
    ('retry_voc', 'Retry-VOC: order over a failed try and what follows', True),
    ('retry_voc_ceiling', '... its ceiling: an oracle falls where the progress stays', None),
    ('retry_voc_share', '... share of the ceiling', True),
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
    ('twa_ceiling', '... its ceiling: an alarm at the evidence of each failure', None),
)

#: Columns of the table of checks: heading and key.
CHECKS: Final = (
    ('order by true progress', 'order'), ('order by time shown', 'time_order'),
    ('change in successes', 'change_in_successes'),
    ('change in failures', 'change_in_failures'),
    ('false alarms', 'false_alarms'), ('failures found', 'detected'),
)  # fmt: skip


CHECKS_TITLE: Final = 'Values under perturbed inputs'

#: Columns of the table of surrogate failures: heading and key.
SURROGATES: Final = (
    (f'alarm until {IN_TIME:g} s', 'in_time'), ('alarm at any time', 'detected'),
    ('rules', 'rules'), ('delay, median, s', 'delay_median'), ('level UNKNOWN', 'unknown'),
    ('its delay, s', 'unknown_delay'), ('AUROC by final V', 'auroc'),
)  # fmt: skip
SURROGATES_TITLE: Final = 'Surrogate failures: successes that are changed from their middle on'


def markdown(
    scopes: Mapping[str, Mapping[str, Figures]], checks: Mapping[str, Figures],
    surrogates: Mapping[str, Figures],
) -> str:  # fmt: skip
    """
    Return the tables of figures, of failures by their mode, of checks and surrogate failures.

    :param scopes: figures by contender, for all tasks together and for each task
    """
    parts = [_section(scope, measured) for scope, measured in scopes.items()]
    if checks:
        parts.append(_checks(checks))
    if surrogates:
        head = ['episode', 'engine', *(title for title, _ in SURROGATES), 'expected']
        lines = [[*row, surrogates[row[0]]['expected']] for row in _surrogate_rows(surrogates)]
        note = escaped(_untouched_note(surrogates))
        parts.append('\n'.join([f'## {SURROGATES_TITLE}', '', note, '', *_table(head, lines), '']))
    return '\n'.join(parts)


def _section(scope: str, measured: Mapping[str, Figures]) -> str:
    counts = next(iter(measured.values()))['detection']
    note = f'{counts["failures"]} failures, {counts["successes"]} undisturbed successes; 95 % '
    note += 'interval over episodes in brackets. Bold: different from the first column.'
    rows = [
        [_label(label, more), *(_figure(figures, key) for figures in measured.values())]
        for key, label, more in FIGURES
    ]
    modes = next(iter(measured.values()))['failures']
    found = [
        [mode, str(row['episodes']), *(_found(one['failures'][mode]) for one in measured.values())]
        for mode, row in modes.items()
    ]
    lines = [f'## {escaped(scope)}', '', note, '', *_table(['', *measured], rows), '']
    if found:
        note = f'Share of failures found until {IN_TIME:g} s after the evidence, and at any time.'
        lines += [note, '', *_table(['failure', 'episodes', *measured], found), '']
    if answered := _answered(measured):
        note = 'Share of errors that the value answers (ErrDR), also of those that were corrected.'
        lines += [note, '', *_table(['failure or disturbance', *measured], answered), '']
    return '\n'.join(lines)


def _answered(measured: Mapping[str, Figures]) -> list[list[str]]:
    """Return mode, and the share that each contender answers of the errors with known values."""
    modes = sorted({mode for one in measured.values() for mode in one['errors']})
    return [
        [mode, *(_share(one['errors'].get(mode)) for one in measured.values())] for mode in modes
    ]


def _share(row: Mapping[str, float] | None) -> str:
    return '-' if row is None else f'{number_text(row["answered"])} of {row["errors"]}'


def _checks(checks: Mapping[str, Figures]) -> str:
    head = ['input', *(title for title, _ in CHECKS), 'expected']
    rows = [
        [name, *(interval_text(row[key]) for _, key in CHECKS), row['good']]
        for name, row in checks.items()
    ]
    title = f'## {CHECKS_TITLE}'
    return '\n'.join([title, '', *_table(head, rows), ''])


def _surrogate_rows(surrogates: Mapping[str, Figures]) -> list[list[str]]:
    """Return surrogate, contender, and the figures of each."""
    return [
        [name, contender, *surrogate_cells(figures)]
        for name, row in surrogates.items()
        for contender, figures in row['contenders'].items()
    ]


def surrogate_cells(figures: Figures) -> list[str]:
    """Return the texts of the figures of a surrogate failure, in the order of ``SURROGATES``."""
    return [
        ', '.join(f'{rule} {count}' for rule, count in figures[key].items()) or '-'
        if key == 'rules' else interval_text(figures[key])
        for _, key in SURROGATES
    ]  # fmt: skip


def _untouched_note(surrogates: Mapping[str, Figures]) -> str:
    """Return a sentence with the false alarms in the unchanged episodes."""
    found = next(iter(surrogates.values()))['contenders']
    shares = ', '.join(
        f'{name} {interval_text(one["false_alarms"])}' for name, one in found.items()
    )
    count = next(iter(found.values()))['episodes']
    return f'{count} episodes. Share of the unchanged ones with an alarm at any moment: {shares}.'


def _figure(figures: Figures, key: str) -> str:
    text = interval_text(figures[key])
    less = figures['differences'].get(key)
    is_apart = less and (less['low'] > 0.0 or less['high'] < 0.0)
    return Markup(f'**{text}**') if is_apart else text


def _label(label: str, more: bool | None) -> str:
    return label if more is None else f'{label} {"↑" if more else "↓"}'


def _found(row: Mapping[str, float]) -> str:
    return f'{number_text(row["in_time"])}, {number_text(row["detected"])}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(head), _line(['---', *['---:'] * (len(head) - 1)]), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    texts = (one if isinstance(one, Markup) else escaped(one) for one in cells)
    return f'| {" | ".join(texts)} |'


class Markup(str):
    """Text of this package with markup, which is not escaped."""

    __slots__ = ()


ESCAPED: Final = str.maketrans({
    **{mark: f'\\{mark}' for mark in '\\`*~$|'}, '&': '&amp;', '<': '&lt;',
})  # fmt: skip


def escaped(text: str) -> str:
    """Return a name from a recording for Markdown: no markup, formula, link or control."""
    found = shown(' '.join(text.split()), ERROR_LENGTH).translate(ESCAPED)
    for mark, kept in ((']:', ']\\:'), ('](', ']\\('), ('][', ']\\['), ('://', '&#58;//')):
        found = found.replace(mark, kept)
    return found.replace('www.', 'www&#46;')


def interval_text(figure: Mapping[str, float]) -> str:
    """Return the text of a figure with its interval, if it has one."""
    number = number_text(figure['value'])
    if not math.isfinite(figure['low']):
        return number
    return f'{number} [{number_text(figure["low"])}, {number_text(figure["high"])}]'


def number_text(value: float) -> str:
    """Return the text of a number; a dash if unknown."""
    if not math.isfinite(value):
        return '-'
    return f'{value:.3f}' if abs(value) < 10 else f'{value:.1f}'


def content(
    measured: Mapping[str, Figures], tasks: Mapping[str, Mapping[str, Figures]],
    checks: Mapping[str, Figures], surrogates: Mapping[str, Figures],
    results: Mapping[str, Sequence[Result]], engine: Figures, left_out: Sequence[str] = (),
) -> str:  # fmt: skip
    """
    Return the text of the result file; NaN becomes null.

    :param measured: figures for all tasks together, by contender
    :param tasks: figures by task, then by contender
    :param engine: description of the evaluated engine
    :param left_out: paths of the recordings that could not be read
    """
    everything = {
        'format': 'viva_ros evaluation 1',
        'date': datetime.now(UTC).date().isoformat(),
        'command': command_line('evaluate'),
        'hardware': hardware(),
        'engine': engine,
        'left_out': left_out,
        'figures': measured,
        'tasks': tasks,
        'checks': checks,
        'surrogates': surrogates,
        'episodes': {name: [_episode(one) for one in rows] for name, rows in results.items()},
    }
    return json.dumps(plain(everything), indent=1, allow_nan=False) + '\n'


def _episode(one: Result) -> dict[str, Any]:
    return {
        'name': one.name, 'task': one.task, 'mode': one.mode, 'group': one.group,
        'success': one.success, 'duration': one.duration, 'final': one.final,
        'spearman': one.order, 'true_order': one.true_order,
        'alarms': one.alarms, 'manifest': one.manifest,
        'error_responses': error_responses(one) if disturbed([one]) else [],
    }  # fmt: skip


def left_out_note(paths: Sequence[str]) -> list[str]:
    """Return a sentence on the recordings that could not be read; nothing without one."""
    if not paths:
        return []
    return [f'{len(paths)} recordings could not be read and are left out: {shown_list(paths)}.']


def hardware() -> str:
    """Return the processor, the number of usable cores and the version of Python."""
    cores = len(os.sched_getaffinity(0))
    return f'{processor()}, {cores} cores, Python {platform.python_version()}'


def plain(value: Any) -> Any:
    """Return content for JSON: NaN becomes null, other numbers are rounded to six digits."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def show(
    measured: Mapping[str, Figures], checks: Mapping[str, Figures],
    surrogates: Mapping[str, Figures], console: Console,
) -> None:  # fmt: skip
    """Print the tables."""
    console.print(overview(measured))
    console.print(by_mode(measured))
    console.print(other_episodes(measured))
    if answered := _answered(measured):
        console.print(error_table(measured, answered))
    if checks:
        console.print(perturbations(checks))
    if surrogates:
        console.print(surrogate_table(surrogates))


def surrogate_table(surrogates: Mapping[str, Figures]) -> Table:
    """Return a table with a row for each surrogate failure and contender."""
    table = Table(title=SURROGATES_TITLE, caption=_untouched_note(surrogates))
    table.add_column('episode', no_wrap=True)
    table.add_column('engine')
    for title, _ in SURROGATES:
        table.add_column(title, justify='right')
    for row in _surrogate_rows(surrogates):
        table.add_row(*row)
    return table


def perturbations(checks: Mapping[str, Figures]) -> Table:
    """Return a table with a row for each check, and the expected behaviour below."""
    table = Table(title=CHECKS_TITLE)
    table.add_column('input')
    for title, _ in CHECKS:
        table.add_column(title, justify='right')
    for name, row in checks.items():
        cells = (interval_text(row[key]) for _, key in CHECKS)
        table.add_row(name, *cells)
    expected = [f'{name}: expected: {row["good"]}' for name, row in checks.items()]
    table.caption = '\n'.join(expected[1:])  # the first row is the unchanged recording
    return table


def overview(measured: Mapping[str, Figures]) -> Table:
    """Return a table with a row for each figure and a column for each contender."""
    first = next(iter(measured.values()))
    counts = first['detection']
    episodes = f'{counts["successes"]} successes, {counts["failures"]} failures'
    table = Table(title=f'{episodes}; 95 % interval over episodes in brackets')
    table.add_column('figure')
    for name in measured:
        table.add_column(name, justify='right')
    for key, label, _ in FIGURES:
        table.add_row(label, *(interval_text(figures[key]) for figures in measured.values()))
    return table


def by_mode(measured: Mapping[str, Figures]) -> Table:
    """Return a table with a row for each failure mode: shares detected and delays."""
    title = f'Failures: share detected until {IN_TIME:g} s after the evidence, and at any time; '
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


def error_table(measured: Mapping[str, Figures], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table with a row for each mode: the share of its errors that the value answers."""
    table = Table(title='ErrDR: share of errors that the value answers')
    table.add_column('mode')
    for name in measured:
        table.add_column(name, justify='right')
    for row in rows:
        table.add_row(*row)
    return table


def other_episodes(measured: Mapping[str, Figures]) -> Table:
    """Return a table of the episodes that are neither undisturbed successes nor failures."""
    title = 'Recovered episodes and retries (without the cool-down after an alarm): '
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
