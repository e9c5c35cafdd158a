# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checks of a table of values that was read: types of its columns, and content of its metadata.

A table may come from another machine, version or program. What is checked here is what its readers
use without a further check.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from viva_ros.core.events import Level
from viva_ros.core.json_text import check_members, entries, flag, members, number, text, whole
from viva_ros.core.settings import SettingLimits

FINITE: Final = SettingLimits()
RATE: Final = SettingLimits(above=0.0)  # Hz
LARGEST: Final = (1 << 63) - 1  # stamp, ns; also of counts
MOST: Final = 1_000_000  # entries of a list
COUNTED: Final = ('episode', 'stamp', 'status')  # columns without null
Check = Callable[[str, object], object]


def check_columns(table: pa.Table, schema: pa.Schema, joints: Sequence[str]) -> None:
    """
    Check names and types of the columns.

    :param schema: columns that it must have
    :param joints: beginnings of the names of further columns with numbers
    :raises ValueError: with the columns
    """
    names = table.column_names
    if missing := [name for name in schema.names if name not in names]:
        raise ValueError(f'missing columns: {", ".join(missing)}')
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f'columns twice: {", ".join(twice)}')
    expected = {one.name: one.type for one in schema}
    expected |= {name: pa.float64() for name in names if name.startswith(tuple(joints))}
    for name, kind in expected.items():
        if (found := table.schema.field(name).type) != kind:
            raise ValueError(f'column {name} has type {found}, must be {kind}')
    for name in COUNTED:
        if table[name].null_count:
            raise ValueError(f'column {name} has {table[name].null_count} empty cells')


def check_metadata(content: Mapping[str, Any]) -> None:
    """
    Check that the metadata has all entries that a reader uses, and their values.

    :raises ValueError: with the entries that are missing, or the entry, its value and what is
        allowed
    """
    _check_present('metadata', content, METADATA)
    for name, check in METADATA.items():
        check(name, content[name])
    _texts('refused', content.get('refused', []))
    numbers = [one['episode'] for one in content['episodes']]
    if twice := sorted({one for one in numbers if numbers.count(one) > 1}):
        raise ValueError(f'episodes has {twice[0]} twice')


def _check_present(name: str, content: Mapping[str, Any], required: Collection[str]) -> None:
    if missing := sorted(set(required) - content.keys()):
        raise ValueError(f'{name} lacks {", ".join(missing)}')


def check_frames(content: Mapping[str, Any], table: pa.Table) -> None:
    """
    Check that the rows of each episode are those of its frames.

    :raises ValueError: with the number of frames, or the frame
    """
    for entry in content['episodes']:
        rows = table.filter(pc.equal(table['episode'], entry['episode']))
        if entry['frames'] > rows.num_rows:
            raise ValueError(
                f'episode {entry["episode"]} has {entry["frames"]} frames in {rows.num_rows} rows'
            )
        last = pc.max(rows['frame']).as_py()
        if last is not None and last >= entry['frames']:
            raise ValueError(
                f'episode {entry["episode"]} has frame {last} of {entry["frames"]} frames'
            )


def _check_entry(
    name: str, value: object, checks: Mapping[str, Check], optional: set[str]
) -> None:  # fmt: skip
    entry = members(name, value)
    check_members(name, entry, checks.keys() - optional, optional)
    for field, one in entry.items():
        checks[field](f'{name}.{field}', one)


def _optional(check: Check) -> Check:
    """Return a check that allows null."""
    return lambda name, value: None if value is None else check(name, value)


def _whole(low: int, high: int = LARGEST) -> Check:
    return lambda name, value: whole(name, value, low, high)


def _number(name: str, value: object) -> float:
    return number(name, value, FINITE)


def _texts(name: str, value: object) -> list[str]:
    return [text(name, one) for one in entries(name, value, MOST)]


def _made_of(name: str, value: object) -> None:
    """Check what a table was made of: the recording, its path first, and the rate, Hz."""
    content = members(name, value)
    _check_present(name, content, ('input', 'rate'))
    number(f'{name}.rate', content['rate'], RATE)
    recording = entries(f'{name}.input', content['input'], MOST)
    if not recording:
        raise ValueError(f'{name}.input is empty, must begin with the path of the recording')
    text(f'{name}.input', recording[0])


def _each(fields: Mapping[str, Check], optional: set[str]) -> Check:
    """Return a check of a list of objects with these fields."""

    def check(name: str, value: object) -> None:
        for one in entries(name, value, MOST):
            _check_entry(name, one, fields, optional)

    return check


def _spans(name: str, value: object) -> None:
    for span in entries(name, value, MOST):
        if len(ends := entries(name, span)) != 2:
            raise ValueError(f'{name} has {len(ends)} times, must have begin and end')
        for end in ends:
            _number(name, end)


NUMBER: Final = _optional(_number)
#: Fields of an episode, and of an alarm, with their checks.
EPISODE: Final[Mapping[str, Check]] = {
    'episode': _whole(0), 'id': text, 'index': _whole(0), 'frames': _whole(1),
    'begin': _whole(-LARGEST), 'end': _whole(-LARGEST), 'control_rate': NUMBER,
    'corrections': _spans, 'task': _optional(text), 'success': _optional(flag),
    'failure': _optional(text), 'times': members, 'identities': _texts,
    'trained': _optional(flag),
}  # fmt: skip
ALARM: Final[Mapping[str, Check]] = {
    'level': _whole(0, max(Level)), 'kind': text, 'stamp': _whole(-LARGEST),
    'onset': _whole(-LARGEST), 'value': NUMBER, 'statistic': NUMBER, 'threshold': NUMBER,
    'episode_id': text, 'text': text, 'alpha': NUMBER,
}  # fmt: skip
SUMMARY: Final[Mapping[str, Check]] = {
    **dict.fromkeys(('episodes', 'known', 'unknown', 'alarms'), _whole(0)),
    'first': NUMBER, 'last': NUMBER,
}  # fmt: skip
#: Entries of the metadata that each table has.
METADATA: Final[Mapping[str, Check]] = {
    'name': text, 'engine': text, 'task': text, 'made_of': _made_of, 'losses': _texts,
    'calibration': _optional(members),
    'summary': lambda name, value: _check_entry(name, value, SUMMARY, set()),
    'episodes': _each(EPISODE, {'identities', 'trained'}), 'alarms': _each(ALARM, {'alpha'}),
}  # fmt: skip
