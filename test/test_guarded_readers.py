# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files and messages that others can write are parsed by the guards: depth, size, duplicates."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1] / 'viva_ros'
#: Functions that believe what they read: any depth and size, the last of two equal names.
TRUSTING: Final = frozenset({
    'json.load', 'json.loads', 'yaml.load', 'yaml.safe_load', 'yaml.load_all',
    'yaml.safe_load_all', 'yaml.compose', 'yaml.compose_all', 'tomllib.load', 'tomllib.loads',
    'np.load', 'numpy.load', 'torch.load', 'pickle.load', 'pickle.loads',
})  # fmt: skip
OWN_RUN: Final = 'files of a training run, which only continues or reports its own folder'
#: Modules that may call them, and why.
EXEMPT: Final = {
    'core/json_reader.py': 'the guard of JSON',
    'robot/yaml_reader.py': 'the guard of YAML',
    'engine/shared_memory.py': 'text of a process that this one has started, over their socket',
    'data/conversion/convert.py': 'arrays that the same import has written',
    'data/lerobot/writer.py': 'arrays that the same import has written',
    'training/cache.py': OWN_RUN,
    'training/checkpointing.py': OWN_RUN,
    'training/losses.py': OWN_RUN,
    'training/resources.py': OWN_RUN,
    'training/trainer.py': OWN_RUN,
}


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of calls; a copy by ``json.loads(json.dumps(...))`` reads nothing."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        copied = node.args[0] if node.args else None
        if isinstance(copied, ast.Call) and ast.unparse(copied.func) == 'json.dumps':
            continue
        yield node.lineno, ast.unparse(node.func)


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of what is imported from a module, such as json.loads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for one in node.names:
                yield node.lineno, f'{node.module}.{one.name}'


def found_in(text: str) -> list[tuple[int, str]]:
    tree = ast.parse(text)
    return [one for one in (*calls(tree), *imported(tree)) if one[1] in TRUSTING]


def test_data_of_others_are_parsed_by_the_guards() -> None:
    found = {
        str(path.relative_to(ROOT)): found_in(path.read_text(encoding='utf-8'))
        for path in sorted(ROOT.rglob('*.py'))
    }
    wrong = [
        f'{name}:{line}: {call}: use core/json_reader.py or robot/yaml_reader.py'
        for name, rows in found.items() if name not in EXEMPT for line, call in rows
    ]  # fmt: skip
    assert wrong == []
    assert [name for name in EXEMPT if not found.get(name)] == [], 'no longer exempt'


def test_calls_that_believe_are_found() -> None:
    text = 'import json\nfrom yaml import safe_load\njson.loads(x)\njson.loads(json.dumps(x))\n'
    assert found_in(text) == [(3, 'json.loads'), (2, 'yaml.safe_load')]
