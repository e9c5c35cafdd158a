# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live view: the value as a curve in the terminal, beside what the supervisor says."""

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from viva_ros.core.events import Level
from viva_ros.demo.session import Moment, Notice, Sample, Session

SPAN = 40.0  # s shown
ROWS, COLUMNS = 17, 72
STYLES = {
    Level.OK: 'green', Level.UNKNOWN: 'magenta', Level.WARN: 'yellow',
    Level.ALARM: 'bold red', Level.NEEDS_OPERATOR: 'bold white on red',
}  # fmt: skip


def render(session: Session, title: str, now: int) -> RenderableType:
    """Draw a session as it stands at stamp `now`, ns."""
    layout = Layout()
    layout.split_column(Layout(name='top', size=ROWS + 4), Layout(name='events'))
    layout['top'].split_row(
        Layout(Panel(curve(session, now), title='value (rises towards success)'), ratio=3),
        Layout(Panel(status(session, now), title=title), ratio=2),
    )
    layout['events'].update(Panel(events(session.notices[-8:]), title='supervisor'))
    return layout


def curve(session: Session, now: int) -> Text:
    """Plot the last values over time; '?' where unknown, '!' at an alarm."""
    grid = [[(' ', '')] * COLUMNS for _ in range(ROWS)]
    grid[_row(0.0)] = [('·', 'dim')] * COLUMNS
    for notice in session.notices:
        column = _column(notice.stamp, now)
        if column is not None and notice.level >= Level.ALARM:
            for row in range(ROWS):
                grid[row][column] = ('!', 'red')
    for sample in session.samples[-2000:]:
        column = _column(sample.stamp, now)
        if column is None:
            continue
        if math.isfinite(sample.value):
            grid[_row(sample.value)][column] = ('●', 'green' if sample.value > 0 else 'yellow')
        else:
            grid[ROWS - 1][column] = ('?', 'magenta')
    return _lines(grid)


def status(session: Session, now: int) -> Table:
    """Tell what robot, monitor and supervisor are at."""
    table = Table.grid(padding=(0, 2))
    sample = session.samples[-1] if session.samples else None
    table.add_row('value', _value(sample))
    table.add_row('rate', f'{rate(session.samples, now):.1f} Hz')
    table.add_row('latency', _latency(sample))
    table.add_row('supervisor', _level(session.notices))
    retries = session.kinds().count('retry_accepted')
    table.add_row('retries', str(retries))
    table.add_row('', '')
    for name, cell in _truth(session.now):
        table.add_row(name, cell)
    return table


def events(notices: Sequence[Notice]) -> RenderableType:
    """List the newest alerts."""
    return Group(*(line(notice) for notice in notices))


def line(notice: Notice) -> Text:
    """One alert in one line."""
    level = Level(notice.level)
    return Text.assemble((f'{level.name:15s}', STYLES[level]), f'{notice.kind:16s} {notice.text}')


def rate(samples: Sequence[Sample], now: int) -> float:
    """Known values per second over the last five seconds."""
    recent = [s for s in samples[-200:] if now - s.stamp < 5e9 and math.isfinite(s.value)]
    return len(recent) / 5.0


def _truth(moment: Moment | None) -> list[tuple[str, RenderableType]]:
    if moment is None:
        return [('robot', 'not heard yet')]
    state = 'succeeded' if moment.success else 'failing' if moment.failed else moment.phase
    bar = '█' * round(20 * moment.progress) + '░' * (20 - round(20 * moment.progress))
    return [
        ('robot (truth)', Text(state, 'red' if moment.failed else 'green')),
        ('progress', bar),
        ('attempt', str(moment.attempt)),
        ('time', f'{moment.time:.1f} s'),
    ]


def _value(sample: Sample | None) -> Text:
    if sample is None:
        return Text('waiting', 'dim')
    if not math.isfinite(sample.value):
        return Text(f'unknown: {sample.reason}', 'magenta')
    return Text(f'{sample.value:+.2f}', 'bold green' if sample.value > 0 else 'bold yellow')


def _latency(sample: Sample | None) -> str:
    known = sample is not None and math.isfinite(sample.latency)
    return f'{1e3 * sample.latency:.0f} ms' if known and sample else '-'


def _level(notices: Sequence[Notice]) -> Text:
    if not notices:
        return Text('waiting', 'dim')
    level = Level(notices[-1].level)
    return Text(level.name, STYLES[level])


def _row(value: float) -> int:
    return round((1.0 - min(max(value, -1.0), 1.0)) / 2.0 * (ROWS - 1))


def _column(stamp: int, now: int) -> int | None:
    column = COLUMNS - 1 - int((now - stamp) * 1e-9 / SPAN * COLUMNS)
    return column if 0 <= column < COLUMNS else None


def _lines(grid: Sequence[Sequence[tuple[str, str]]]) -> Text:
    text = Text()
    for row, cells in enumerate(grid):
        value = 1.0 - 2.0 * row / (ROWS - 1)
        text.append(f'{value:+5.2f} ' if row % 4 == 0 else 6 * ' ', 'dim')
        for symbol, style in cells:
            text.append(symbol, style)
        text.append('\n')
    return text
