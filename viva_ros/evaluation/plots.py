# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plot of an evaluation: values by outcome, values around the evidence, detections by failure."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from viva_ros.console.palette import BLUE, GREEN, GREY, ORANGE, RED, SKY
from viva_ros.core.files import replace_atomically
from viva_ros.core.foreign_text import plotted
from viva_ros.core.observation import Array
from viva_ros.evaluation.results import FAILURE, SUCCESS, Result, modes, of_group, of_mode
from viva_ros.evaluation.summary import IN_TIME, share_in_time
from viva_ros.evaluation.surrogates import SurrogateResult
from viva_ros.metrics.detection import detection

BARS: Final = (BLUE, ORANGE, GREY, GREEN, RED, SKY)
HATCHES: Final = ('', '///', '...', 'xxx')  # of contenders beyond the colours
AROUND: Final = np.arange(-4.0, 5.01, 0.1)  # s around the evidence


def draw(results: Mapping[str, Sequence[Result]], camera_only: Collection[str], out: Path) -> None:
    """
    Write the plot: values of the first contender, detections of all; without failures all values.

    :param camera_only: failure modes that only a camera shows
    :param out: PNG file
    """
    mpl.rcParams.update({'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False})
    figure = Figure(figsize=(14, 4.6), layout='constrained')
    name, rows = next(iter(results.items()))
    if of_group(rows, FAILURE):
        progress, evidence, bars = figure.subplots(1, 3, width_ratios=[1, 1, 1.3])
        _draw_progress(progress, rows, name)
        _draw_evidence(evidence, rows, camera_only)
        _draw_bars(bars, results, camera_only)
    else:
        panels = figure.subplots(1, len(results), squeeze=False)[0]
        for axes, (each, found) in zip(panels, results.items(), strict=True):
            _draw_progress(axes, found, each)
    replace_atomically(out, lambda part: figure.savefig(part, format='png', dpi=110))


def _draw_progress(axes: Any, rows: Sequence[Result], name: str) -> None:
    share = np.linspace(0.0, 1.0, 101)
    for group, colour in ((SUCCESS, BLUE), (FAILURE, RED)):
        curves = [_at(row, share * row.duration) for row in of_group(rows, group)]
        for curve in curves:
            axes.plot(share, curve, color=colour, alpha=0.12, lw=0.7)
        if curves:
            label = f'{group}, median of {len(curves)}'
            axes.plot(
                share, np.nanmedian(curves, axis=0), color=colour, lw=2.2, label=plotted(label)
            )
    axes.set(
        xlabel='share of the episode', ylabel=f'value of {plotted(name)}, rises towards success'
    )
    axes.set(ylim=(-1.05, 1.05), title='Outcome')
    axes.legend(frameon=False, loc='upper left')


def _draw_evidence(axes: Any, rows: Sequence[Result], camera_only: Collection[str]) -> None:
    failures = [row for row in of_group(rows, FAILURE) if row.manifest is not None]
    for label, colour, wanted in (
        ('only cameras can tell', RED, True), ('the arms can tell', GREEN, False),
    ):  # fmt: skip
        chosen = [row for row in failures if (row.mode in camera_only) == wanted]
        curves = [_at(row, (row.manifest or 0.0) + AROUND) for row in chosen]
        for curve in curves:
            axes.plot(AROUND, curve, color=colour, alpha=0.15, lw=0.7)
        if curves:
            enough = np.isfinite(curves).sum(axis=0) >= max(1, len(curves) // 3)
            middle = np.full(AROUND.size, np.nan)
            middle[enough] = np.nanmedian(np.array(curves)[:, enough], axis=0)
            axes.plot(
                AROUND, middle, color=colour, lw=2.2, label=f'{plotted(label)} ({len(curves)})'
            )
    axes.axvline(0.0, color='black', lw=1, ls='--')
    axes.set(xlabel='s since the physical evidence', ylim=(-1.05, 1.05), title='Failures')
    if failures:
        axes.legend(frameon=False, loc='upper right')


def _draw_bars(
    axes: Any, results: Mapping[str, Sequence[Result]], camera_only: Collection[str]
) -> None:
    first = next(iter(results.values()))
    names = modes(first, FAILURE)
    ordered = [m for m in names if m in camera_only] + [m for m in names if m not in camera_only]
    height = 0.8 / len(results)
    for number, (name, rows) in enumerate(results.items()):
        failures = [of_mode(rows, mode) for mode in ordered]
        ever = [detection([r.trial for r in some]).tpr for some in failures]
        soon = [share_in_time(some) for some in failures]
        places = np.arange(len(ordered)) + (number - (len(results) - 1) / 2) * height
        style = {
            'height': 0.9 * height, 'color': BARS[number % len(BARS)],
            'hatch': HATCHES[number // len(BARS) % len(HATCHES)],
        }  # fmt: skip
        axes.barh(places, ever, alpha=0.25, **style)
        axes.barh(places, soon, label=plotted(name), **style)
    axes.set_yticks(
        range(len(ordered)),
        [f'{plotted(mode)}{" (camera)" if mode in camera_only else ""}' for mode in ordered],
    )
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.02), title='By failure')
    axes.set_xlabel(f'share detected: until {IN_TIME:g} s after the evidence, pale: at all')
    axes.legend(frameon=False, loc='upper center', bbox_to_anchor=(0.4, -0.12), ncols=3)


def draw_surrogates(results: Mapping[str, Sequence[SurrogateResult]], out: Path) -> None:
    """
    Write the plot of surrogate failures: values around the onset, and the share with an alarm.

    :param out: PNG file
    """
    mpl.rcParams.update({'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False})
    kinds = list(dict.fromkeys(row.result.mode for rows in results.values() for row in rows))
    figure = Figure(figsize=(2.4 * len(kinds), 4.4), layout='constrained')
    panels = figure.subplots(2, len(kinds), sharex=True, sharey='row', squeeze=False)
    for column, kind in enumerate(kinds):
        values, alarms = panels[:, column]
        for number, (name, rows) in enumerate(results.items()):
            mine = [one.result for one in rows if one.result.mode == kind]
            colour = BARS[number % len(BARS)]
            curves = np.array([_at(row, (row.manifest or 0.0) + AROUND) for row in mine])
            if number == 0:
                values.plot(AROUND, curves.T, color=colour, alpha=0.2, lw=0.7)
            enough = np.isfinite(curves).sum(axis=0) >= max(1, len(curves) // 3)
            middle = np.full(AROUND.size, np.nan)
            middle[enough] = np.nanmedian(curves[:, enough], axis=0)
            values.plot(AROUND, middle, color=colour, lw=2.0)
            delays = [np.inf if row.trial.delay is None else row.trial.delay for row in mine]
            shares = [np.mean(np.array(delays) <= time) for time in AROUND]
            alarms.plot(AROUND, shares, color=colour, lw=2.0, label=plotted(name))
        for axes in (values, alarms):
            axes.axvline(0.0, color='black', lw=1, ls='--')
        values.set(title=plotted(kind), ylim=(-1.05, 1.05))
        alarms.set(xlabel='s since the onset', ylim=(-0.03, 1.05))
    panels[0, 0].set_ylabel('value, median; first engine: each')
    panels[1, 0].set_ylabel('share with an alarm')
    panels[1, 0].legend(frameon=False, loc='upper left')
    replace_atomically(out, lambda part: figure.savefig(part, format='png', dpi=90))


def _at(row: Result, times: Array) -> Array:
    """Return interpolated values at times, s; NaN outside of the episode."""
    known = np.isfinite(row.values)
    if not known.any():
        return np.full(times.size, np.nan)
    return np.interp(times, row.times[known], row.values[known], left=np.nan, right=np.nan)
