# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pages of docs/ agree with the code: quoted texts, paths, commands, parameters, links, nav."""

import ast
import difflib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

from viva_ros.cli import COMMANDS
from viva_ros.core.events import kinds as event_kinds
from viva_ros.core.settings import flatten
from viva_ros.nodes.settings import SETTINGS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / 'docs'
PAGES = sorted(DOCS.rglob('*.md'))
MADE_BY_HOOK = {'contributing.md', 'changelog.md'}
GENERATED = {'commands.md', 'messages.md', 'parameters.md', 'topics.md'}
NAMING_FILES = [
    *PAGES, ROOT / 'README.md', ROOT / 'engines' / 'README.md',
    *(ROOT / 'benchmarks').rglob('README.md'),
]  # fmt: skip
WIDEST_BLOCK = 88  # characters of a code block that the site shows without scrolling
INTERFACE = re.compile(r'viva_ros/(msg/|srv/|action/)?[A-Z]\w+$')
SOURCES = ('viva_ros', 'benchmarks', 'launch', 'examples', 'test')
FOLDERS = (*SOURCES, 'config', 'docs', 'engines', 'msg', 'requirements', 'scripts', 'srv')
PACKED = {'benchmarks/gpu/pack', 'benchmarks/gpu/pack_a'}  # made by benchmarks/gpu/pack.sh
VARIABLE = '…'


def texts(source: str) -> Iterator[str]:
    """Yield each string of a module except docstrings; variables become an ellipsis."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else VARIABLE for p in node.values)
            yield ''.join(map(str, parts))
            waiting += [p.value for p in node.values if isinstance(p, ast.FormattedValue)]
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                yield node.value
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            waiting += ast.iter_child_nodes(node)


def quoted(page: str) -> list[str]:
    """Return the texts in the columns 'text' of the tables of a page."""
    found, column = [], None
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip('| ').split(' | ')]
        if not line.startswith('|'):
            column = None
        elif column is None:
            column = cells.index('text') if 'text' in cells else -1
        elif column >= 0 and not line.startswith('| ---'):
            found.append(cells[column].strip('`'))
    return found


def test_texts_of_troubleshooting_are_texts_of_the_code():
    known = {
        text for path in (ROOT / 'viva_ros').rglob('*.py')
        for text in texts(path.read_text(encoding='utf-8'))
    }  # fmt: skip
    wanted = quoted((DOCS / 'troubleshooting.md').read_text(encoding='utf-8'))
    assert len(wanted) > 100
    together = '\0'.join(known)
    missing = [text for text in wanted if text not in together]
    near = {text: difflib.get_close_matches(text, known, 1, 0.5) for text in missing}
    assert near == {}, 'texts that the code lacks, with the nearest text of the code'


def test_text_with_variables_is_read_from_the_source():
    source = "def f():\n    '''Doc.'''\n    return f'{x:.1f} s old, ' f'limit {y}' + 'end'\n"
    assert sorted(texts(source)) == ['end', '… s old, limit …']


def test_quoted_returns_text_column_of_tables():
    page = '| kind | text |\n| --- | --- |\n| `a` | `b … c` |\n\n| fix |\n| --- |\n| d |\n'
    assert quoted(page) == ['b … c']


def test_troubleshooting_has_each_kind_of_alert_and_unknown():
    page = (DOCS / 'troubleshooting.md').read_text(encoding='utf-8')
    assert [kind for kind in event_kinds() if f'| `{kind}` |' not in page] == []
    for kind in ('missing', 'stale', 'skew', 'input', 'engine', 'paused'):
        assert f'\n### {kind}\n' in page


def test_modules_of_the_python_api_exist():
    for path in (DOCS / 'reference' / 'api').glob('*.md'):
        for name in re.findall(r'^::: (\S+)', path.read_text(encoding='utf-8'), re.MULTILINE):
            file = ROOT / name.replace('.', '/')
            assert file.with_suffix('.py').is_file() or (file / '__init__.py').is_file(), name


def is_known_path(name: str, page: Path) -> bool:
    """Return whether a path exists below the root, viva_ros/ or the folder of the page."""
    names = [name]
    if choice := re.search(r'\{([^}]*)\}', name):
        names = [name.replace(choice[0], one.strip()) for one in choice[1].split(',')]
    places = (ROOT, ROOT / 'viva_ros', page.parent)
    if all(any(any(place.glob(one)) for place in places) for one in names):
        return True
    # The page has named the folder before.
    return '/' not in name and any(any((ROOT / place).rglob(name)) for place in SOURCES)


def named_paths(text: str) -> Iterator[str]:
    """Yield source files, folders of this repository and modules named in a page."""
    folders = {*FOLDERS, *(path.name for path in (ROOT / 'viva_ros').iterdir())}
    for name in re.findall(r'`([\w.*{},-]+(?:/[\w.*{},-]*)*)`', text):
        is_ours = '/' in name and name.partition('/')[0] in folders
        if (is_ours or name.endswith('.py')) and not INTERFACE.match(name):
            yield name.removesuffix('/')
    for name in re.findall(r'\b((?:viva_ros|benchmarks)(?:\.[a-z_]+)+)\b', text):
        if not name.endswith(('.json', '.md', '.py', '.launch', '.rviz')):
            yield name.replace('.', '/') + '*'


def test_files_and_modules_named_in_pages_exist():
    wrong = [
        f'{page.relative_to(ROOT)}: {name}' for page in NAMING_FILES
        for name in named_paths(page.read_text(encoding='utf-8'))
        if name not in PACKED and not is_known_path(name, page)
    ]  # fmt: skip
    assert wrong == []


def test_path_without_package_folder_is_checked():
    text = 'The `core/registry.py`, `model/frame_vae.py`, `training/` and `monitor/heartbeat`.'
    assert list(named_paths(text)) == ['core/registry.py', 'model/frame_vae.py', 'training']
    page = DOCS / 'a.md'
    assert is_known_path('core/registry.py', page) and is_known_path('core/{files,urdf}.py', page)
    assert not is_known_path('model/frame_vae.py', page)
    assert not is_known_path('core/{files,none}.py', page)


def code_blocks(page: str) -> Iterator[str]:
    """Yield the fenced and the indented code blocks of a page, without their indentation."""
    fenced = re.compile(r'^```\w*\n(.*?)^```', re.MULTILINE | re.DOTALL)
    yield from fenced.findall(page)
    indented = re.compile(r'(?:\A|\n\n)((?: {4,}[^\n]*\n|\n(?= {4}))+)')
    yield from map(textwrap.dedent, indented.findall(fenced.sub('', page)))


def test_code_blocks_fit_the_width_of_the_site():
    wide = [
        f'{page.relative_to(ROOT)}: {line}' for page in (*PAGES, ROOT / 'README.md')
        if page.name not in GENERATED
        for block in code_blocks(page.read_text(encoding='utf-8'))
        for line in block.splitlines() if len(line) > WIDEST_BLOCK
    ]  # fmt: skip
    assert wide == [], f'more than {WIDEST_BLOCK} characters: break the line'


def test_code_blocks_are_found_without_indentation():
    page = 'Text:\n\n    a\n      b\n\n    c\n\n```sh\nd\n```\n\n* item\n\n      e\n'
    assert sorted(code_blocks(page)) == ['a\n  b\n\nc\n', 'd\n', 'e\n']


def test_help_texts_begin_with_a_capital_letter():
    page = (DOCS / 'reference' / 'commands.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| `[^|]*(?:\\\|[^|]*)*\|[^|]*\| (.*) \|$', page, re.MULTILINE)
    assert len(rows) > 100
    assert [row for row in rows if not row[:1].isupper()] == []


def test_commands_in_code_blocks_exist():
    wrong = []
    for path in PAGES:
        for block in re.findall(r'^```.*?^```', path.read_text('utf-8'), re.MULTILINE | re.DOTALL):
            for name in re.findall(r'(?:^|\s)viva ([a-z]+)\b(?! ?=)', block):
                if name not in COMMANDS:
                    wrong.append(f'{path.name}: viva {name}')
    assert wrong == []


def test_parameters_named_in_pages_exist():
    known = {info.name for one in SETTINGS.values() for info in flatten(one)}
    groups = {name.partition('.')[0] for name in known if '.' in name}
    named = re.compile(rf'`((?:{"|".join(sorted(groups))})\.(?!py\b)[a-z_]+)\b')
    wrong = {
        f'{path.name}: {name}' for path in PAGES if path.name != 'parameters.md'
        for name in named.findall(path.read_text(encoding='utf-8')) if name not in known
    }  # fmt: skip
    assert wrong == set()


def test_navigation_names_every_page_once():
    class Loader(yaml.SafeLoader):
        """Reads mkdocs.yml, which may contain Python tags."""

    Loader.add_multi_constructor('tag:yaml.org,2002:python/', lambda *_: None)
    nav = yaml.load((ROOT / 'mkdocs.yml').read_text(encoding='utf-8'), Loader)['nav']

    def leaves(node: object) -> Iterator[str]:
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield from (leaf for value in node.values() for leaf in leaves(value))
        elif isinstance(node, list):
            yield from (leaf for value in node for leaf in leaves(value))

    named = list(leaves(nav))
    present = {path.relative_to(DOCS).as_posix() for path in PAGES} | MADE_BY_HOOK
    assert present - set(named) == set()  # the strict build refuses a name without a page
    assert len(named) == len(set(named))


def test_links_of_pages_lead_to_files():
    wrong = []
    for path in PAGES:
        for target in re.findall(r'\]\(([^)\s#:]+)(?:#[^)\s]*)?\)', path.read_text('utf-8')):
            file = path.parent / target
            if not file.exists() and file.resolve() not in {DOCS / name for name in MADE_BY_HOOK}:
                wrong.append(f'{path.name}: {target}')
    assert wrong == []
