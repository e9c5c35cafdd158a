# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers at a path in a message, such as left.position[0:7]."""

import math
import re
from functools import cache
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.observation import Array

STEP: Final = re.compile(r'(?:^|\.)([A-Za-z_]\w*)|\[(?:(-?\d+)|(-?\d+)?(:)(-?\d+)?)\]')
Step = str | int | slice


@cache
def parse(path: str) -> tuple[Step, ...]:
    """
    Split a path into names, indices and slices.

    :raises ConfigurationError: if its syntax is invalid
    """
    steps: list[Step] = []
    at = 0
    while at < len(path):
        found = STEP.match(path, at)
        if found is None or found.end() == at or found.group(0) == '[]':
            raise ConfigurationError(
                'field-syntax',
                f'field {path!r} is invalid from {path[at:]!r} on, must be names, [i] and [a:b], '
                'such as left.position[0:7]',
            )
        name, index, first, colon, last = found.groups()
        if name is not None:
            steps.append(name)
        elif colon:
            steps.append(slice(int(first) if first else None, int(last) if last else None))
        else:
            steps.append(int(index))
        at = found.end()
    return tuple(steps)


def overlap(one: str, other: str) -> bool:
    """
    Return whether two paths lead to the same numbers, or one to numbers of the other.

    Places from the end of a list are compared with places from the end only, as lengths are
    unknown.
    """
    return all(_meet(a, b) for a, b in zip(parse(one), parse(other), strict=False))


def _meet(one: Step, other: Step) -> bool:
    if isinstance(one, str) or isinstance(other, str) or one == other:
        return one == other
    ranges = [_range(step) for step in (one, other)]
    if any(begin is None for begin, _ in ranges):
        return False
    (begin, end), (begin_2, end_2) = ranges
    return max(begin or 0, begin_2 or 0) < min(end, end_2)


def _range(step: int | slice) -> tuple[int | None, float]:
    """Return the first place of a step and the one behind its last; None from the end."""
    begin = step if isinstance(step, int) else step.start or 0
    end = step + 1 if isinstance(step, int) else math.inf if step.stop is None else step.stop
    return (None, 0) if begin < 0 or end < 0 else (begin, end)


def numbers(message: Any, path: str) -> Array:
    """
    Return the numbers at a path in a message, (N,).

    :raises ConfigurationError: if the message has no such field
    """
    value, many = message, False
    for step in parse(path):
        try:
            value, many = _follow(value, step, many)
        except (AttributeError, IndexError, TypeError) as error:
            kind = getattr(message, '__msgtype__', type(message).__name__)
            fields = (
                getattr(message, '__dataclass_fields__', None)
                or getattr(message, 'get_fields_and_field_types', tuple)()
                or getattr(message, '__dict__', ())
            )
            known = ', '.join(name for name in fields if not name.startswith('_'))
            raise ConfigurationError(
                'field-missing', f'field {path!r} is not in {kind} ({error}); it has {known}'
            ) from error
    try:
        return np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            'field-not-number', f'field {path!r} is not a number: {value!r}'
        ) from error


def _follow(value: Any, step: Step, many: bool) -> tuple[Any, bool]:
    """Return the value one step further, and whether it is a list of elements."""
    if isinstance(step, str):
        if many:
            return [getattr(element, step) for element in value], True
        return getattr(value, step), False
    selected = value[step]
    return selected, isinstance(step, slice) and not isinstance(selected, np.ndarray)
