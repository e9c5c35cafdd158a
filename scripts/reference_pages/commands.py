# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of commands: the arguments of each, read from its argument parser."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final
from unittest import mock

from scripts.reference_pages.markdown import GENERATED, cell, code, table
from viva_ros.cli import COMMANDS

INTRODUCTION: Final = f"""\
# Commands

{GENERATED}

`viva COMMAND [options]`; `viva COMMAND --help` prints the same. Exit code 0: success. Exit code 2:
an error with a fix in its text, on one line. Exit code 130: stopped by Ctrl-C. Other codes are
explained at the command.
"""


class _ParserSeen(BaseException):
    """Carries a parser out of a command that is about to parse its arguments."""


def make() -> str:
    """Return the page."""
    listed = [[f'[`{name}`](#viva-{name})', cell(text)] for name, (_, text) in COMMANDS.items()]
    sections = [INTRODUCTION, table(['command', ''], listed)]
    with _parsers_raise():
        for name, (module, _) in COMMANDS.items():
            sections.append(f'## viva {name}\n\n{_describe(parser_of(module))}')
    return '\n'.join(sections)


def parser_of(module: str) -> argparse.ArgumentParser:
    """
    Return the argument parser of a command; call it while parsers raise.

    :raises ValueError: if the command parses no arguments
    """
    try:
        import_module(module).main([])
    except _ParserSeen as seen:
        parser: argparse.ArgumentParser = seen.args[0]
        return parser
    raise ValueError(f'{module} parses no arguments')


@contextmanager
def _parsers_raise() -> Iterator[None]:
    def raise_parser(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        raise _ParserSeen(parser)

    with mock.patch.multiple(
        argparse.ArgumentParser, parse_args=raise_parser, parse_known_args=raise_parser
    ):
        yield


def _describe(parser: argparse.ArgumentParser) -> str:
    parts = [_paragraphs(parser.description or '')]
    for group in parser._action_groups:
        actions = [one for one in group._group_actions if one.help != argparse.SUPPRESS]
        rows = [_row(parser, one) for one in actions if one.dest != 'help']
        if rows:
            title = '' if group.title in ('positional arguments', 'options') else group.title
            parts += [f'**{title}**\n'] if title else []
            parts.append(table(['argument', 'default', 'meaning'], rows))
    if parser.epilog:
        parts.append(f'```text\n{parser.epilog.strip()}\n```\n')
    return '\n'.join(parts)


def _paragraphs(text: str) -> str:
    """Return a description with the double backquotes of docstrings made single."""
    return text.strip().replace('``', '`') + '\n'


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> list[str]:
    names = ', '.join(action.option_strings) or ''
    value = _value(action)
    text = f'{names} {value}'.strip() if names else value
    default = '' if action.required or action.nargs == 0 else _plain(action.default)
    meaning = (action.help or '') % (vars(action) | {'prog': parser.prog})
    return [code(text), code(default), cell(meaning) + ' (required)' * bool(
        action.required and action.option_strings
    )]  # fmt: skip


def _value(action: argparse.Action) -> str:
    """Return what follows the name of an option, or stands for a positional argument."""
    if action.nargs == 0:
        return ''
    metavar = action.metavar
    if metavar is None and action.choices is not None:
        metavar = '{' + ','.join(map(str, action.choices)) + '}'
    if metavar is None:
        metavar = action.dest.upper() if action.option_strings else action.dest
    word = ' '.join(metavar) if isinstance(metavar, tuple) else str(metavar)
    many = {'+': f'{word} [{word} ...]', '*': f'[{word} ...]', '?': f'[{word}]'}
    if isinstance(action.nargs, int) and not isinstance(metavar, tuple):
        return ' '.join([word] * action.nargs)
    return many.get(str(action.nargs), word)


def _plain(default: object) -> str:
    if default is None or default is argparse.SUPPRESS or default == '':
        return ''
    if isinstance(default, list | tuple):
        return ' '.join(map(str, default))
    return str(default)
