# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import ast
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.table import Table

from viva_ros.console.progress import new_bar
from viva_ros.console.terminal import Terminal
from viva_ros.core.errors import RecordingError

ROOT = Path(__file__).parents[2]
OWN = 'viva_ros/console/terminal.py'
Lint = Callable[[ast.Module], Iterator[tuple[int, str]]]
#: Objects of rich whose text does not go through the console.
DIRECT = ('Text', 'Panel')
HOSTILE = 'a[/bold][red]b\x1b[31mc\u202ed'
SHOWN = 'a[/bold][red]b\\x1b[31mc\\u202ed'


def printed(*things: object) -> str:
    out = io.StringIO()
    console = Terminal(file=out, width=200, force_terminal=True, color_system=None)
    for thing in things:
        console.print(thing)
    return out.getvalue()


def test_names_with_markup_and_escapes_are_shown_as_they_are() -> None:
    table = Table('name', title=HOSTILE)
    table.add_row(HOSTILE)
    found = printed(HOSTILE, table, {'a': 1})
    assert found.count(SHOWN) == 3 and '\x1b[31m' not in found


def test_lines_of_a_text_are_kept() -> None:
    assert printed('one\ntwo').splitlines() == ['one', 'two']


def test_error_text_is_escaped_once_where_it_is_made() -> None:
    error = RecordingError('recording-fault', f'recording {HOSTILE} cannot be read')
    assert str(error) == f'recording {SHOWN} cannot be read' and str(error.fresh()) == str(error)
    long = RecordingError('recording-fault', 'x' * 5_000_000)
    assert len(str(long)) <= 4000


def test_progress_bar_has_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with new_bar('[/bold]reading', 2):
        pass


def breaches(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield lines that print texts around the one place that escapes them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == 'rich.markup':
            yield node.lineno, 'imports rich.markup'
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition('.')[2]
        if name == 'Console':
            yield node.lineno, 'makes a Console: use Terminal'
        if name == 'from_markup':
            yield node.lineno, 'reads markup'
        for option in node.keywords:
            if option.arg == 'markup' and getattr(option.value, 'value', None) is not False:
                yield node.lineno, 'turns markup on'
        first = node.args[0] if node.args else None
        is_fixed = isinstance(first, ast.Constant | None.__class__) or (
            isinstance(first, ast.Call) and ast.unparse(first.func) in ('shown', 'Layout')
        )
        is_number = isinstance(first, ast.JoinedStr) and all(
            isinstance(one, ast.Constant) or one.format_spec is not None for one in first.values
        )
        if (
            name == 'Text'
            and not (is_fixed or is_number)
            and 'level.name' not in ast.unparse(node)
        ):
            yield node.lineno, 'Text of a variable: shown(...) first'


def is_shown(text: ast.expr | None) -> bool:
    """Return whether a text has no part of others that is not escaped: shown(...), or a number."""
    if isinstance(text, ast.Call):
        return ast.unparse(text.func) in ('shown', 'shown_list', 'shown_traceback', 'json.dumps')
    if isinstance(text, ast.FormattedValue):
        spec = ast.unparse(text.format_spec) if text.format_spec else ''
        return spec.strip('\'"')[-1:] in tuple('defg') or is_shown(text.value)
    if isinstance(text, ast.JoinedStr):
        return all(map(is_shown, text.values))
    return isinstance(text, ast.Constant | None.__class__)


def bare_prints(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield lines that print a variable without a terminal, not escaped."""
    known: dict[str, list[ast.expr]] = {}  # variables to all that is assigned to them
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known.setdefault(node.targets[0].id, []).append(node.value)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name.startswith('traceback.print'):
            yield node.lineno, 'prints a traceback: shown_traceback()'
        if name in ('sys.stdout.write', 'sys.stderr.write'):
            yield node.lineno, 'writes to the terminal: print(shown(...))'
        texts = node.args if name == 'print' else []
        if name == 'sys.exit':
            texts = [one for one in node.args if isinstance(one, ast.JoinedStr)]
        for one in texts:
            parts = one.values if isinstance(one, ast.JoinedStr) else [one]
            for part in parts:
                inner = part.value if isinstance(part, ast.FormattedValue) else part
                values = known.get(inner.id, []) if isinstance(inner, ast.Name) else []
                if not is_shown(part) and not (values and all(map(is_shown, values))):
                    yield node.lineno, f'prints {ast.unparse(inner)}: shown(...) first'


def lines_of(lint: Lint, *rooms: str, but: str = '') -> list[str]:
    """Return the places that a lint finds, apart from the one file that may do it."""
    return [
        f'{name}:{line}: {text}'
        for room in rooms for path in sorted((ROOT / room).rglob('*.py'))
        if (name := path.relative_to(ROOT).as_posix()) != but
        for line, text in lint(ast.parse(path.read_text(encoding='utf-8')))
    ]  # fmt: skip


def test_prints_without_a_terminal_are_escaped() -> None:
    assert lines_of(bare_prints, 'viva_ros') == []


@pytest.mark.parametrize(
    'source',
    [
        'print(name)',
        "print('a', error)",
        "print(f'{name}')",
        "print(f'{name!r}')",
        "print(f'{shown(a)} {b}')",
        "text = read()\nprint(f'{text}')",
        "sys.exit(f'{error}')",
        'sys.stdout.write(line)',
        'traceback.print_exc()',
    ],
)
def test_bare_print_is_found(source: str) -> None:
    assert list(bare_prints(ast.parse(source)))


def test_texts_reach_the_terminal_by_one_place() -> None:
    assert lines_of(breaches, 'viva_ros', 'benchmarks', but=OWN) == []


@pytest.mark.parametrize(
    'source',
    [
        'Console()',
        'rich.console.Console(stderr=True)',
        'from rich.markup import escape',
        'Text.from_markup(name)',
        'console.print(name, markup=True)',
        'Text(name)',
        "Text(f'{name}')",
    ],
)
def test_lint_finds_each_way_around(source: str) -> None:
    assert list(breaches(ast.parse(source)))
