# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The value over time, drawn with characters into whatever room there is."""

import math
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from viva_ros.core.events import is_alarming
from viva_ros.demo.events import Session

SPAN = 40.0  # s shown
LABELS = (1.0, 0.5, 0.0, -0.5, -1.0)
MARGIN = 6  # columns for them
SMALLEST = 3  # rows and columns


@dataclass(frozen=True)
class Grid:
    """A place for each value in [-1, 1] and each time up to now."""

    rows: int
    columns: int

    def row(self, value: float) -> int:
        """Give the row of a value; 0 is the highest."""
        return round((1.0 - min(max(value, -1.0), 1.0)) / 2.0 * (self.rows - 1))

    def column(self, age: float) -> int | None:
        """Give the column of what is so old, s; None if that is not shown."""
        column = self.columns - 1 - int(age / SPAN * self.columns)
        return column if 0 <= column < self.columns else None


class Curve:
    """Values as dots; '?' where unknown, '!' at an alarm."""

    def __init__(self, session: Session, now: int) -> None:
        self._session, self._now = session, now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fill the room."""
        rows = max(SMALLEST, options.height or 17)
        yield self.text(Grid(rows, max(SMALLEST, options.max_width - MARGIN)))

    def text(self, grid: Grid) -> Text:
        """Draw."""
        cells = [[(' ', '')] * grid.columns for _ in range(grid.rows)]
        cells[grid.row(0.0)] = [('·', 'dim')] * grid.columns
        self._draw_alarms(grid, cells)
        for sample in self._session.samples[-2000:]:
            column = grid.column((self._now - sample.stamp) * 1e-9)
            if column is None:
                continue
            if math.isfinite(sample.value):
                style = 'green' if sample.value > 0 else 'yellow'
                cells[grid.row(sample.value)][column] = ('●', style)
            else:
                cells[-1][column] = ('?', 'magenta')
        return _lines(grid, cells)

    def _draw_alarms(self, grid: Grid, cells: list[list[tuple[str, str]]]) -> None:
        for notice in self._session.notices:
            column = grid.column((self._now - notice.stamp) * 1e-9)
            if column is not None and is_alarming(notice.level, notice.kind):
                for row in cells:
                    row[column] = ('!', 'red')


def _lines(grid: Grid, cells: list[list[tuple[str, str]]]) -> Text:
    labels = {grid.row(value): f'{value:+.1f}' for value in LABELS}
    text = Text(no_wrap=True)
    for number, row in enumerate(cells):
        text.append(labels.get(number, '').rjust(MARGIN - 1) + ' ', 'dim')
        for symbol, style in row:
            text.append(symbol, style)
        text.append('\n' if number < grid.rows - 1 else '')
    return text
