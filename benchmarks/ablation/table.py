# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The results of a comparison as JSON, Markdown and plot."""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.ablation.entries import FACTORS
from viva_ros.console.provenance import command_line, made_by
from viva_ros.core.files import write_atomically
from viva_ros.core.foreign_text import plotted
from viva_ros.evaluation.plots import BLUE, GREY
from viva_ros.evaluation.results import Result
from viva_ros.evaluation.summary import IN_TIME
from viva_ros.evaluation.tables import hardware, interval_text, plain

Rows = Mapping[str, Mapping[str, Any]]

PANELS: Final = 6  # of a row of the plot

#: Figures with an interval: key, heading, and whether a higher figure is better.
INTERVALS: Final = (
    ('spearman', 'Spearman with time', True),
    ('true_order', 'Spearman with true progress', True),
    ('auroc', 'AUROC by final value', True),
    ('in_time', f'failures detected within {IN_TIME:g} s', True),
    ('camera_in_time', f'camera-only failures detected within {IN_TIME:g} s', True),
    ('tpr', 'failures detected', True),
    ('false_alarms', 'false alarms', False),
    ('retry_voc', 'Retry-VOC', True),
    ('hesitation_rmse', 'Hesitation-RMSE', False),
    ('err_dr', 'ErrDR', True),
    ('err_false', 'ErrDR on undisturbed successes', False),
)


def write(
    rows: Rows, effects: Mapping[str, Rows], plan: Mapping[str, Any], out: Path,
    tested: Sequence[Result] = (),
) -> None:  # fmt: skip
    """
    Write OUT.json, OUT.md and OUT.png.

    :param rows: of each contender, by name, in order
    :param effects: of each factor of the grid, over all tasks ('') and by task; empty without one
    :param tested: the test episodes
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    content = {
        'format': 'viva_ros comparison 3', 'date': datetime.now(UTC).date().isoformat(),
        'command': command_line('scripts/compare'), 'hardware': hardware(), 'plan': plan,
        'contenders': rows,
        'effects': {task or 'all': found for task, found in effects.items()},
        'episodes': {'test': [{'name': one.name, 'task': one.task} for one in tested]},
    }  # fmt: skip
    text = json.dumps(plain(content), indent=1, allow_nan=False) + '\n'
    write_atomically(out.with_suffix('.json'), text)
    head = f'{made_by("scripts/compare", "`")} Set: {plan["test"]}, {len(tested)} recordings.'
    write_atomically(out.with_suffix('.md'), f'{head}\n\n{markdown(rows, effects)}')
    draw(rows, out.with_suffix('.png'))


def markdown(rows: Rows, effects: Mapping[str, Rows]) -> str:
    """Return the tables: over all tasks, then for each task, then effects and costs."""
    first = next(iter(rows.values()))
    parts = [_section('All tasks', {name: row['all'] for name, row in rows.items()}, rows)]
    if len(first['tasks']) > 1:
        parts += [
            _section(task, {name: row['tasks'][task] for name, row in rows.items()}, rows)
            for task in first['tasks']
        ]
    parts += [_effects(task, found, rows) for task, found in effects.items()]
    parts += [_differences(rows, name) for name in first.get('differences', ())]
    parts += [_seeds(rows)] if _has_repeats(rows) else []
    calibrated = {name: row for name, row in rows.items() if row['all'].get('reliability')}
    parts += [_reliability(calibrated)] if calibrated else []
    return '\n'.join([*parts, _costs(rows)])


def _section(title: str, figures: Rows, rows: Rows) -> str:
    counts = next(iter(figures.values()))['detection']
    head = ['', *(heading for _, heading, _ in INTERVALS)]
    head += ['median delay, s', 'time-weighted accuracy']
    note = f'{counts["failures"]} failures, {counts["successes"]} undisturbed successes'
    first = next(iter(figures.values()))
    order, weighted = (_number(first[f'{key}_ceiling']['value']) for key in ('retry_voc', 'twa'))
    note += f'; 95 % interval over episodes{" and seeds" if _has_repeats(rows) else ""} in '
    note += 'brackets. Ceilings: '
    note += f'Retry-VOC {order} (an oracle falls where the progress stays), time-weighted '
    note += f'accuracy {weighted} (an alarm at the evidence of each failure, none false).'
    lines = [f'## {title}', '', note, '', *_head(head)]
    for name, row in figures.items():
        cells = [interval_text(row[key]) for key, _, _ in INTERVALS]
        cells += [_number(row[key]['value']) for key in ('delay_median', 'twa')]
        lines.append(_line([rows[name]['title'], *cells]))
    return '\n'.join([*lines, ''])


def _differences(rows: Rows, reference: str) -> str:
    note = 'Each figure minus that of the reference, on the same resampled episodes; '
    note += _interval_note(rows)
    head = ['', *(heading for _, heading, _ in INTERVALS)]
    title = f'## Differences from: {rows[reference]["title"]}'
    lines = [title, '', note, '', *_head(head)]
    for name, row in rows.items():
        if name != reference:
            cells = [_signed(row['differences'][reference][key]) for key, _, _ in INTERVALS]
            lines.append(_line([row['title'], *cells]))
    return '\n'.join([*lines, ''])


def _has_repeats(rows: Rows) -> bool:
    return any(row.get('repeats', 1) > 1 for row in rows.values())


def _interval_note(rows: Rows) -> str:
    if not _has_repeats(rows):
        return 'no interval, because one seed of each does not show how much seeds differ.'
    return (
        '95 % interval over episodes and seeds in brackets, bold where it excludes 0. A contender '
        'with one seed has the variance between the seeds of the others.'
    )


def _effects(task: str, effects: Rows, rows: Rows) -> str:
    note = 'Mean of the contenders of the grid with a factor minus that of those without, on the '
    note += f'same resampled episodes; {_interval_note(rows)}'
    head = ['', *(heading for _, heading, _ in INTERVALS)]
    title = f'## Effects of the factors, {task or "all tasks"}'
    lines = [title, '', note, '', *_head(head)]
    for factor, title in FACTORS:
        cells = [_signed(effects[factor][key]) for key, _, _ in INTERVALS]
        lines.append(_line([title, *cells]))
    return '\n'.join([*lines, ''])


def _seeds(rows: Rows) -> str:
    note = 'Value of each seed of training, all tasks. The shared VAE and video stage have one.'
    head = ['', *(heading for _, heading, _ in INTERVALS)]
    lines = ['## Seeds', '', note, '', *_head(head)]
    for row in rows.values():
        if row.get('repeats', 1) > 1:
            cells = [', '.join(map(_number, row['all'][key]['seeds'])) for key, _, _ in INTERVALS]
            lines.append(_line([row['title'], *cells]))
    return '\n'.join([*lines, ''])


def _signed(figure: Mapping[str, float]) -> str:
    value, low, high = (figure[key] for key in ('value', 'low', 'high'))
    if not math.isfinite(value):
        return '-'
    if not math.isfinite(low):
        return f'{value:+.3f}'
    text = f'{value:+.3f} [{low:+.3f}, {high:+.3f}]'
    return f'**{text}**' if low > 0 or high < 0 else text


def _reliability(rows: Rows) -> str:
    note = 'Predicted probability of success; every test episode has equal weight. First seed, '
    note += 'interval over episodes.'
    head = ['', 'expected calibration error', 'Brier score']
    lines = ['## Calibration of probabilities', '', note, '', *_head(head)]
    for row in rows.values():
        found = row['all']['reliability']
        cells = [interval_text(found[key]) for key in ('ece', 'brier')]
        lines.append(_line([row['title'], *cells]))
    return '\n'.join([*lines, ''])


def _costs(rows: Rows) -> str:
    head = ['', 'parameters', 'steps', 'batch', 'training, s', 'estimate, ms', 'relative to ViVa']
    note = 'One thread, PyTorch in eager mode. Estimate: latency on decoded images. Training: '
    note += 'number of steps times the CPU time of one step.'
    lines = ['## Costs', '', note, '', *_head(head)]
    for row in rows.values():
        latency = row.get('latency', math.nan)
        cells = [f'{row["parameters"]:,}', str(row['steps']), str(row['batch'])]
        training = f'{row["training"]:.0f}' if 'training' in row else '-'
        cells += [training, _number(1e3 * latency), _number(row.get('ratio'))]
        lines.append(_line([row['title'], *cells]))
    return '\n'.join([*lines, ''])


def draw(rows: Rows, path: Path) -> None:
    """Plot each figure with its interval: a panel for each figure, a line for each contender."""
    mpl.rcParams.update({'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False})
    lines = -(-len(INTERVALS) // PANELS)
    figure = Figure(figsize=(15, lines * (1.2 + 0.3 * len(rows))), layout='constrained')
    panels = figure.subplots(lines, PANELS, sharey=True).flatten()
    for axes in panels[len(INTERVALS) :]:
        axes.set_visible(False)
    for axes, (key, heading, more) in zip(panels, INTERVALS, strict=False):
        for place, row in enumerate(rows.values()):
            one = row['all'][key]
            colour = BLUE if place == 0 else GREY
            axes.plot([one['low'], one['high']], [place, place], color=colour, lw=2)
            axes.plot(one['value'], place, 'o', color=colour)
        axes.axvline(next(iter(rows.values()))['all'][key]['value'], color=BLUE, lw=0.6, ls=':')
        axes.set_title(textwrap.fill(plotted(heading, 120), 26), fontsize=9)
        axes.set_xlabel('higher is better' if more else 'lower is better')
    panels[0].set_yticks(range(len(rows)), [plotted(row['title']) for row in rows.values()])
    panels[0].invert_yaxis()
    figure.savefig(path, dpi=110)


def _head(cells: list[str]) -> list[str]:
    return [_line(cells), _line(['---', *['---:'] * (len(cells) - 1)])]


def _line(cells: list[str]) -> str:
    return f'| {" | ".join(cells)} |'


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return '-'
    return f'{value:.3f}' if abs(value) < 10 else f'{value:.1f}'
