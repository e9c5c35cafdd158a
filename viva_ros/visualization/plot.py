# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva plot`: one recording as one picture, to be understood at a glance.

From above: the value with its alarm level and alerts, the truth where a simulation told it, and
what the head camera saw, on one time axis.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from viva_ros.core.observation import Array
from viva_ros.data.recorded_messages import runs
from viva_ros.data.recording import Recording, read
from viva_ros.engine.api import load
from viva_ros.engine.resources import engine_folder
from viva_ros.offline.bands import draw_band
from viva_ros.offline.marks import GREEN, RED, TEXT, draw_events
from viva_ros.offline.stretches import attempts
from viva_ros.offline.strip import draw_pictures
from viva_ros.scoring.run import calibration_of
from viva_ros.scoring.scorer import RATE, score
from viva_ros.visualization.timeline import Story, calibration_for, tell, title

BLUE, SKY = '#0072B2', '#56B4E9'
PICTURES: Final = 9
COLUMNS: Final = 10  # of the legend
GAP: Final = 0.9  # s


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('viva plot', description=__doc__)
    parser.add_argument('recording', type=Path, help='MCAP file')
    parser.add_argument('--out', type=Path, help='PNG file; default: beside the recording')
    parser.add_argument('--engine', help='score with this one, where no monitor was recorded')
    args = parser.parse_args(argv)
    out = args.out or args.recording.with_suffix('.png')
    for loss in plot(args.recording, out, args.engine):
        print(f'viva plot: {args.recording} is damaged: {loss}', file=sys.stderr)
    return 0


def plot(path: Path, out: Path, engine: str | None = None) -> tuple[str, ...]:
    """
    Draw a recording.

    :param engine: folder of the engine that gives values where none were recorded
    :returns: what could not be read of it
    :raises RecordingError: if it cannot be read, or has nothing to draw
    """
    recording = read(path)
    story = _story(recording, engine)
    mpl.rcParams.update({'font.size': TEXT, 'axes.spines.top': False, 'axes.spines.right': False})
    figure = Figure(figsize=(15, 8.6), facecolor='white')
    grid = figure.add_gridspec(
        3, PICTURES, height_ratios=[5, 1.5, 2.3], left=0.06, right=0.985, top=0.885, bottom=0.03,
        hspace=0.24, wspace=0.06,
    )  # fmt: skip
    above = figure.add_subplot(grid[0, :])
    below = figure.add_subplot(grid[1, :], sharex=above)
    above.set_xlim(min(0.0, -0.01 * story.end), story.end * 1.005)
    _draw_value(above, story)
    _draw_truth(below, story)
    _explain(above, below)
    strip = [figure.add_subplot(grid[2, place]) for place in range(PICTURES)]
    draw_pictures(strip, below, recording, story)
    text = title(story) + ('  |  damaged: parts are lost' if recording.losses else '')
    figure.suptitle(text, x=0.06, ha='left', fontsize=14, fontweight='bold')
    figure.savefig(out, dpi=100)
    return recording.losses


def _story(recording: Recording, engine: str | None) -> Story:
    if engine is None:
        return tell(recording, calibration_for(recording))
    episode = recording.episodes()[0]
    task = episode.label.task if episode.label else 'tray_lift'
    folder = engine_folder(engine, task)
    loaded = load(folder, task)
    calibration = calibration_of(folder, task, loaded.info.fingerprint)
    scores = score(recording, loaded, task, calibration, RATE)
    loaded.close()
    return tell(recording, calibration, scores)


def _draw_value(axes: Any, story: Story) -> None:
    """Value, smoothed value, alarm level, unknown spans, alerts."""
    axes.set(ylim=(-1.1, 1.1), yticks=(-1.0, -0.5, 0.0, 0.5, 1.0))
    axes.set_ylabel('value: rises towards success')
    axes.text(-0.005, -0.02, 'time, s', transform=axes.transAxes, ha='right', va='top')
    axes.plot(story.times, story.values, '.', color=SKY, ms=4, label='value V')
    axes.plot(*broken(story.times, story.smoothed, story.breaks), color=BLUE, lw=2.4,
              label='smoothed')  # fmt: skip
    if np.isfinite(story.alarm_below).any():
        line = broken(story.times, story.alarm_below, story.breaks)
        axes.plot(*line, color=RED, lw=1.3, ls='--', label='alarm below')
    for number, (begin, end) in enumerate(story.unknown):
        label = 'unknown' if not number else None
        axes.axvspan(begin, end, color='#dddddd', hatch='//', ec='#bbbbbb', lw=0, label=label)
    axes.axhline(0.0, color='#cccccc', lw=0.8, zorder=0)
    for at in story.evidence:
        axes.axvline(at, color='black', lw=1.0, ls=':', zorder=0)
    draw_events(axes, story)
    draw_band(axes, story, story.episodes, 1.01, 0.055)


def _explain(above: Any, below: Any) -> None:
    """One legend for both, each name once, above all."""
    known: dict[str, Any] = {}
    for axes in (above, below):
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            known.setdefault(name, handle)
    above.legend(
        known.values(), known, frameon=False, ncols=min(len(known), COLUMNS), fontsize=9,
        loc='lower left', bbox_to_anchor=(-0.008, 1.06), columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip


def broken(times: Array, numbers: Array, breaks: Sequence[float] = ()) -> tuple[Array, Array]:
    """Put a NaN into every gap and break, so that no line is drawn across it."""
    gaps = np.flatnonzero(np.diff(times) > GAP) + 1
    gaps = np.union1d(gaps, np.searchsorted(times, np.array(breaks)))
    return np.insert(times, gaps, np.nan), np.insert(numbers, gaps, np.nan)


def _draw_truth(axes: Any, story: Story) -> None:
    """Progress, and the spans in which something was wrong."""
    axes.set(ylim=(-0.05, 1.15), yticks=[0, 1], ylabel='truth')
    axes.xaxis.set_visible(False)
    if not story.moments:
        axes.text(0.5, 0.5, 'not known: no simulation', transform=axes.transAxes, ha='center')
        return
    times = np.array([story.seconds(m.stamp) for m in story.moments], dtype=np.float64)
    progress = np.array([m.progress for m in story.moments], dtype=np.float64)
    failed = np.array([m.failed for m in story.moments])
    success = np.array([m.success for m in story.moments])
    starts = [story.seconds(run[0].stamp) for run in runs(story.moments)]
    line = broken(times, progress, starts)
    axes.plot(*line, color='black', lw=1.6, label='true progress')
    for where, colour, label in ((failed, RED, 'failed'), (success, GREEN, 'success')):
        shade = {'color': colour, 'alpha': 0.22, 'lw': 0, 'label': label}
        axes.fill_between(times, -0.05, 1.15, where=where, **shade)
    for at in story.evidence:
        axes.axvline(at, color='black', lw=1.2, ls=':', label='evidence of a failure')
    draw_band(axes, story, attempts(story.moments), 1.02, 0.17)
