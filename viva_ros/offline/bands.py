# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names on a time axis that never lie on each other: bands of stretches, and texts in lanes."""

from collections.abc import Sequence
from typing import Any, Final

from viva_ros.offline.stretches import Stretch
from viva_ros.visualization.timeline import Story

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
