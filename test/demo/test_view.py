# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import io
import math

import pytest
from rich.console import Console

from viva_ros.core.events import Level
from viva_ros.demo.events import DemoAlert, DemoSession, DemoTruth, ValueSample
from viva_ros.demo.view import Grid, render

NOW = 1_000_000_000_000  # ns
LABELS = ['+1.0', '+0.5', '+0.0', '-0.5', '-1.0']


def ago(seconds: float) -> int:
    return NOW - round(seconds * 1e9)


def shown(session: DemoSession, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(render(session, 'a failure: slip', NOW))
    return capture.get().splitlines()


@pytest.fixture
def session() -> DemoSession:
    values = {38.0: -1.0, 20.0: 0.0, 0.0: 1.0}
    samples = [ValueSample(ago(at), value, 0.04, '', 'e') for at, value in values.items()]
    samples.append(ValueSample(ago(10.0), math.nan, math.nan, 'no picture of head', 'e'))
    alerts = [
        DemoAlert(ago(30.0 - n), Level.WARN, 'drop', 0.0, f'the value fell by 0.{n}', 'e')
        for n in range(9)
    ]
    alerts.append(DemoAlert(ago(5.0), Level.ALARM, 'no_rise', 0.0, 'so long a sentence ' * 9, 'e'))
    truth = DemoTruth(NOW, 7.0, 2, 'lift', 0.5, False, False, False, math.nan, math.nan)
    return DemoSession(samples, alerts, [truth])


@pytest.mark.parametrize(('width', 'height'), [(80, 24), (120, 40), (60, 16)])
def test_view_fills_terminal_without_wrapped_lines(session, width, height) -> None:
    lines = shown(session, width, height)
    assert len(lines) == height
    assert all(len(line) == width for line in lines)
    found = [line[3:7] for line in lines if line[3:7] in LABELS]
    assert found == LABELS
    assert any('no picture of head' in line for line in lines)
    assert 'so long a sentence' in '\n'.join(lines), 'the newest alert is always there'


def test_plot_draws_values_at_their_cells(session) -> None:
    lines = shown(session, 80, 24)
    highest = next(line for line in lines if '+1.0' in line)
    lowest = next(line for line in lines if '-1.0' in line)
    assert highest[8:46].rstrip(' │╮').endswith('●')
    assert lowest[8:46].index('●') < 4, '38 of 40 s ago is at the left'
    assert '?' in lowest, 'ten seconds ago it was unknown'
    assert sum('!' in line[8:46] for line in lines) >= 13, 'a column of them for the alarm'


def test_grid_maps_values_to_rows_and_ages_to_columns() -> None:
    grid = Grid(rows=11, columns=40)
    assert [grid.row(value) for value in (1.0, 0.0, -1.0, 7.0)] == [0, 5, 10, 0]
    assert [grid.column(age) for age in (0.0, 39.9, 40.0)] == [39, 0, None]


def test_view_without_data_shows_waiting() -> None:
    text = '\n'.join(shown(DemoSession(), 80, 24))
    assert 'waiting' in text and 'no message yet' in text
