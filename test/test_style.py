# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ruff does not check."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEADER = '# Copyright 2026 The viva_ros authors\n# SPDX-License-Identifier: Apache-2.0\n'
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ('viva_ros', 'test', 'launch')
    for path in (ROOT / folder).rglob('*.py')
)
LONGEST_CORE_MODULE = 450
LONGEST_CORE_FUNCTION = 40  # lines, docstring included


@pytest.mark.parametrize('file', SOURCES)
def test_every_source_begins_with_the_licence(file: str) -> None:
    text = (ROOT / file).read_text(encoding='utf-8')
    if text.startswith('#!'):
        text = text.partition('\n')[2]
    assert text.startswith(HEADER)


def test_modules_and_functions_of_the_core_are_short() -> None:
    for path in (ROOT / 'viva_ros' / 'core').glob('*.py'):
        text = path.read_text(encoding='utf-8')
        assert len(text.splitlines()) <= LONGEST_CORE_MODULE, path.name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= LONGEST_CORE_FUNCTION, f'{path.name}: {node.name}'


def test_nothing_is_called_utils() -> None:
    assert not [file for file in SOURCES if Path(file).stem in ('utils', 'util', 'helpers')]
