# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw a recording: the value with its alerts, the ground truth, and pictures below."""

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
    Story,
    Stretch,
    attempts,
    calibration_for,
    tell,
    title,
)

CHARACTER: Final = 0.62  # mean width of a letter, of the font's size
LANES: Final = (0.95, 0.81, 0.67, 0.53, 0.39)  # heights of texts, of 1


def width_of(text: str, axes: Any, size: float) -> float:
    """
    Estimate how long a text is, in units of the axis of time.

    :param size: of its letters, points
    """
    inches = axes.get_position().width * axes.figure.get_figwidth()
    begin, end = axes.get_xlim()
    return float(len(text) * CHARACTER * size / 72.0 / inches * (end - begin))


def draw_band(
    axes: Any, story: Story, stretches: Sequence[Stretch], bottom: float, height: float
) -> None:
    """
    Draw stretches as a row of boxes, each with its name if there is room.

    :param bottom: of the row, of the axes' height; above 1 is above them
    """
    size = 8.5
    for number, stretch in enumerate(stretches):
        begin, end = story.seconds(stretch.begin), story.seconds(stretch.end)
        axes.axvspan(
            begin, end, bottom, bottom + height, clip_on=False, lw=0.8, ec='white',
            fc=('#e4e4e4', '#d2d2d2')[number % 2],
        )  # fmt: skip
        if width_of(stretch.name, axes, size) < end - begin:
            axes.text(
                0.5 * (begin + end), bottom + 0.46 * height, stretch.name, fontsize=size,
                ha='center', va='center', transform=axes.get_xaxis_transform(),
            )  # fmt: skip


class Lanes:
    """Gives each text the highest lane that is free where it stands."""

    def __init__(self) -> None:
        self._ends = [float('-inf')] * len(LANES)

    def place(self, begin: float, end: float) -> float | None:
        """Take room for a text; its height of 1, None if all lanes are full there."""
        for number, height in enumerate(LANES):
            if self._ends[number] <= begin:
                self._ends[number] = end
                return height
        return None


COLOURS = {'ALARM': RED, 'failure': 'black', 'success': GREEN, '': GREY}


def pictures(recording: Recording, stamps: Sequence[int], camera: str = 'head') -> list[Image]:
    """
    Return one camera's picture at, or the last before, each stamp.

    :param camera: if it was not recorded, the first of the others
    """
    tracks = recording.cameras
    if not tracks:
        return []
    shown = tracks.get(camera, next(iter(tracks.values()))).frames(*ALWAYS)
    places = np.searchsorted(shown.stamps, np.array(stamps), side='right') - 1
    return [shown.images[max(0, int(place))] for place in places]


def picture_times(story: Story, count: int) -> list[tuple[float, str]]:
    """
    Choose even times, and move the nearest between the ends to each alarm, failure and success.

    :returns: ascending times, s, with 'ALARM', 'failure', 'success' or ''
    """
    times = np.linspace(0.0, story.end, count)
    wanted = [(story.seconds(event.stamp), 'ALARM') for event in story.alarms]
    wanted += [(at, 'failure') for at in story.evidence]
    wanted += [(at, 'success') for at in story.successes]
    chosen: dict[int, tuple[float, str]] = {}
    for at, name in wanted[: count - 2]:
        free = [place for place in range(1, count - 1) if place not in chosen]
        chosen[min(free, key=lambda place: abs(times[place] - at))] = at, name
    even = [(float(at), '') for place, at in enumerate(times) if place not in chosen]
    return sorted([*even, *chosen.values()])


def draw_pictures(strip: Sequence[Any], axes: Any, recording: Recording, story: Story) -> None:
    """Pictures in the order of time, each tied to the axis."""
    moments = picture_times(story, len(strip))
    images = pictures(recording, [story.begin + round(at * 1e9) for at, _ in moments])
    for place, (at, name) in enumerate(moments):
        frame = strip[place]
        frame.set(xticks=[], yticks=[])
        if images:
            frame.imshow(images[place])
        colour = COLOURS[name]
        for spine in frame.spines.values():
            spine.set(visible=True, color=colour, lw=3 if name else 0.8)
        text_colour = colour if name else 'black'
        frame.set_xlabel(f'{at:.1f} s {name}', color=text_colour, fontsize=9, labelpad=2)
        line = ConnectionPatch(
            (0.5, 1.0), (at, -0.05), 'axes fraction', 'data', axesA=frame, axesB=axes,
            color=colour, lw=0.8, alpha=0.7,
        )  # fmt: skip
        frame.figure.add_artist(line)


TEXT: Final = 10.0  # size of letters, points
WRITTEN: Final = 12  # texts; more of them would cover the curve
BEHIND: Final = {'fc': 'white', 'ec': 'none', 'pad': 0.8, 'alpha': 0.75}
MARKS: Final = {
    'retry_accepted': ('retry', GREEN, '^'),
    'retry_refused': ('retry refused', RED, 'X'),
    'retry_timeout': ('retry unanswered', RED, 'X'),
    'retry_dry_run': ('retry is due (dry run)', GREY, '^'),
    'retry_budget': ('operator needed', RED, 'X'),
    'recovered': ('value rises again', GREEN, 'o'),
}


def draw_events(axes: Any, story: Story) -> None:
    """
    Warnings on the curve; alarms and what came of them as texts, each in a lane of its own.

    Where there are too many, or no lane is free, the text goes to the legend.
    """
    marks = list(_marks(story))
    lanes = Lanes()
    for event in story.events:
        if event.kind in RULES and event.level == Level.WARN:
            _mark(axes, story.seconds(event.stamp), event.value, ('warning', ORANGE, 'v'))
    for at, level, mark in marks:
        if mark[1] == RED and mark[2] == 'v':
            axes.axvline(at, color=RED, lw=1.4)
        if len(marks) > WRITTEN or not _write(axes, lanes, at, mark):
            _mark(axes, at, level, mark)


def _marks(story: Story) -> Iterator[tuple[float, float, tuple[str, str, str]]]:
    """Yield time, height and look of alarms and of what came of them."""
    alarmed = False
    for event in story.events:
        at = story.seconds(event.stamp)
        if event.kind in RULES and event.level == Level.ALARM:
            alarmed = True
            yield at, 1.0, (f'ALARM: {event.kind.replace("_", " ")}', RED, 'v')
        elif event.kind in MARKS and (alarmed or event.kind != 'recovered'):  # not of a warning
            alarmed = alarmed and event.kind != 'recovered'
            yield at, 0.85 if event.kind != 'recovered' else 0.7, MARKS[event.kind]


def _write(axes: Any, lanes: Lanes, at: float, mark: tuple[str, str, str]) -> bool:
    """Draw a mark with its text; False if all lanes are full there."""
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
        text, (at, level), ((-8 if beyond else 8), 0), textcoords='offset points', color=colour,
        fontweight='bold', ha=side, va='center', bbox=BEHIND,
    )  # fmt: skip
    return True


def _mark(axes: Any, at: float, level: float, mark: tuple[str, str, str]) -> None:
    text, colour, shape = mark
    style = {'color': colour, 'ms': 9, 'mec': 'white', 'mew': 0.6, 'zorder': 5, 'ls': ''}
    axes.plot(at, level, shape, label=text or None, **style)


PICTURES: Final = 9
COLUMNS: Final = 10  # of the legend
GAP: Final = 0.9  # s


def plot(path: Path, out: Path, engine: str | None = None) -> tuple[str, ...]:
    """
    Draw a recording.

    :param engine: folder of the engine that gives values where none were recorded
    :returns: what could not be read of it
    :raises RecordingError: if it cannot be read, or has nothing to draw
    """
    recording = open_recording(path)
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
    episode = episodes_of(recording)[0]
    task = episode.label.task if episode.label else DEFAULT_TASK
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
