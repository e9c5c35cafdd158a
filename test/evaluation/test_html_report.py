# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page is opened in a real browser, without a network."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.recordings import RISING, make_label, write_recording

from viva_ros.cli.evaluate import main
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration, Threshold
from viva_ros.evaluation.html_report import alarm_limits, trouble
from viva_ros.evaluation.results import Result

EVIL = '</script><img src=x onerror=alert(1)>'


@pytest.fixture
def report(tmp_path: Path, worth_engine_folder) -> Path:
    """Evaluate two successes and two failures, one of them with a name that is markup."""
    calibration, test = tmp_path / 'calibration', tmp_path / 'test'
    calibration.mkdir()
    test.mkdir()
    for number in range(29):
        slower = [-0.5 + (0.018 + 1e-4 * number) * step for step in range(61)]
        write_recording(calibration / f'{number:02}.mcap', slower, label=make_label())
    fall = [*RISING[:30], *[-0.9] * 30]
    write_recording(test / 'a.mcap', RISING, label=make_label())
    write_recording(test / 'b.mcap', RISING, label=make_label())
    write_recording(test / 'c.mcap', fall, label=make_label(False, EVIL, inject=2.9, manifest=3.0))
    write_recording(
        test / 'd.mcap', RISING, label=make_label(False, 'slip', inject=2.9, manifest=3.0)
    )
    out = tmp_path / 'report.html'
    command = [
        str(test),
        '--engine',
        str(worth_engine_folder),
        '--calibration-recordings',
        str(calibration),
    ]
    assert main([*command, '--out', str(tmp_path / 'x.json'), '--report', str(out),
                 '--checks', '1']) == 0  # fmt: skip
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


@pytest.mark.slow
def test_the_page_works_in_a_browser_and_asks_for_nothing(report: Path, browser: Any) -> None:
    page = browser.new_page(viewport={'width': 1200, 'height': 1600})
    troubles: list[str] = []
    page.on('console', lambda message: troubles.append(message.text))
    page.on('pageerror', lambda error: troubles.append(str(error)))
    page.on('dialog', lambda dialog: troubles.append('markup from a recording was run'))
    asked: list[str] = []
    page.on('request', lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    # Figures: one column for each contender, after the label.
    assert page.locator('#figures thead th').all_inner_texts() == ['', 'ViVa', 'time counter']
    assert page.locator('#figures tr', has_text='failures found').first.inner_text() == (
        # Of 2 and 2 of 2: none found may still be .842 found, 1 - .025^(1/2).
        'failures found \u2191\t0.500 [0.000, 1.000]\u2007\t0.000 [0.000, 0.842]\u2007'
    )
    # The missed failure is the worst; its card comes first, with pictures of both cameras.
    first = page.locator('#stories .card').first
    assert 'A failure that was not found.' in first.inner_text()
    assert first.locator('img').count() == 2 * 9
    assert page.evaluate('document.querySelector("#stories img").naturalWidth') > 0
    # A curve tells its numbers where the pointer is.
    first.locator('rect.area').hover()
    assert 'value V' in page.locator('#tip').inner_text()
    # A heading sorts, once up and once down; a row shows its curve.
    page.click('#episodes button[data-key=final]')
    up = page.locator('#episodes tbody tr td:nth-child(7)').all_inner_texts()
    assert up == sorted(up, key=float)
    page.click('#episodes button[data-key=final]')
    assert page.locator('#episodes tbody tr td:nth-child(7)').all_inner_texts() == up[::-1]
    page.locator('#episodes tbody tr').last.click()
    assert page.locator('#chosen svg').count() == 1
    # The name that is markup is shown as it is.
    assert EVIL in page.locator('#episodes').inner_text()
    assert page.locator('#checks tbody tr').count() >= 7
    assert not troubles
    assert [url for url in asked if not url.startswith(('file:', 'data:'))] == []


def test_the_data_in_the_page_cannot_end_its_script(report: Path) -> None:
    text = report.read_text(encoding='utf-8')
    data = text.partition('id="data">')[2].partition('</script>')[0]
    assert '<' not in data
    assert json.loads(data)['episodes'][2]['mode'] == EVIL
    assert 'http://' not in text.replace('http://www.w3.org', '')
    assert 'https://' not in text


def judged(group: str, alarms: tuple[float, ...] = (), manifest: float | None = None) -> Result:
    times = np.arange(5.0)
    return Result(
        'x', 'm', group, group != 'failure', 5.0, times, times / 5, alarms,
        None if manifest is None else 0.0, manifest, times / 5,
    )  # fmt: skip


def test_trouble_is_what_a_person_should_look_at_first() -> None:
    assert trouble(judged('failure', (), 2.0)) == 2.0
    assert trouble(judged('failure', (3.0,), 2.0)) == pytest.approx(1.0 / 5.0)
    assert trouble(judged('success', (1.0,))) == 2.0
    assert trouble(judged('success')) == pytest.approx(0.0)


def test_an_alarm_is_due_where_the_smoothed_value_is_below_the_line() -> None:
    values = np.where(np.arange(100) < 60, 0.5, -0.5)
    times = np.arange(100) / 10.0
    one = Result('x', 'm', 'failure', False, 10.0, times, values, (), 0.0, 6.0, times / 10)
    rules = RuleSettings(floor_warm_up=2.0)
    floor = {'floor': Threshold(warn=-0.1, alarm=0.0)}
    calibration = Calibration('e', 't', 20, 0.1, 0.3, 19, (0.8, 1.0), rules, floor, 'by hand')
    limits = alarm_limits(one, calibration)
    # Before the warm-up there is no floor, from then on it is minus the threshold.
    assert np.isnan(limits[:20]).all()
    assert limits[21:60] == pytest.approx(0.0)
    silent = alarm_limits(replace(one, values=np.full(100, np.nan)), calibration)
    assert np.isnan(silent).all()
