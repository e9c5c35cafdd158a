# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Report page of an evaluation in a real browser, without a network."""

import json
import math
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.recordings import RISING, make_label, write_recording

from viva_ros.cli import evaluate
from viva_ros.cli.evaluate import main
from viva_ros.cli.main import main as viva
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration, Threshold
from viva_ros.evaluation.html_report import (
    TEMPLATE,
    alarm_limits,
    fill,
    in_order,
    library,
    severity,
)
from viva_ros.evaluation.results import Result

EVIL = '</script><img src=x onerror=alert(1)>'


#: The report page, made once: the evaluation is slow, and no test changes the page.
MADE: list[Path] = []


@pytest.fixture
def report(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    evaluation_folders: tuple[Path, Path],
) -> Path:
    """Evaluate two successes and two failures, one of them with markup as its name."""
    if not MADE:
        engine = request.getfixturevalue('worth_engine_folder')
        folder = tmp_path_factory.mktemp('report')
        MADE.append(evaluated(folder, engine, *evaluation_folders))
    return MADE[0]


def evaluated(folder: Path, engine: Path, calibration: Path, successes: Path) -> Path:
    test = folder / 'test'
    test.mkdir()
    for name in ('a.mcap', 'b.mcap'):
        shutil.copy2(successes / name, test)
    fall = [*RISING[:30], *[-0.9] * 30]
    write_recording(test / 'c.mcap', fall, label=make_label(False, EVIL, inject=2.9, manifest=3.0))
    write_recording(
        test / 'd.mcap', RISING, label=make_label(False, 'slip', inject=2.9, manifest=3.0)
    )
    out = folder / 'report.html'
    command = [str(test), '--engine', str(engine), '--calibration-recordings', str(calibration)]
    assert main([*command, '--out', str(folder / 'x.json'), '--report', str(out),
                 '--checks', '1', '--surrogates', '2']) == 0  # fmt: skip
    return out


@pytest.fixture
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip('playwright.sync_api', reason="needs the extra 'test'")
    program = shutil.which('chromium') or shutil.which('google-chrome')
    assert program, 'chromium is missing: scripts/setup installs it'
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=['--no-sandbox'])
        yield opened
        opened.close()


class Watch:
    """Collect violations of a page: console messages, errors, dialogs and requests."""

    def __init__(self, page: Any) -> None:
        self.violations: list[str] = []
        page.on('console', lambda message: self.violations.append(message.text))
        page.on('pageerror', lambda error: self.violations.append(str(error)))
        page.on('dialog', lambda dialog: self.violations.append('markup of a recording was run'))
        page.on('request', lambda request: self._request(request.url))

    def _request(self, address: str) -> None:
        if not address.startswith(('file:', 'data:')):
            self.violations.append(f'request to {address}')


def opened(browser: Any, path: Path, width: int, height: int) -> tuple[Any, Watch]:
    """Open a file without a network; return it once its charts are drawn."""
    page = browser.new_page(viewport={'width': width, 'height': height}, offline=True)
    watch = Watch(page)
    page.goto(path.as_uri())
    cards = page.locator('#stories .card').count()
    page.wait_for_function(
        'cards => document.querySelectorAll("#stories .chart svg").length == cards', arg=cards
    )
    return page, watch


def point_at(page: Any, chart: Any, x: float) -> None:
    """Move the pointer to the middle height of a chart, at a share of its width."""
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    for shift in (-3, 0):  # a chart reacts to a moving pointer
        page.mouse.move(box['x'] + x * box['width'] + shift, box['y'] + box['height'] / 2)


@pytest.mark.slow
def test_page_shows_an_evaluation_without_a_network(report: Path, browser: Any) -> None:
    page, watch = opened(browser, report, 1200, 1600)
    # Figures: one column for each contender, after the label.
    assert page.locator('#figures thead th').all_inner_texts() == ['', 'ViVa', 'time counter']
    assert page.locator('#figures tr', has_text='failures found').first.inner_text() == (
        # 1 of 2 and 0 of 2; the upper limit of 0 of 2 is 1 - .025^(1/2) = .842.
        'failures found \u2191\t0.500 [0.000, 1.000]\u2007\t0.000 [0.000, 0.842]\u2007'
    )
    page.locator('#figures tbody tr').first.locator('td').nth(1).hover()
    assert page.locator('#tip').inner_text() == '2 episodes'
    # The missed failure has the highest severity: its card is first, with images of both cameras.
    first = page.locator('#stories .card').first
    assert 'Missed failure.' in first.inner_text()
    assert first.locator('img').count() == 2 * 9
    assert page.evaluate('document.querySelector("#stories img").naturalWidth') > 0
    chart = first.locator('.chart')
    assert chart.get_attribute('aria-label') == 'value of d over time'
    assert 'evidence' in chart.locator('svg text').all_text_contents()
    # The readout shows the values at the pointer: d rises by 0.2 per second from -0.5.
    point_at(page, chart, 0.5)
    lines = page.locator('#tip').inner_text().splitlines()
    time = float(lines[0].removesuffix(' s'))
    value = float(lines[1].removeprefix('value V'))
    assert 2.0 < time < 4.0
    assert value == pytest.approx(-0.5 + 0.2 * time, abs=0.03)
    assert lines[-1].startswith('alarm below')
    # A heading sorts up, then down; a click or Enter on a row shows its curve.
    page.click('#episodes button[data-key=final]')
    up = page.locator('#episodes tbody tr td:nth-child(7)').all_inner_texts()
    assert up == sorted(up, key=float)
    page.click('#episodes button[data-key=final]')
    assert page.locator('#episodes tbody tr td:nth-child(7)').all_inner_texts() == up[::-1]
    page.locator('#episodes tbody tr').last.click()
    page.wait_for_selector('#chosen .chart svg')
    page.locator('#episodes tbody tr').first.press('Enter')
    page.wait_for_selector('#chosen .chart svg')
    assert page.locator('#chosen .card').count() == 1
    name = page.locator('#episodes tbody tr.chosen td').first.inner_text()
    assert page.locator('#chosen h3').inner_text().startswith(f'{name} ')
    # Markup in a name is shown as text.
    assert EVIL in page.locator('#episodes').inner_text()
    assert page.locator('#checks tbody tr').count() >= 7
    cells = page.locator('#surrogates tbody tr').filter(has_text='reversed').first.locator('td')
    assert cells.all_inner_texts()[:2] == ['reversed', 'ViVa']
    assert not watch.violations


def content(report: Path) -> dict[str, Any]:
    """Return the JSON in a page."""
    text = report.read_text(encoding='utf-8')
    return dict(json.loads(text.partition('id="data">')[2].partition('</script>')[0]))


@pytest.mark.slow
def test_charts_fit_narrow_pages_and_show_marks_as_text(
    report: Path, browser: Any, tmp_path: Path
) -> None:
    """Make the page again from its data, with markup in a mark and with a probability."""
    data = content(report)
    worst = data['episodes'][data['stories'][0]]
    worst['marks'] = [[EVIL, 1.0]]
    worst['alarms'] = [worst['duration']]
    worst['probability'] = [0.25] * len(worst['times'])
    data['reliability'] = {
        'ece': {'value': 0.1, 'low': 0.0, 'high': 0.2}, 'brier': {'value': 0.2},
        'told': [0.25, None], 'seen': [0.5, None], 'episodes': [3.0, 0.0],
    }  # fmt: skip
    path = tmp_path / 'changed.html'
    path.write_text(fill(data), encoding='utf-8')
    page, watch = opened(browser, path, 400, 800)
    assert page.evaluate('document.documentElement.scrollWidth') == 400
    chart = page.locator('#stories .card').first.locator('.chart')
    assert EVIL in chart.locator('svg text').all_text_contents()
    # Text is as large as on a wide page; the label of an alarm at the end stays inside.
    label = chart.locator('svg text', has_text='alarm')
    assert label.evaluate('e => e.getBoundingClientRect().height') > 10
    assert label.evaluate('e => e.getBoundingClientRect().right') <= 400
    point_at(page, chart, 0.5)
    assert 'probability of success  0.25' in page.locator('#tip').inner_text()
    assert page.locator('#key').inner_text().split('\n') == [
        'value V', 'probability of success', 'alarm where the smoothed value is below', 'alarm',
        'physical evidence, or a mark',
    ]  # fmt: skip
    # One bin has episodes.
    dots = page.locator('#reliability svg .mark-symbol path')
    assert dots.count() == 1
    dots.first.hover()
    assert page.locator('#tip').inner_text() == (
        'predicted 0.25\nsucceeded 0.50\nweight 3.0 episodes'
    )
    assert not watch.violations


def test_control_characters_of_names_are_shown_in_the_page() -> None:
    names = ('a\x1b[31m', 'a\\x1b[31m', 'safe\u202egpj', 'data:image/jpeg;base64,\u202e')
    page = fill({
        'episodes': [], 'figures': [('all', [(name, 1) for name in names])],
        'reliability': None, 'checks': [[*names, {'value': math.nan}]],
    })  # fmt: skip
    data = json.loads(page.partition('id="data">')[2].partition('</script>')[0])
    shown = ['a\\x1b[31m', 'a\\x1b[31m', 'safe\\u202egpj', 'data:image/jpeg;base64,\\u202e']
    assert [name for name, _ in data['figures'][0][1]] == shown
    assert data['checks'] == [[shown[0], shown[0], *shown[2:], {'value': None}]]


def test_names_like_numbers_keep_their_order_in_the_page() -> None:
    figures = {'all tasks': {'10': {'x': 1}, '2': {'x': 2}}, '1': {'10': {}, '2': {}}}
    assert in_order(figures) == [
        ('all tasks', [('10', {'x': 1}), ('2', {'x': 2})]), ('1', [('10', {}), ('2', {})]),
    ]  # fmt: skip
    script = TEMPLATE.read_text(encoding='utf-8')
    assert re.findall(r'Object\.\w+\([^)]*\)', script) == ['Object.entries(attributes)']


@pytest.mark.medium
def test_data_in_the_page_cannot_end_its_script(report: Path) -> None:
    text = report.read_text(encoding='utf-8')
    data = text.partition('id="data">')[2].partition('</script>')[0]
    assert '<' not in data
    assert json.loads(data)['episodes'][2]['mode'] == EVIL
    assert library() in text
    assert not re.search('</script', library(), re.IGNORECASE)
    assert 'https://' not in text.replace(library(), '')
    assert 'http://' not in text.replace(library(), '')


def test_missing_chart_library_fails_before_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, 'altair', None)
    monkeypatch.delitem(sys.modules, 'viva_ros.evaluation.html_report')
    monkeypatch.delattr('viva_ros.evaluation.html_report')
    monkeypatch.setattr(evaluate, 'of_engines', lambda args: pytest.fail('measured'))
    arguments = ['evaluate', str(tmp_path), '--calibration-recordings', str(tmp_path)]
    arguments += ['--out', str(tmp_path / 'x.json'), '--report', str(tmp_path / 'x.html')]
    assert viva(arguments) == 2
    assert 'altair is not installed; run: ' in capsys.readouterr().err


def judged(group: str, alarms: tuple[float, ...] = (), manifest: float | None = None) -> Result:
    times = np.arange(5.0)
    return Result(
        'x', 'm', group, group != 'failure', 5.0, times, times / 5, alarms,
        None if manifest is None else 0.0, manifest, times / 5,
    )  # fmt: skip


def test_severity_orders_missed_late_and_false_alarms() -> None:
    assert severity(judged('failure', (), 2.0)) == 2.0
    assert severity(judged('failure', (3.0,), 2.0)) == pytest.approx(1.0 / 5.0)
    assert severity(judged('success', (1.0,))) == 2.0
    assert severity(judged('success')) == pytest.approx(0.0)


def test_alarm_limit_follows_floor_after_warm_up() -> None:
    values = np.where(np.arange(100) < 60, 0.5, -0.5)
    times = np.arange(100) / 10.0
    one = Result('x', 'm', 'failure', False, 10.0, times, values, (), 0.0, 6.0, times / 10)
    rules = RuleSettings(floor_warm_up=2.0)
    floor = {'floor': Threshold(warn=-0.1, alarm=0.0)}
    calibration = Calibration(
        'e', 't', 20, 0.1, 0.3, 19, (0.8, 1.0), rules, 10.0, floor, 'by hand'
    )
    limits = alarm_limits(one, calibration)
    # There is no floor before the end of the warm-up; then it is minus the threshold.
    assert np.isnan(limits[:20]).all()
    assert limits[21:60] == pytest.approx(0.0)
    unknown = alarm_limits(replace(one, values=np.full(100, np.nan)), calibration)
    assert np.isnan(unknown).all()
