# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of the supervision as tables and a plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
from rich.table import Table

from benchmarks.supervision.detectors import BOTH, Watched
from viva_ros.core.foreign_text import plotted
from viva_ros.evaluation.results import FAILURE


def overview(content: Mapping[str, Any]) -> Table:
    """Return a table with a column for each detector."""
    table = Table('detector', 'false alarms', 'per hour', 'detected', 'median delay', 'p90', 'TWA')
    for name, one in content['watchers'].items():
        found = one['detection']
        table.add_row(
            name, interval(one['false_alarms']), f'{found["false_alarms_per_hour"]:.1f}',
            interval(one['detected']), f'{found["delay_median"]:.2f} s',
            f'{found["delay_p90"]:.2f} s', f'{found["twa"]:.3f}',
        )  # fmt: skip
    shipped = content['watchers'][BOTH]
    table.caption = (
        'TWA: time-weighted accuracy; of an oracle that alarms at the first evidence of each '
        f'failure: {shipped["best_twa"]:.3f}, at its cause: {shipped["best_twa_of_causes"]:.3f}'
    )
    return table


def by_mode(one: Mapping[str, Any]) -> Table:
    """Return a table with a row for each failure mode, recovery, near miss and variation."""
    table = Table('mode', 'episodes', 'detected', 'median delay', 'p90', 'first rule')
    for mode, row in one['failures'].items():
        first = ', '.join(f'{kind} {count}' for kind, count in row['by'].items())
        table.add_row(
            mode, str(row['episodes']), f'{row["detected"]:.3f}', f'{row["delay_median"]:.2f} s',
            f'{row["delay_p90"]:.2f} s', first,
        )  # fmt: skip
    for mode, row in one['apart'].items():
        table.add_row(mode, str(row['of']), f'{row["hits"]} with alarm', '', '', 'no failure')
    for mode, row in one['retries'].items():
        table.add_row(
            f'retry that {mode}', str(row['of']), f'{row["hits"]} with alarm', '', '', ''
        )
    return table


def retries(worth: Mapping[str, Any]) -> Table:
    """Return a table of the gain of retries."""
    title = f'{worth["retries"]} retries by alarms in {worth["episodes"]} episodes; interval of '
    title += f'the mean of random retries: lowest and highest of {worth["draws"]} draws'
    table = Table(
        'trigger', 'retries', 'success', 's per episode', 'successes per hour', title=title
    )
    for name, row in worth.items():
        if isinstance(row, Mapping) and not name.removeprefix('random ').isdecimal():
            cells = [f'{row[key]:.1f}' if key in row else ''
                     for key in ('seconds', 'successes_per_hour')]  # fmt: skip
            table.add_row(name, str(row.get('retries', '')), interval(row), *cells)
    return table


def interval(row: Mapping[str, Any]) -> str:
    """Return the text of a share or a gain with its interval."""
    number = row['share'] if 'share' in row else row['gain']
    return f'{number:.3f} [{row["low"]:.3f}, {row["high"]:.3f}]'


def draw(watched: Mapping[str, Sequence[Watched]], content: Mapping[str, Any], out: Path) -> None:
    """Draw detections over the delay, false alarms with their bound, and the retries."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout='constrained')
    for name, rows in watched.items():
        failures = [one.trial for one in rows if one.case.group == FAILURE]
        delays = np.sort([t.delay for t in failures if t.delay is not None])
        if failures:
            axes[0].step(
                delays, np.arange(1, len(delays) + 1) / len(failures), label=plotted(name)
            )
    axes[0].set(
        xlabel='delay after the first evidence, s',
        ylabel='share of failures detected',
        xlim=(-3, 6),
    )
    axes[0].legend(fontsize=7, loc='upper center', bbox_to_anchor=(0.5, -0.16), ncols=2)
    _false_alarms(axes[1], content['watchers'])
    if content.get('retry'):
        _retries(axes[2], content['retry'])
    figure.savefig(out, dpi=110)
    plt.close(figure)


def _false_alarms(axis: Any, rows: Mapping[str, Any]) -> None:
    for place, one in enumerate(rows.values()):
        seen = one['false_alarms']
        axis.errorbar(
            seen['share'], place, fmt='o',
            xerr=[[seen['share'] - seen['low']], [seen['high'] - seen['share']]],
        )  # fmt: skip
    first = next(iter(rows.values()))
    axis.axvline(first['alpha'], color='grey', linestyle='--', label='bound (alpha)')
    axis.set_yticks(range(len(rows)), [plotted(name) for name in rows], fontsize=8)
    axis.set_xlabel('share of successes with a false alarm')
    axis.set(xlim=(0, None), ylim=(-0.5, len(rows) - 0.5))
    axis.legend(fontsize=7, loc='lower right')


def _retries(axis: Any, worth: Mapping[str, Any]) -> None:
    shares = {
        name: row for name, row in worth.items()
        if isinstance(row, Mapping) and 'share' in row
        and not name.removeprefix('random ').isdecimal()
    }  # fmt: skip
    for place, row in enumerate(shares.values()):
        error = [[row['share'] - row['low']], [row['high'] - row['share']]]
        axis.bar(place, row['share'], yerr=error, capsize=3)
    axis.set_xticks(
        range(len(shares)), [plotted(name) for name in shares], fontsize=8, rotation=15
    )
    axis.set(ylabel='share of successful episodes', ylim=(0, 1))
