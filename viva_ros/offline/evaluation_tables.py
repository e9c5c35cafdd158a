# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is shown of an evaluation, and its tables in Markdown."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from viva_ros.offline.figures import IN_TIME

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
    Give the tables of figures, of failures by their mode, and of checks.

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
