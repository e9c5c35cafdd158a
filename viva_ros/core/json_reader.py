# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Read JSON of others: one guard for files, metadata records and columns of tables.

Refused are: more than ``TEXT_LIMIT`` bytes, more than ``DEPTH_LIMIT`` levels, a name twice in an
object, bytes that are not UTF-8, NUL, NaN, infinite numbers, and integers beyond 64 bits. Each
reason is a ``ValueError``, so that a reader adds the file and a remedy.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from viva_ros.core.foreign_text import shown, shown_list
from viva_ros.core.input_limits import DEPTH_LIMIT, TEXT_LIMIT
from viva_ros.core.regular_file import read_limited

NAME_LENGTH: Final = 40  # characters of a name or number in a reason
INTEGERS: Final = range(-(1 << 63), 1 << 64)  # of int64 and uint64


def read_json(path: Path, limit: int = TEXT_LIMIT, finite: bool = True) -> Any:
    """
    Return the content of a JSON file.

    :param limit: bytes
    :param finite: False allows NaN and infinite numbers
    :raises ValueError: with the reason for which it is refused
    :raises OSError: if it cannot be read, or is a pipe, socket or device
    """
    return parse_json(read_limited(path, limit), limit, finite)


def parse_json(text: str | bytes, limit: int = TEXT_LIMIT, finite: bool = True) -> Any:
    """
    Return the content of JSON.

    :param text: bytes must be UTF-8
    :param limit: characters or bytes
    :param finite: False allows NaN and infinite numbers
    :raises ValueError: with the reason for which it is refused
    """
    if len(text) > limit:
        raise ValueError(f'it has more than {limit} bytes')
    if isinstance(text, bytes | bytearray):
        text = text.decode('utf-8')
    try:
        content = json.loads(
            text, object_pairs_hook=unique_names, parse_int=_integer,
            parse_float=_float if finite else None, parse_constant=_constant if finite else None,
        )  # fmt: skip
    except RecursionError:
        raise ValueError(f'it has more than {DEPTH_LIMIT} levels') from None
    check_content(content, finite)
    return content


def check_content(content: Any, finite: bool = True, depth: int = DEPTH_LIMIT) -> None:
    """
    Check content of JSON or YAML: its depth, texts and numbers.

    :param finite: False allows NaN and infinite numbers
    :param depth: most levels
    :raises ValueError: if it has too many levels, NUL, or a number that is refused
    """
    level: list[Any] = [content]
    for _ in range(depth + 1):
        below: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                _check_texts(one)
                below += one.values()
            elif isinstance(one, list | tuple):
                below += one
            else:
                _check_scalar(one, finite)
        if not below:
            return
        level = below
    raise ValueError(f'it has more than {depth} levels')


def unique_names(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; refuse a name that occurs twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice: set[str] = set()
        for name, _ in pairs:
            (twice if name in seen else seen).add(name)
        raise ValueError(f'it has {shown_list(sorted(twice), 3, NAME_LENGTH)} twice')
    return found


def _check_texts(names: Iterable[Any]) -> None:
    for name in names:
        _check_scalar(name, False)


def _check_scalar(value: Any, finite: bool) -> None:
    if isinstance(value, str):
        if '\0' in value:
            raise ValueError(f'text {shown(value, NAME_LENGTH)} has NUL')
        if not value.isascii() and any('\ud800' <= one <= '\udfff' for one in value):
            raise ValueError(
                f'text {shown(value, NAME_LENGTH)} is not Unicode'
            )  # cannot be written again
    elif isinstance(value, bool):
        return
    elif isinstance(value, int):
        if value not in INTEGERS:
            raise ValueError(f'a number of {value.bit_length()} bits is beyond 64 bits')
    elif isinstance(value, float) and finite and not math.isfinite(value):
        raise ValueError(f'{value} is no number')


def _integer(digits: str) -> int:
    if len(digits) > 20 or (value := int(digits)) not in INTEGERS:
        raise ValueError(f'number {shown(digits, NAME_LENGTH)} is beyond 64 bits')
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f'number {shown(text, NAME_LENGTH)} is infinite')
    return value


def _constant(text: str) -> float:
    raise ValueError(f'{text} is no number')
