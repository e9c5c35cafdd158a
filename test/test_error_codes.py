# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each error that an operator can correct has a code, and a code belongs to one module."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
ROOMS: Final = ('viva_ros', 'benchmarks')
CODE: Final = re.compile(r'[a-z0-9]+(-[a-z0-9]+)+')


def classes_of(trees: dict[Path, ast.Module]) -> set[str]:
    """Return the names of VivaError and all classes that inherit from it."""
    found = {'VivaError'}
    bases = {
        node.name: {ast.unparse(base).rpartition('.')[2] for base in node.bases}
        for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }  # fmt: skip
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return found


def codes_of(tree: ast.Module, classes: set[str]) -> Iterator[tuple[int, str]]:
    """Yield line and code of each created error; the code is empty if it is not a literal."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func).rpartition('.')[2] not in classes:
            continue
        first = node.args[0] if node.args else None
        literal = isinstance(first, ast.Constant) and isinstance(first.value, str)
        yield node.lineno, first.value if literal and len(node.args) > 1 else ''


def violations(root: Path) -> list[str]:
    """Return errors without a code, and codes that several modules use."""
    trees = {path: ast.parse(path.read_text()) for room in ROOMS
             for path in sorted((root / room).rglob('*.py'))}  # fmt: skip
    classes = classes_of(trees)
    found, modules = [], defaultdict[str, set[str]](set)
    for path, tree in trees.items():
        name = str(path.relative_to(root))
        for line, code in codes_of(tree, classes):
            modules[code].add(name)
            if not CODE.fullmatch(code):
                found.append(f'{name}:{line}: an error needs a code such as engine-hash')
    found += [f'{code} is raised by {sorted(names)}' for code, names in modules.items()
              if code and len(names) > 1]  # fmt: skip
    return found


def test_errors_have_a_code_of_one_module() -> None:
    assert violations(ROOT) == []
