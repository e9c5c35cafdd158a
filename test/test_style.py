# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Style rules that ruff does not check."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from support.architecture import statements

ROOT = Path(__file__).parents[1]
HEADER = '# Copyright 2026 The viva_ros authors\n# SPDX-License-Identifier: Apache-2.0\n'
FOLDERS = ('viva_ros', 'benchmarks', 'test', 'launch', 'examples')
LONGEST_CORE_FUNCTION = 40  # lines, docstring included
#: Module to its only other name in an import, and the reason.
ALIASES = {
    'scripts.reference_pages.__main__': ('reference', '__main__ is no name'),
    'viva_ros.export.tensorrt': ('tensorrt_export', 'tensorrt is the library'),
}


def sources() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob('*.py'))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def begins_with_licence(text: str) -> bool:
    if text.startswith('#!'):
        text = text.partition('\n')[2]
    return text.startswith(HEADER)


def long_functions(text: str) -> Iterator[tuple[str, int]]:
    for node in statements(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_CORE_FUNCTION:
                yield node.name, length


def is_module(name: str) -> bool:
    paths = [root.joinpath(*name.split('.')) for root in (ROOT, ROOT / 'test')]
    return any(p.with_suffix('.py').is_file() or (p / '__init__.py').is_file() for p in paths)


def module_names(text: str) -> dict[str, set[str]]:
    """Return our modules that a file imports, each with the names that it gives them."""
    names = defaultdict(set)
    for node in statements(text):
        if isinstance(node, ast.Import):
            found = [(alias.name, alias.asname) for alias in node.names if alias.asname]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = [(f'{node.module}.{alias.name}', alias.asname) for alias in node.names]
        else:
            continue
        for module, name in found:
            if is_module(module):
                names[module].add(name or module.rpartition('.')[2])
    return names


def other_names(text: str) -> Iterator[str]:
    for module, names in module_names(text).items():
        own = module.rpartition('.')[2]
        allowed = ALIASES.get(module, (own,))[0]
        yield from (f'{module} as {name}, not {allowed}' for name in sorted(names - {allowed}))


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


def test_modules_are_imported_under_their_own_name() -> None:
    found = [
        f'{name_of(path)}: {line}'
        for path in sources()
        for line in other_names(path.read_text(encoding='utf-8'))
    ]
    assert not found, '\n'.join(['import it under its own name, or by names of it:', *found])


def test_second_name_of_a_module_is_found() -> None:
    text = 'from viva_ros.model import cost as size\nimport viva_ros.model.noise as draws\n'
    text += 'from viva_ros.model import cost\nimport viva_ros.sim\nimport numpy as np\n'
    assert list(other_names(text)) == [
        'viva_ros.model.cost as size, not cost', 'viva_ros.model.noise as draws, not noise'
    ]  # fmt: skip
    assert list(other_names('from viva_ros.export import tensorrt')) == [
        'viva_ros.export.tensorrt as tensorrt, not tensorrt_export'
    ]
