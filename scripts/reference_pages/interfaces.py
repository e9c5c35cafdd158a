# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of messages, services and actions: each field with its comment."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.reference_pages.markdown import GENERATED, cell, code, table

FIELD: Final = re.compile(r'(?P<type>[\w/]+(?:\[\d*\])?) +(?P<name>\w+)(?: *= *(?P<value>\S+))?$')
PARTS: Final = {
    'msg': ('',), 'srv': ('Request', 'Response'), 'action': ('Goal', 'Result', 'Feedback'),
}  # fmt: skip
KINDS: Final = {'msg': 'message', 'srv': 'service', 'action': 'action'}
INTRODUCTION: Final = f"""\
# Messages

{GENERATED}

The interfaces of the package `viva_ros`. A number without a unit is dimensionless.
"""


def make(root: Path) -> str:
    """Return the page."""
    sections = [INTRODUCTION]
    for folder in PARTS:
        for path in sorted((root / folder).iterdir()):
            sections.append(f'## {path.stem}\n\n{KINDS[folder].capitalize()} '
                            f'`viva_ros/{folder}/{path.stem}`.\n')  # fmt: skip
            texts = re.split(r'^---$', path.read_text(encoding='utf-8'), flags=re.MULTILINE)
            for title, text in zip(PARTS[folder], texts, strict=True):
                sections += [f'### {path.stem}: {title.lower()}\n'] if title else []
                sections += _part(text)
    return '\n'.join(sections)


def _part(text: str) -> Iterator[str]:
    """Yield the general comment and the table of one part of an interface."""
    rows: list[list[str]] = []
    for block in text.strip().split('\n\n'):
        lines = block.splitlines()
        comment = ' '.join(line.lstrip('# ') for line in lines if line.startswith('#'))
        fields = [line for line in lines if not line.startswith('#')]
        if not fields:
            yield cell(comment) + '\n'
        rows += [_row(line, comment) for line in fields[:1]]
        rows += [_row(line, f'see {_declaration(fields[0])["name"]}') for line in fields[1:]]
    yield table(['type', 'field', 'meaning'], rows)


def _row(line: str, comment: str) -> list[str]:
    """Return the row of a field or a constant."""
    match, own = _declaration(line), line.partition('#')[2]
    name = match['name'] if match['value'] is None else f'{match["name"]} = {match["value"]}'
    return [code(match['type']), code(name), cell(own.strip() or comment)]


def _declaration(line: str) -> re.Match[str]:
    """
    Match the declaration of a field or a constant.

    :raises ValueError: on a line that is neither
    """
    match = FIELD.match(line.partition('#')[0].strip())
    if match is None:
        raise ValueError(f'{line!r} is neither a field nor a constant')
    return match
