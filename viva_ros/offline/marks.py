# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Alarms on a plot, and what came of them."""

from collections.abc import Iterator
from typing import Any, Final

from viva_ros.core.events import RULES, Level
from viva_ros.offline.bands import Lanes, width_of
from viva_ros.visualization.timeline import Story

# Okabe and Ito's colours, which colour-blind people can tell apart.
GREEN, ORANGE, RED, GREY = '#009E73', '#E69F00', '#D55E00', '#888888'
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
    """Give time, height and look of alarms and of what came of them."""
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
