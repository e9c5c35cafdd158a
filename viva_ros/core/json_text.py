# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JSON of files that decide: on top of ``json_reader``, types and ranges are exact."""

import math
from collections.abc import Mapping, Set
from typing import Any, Final

from viva_ros.core.json_reader import check_content, parse_json
from viva_ros.core.settings import SettingLimits

DEPTH: Final = 32  # of lists and objects in each other
LONGEST_TEXT: Final = 10_000  # characters
LONGEST_LIST: Final = 1_000  # entries


def parse_object(data: bytes) -> dict[str, Any]:
    """
    Parse the JSON object of a file whose size was checked.

    :raises ValueError: if it is no object, or refused by ``json_reader``
    """
    content = parse_json(data, len(data), finite=False)
    if not isinstance(content, dict):
        raise ValueError(f'it is {_shown(content)}, must be an object')
    check_content(content, finite=False, depth=DEPTH)
    return content


def _shown(value: object) -> str:
    """Return a value for an error, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def number(name: str, value: object, limits: SettingLimits) -> float:
    """
    Return a number; a text, a boolean, infinity and NaN are none.

    :raises ValueError: with name, value and what is allowed
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'{name} is {_shown(value)}, must be a number, {limits}')
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not limits.admits(found):
        raise ValueError(f'{name} is {_shown(value)}, must be {limits}')
    return found


def whole(name: str, value: object, low: int, high: int) -> int:
    """
    Return a whole number.

    :raises ValueError: with name, value and what is allowed
    """
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f'{name} is {_shown(value)}, must be a whole number from {low} to {high}')
    return value


def flag(name: str, value: object) -> bool:
    """
    Return true or false.

    :raises ValueError: with name, value and what is allowed
    """
    if not isinstance(value, bool):
        raise ValueError(f'{name} is {_shown(value)}, must be true or false')
    return value


def text(name: str, value: object, longest: int = LONGEST_TEXT) -> str:
    """
    Return a text, which may be empty.

    :raises ValueError: with name, value and what is allowed
    """
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(
            f'{name} is {_shown(value)}, must be a text of up to {longest} characters'
        )
    return value


def entries(name: str, value: object, longest: int = LONGEST_LIST) -> list[Any]:
    """
    Return a list.

    :raises ValueError: with name, value and what is allowed
    """
    if not isinstance(value, list | tuple) or len(value) > longest:
        raise ValueError(f'{name} is {_shown(value)}, must be a list of up to {longest} entries')
    return [*value]


def members(name: str, value: object, longest: int = LONGEST_LIST) -> Mapping[str, Any]:
    """
    Return an object.

    :raises ValueError: with name, value and what is allowed
    """
    if not isinstance(value, dict) or len(value) > longest:
        raise ValueError(
            f'{name} is {_shown(value)}, must be an object of up to {longest} members'
        )
    return value


def names(name: str, value: object) -> tuple[str, ...]:
    """
    Return a list of names: texts that are not empty, each once.

    :raises ValueError: with name, value and what is allowed
    """
    found = tuple(text(name, one) for one in entries(name, value))
    if len({*found}) < len(found) or not all(found):
        raise ValueError(f'{name} is {_shown(list(found))}, must be names, each once')
    return found


def hexadecimal(name: str, value: object, digits: int) -> str:
    """
    Return a hash in hex digits.

    :raises ValueError: with name, value and what is allowed
    """
    found = text(name, value)
    if len(found) != digits or set(found) - set('0123456789abcdef'):
        raise ValueError(f'{name} is {_shown(found)}, must be {digits} hex digits')
    return found


def check_members(
    name: str, content: Mapping[str, Any], required: Set[str], optional: Set[str] = frozenset()
) -> None:
    """
    Check the names of an object.

    :raises ValueError: with those that are missing or unexpected
    """
    missing = sorted(required - content.keys())
    unexpected = sorted(content.keys() - required - optional)
    if missing or unexpected:
        raise ValueError(f'{name} lacks {missing}, has unexpected {_shown(unexpected)}')
