# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import ast
from pathlib import Path

from faults import table

TEST = Path(__file__).parents[1]


def test_all_faults_have_a_row_and_existing_tests() -> None:
    numbers = [row.number for row in table.ROWS]
    assert numbers == sorted(set(numbers)) and set(numbers) >= set(range(1, 28))
    for row in table.ROWS:
        assert row.tests
        for name in row.tests:
            file, _, test = name.partition('::')
            tree = ast.parse((TEST / file).read_text(encoding='utf-8'))
            assert test in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, name


def test_row_is_green_if_all_tests_pass_within_limit() -> None:
    row = table.Row(1, 'a', 'b', ('x.py::t', 'y.py::u'), 1.0)
    quick, slow = (('passed', {'detection_s': time}) for time in (0.5, 0.9))
    both = {'x.py::t': [quick, slow], 'y.py::u': [('passed', {})]}
    assert table.judge(row, both)['green'] and table.judge(row, both)['detection_s'] == 0.9
    assert not table.judge(row, {'x.py::t': [quick]})['green'], 'one was not run'
    assert not table.judge(row, both | {'y.py::u': [('failed', {})]})['green']
    late = ('passed', {'detection_s': 1.1})
    assert not table.judge(row, both | {'x.py::t': [late]})['green'], 'too late'
    assert not table.judge(row, both | {'x.py::t': [('passed', {})]})['green'], 'no time seen'
