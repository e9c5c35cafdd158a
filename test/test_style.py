# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Style rules that ruff does not check."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADER = '# Copyright 2026 The viva_ros authors\n# SPDX-License-Identifier: Apache-2.0\n'
FOLDERS = ('viva_ros', 'benchmarks', 'test', 'launch', 'examples')
LONGEST_CORE_FUNCTION = 40  # lines, docstring included


def sources() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob('*.py'))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def begins_with_licence(text: str) -> bool:
    if text.startswith('#!'):
        text = text.partition('\n')[2]
    return text.startswith(HEADER)


def long_functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_CORE_FUNCTION:
                yield node.name, length


def test_every_source_begins_with_the_licence() -> None:
    files = sources()
    assert files
    without = [name_of(p) for p in files if not begins_with_licence(p.read_text(encoding='utf-8'))]
    assert not without, '\n'.join(['without the licence header:', *without])


def test_functions_of_the_core_are_short() -> None:
    found = [
        f'{name_of(path)}: {name} has {length} lines'
        for path in sorted((ROOT / 'viva_ros' / 'core').rglob('*.py'))
        for name, length in long_functions(path.read_text(encoding='utf-8'))
    ]
    limit = f'longer than {LONGEST_CORE_FUNCTION} lines:'
    assert not found, '\n'.join([limit, *found])


def test_no_module_is_called_utils() -> None:
    names = [name_of(p) for p in sources() if p.stem in ('utils', 'util', 'helpers')]
    assert not names, names
