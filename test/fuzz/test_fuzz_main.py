# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`scripts/fuzz` checks its arguments before the run; each column of its page has one meaning."""

import json
from pathlib import Path

import pytest

from fuzz import main

pytestmark = pytest.mark.fast
RESULTS = Path(__file__).parents[2] / 'benchmarks/results'


@pytest.mark.parametrize(('option', 'value'), [
    ('--out', '/dev/null/x.json'), ('--out', '/proc/x.json'), ('--out', 'figures'),
    ('--crashes', '/dev/null/x'),
])  # fmt: skip
def test_place_that_cannot_be_written_is_refused_before_the_run(
    monkeypatch, tmp_path, capsys, option: str, value: str
) -> None:
    monkeypatch.setattr(main.driver, 'run', None)
    (tmp_path / 'figures').mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match='2'):
        main.main(['--out', 'x.json', option, value, 'jpeg'])
    assert f'{option}' in capsys.readouterr().err


def test_folder_of_the_figures_is_made(tmp_path) -> None:
    main.parse(['--out', str(tmp_path / 'a/b/x.json'), '--crashes', str(tmp_path / 'c')])
    assert (tmp_path / 'a/b').is_dir() and (tmp_path / 'c').is_dir()


def test_page_tells_crashing_inputs_from_kinds_of_crash() -> None:
    row = {'what': 'an image', 'cases': 9, 'refused': 2, 'seconds': 1.0, 'longest': 0.5,
           'memory': 1.0}  # fmt: skip
    crashes = [{'target': 'jpeg', 'signature': 'A', 'count': 4},
               {'target': 'jpeg', 'signature': 'B', 'count': 1}]  # fmt: skip
    page = main.markdown({
        'command': 'scripts/fuzz', 'date': '2026-12-01', 'hardware': 'x', 'cases': 9,
        'targets': {'jpeg': row}, 'crashes': crashes,
    })  # fmt: skip
    assert 'peak memory, MiB | crashing inputs | kinds of crash |' in page
    assert '| jpeg | an image | 9 | 2 | 1 | 0.50 | 1 | 5 | 2 |' in page
    assert '| target | kind of crash | crashing inputs |' in page and '| jpeg | `A` | 4 |' in page


def test_stored_page_is_made_from_the_stored_figures() -> None:
    content = json.loads((RESULTS / 'fuzz.json').read_text(encoding='utf-8'))
    assert (RESULTS / 'fuzz.md').read_text(encoding='utf-8') == main.markdown(content)
