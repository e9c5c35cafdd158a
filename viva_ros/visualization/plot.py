# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw a recording: value with alerts, ground truth, and images."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from viva_ros.console.palette import BLUE, GREEN, GREY, ORANGE, RED, SKY
from viva_ros.core.detection.rules import RULES
from viva_ros.core.events import Level
from viva_ros.core.files import replace_atomically
from viva_ros.core.foreign_text import plotted
from viva_ros.core.observation import Array, Image
from viva_ros.data.open import open_recording
from viva_ros.data.recorded_messages import runs
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.engine.factory import load
from viva_ros.engine.resources import DEFAULT_TASK, engine_folder
from viva_ros.scoring.jobs import calibration_of
from viva_ros.scoring.scorer import RATE, score
from viva_ros.visualization.timeline import (
    ALWAYS,
    NamedSpan,
    PlotContent,
    attempts,
    calibration_for,
    plot_content,
    title,
)

CHARACTER: Final = 0.62  # mean width of a letter, relative to the font size
LANES: Final = (0.95, 0.81, 0.67, 0.53, 0.39)  # relative heights of texts


def width_of(text: str, axes: Any, size: float) -> float:
    """
    Estimate the length of a text on the time axis, s.

    :param size: font size, points
    """
    inches = axes.get_position().width * axes.figure.get_figwidth()
    begin, end = axes.get_xlim()
    return float(len(text) * CHARACTER * size / 72.0 / inches * (end - begin))


def draw_band(
    axes: Any, content: PlotContent, spans: Sequence[NamedSpan], bottom: float, height: float
) -> None:
    """
    Draw spans as a row of boxes, each with its name if that fits.

    :param bottom: of the row, relative to the height of the axes; above 1: above the axes
    :param height: relative to the height of the axes
    """
    size = 8.5
    for number, span in enumerate(spans):
        begin, end = content.seconds(span.begin), content.seconds(span.end)
        axes.axvspan(
            begin, end, bottom, bottom + height, clip_on=False, lw=0.8, ec='white',
            fc=('#e4e4e4', '#d2d2d2')[number % 2],
        )  # fmt: skip
        if width_of(span.name, axes, size) < end - begin:
            axes.text(
                0.5 * (begin + end), bottom + 0.46 * height, plotted(span.name), fontsize=size,
                ha='center', va='center', transform=axes.get_xaxis_transform(),
            )  # fmt: skip


class Lanes:
    """Places each text in the highest lane that is free at its position."""

    def __init__(self) -> None:
        self._ends = [float('-inf')] * len(LANES)

    def place(self, begin: float, end: float) -> float | None:
        """Reserve space for a text and return its relative height; None if all lanes are full."""
        for number, height in enumerate(LANES):
            if self._ends[number] <= begin:
                self._ends[number] = end
                return height
        return None


COLOURS = {'ALARM': RED, 'failure': 'black', 'success': GREEN, '': GREY}


def pictures(recording: Recording, stamps: Sequence[int], camera: str = 'head') -> list[Image]:
    """
    Return the last image of one camera at or before each stamp.

    :param camera: if it was not recorded, the first camera is used
    """
    tracks = recording.cameras
    if not tracks:
        return []
    shown = tracks.get(camera, next(iter(tracks.values()))).frames(*ALWAYS)
    places = np.searchsorted(shown.stamps, np.array(stamps), side='right') - 1
    return [shown.images[max(0, int(place))] for place in places]


def picture_times(content: PlotContent, count: int) -> list[tuple[float, str]]:
    """
    Return equidistant times, the inner ones moved to the alarms, failures and successes nearby.

    :returns: ascending times, s, with 'ALARM', 'failure', 'success' or ''
    """
    times = np.linspace(0.0, content.end, count)
    wanted = [(content.seconds(event.stamp), 'ALARM') for event in content.alarms]
    wanted += [(at, 'failure') for at in content.evidence]
    wanted += [(at, 'success') for at in content.successes]
    chosen: dict[int, tuple[float, str]] = {}
    for at, name in wanted[: count - 2]:
        free = [place for place in range(1, count - 1) if place not in chosen]
        chosen[min(free, key=lambda place: abs(times[place] - at))] = at, name
    even = [(float(at), '') for place, at in enumerate(times) if place not in chosen]
    return sorted([*even, *chosen.values()])


def draw_pictures(
    strip: Sequence[Any], axes: Any, recording: Recording, content: PlotContent
) -> None:
    """Draw images in order of time, each connected to its time on the axis."""
    moments = picture_times(content, len(strip))
    images = pictures(recording, [content.begin + round(at * 1e9) for at, _ in moments])
    for place, (at, name) in enumerate(moments):
        frame = strip[place]
        frame.set(xticks=[], yticks=[])
        if images:
            frame.imshow(images[place])
        colour = COLOURS[name]
        for spine in frame.spines.values():
            spine.set(visible=True, color=colour, lw=3 if name else 0.8)
        text_colour = colour if name else 'black'
        frame.set_xlabel(f'{at:.1f} s {plotted(name)}', color=text_colour, fontsize=9, labelpad=2)
        line = ConnectionPatch(
            (0.5, 1.0), (at, -0.05), 'axes fraction', 'data', axesA=frame, axesB=axes,
            color=colour, lw=0.8, alpha=0.7,
        )  # fmt: skip
        frame.figure.add_artist(line)


TEXT: Final = 10.0  # font size, points
TITLE: Final = 150  # characters of the title
WRITTEN: Final = 12  # largest number of texts; more would cover the curve
BEHIND: Final = {'fc': 'white', 'ec': 'none', 'pad': 0.8, 'alpha': 0.75}
MARKS: Final = {
    'retry_accepted': ('retry', GREEN, '^'),
    'retry_rejected': ('retry rejected', RED, 'X'),
    'retry_timeout': ('retry unanswered', RED, 'X'),
    'retry_dry_run': ('retry is due (dry run)', GREY, '^'),
    'retry_budget_exhausted': ('operator needed', RED, 'X'),
    'recovered': ('value rises again', GREEN, 'o'),
}


def draw_events(axes: Any, content: PlotContent) -> None:
    """
    Draw warnings on the curve, and alarms and retries as texts, each in its own lane.

    With too many texts, or without a free lane, the text is in the legend.
    """
    marks = list(_marks(content))
    lanes = Lanes()
    for event in content.events:
        if event.kind in RULES and event.level == Level.WARN:
            _mark(axes, content.seconds(event.stamp), event.value, ('warning', ORANGE, 'v'))
    for at, level, mark in marks:
        if mark[1] == RED and mark[2] == 'v':
            axes.axvline(at, color=RED, lw=1.4)
        if len(marks) > WRITTEN or not _write(axes, lanes, at, mark):
            _mark(axes, at, level, mark)


def _marks(content: PlotContent) -> Iterator[tuple[float, float, tuple[str, str, str]]]:
    """Yield time, height and style of each alarm and of the events of its retry."""
    alarmed = False
    for event in content.events:
        at = content.seconds(event.stamp)
        if event.kind in RULES and event.level == Level.ALARM:
            alarmed = True
            yield at, 1.0, (f'ALARM: {event.kind.replace("_", " ")}', RED, 'v')
        # the end of a warning has no mark
        elif event.kind in MARKS and (alarmed or event.kind != 'recovered'):
            alarmed = alarmed and event.kind != 'recovered'
            yield at, 0.85 if event.kind != 'recovered' else 0.7, MARKS[event.kind]


def _write(axes: Any, lanes: Lanes, at: float, mark: tuple[str, str, str]) -> bool:
    """Draw a mark with its text; return False if all lanes are full."""
    text, colour, shape = mark
    end = at + width_of(f'    {text} ', axes, TEXT)
    beyond = end > axes.get_xlim()[1]
    height = lanes.place(2.0 * at - end if beyond else at, at if beyond else end)
    if height is None:
        return False
    level = 2.2 * height - 1.1
    _mark(axes, at, level, ('', colour, shape))
    side = 'right' if beyond else 'left'
    axes.annotate(
        plotted(text), (at, level), ((-8 if beyond else 8), 0), textcoords='offset points',
        color=colour, fontweight='bold', ha=side, va='center', bbox=BEHIND,
    )  # fmt: skip
    return True


def _mark(axes: Any, at: float, level: float, mark: tuple[str, str, str]) -> None:
    text, colour, shape = mark
    style = {'color': colour, 'ms': 9, 'mec': 'white', 'mew': 0.6, 'zorder': 5, 'ls': ''}
    axes.plot(at, level, shape, label=plotted(text) or None, **style)


PICTURES: Final = 9
COLUMNS: Final = 10  # of the legend
GAP: Final = 0.9  # s


def plot(path: Path, out: Path, engine: str | None = None) -> tuple[str, ...]:
    """
    Draw a recording.

    :param out: an image file; its folder must exist
    :param engine: folder of the engine that estimates values if none were recorded
    :returns: losses of the recording, as sentences
    :raises RecordingError: if the recording cannot be read, or is empty
    :raises OSError: if the file cannot be written, with its name
    """
    recording = open_recording(path)
    content = _content(recording, engine)
    mpl.rcParams.update({'font.size': TEXT, 'axes.spines.top': False, 'axes.spines.right': False})
    figure = Figure(figsize=(15, 8.6), facecolor='white')
    grid = figure.add_gridspec(
        3, PICTURES, height_ratios=[5, 1.5, 2.3], left=0.06, right=0.985, top=0.885, bottom=0.03,
        hspace=0.24, wspace=0.06,
    )  # fmt: skip
    above = figure.add_subplot(grid[0, :])
    below = figure.add_subplot(grid[1, :], sharex=above)
    above.set_xlim(min(0.0, -0.01 * content.end), content.end * 1.005)
    _draw_value(above, content)
    _draw_truth(below, content)
    _draw_legend(above, below)
    strip = [figure.add_subplot(grid[2, place]) for place in range(PICTURES)]
    draw_pictures(strip, below, recording, content)
    text = title(content) + ('  |  damaged: parts are lost' if recording.losses else '')
    figure.suptitle(plotted(text, TITLE), x=0.06, ha='left', fontsize=14, fontweight='bold')
    kind = out.suffix[1:] or 'png'
    replace_atomically(out, lambda part: figure.savefig(part, format=kind, dpi=100))
    return recording.losses


def _content(recording: Recording, engine: str | None) -> PlotContent:
    if engine is None:
        return plot_content(recording, calibration_for(recording))
    episode = episodes_of(recording)[0]
    task = episode.label.task if episode.label else DEFAULT_TASK
    folder = engine_folder(engine, task)
    loaded = load(folder, task)
    calibration = calibration_of(folder, task, loaded.info.fingerprint, None)
    rate = calibration.rate if calibration else RATE
    scores = score(recording, loaded, task, calibration, rate)
    loaded.close()
    return plot_content(recording, calibration, scores)


def _draw_value(axes: Any, content: PlotContent) -> None:
    """Draw value, smoothed value, alarm level, unknown spans and alerts."""
    axes.set(ylim=(-1.1, 1.1), yticks=(-1.0, -0.5, 0.0, 0.5, 1.0))
    axes.set_ylabel('value: rises towards success')
    axes.text(-0.005, -0.02, 'time, s', transform=axes.transAxes, ha='right', va='top')
    axes.plot(content.times, content.values, '.', color=SKY, ms=4, label='value V')
    axes.plot(*broken(content.times, content.smoothed, content.breaks), color=BLUE, lw=2.4,
              label='smoothed')  # fmt: skip
    if np.isfinite(content.alarm_below).any():
        line = broken(content.times, content.alarm_below, content.breaks)
        axes.plot(*line, color=RED, lw=1.3, ls='--', label='alarm below')
    for number, (begin, end) in enumerate(content.unknown):
        axes.axvspan(
            begin, end, color='#dddddd', hatch='//', ec='#bbbbbb', lw=0,
            label='unknown' if not number else None,
        )  # fmt: skip
    axes.axhline(0.0, color='#cccccc', lw=0.8, zorder=0)
    for at in content.evidence:
        axes.axvline(at, color='black', lw=1.0, ls=':', zorder=0)
    draw_events(axes, content)
    draw_band(axes, content, content.episodes, 1.01, 0.055)


def _draw_legend(above: Any, below: Any) -> None:
    """Draw one legend for both axes, above them, each name once."""
    handles: dict[str, Any] = {}
    for axes in (above, below):
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    above.legend(
        handles=[*handles.values()], frameon=False, ncols=min(len(handles), COLUMNS), fontsize=9,
        loc='lower left', bbox_to_anchor=(-0.008, 1.06), columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip


def broken(times: Array, numbers: Array, breaks: Sequence[float] = ()) -> tuple[Array, Array]:
    """Insert NaN at each gap and break, so that no line is drawn across it."""
    gaps = np.flatnonzero(np.diff(times) > GAP) + 1
    gaps = np.union1d(gaps, np.searchsorted(times, np.array(breaks)))
    return np.insert(times, gaps, np.nan), np.insert(numbers, gaps, np.nan)


def _draw_truth(axes: Any, content: PlotContent) -> None:
    """Draw true progress, and the spans of failure and success."""
    axes.set(ylim=(-0.05, 1.15), yticks=[0, 1], ylabel='truth')
    axes.xaxis.set_visible(False)
    if not content.moments:
        axes.text(0.5, 0.5, 'unknown: not a simulation', transform=axes.transAxes, ha='center')
        return
    times = np.array([content.seconds(m.stamp) for m in content.moments], dtype=np.float64)
    progress = np.array([m.progress for m in content.moments], dtype=np.float64)
    failed = np.array([m.failed for m in content.moments])
    success = np.array([m.success for m in content.moments])
    starts = [content.seconds(run[0].stamp) for run in runs(content.moments)]
    line = broken(times, progress, starts)
    axes.plot(*line, color='black', lw=1.6, label='true progress')
    for where, colour, label in ((failed, RED, 'failed'), (success, GREEN, 'success')):
        shade = {'color': colour, 'alpha': 0.22, 'lw': 0, 'label': plotted(label)}
        axes.fill_between(times, -0.05, 1.15, where=where, **shade)
    for at in content.evidence:
        axes.axvline(at, color='black', lw=1.2, ls=':', label='evidence of a failure')
    draw_band(axes, content, attempts(content.moments), 1.02, 0.17)
