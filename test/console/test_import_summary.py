# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import io
from typing import Any

import pytest

from viva_ros.console.import_summary import remedy_of, show
from viva_ros.console.terminal import Terminal

pytestmark = pytest.mark.fast

ROW: dict[str, Any] = {
    'source': 'bags', 'frames': 9, 'duration': 1.0, 'skew': 0.0, 'readable': 1.0, 'refused': (),
    'codes': (), 'losses': (), 'notes': (), 'streams': {'left_wrist': {'rate': 10.0, 'gap': 0.1}},
}  # fmt: skip


def shown(rows: list[dict[str, Any]], width: int = 120) -> str:
    out = io.StringIO()
    show(rows, Terminal(file=out, width=width), 'viva train --recordings set')
    return out.getvalue()


def test_episode_names_are_complete_in_a_narrow_terminal() -> None:
    names = ['episode_000001', 'episode_000002']
    text = shown([{**ROW, 'name': name} for name in names], width=80)
    column = ''.join(line.split('│')[1].strip() for line in text.splitlines() if '│' in line)
    assert all(name in column for name in names)


@pytest.mark.parametrize(('width', 'titles'), [
    (120, 'episode frames s rates, Hz gap, s skew, s read result'),
    (80, 'episode frames s gap, s skew, s read result'),
    (60, 'episode frames s gap, s result'),
])  # fmt: skip
def test_columns_that_do_not_fit_are_omitted(width: int, titles: str) -> None:
    lines = shown([{**ROW, 'name': 'monday/fold_the_towel_000001'}], width).splitlines()
    assert lines[1].replace('┃', '').split() == titles.split()
    assert lines[3].endswith('│ imported │') and max(map(len, lines)) <= width


def test_refusals_of_one_reason_are_one_line() -> None:
    rows = [
        {**ROW, 'name': f'e{n}', 'refused': (f'video {n}.mp4 is missing: copy it',),
         'codes': ('video-missing',)} for n in range(11)
    ]  # fmt: skip
    lines = shown([*rows, {**ROW, 'name': 'good'}]).splitlines()
    refused = [line for line in lines if line.startswith('refused')]
    assert refused == [
        'refused bags: 11 episodes (e0, e1, e2, e3, e4, e5, e6, e7, and 3 more): video 0.mp4 is '
        'missing: copy it'
    ]
    assert any('refused: video-missing' in line and '11' in line for line in lines)
    assert any('viva train --recordings set' in line for line in lines)


def test_refusals_with_other_remedies_are_apart() -> None:
    texts = ('a.mcap is a pointer: run "git lfs pull" in /a', 'b.mcap is a web page: download it',
             'c.mcap is a pointer: run "git lfs pull" in /b')  # fmt: skip
    rows = [
        {**ROW, 'name': text[0], 'refused': (text,), 'codes': ('file-foreign',)} for text in texts
    ]
    lines = shown(rows).splitlines()
    refused = [line for line in lines if line.startswith('refused')]
    assert refused == [
        f'refused bags: 2 episodes (a, c): {texts[0]}',
        f'refused bags: b: {texts[1]}',
    ]
    assert sum('refused: file-foreign' in line for line in lines) == 2


def test_brackets_in_names_are_shown() -> None:
    row = {**ROW, 'name': 'bag[red]', 'source': '/a[b]', 'notes': ['left out']}
    text = shown([row, {**row, 'codes': ['cause'], 'refused': ['has none: leave it out']}])
    assert text.count('│ bag[red] ') == 2
    assert 'note: 2 episodes (bag[red], bag[red]): left out' in text
    assert 'refused /a[b]: bag[red]: has none' in text


def test_note_of_all_episodes_is_one_line() -> None:
    rows = [{**ROW, 'name': f'e{n}', 'notes': ('depth is left out',)} for n in range(2)]
    assert 'note: 2 episodes (e0, e1): depth is left out' in shown(rows)


@pytest.mark.parametrize(('text', 'remedy'), [
    ('x is 3, must be 4: set it', 'set it'),
    ('x lacks "label: {a: 1}" (b: c): set "label: {column: d}" in the map',
     'set "label: {column: d}" in the map'),
    ('x is broken', 'x is broken'),
])  # fmt: skip
def test_remedy_is_behind_the_last_colon(text: str, remedy: str) -> None:
    assert remedy_of(text) == remedy
