# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Show text of others: names, reasons, tasks, metadata and errors that quote a file.

Control characters would change a terminal, a new line would forge one of a log, and an override of
the reading direction would show another word. They are escaped as in Python, and a long text is
shortened in its middle.
"""

import traceback
from collections.abc import Iterable
from typing import Final

TEXT_LENGTH: Final = 200  # characters of one name or reason
ERROR_LENGTH: Final = 4000  # characters of an error, which may list many names
LINE_LENGTH: Final = 20_000  # characters of a line of a program, or of a traceback
LABEL_LENGTH: Final = 60  # characters of a label in a plot, whose axes shrink beside it
GAP: Final = ' ... '


def shown(text: object, length: int = TEXT_LENGTH, lines: bool = False) -> str:
    """
    Return a text for a log, a terminal, a message or a page: printable, and not too long.

    :param length: most characters of the result
    :param lines: keep new lines; False escapes them too
    """
    found = text if isinstance(text, str) else str(text)
    if len(found) > length:  # before it is escaped: it may have megabytes
        found = _shortened(found, length)
    if not found.isprintable():
        found = ''.join(
            one if one.isprintable() or (lines and one == '\n') else _escaped(one)
            for one in found
        )  # fmt: skip
    return found if len(found) <= length else _shortened(found, length)


def shown_list(texts: Iterable[object], count: int = 20, length: int = TEXT_LENGTH) -> str:
    """
    Return names for a sentence, separated by commas; of many the first ones and their number.

    :param count: most names
    :param length: most characters of each
    """
    names = list(texts)
    more = f' and {len(names) - count} more' if len(names) > count else ''
    return ', '.join(shown(name, length) for name in names[:count]) + more


def shown_traceback() -> str:
    """Return the traceback of the error that is being handled; it quotes texts of others."""
    return shown(traceback.format_exc(), LINE_LENGTH, lines=True)


def plotted(text: object, length: int = LABEL_LENGTH) -> str:
    """
    Return a text for a title, a label or a legend of matplotlib, which shows it as it is.

    matplotlib reads a formula between two ``$``, and a legend leaves out a label that begins with
    ``_``: it gets a space in front.

    :param length: most characters that are shown
    """
    found = shown(text, length).replace('$', r'\$')
    return f' {found}' if found.startswith('_') else found


def _shortened(text: str, length: int) -> str:
    """Return begin and end of a text; the end of a path or an error has its subject."""
    begin = (length - len(GAP)) * 2 // 3
    end = length - len(GAP) - begin
    return f'{text[:begin]}{GAP}{text[len(text) - end :]}'


def _escaped(one: str) -> str:
    code = ord(one)
    known = {'\n': '\\n', '\r': '\\r', '\t': '\\t'}.get(one)
    if known:
        return known
    if code < 256:
        return f'\\x{code:02x}'
    return f'\\u{code:04x}' if code < 65536 else f'\\U{code:08x}'
