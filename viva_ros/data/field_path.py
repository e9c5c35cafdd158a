# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A path to numbers in a message of any type, such as ``left.position[0:7]``.

After a slice, a name is looked up in every element: ``motor_state[0:7].q``.
"""

import re
from functools import cache
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.observation import Array

STEP: Final = re.compile(r'(?:^|\.)([A-Za-z_]\w*)|\[(-?\d*)(:?)(-?\d*)\]')
Step = str | int | slice


@cache
def parse(path: str) -> tuple[Step, ...]:
    """
    Split a path into names, places and slices.

    :raises ConfigurationError: if it is none
    """
    steps: list[Step] = []
    at = 0
    while at < len(path):
        found = STEP.match(path, at)
        if found is None or found.end() == at or found.group(0) == '[]':
            raise ConfigurationError(
                f'field {path!r} cannot be read from {path[at:]!r} on, must be names, [i] and '
                '[a:b], such as left.position[0:7]'
            )
        name, first, colon, last = found.groups()
        if name is not None:
            steps.append(name)
        elif colon:
            steps.append(slice(int(first) if first else None, int(last) if last else None))
        else:
            steps.append(int(first))
        at = found.end()
    return tuple(steps)


def numbers(message: Any, path: str) -> Array:
    """
    Give the numbers at a path, (N,).

    :raises ConfigurationError: if the message has no such field
    """
    value, many = message, False
    for step in parse(path):
        try:
            value, many = _take(value, step, many)
        except (AttributeError, IndexError, TypeError) as error:
            kind = getattr(message, '__msgtype__', type(message).__name__)
            fields = getattr(message, '__dataclass_fields__', ())
            known = ', '.join(name for name in fields if not name.startswith('_'))
            raise ConfigurationError(
                f'field {path!r} is not in {kind} ({error}); it has {known}'
            ) from error
    try:
        return np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f'field {path!r} is no number: {value!r}') from error


def _take(value: Any, step: Step, many: bool) -> tuple[Any, bool]:
    if isinstance(step, str):
        if many:
            return [getattr(element, step) for element in value], True
        return getattr(value, step), False
    taken = value[step]
    plain = isinstance(taken, np.ndarray)
    return taken, isinstance(step, slice) and not plain
