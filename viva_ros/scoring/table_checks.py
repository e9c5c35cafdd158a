# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checks of a table of values that was read: types of its columns, and content of its metadata.

A table may come from another machine, version or program. What is checked here is what its readers
use without a further check.
"""

from collections.abc import Callable, Mapping, Sequence
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
    Check the entries of the metadata.

    :raises KeyError: if one is missing
    :raises ValueError: with the entry, its value and what is allowed
    """
    for name in ('name', 'engine', 'task'):
        text(name, content[name])
    made_of = members('made_of', content['made_of'])
    if 'rate' in made_of:
        number('made_of.rate', made_of['rate'], RATE)
    if 'input' in made_of:
        text('made_of.input', ([*entries('made_of.input', made_of['input']), None])[0])
    _optional(members)('calibration', content['calibration'])
    _optional(members)('summary', content.get('summary'))
    for one in entries('episodes', content['episodes'], MOST):
        _check_entry('episodes', one, EPISODE, {'identities', 'trained'})
    for one in entries('alarms', content['alarms'], MOST):
        _check_entry('alarms', one, ALARM, {'alpha'})


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
