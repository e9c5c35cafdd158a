# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live view of the demo in the terminal: the value as a curve, and the state of the supervisor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from viva_ros.core.events import Level, is_alarming
from viva_ros.core.foreign_text import shown
from viva_ros.demo.events import DemoAlert, DemoSession, DemoTruth, ValueSample

SPAN = 40.0  # s shown
LABELS = (1.0, 0.5, 0.0, -0.5, -1.0)
MARGIN = 6  # columns of the labels
SMALLEST = 3  # rows and columns


@dataclass(frozen=True)
class Grid:
    """Maps values in [-1, 1] and ages to rows and columns."""

    rows: int
    columns: int

    def row(self, value: float) -> int:
        """Return the row of a value; 0 is the highest."""
        return round((1.0 - min(max(value, -1.0), 1.0)) / 2.0 * (self.rows - 1))

    def column(self, age: float) -> int | None:
        """Return the column of an age, s; None if it is not shown."""
        column = self.columns - 1 - int(age / SPAN * self.columns)
        return column if 0 <= column < self.columns else None


class ValuePlot:
    """Values as dots; '?' where unknown, '!' at an alarm."""

    def __init__(self, session: DemoSession, now: int) -> None:
        self._session, self._now = session, now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fill the available space."""
        rows = max(SMALLEST, options.height or 17)
        yield self.text(Grid(rows, max(SMALLEST, options.max_width - MARGIN)))

    def text(self, grid: Grid) -> Text:
        """Draw the plot on a grid."""
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
        for alert in self._session.alerts:
            column = grid.column((self._now - alert.stamp) * 1e-9)
            if column is not None and is_alarming(alert.level, alert.kind):
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


BAR = 12  # columns
STYLES = {
    Level.OK: 'green', Level.UNKNOWN: 'magenta', Level.WARN: 'yellow',
    Level.ALARM: 'bold red', Level.NEEDS_OPERATOR: 'bold white on red',
    Level.LATCHED: 'yellow', Level.PAUSED: 'cyan',
}  # fmt: skip


def render(session: DemoSession, title: str, now: int) -> RenderableType:
    """Draw a session at stamp ``now``, ns."""
    layout = Layout()
    layout.split_column(Layout(name='top', ratio=5), Layout(name='events', ratio=2))
    layout['top'].split_row(
        Layout(Panel(ValuePlot(session, now), title='value (rises towards success)'), ratio=3),
        Layout(Panel(status(session, now), title=title), ratio=2),
    )
    layout['events'].update(Panel(Events(session.alerts), title='supervisor'))
    return layout


def status(session: DemoSession, now: int) -> RenderableType:
    """Draw the state of robot, monitor and supervisor, below the reason of an unknown value."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, min_width=10)
    table.add_column(no_wrap=True, overflow='ellipsis')
    sample = session.samples[-1] if session.samples else None
    table.add_row('value', _value(sample))
    table.add_row('rate', f'{rate(session.samples, now):.1f} Hz')
    table.add_row('latency', _latency(sample))
    table.add_row('supervisor', _level(session.alerts))
    retries = session.kinds().count('retry_accepted')
    table.add_row('retries', str(retries))
    table.add_row('', '')
    table.add_row('truth:', '')
    for name, cell in _truth(session.now):
        table.add_row(name, cell)
    if sample is not None and sample.reason:
        return Group(Text(shown(sample.reason), 'magenta'), table)
    return table


class Events:
    """The newest alerts, one in a line, as many as fit."""

    def __init__(self, alerts: Sequence[DemoAlert]) -> None:
        self._notices = alerts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fill the available space."""
        for alert in self._notices[-(options.height or 8) :]:
            text = line(alert)
            text.truncate(options.max_width, overflow='ellipsis')
            yield text


def line(alert: DemoAlert) -> Text:
    """Return an alert as one line."""
    level = Level(alert.level)
    return Text.assemble(
        (f'{level.name:15s}', STYLES[level]), f'{shown(alert.kind):16s} {shown(alert.text)}'
    )


def rate(samples: Sequence[ValueSample], now: int) -> float:
    """Return the number of known values per second over the last 5 s."""
    recent = [s for s in samples[-200:] if now - s.stamp < 5e9 and math.isfinite(s.value)]
    return len(recent) / 5.0


def _truth(truth: DemoTruth | None) -> list[tuple[str, RenderableType]]:
    if truth is None:
        return [('robot', 'no message yet')]
    state = 'succeeded' if truth.success else 'failing' if truth.failed else truth.phase
    done = round(BAR * truth.progress)
    return [
        ('robot', Text(shown(state), 'red' if truth.failed else 'green')),
        ('progress', '█' * done + '░' * (BAR - done)),
        ('attempt', str(truth.attempt)),
        ('time', f'{truth.time:.1f} s'),
    ]


def _value(sample: ValueSample | None) -> Text:
    if sample is None:
        return Text('waiting', 'dim')
    if not math.isfinite(sample.value):
        return Text('unknown', 'magenta')
    return Text(f'{sample.value:+.2f}', 'bold green' if sample.value > 0 else 'bold yellow')


def _latency(sample: ValueSample | None) -> str:
    known = sample is not None and math.isfinite(sample.latency)
    return f'{1e3 * sample.latency:.0f} ms' if known and sample else '-'


def _level(alerts: Sequence[DemoAlert]) -> Text:
    if not alerts:
        return Text('waiting', 'dim')
    level = Level(alerts[-1].level)
    return Text(level.name, STYLES[level])
