# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What people say of scored episodes: outcomes, and when a person had control, from CSV files.

The columns go by name: recording, and episode where there are several; success for outcomes, begin
and end (s since the first frame) for corrections.
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.offline.scored_files import ScoredEpisode

WORDS: Final = {'1': True, 'true': True, 'success': True, 'yes': True,
                '0': False, 'false': False, 'failure': False, 'no': False}  # fmt: skip
Key = tuple[str, int]


def key_of(episode: ScoredEpisode) -> Key:
    """Name an episode as the files do."""
    return episode.name, int(episode.entry['episode'])


def with_outcomes(episodes: Sequence[ScoredEpisode], path: Path) -> list[ScoredEpisode]:
    """
    Set outcomes as a file says; the others keep theirs.

    :raises ConfigurationError: on a line that cannot be understood, or names no episode given
    """
    known = {key_of(one) for one in episodes}
    said: dict[Key, bool] = {}
    for where, row in _rows(path, ('recording', 'success')):
        word = row['success'].strip().lower()
        if word not in WORDS:
            raise ConfigurationError(
                f'{where}: success is {word!r}, must be one of {", ".join(WORDS)}'
            )
        said[_key(where, row, known)] = WORDS[word]
    return [
        replace(one, entry={**one.entry, 'success': said.get(key_of(one), one.entry['success'])})
        for one in episodes
    ]


def with_corrections(episodes: Sequence[ScoredEpisode], path: Path) -> list[ScoredEpisode]:
    """
    Add the spans of a file to those that are known.

    :raises ConfigurationError: on a span that cannot be understood, names no episode given, or
        does not lie in it
    """
    by_key = {key_of(one): one for one in episodes}
    held = {key: one.corrected.copy() for key, one in by_key.items()}
    for where, row in _rows(path, ('recording', 'begin', 'end')):
        key = _key(where, row, set(by_key))
        stamps = by_key[key].stamps
        seconds = np.round((stamps - stamps[0]) * 1e-9, 9)
        begin, end = _span(where, row, float(seconds[-1]))
        inside = (seconds >= begin) & (seconds <= end)
        if not inside.any():
            raise ConfigurationError(f'{where}: no frame lies in {begin:g} to {end:g} s')
        held[key] |= inside
    return [replace(one, corrected=np.asarray(held[key_of(one)])) for one in episodes]


def _span(where: str, row: Mapping[str, str], last: float) -> tuple[float, float]:
    try:
        begin, end = float(row['begin']), float(row['end'])
    except ValueError as error:
        raise ConfigurationError(f'{where}: {error}: begin and end are seconds') from error
    if not (0.0 <= begin < end and begin <= last and math.isfinite(end)):
        raise ConfigurationError(
            f'{where}: span is {begin:g} to {end:g} s, must begin before it ends and within the '
            f'{last:.2f} s of the episode'
        )
    return begin, end


def _key(where: str, row: Mapping[str, str], known: set[Key]) -> Key:
    name = row['recording'].strip()
    theirs = sorted(number for other, number in known if other == name)
    text = (row.get('episode') or '').strip()
    number = text or (str(theirs[0]) if len(theirs) == 1 else '')
    if not theirs or not number.isdecimal() or int(number) not in theirs:
        which = f'episode {text!r} of ' if text or len(theirs) > 1 else ''
        there = f'it has episodes {theirs}' if theirs else f'there are {_some(known)}'
        raise ConfigurationError(
            f'{where}: {which}recording {name!r} is not among those given; {there}'
        )
    return name, int(number)


def _some(known: set[Key]) -> str:
    names = sorted({name for name, _ in known})
    return ', '.join(names[:5]) + (f' and {len(names) - 5} more' if len(names) > 5 else '')


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Give each row and where it stands."""
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise ConfigurationError(
                    f'{path} lacks the columns {", ".join(missing)}; the first line must name '
                    f'{", ".join(columns)}'
                )
            for row in reader:
                where = f'{path}, line {reader.line_num}'
                if any(row[name] is None for name in columns):
                    raise ConfigurationError(f'{where}: has fewer columns than the first line')
                yield where, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f'{path} cannot be read as CSV ({error})') from error
