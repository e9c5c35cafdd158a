# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Types in the metadata of a LeRobot dataset: a text with digits, a boolean or NaN is no number.

Whole numbers of tables may be floats without a fraction, as pandas writes them next to NaN.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from viva_ros.core.foreign_text import shown

LARGEST: Final = (1 << 63) - 1  # of int64
MODALITIES: Final = ('state', 'action')
#: Columns of the table of episodes with whole numbers, by their last part.
WHOLE: Final = ('chunk_index', 'file_index', 'dataset_from_index', 'dataset_to_index')
TIMESTAMP: Final = 'from_timestamp'


def check_info(info: Mapping[str, Any]) -> None:
    """
    Check the types in ``info.json``.

    :raises ValueError: with name, value and what is allowed
    """
    _texts(info, ('codebase_version', 'robot_type', 'data_path', 'video_path'))
    if not _is_number(info['fps']):
        raise _wrong('fps', info['fps'], 'a number')
    for name in ('chunks_size', 'total_episodes'):
        if info.get(name) is not None:
            _whole(name, info[name], 1 if name == 'chunks_size' else 0)
    for key, feature in _members('features', info['features']).items():
        _texts(_members(f'feature {key}', feature), ('dtype',), f'feature {key}: ')
        shape = feature.get('shape')
        if shape is not None and not isinstance(shape, list):
            raise _wrong(f'feature {key}: shape', shape, 'a list of whole numbers')
        for side in shape or ():
            _whole(f'feature {key}: shape', side)
        for name in ('info', 'video_info'):
            if feature.get(name) is not None:
                _members(f'feature {key}: {name}', feature[name])


def check_modality(modality: Mapping[str, Any]) -> None:
    """
    Check the types in ``modality.json``.

    :raises ValueError: with name, value and what is allowed
    """
    for kind in (*MODALITIES, 'video'):
        for name, part in _members(kind, modality.get(kind) or {}).items():
            where = f'{kind} {name}: '
            _texts(_members(f'{kind} {name}', part), ('original_key',), where)
            for edge in ('start', 'end') if kind in MODALITIES else ():
                _whole(f'{where}{edge}', part[edge])


def check_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the description of an episode with whole numbers as such.

    :raises ValueError: with name, value and what is allowed
    """
    found = dict(row)
    found['episode_index'] = _whole('episode_index', row['episode_index'])
    where = f'episode {row["episode_index"]}: '
    found['length'] = _whole(f'{where}length', row['length'])
    for name, value in row.items():
        last = name.rpartition('/')[2]
        if name.startswith('stats/') or value is None or _is_nan(value):
            continue  # what is missing is named where it is needed
        if last in WHOLE:
            found[name] = _whole(f'{where}{name}', value, is_cell='/' in name)
        elif last == TIMESTAMP and not _is_number(value):
            raise _wrong(f'{where}{name}', value, 'a number')
    tasks = row.get('tasks')
    if tasks is not None and not (isinstance(tasks, list) and all(map(_is_text, tasks))):
        raise _wrong(f'{where}tasks', tasks, 'a list of texts')
    return found


def check_tasks(pairs: Iterable[tuple[Any, Any]]) -> dict[int, str]:
    """
    Return the tasks by their index.

    :raises ValueError: if an index is no whole number or stands for two tasks, or a task no text
    """
    found: dict[int, str] = {}
    for index, text in pairs:
        number = _whole('task_index', index)
        if not _is_text(text):
            raise _wrong(f'task {number}', text, 'a text')
        if found.setdefault(number, text) != text:
            raise ValueError(f'task {number} is {found[number]!r} and {text!r}')
    return found


def _whole(name: str, value: Any, least: int = 0, is_cell: bool = False) -> int:
    is_exact = is_cell and isinstance(value, float) and value.is_integer()
    if not (type(value) is int or is_exact) or not least <= value <= LARGEST:
        raise _wrong(name, value, f'a whole number from {least} on')
    return int(value)


def _texts(content: Mapping[str, Any], names: Sequence[str], where: str = '') -> None:
    for name in names:
        if content.get(name) is not None and not _is_text(content[name]):
            raise _wrong(f'{where}{name}', content[name], 'a text')


def _members(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(name, value, 'an object')
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _wrong(name: str, value: Any, allowed: str) -> ValueError:
    return ValueError(f'{shown(name, 80)} is {shown(repr(value), 60)}, must be {allowed}')
