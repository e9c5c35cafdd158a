# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Result of an import on a console: episodes, refusals grouped by reason, and what to do next."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

MANY: Final = 60  # episodes; a longer list has only the refused ones
NAMED: Final = 8  # episodes of one reason that are named
NARROW: Final = 20  # characters of a name that stay on one line
#: Columns of episodes that a narrow console omits, in this order; ``viva/import.json`` has all.
OMITTED: Final = ('rates, Hz', 'read', 'skew, s', 'gap, s', 's', 'frames')
QUOTED: Final = re.compile(r'"[^"]*"|\([^()]*\)')
#: Parts of a remedy that differ between episodes: commands, figures, numbers and paths.
VARYING: Final = re.compile(r'"[^"]*"|\([^()]*\)|\S*[\d/]\S*')

Row = Mapping[str, Any]  # ``resample.Figures`` as a dict


def show(rows: Sequence[Row], console: Console, next_command: str) -> None:
    """
    Print a table of episodes, notes, refusals by reason, and a table of the result.

    :param next_command: command for the imported episodes; '' if there is none
    """
    console.print(episodes(_listed(rows), console.width))
    for note, names in grouped_notes(rows).items():
        console.print(f'note: {_names(names)}: {note}', soft_wrap=True)
    for row in rows:
        for loss in () if row['refused'] else row['losses']:
            console.print(f'{row["name"]}: {loss}', soft_wrap=True)
    groups = grouped(rows)
    for refused in groups.values():
        names, (first, text) = [row['name'] for row, _ in refused], refused[0]
        where = '' if first['source'] in text else f'{first["source"]}: '
        console.print('refused ', style='red', end='')
        console.print(f'{where}{_names(names)}: {text}', soft_wrap=True)
    console.print(result(rows, groups, next_command))


def _listed(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row['refused']] if len(rows) > MANY else list(rows)


def grouped(rows: Sequence[Row]) -> dict[tuple[str, str], list[tuple[Row, str]]]:
    """Return the refused episodes with their texts by the code of the reason and its remedy."""
    found: dict[tuple[str, str], list[tuple[Row, str]]] = {}
    for row in rows:
        reasons: dict[str, str] = {}
        for code, text in zip(row['codes'], row['refused'], strict=True):
            reasons[code] = f'{reasons[code]}; {text}' if code in reasons else text
        for code, text in reasons.items():
            remedy = remedy_of(text)
            same = '' if remedy == text else VARYING.sub('', remedy)
            found.setdefault((code, same), []).append((row, text))
    return found


def grouped_notes(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the notes with the names of their episodes."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for note in row['notes']:
            found.setdefault(note, []).append(row['name'])
    return found


def _names(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    more = f', and {len(names) - NAMED} more' if len(names) > NAMED else ''
    return f'{len(names)} episodes ({", ".join(names[:NAMED])}{more})'


def result(
    rows: Sequence[Row],
    groups: Mapping[tuple[str, str], list[tuple[Row, str]]],
    next_command: str,
) -> Table:
    """Return a table with one line for the imported episodes and one for each reason."""
    lines = Table('result', 'episodes', Column('next', overflow='fold'))
    imported = sum(not row['refused'] for row in rows)
    lines.add_row('imported', str(imported), next_command if imported else '')
    for (code, _), refused in groups.items():
        lines.add_row(f'refused: {code}', str(len(refused)), remedy_of(refused[0][1]))
    return lines


def remedy_of(text: str) -> str:
    """Return the part of an error text behind its last colon, outside quotes and brackets."""
    masked = QUOTED.sub(lambda found: '_' * len(found.group()), text)
    place = masked.rfind(': ')
    return text[place + 2 :] if place >= 0 else text


def episodes(rows: Sequence[Row], width: int) -> Table:
    """
    Return a table with one line per episode.

    :param width: of the console, characters; columns that do not fit are omitted
    """
    columns = {
        'frames': [str(row['frames']) for row in rows],
        's': [f'{row["duration"]:.1f}' for row in rows],
        'rates, Hz': [rates(row['streams']) for row in rows],
        'gap, s': [f'{longest_gap(row["streams"]):.3f}' for row in rows],
        'skew, s': [f'{row["skew"]:.3f}' for row in rows],
        'read': [f'{row["readable"]:.1%}' for row in rows],
        'result': ['refused' if row['refused'] else 'imported' for row in rows],
    }
    names = [row['name'] for row in rows]
    # Names often differ only at their end.
    narrowest = min(max(map(cell_len, ['episode', *names])), NARROW)
    for title in OMITTED:
        if _width(narrowest, columns) > width:
            del columns[title]
    lines = Table(
        Column('episode', overflow='fold', min_width=narrowest),
        *(Column(title, no_wrap=True) for title in columns),
    )
    for cells in zip(names, *columns.values(), strict=True):
        lines.add_row(*cells)
    return lines


def _width(name: int, columns: Mapping[str, Sequence[str]]) -> int:
    """Return the width of a table with a column of names, borders and padding included."""
    cells = [max(map(cell_len, [title, *column])) for title, column in columns.items()]
    return name + sum(cells) + 3 * (len(cells) + 1) + 1


def rates(streams: Mapping[str, Any]) -> str:
    """Return the slowest stream with its rate, and the rate of the fastest, Hz."""
    found = sorted((one['rate'], name) for name, one in streams.items())
    return f'{found[0][1]} {found[0][0]:.1f} .. {found[-1][0]:.1f}' if found else ''


def longest_gap(streams: Mapping[str, Any]) -> float:
    """Return the longest interval without a message, s."""
    return max((one['gap'] for one in streams.values()), default=0.0)
