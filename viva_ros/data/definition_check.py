# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Check a message definition of others before a message is read by it.

A reader is generated from the definition. It would not end for a message that contains itself. It
would take hours for arrays of arrays of messages, or for a list of four billion messages without a
field, which take no bytes.
"""

from collections.abc import Mapping
from typing import Any

from rosbags.interfaces import Nodetype

from viva_ros.core.input_limits import ELEMENT_LIMIT, NESTING_LIMIT

Fields = Mapping[str, tuple[Any, Any]]


def check_definition(fields: Fields, type_name: str) -> None:
    """
    Check a type and those of its fields.

    :param fields: of all types, as ``Typestore.fielddefs``
    :raises ValueError: if it is nested too deep, contains itself, has too many elements, or lists
        messages without a field
    """
    _measure(fields, type_name, (), {})


def _measure(
    fields: Fields, type_name: str, above: tuple[str, ...], known: dict[str, tuple[int, bool]]
) -> tuple[int, bool]:
    """Return the number of elements of a message, and whether it takes no bytes."""
    if type_name in above:
        raise ValueError(f'{type_name} contains itself')
    if len(above) >= NESTING_LIMIT:
        raise ValueError(f'messages are nested in more than {NESTING_LIMIT} levels')
    if type_name in known:
        return known[type_name]
    if type_name not in fields:
        raise ValueError(f'{type_name} is not defined')
    count, is_empty = 1, True
    for name, (kind, content) in fields[type_name][1]:
        times, element = 1, (kind, content)
        if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            element, size = content
            times = size if kind == Nodetype.ARRAY else 1
        if element[0] != Nodetype.NAME:
            count, is_empty = count + 1, False
            continue
        inside, has_no_bytes = _measure(fields, element[1], (*above, type_name), known)
        if has_no_bytes and kind != Nodetype.NAME:
            raise ValueError(f'{name} lists messages without a field')
        count += times * inside
        is_empty = is_empty and has_no_bytes and kind == Nodetype.NAME
        if count > ELEMENT_LIMIT:
            raise ValueError(f'{type_name} has more than {ELEMENT_LIMIT} elements')
    known[type_name] = count, is_empty
    return count, is_empty
