# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Timeline of a run: disturbances, value, level, retries and violations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl

mpl.use('Agg')
import matplotlib.pyplot as plt

from benchmarks.chaos.history import History
from benchmarks.chaos.invariants import Violation
from viva_ros.core.foreign_text import plotted

LEVELS: Final = ('OK', 'UNKNOWN', 'WARN', 'ALARM', 'OPERATOR', 'LATCHED', 'PAUSED')
OWN, STRANGE, BAD = '#1f77b4', '#d62728', '#d62728'


def draw(history: History, found: Sequence[Violation], path: Path) -> None:
    """Write the plot as PNG."""
    figure, axes = plt.subplots(
        3, 1, figsize=(14, 9), sharex=True, height_ratios=(2, 1.2, 2), layout='constrained'
    )
    _values(axes[0], history)
    _levels(axes[1], history)
    _disturbances(axes[2], history)
    for axis in axes:
        for one in found:
            if history.begin <= one.at <= history.end:
                axis.axvline(one.at - history.begin, color=BAD, lw=0.6, alpha=0.5)
        axis.grid(alpha=0.3)
    axes[0].set_title(f'{len(found)} violations (red lines)')
    axes[-1].set_xlabel('time, s')
    axes[-1].set_xlim(0.0, history.end - history.begin)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _values(axis: plt.Axes, history: History) -> None:
    for is_own, colour, name in ((True, OWN, 'monitor'), (False, STRANGE, 'of others')):
        rows = [one for one in history.values if one.known and (one.node == 'monitor') == is_own]
        axis.plot([one.at - history.begin for one in rows], [one.value for one in rows], '.',
                  ms=2, color=colour, label=f'value, {plotted(name)}')  # fmt: skip
    unknown = [one for one in history.values if not one.known and one.node == 'monitor']
    axis.plot([one.at - history.begin for one in unknown], [-1.1] * len(unknown), '|',
              color='0.5', label='unknown')  # fmt: skip
    for number, at in enumerate(history.retries):
        axis.axvline(at - history.begin, color='#2ca02c', lw=1.5,
                     label='' if number else 'retry requested')  # fmt: skip
    axis.set_ylim(-1.2, 1.1)
    axis.set_ylabel('value')
    axis.legend(loc='upper right', ncols=4, fontsize=8)


def _levels(axis: plt.Axes, history: History) -> None:
    states = [*history.states]
    axis.step([one.at - history.begin for one in states] + [history.end - history.begin],
              [one.level for one in states] + [states[-1].level if states else 0],
              where='post', color='k')  # fmt: skip
    axis.set_yticks(range(len(LEVELS)), LEVELS, fontsize=8)
    axis.set_ylabel('level')


def _disturbances(axis: plt.Axes, history: History) -> None:
    names = sorted({f'{one.kind} {one.target}' for one in history.disturbances})
    for one in history.disturbances:
        row = names.index(f'{one.kind} {one.target}')
        axis.barh(
            row, max(one.end - one.begin, 0.3), left=one.begin - history.begin, color='#ff7f0e'
        )
    axis.set_yticks(range(len(names)), [plotted(name) for name in names], fontsize=7)
