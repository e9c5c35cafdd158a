# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Stamps of the rows of a recording, from timestamps whose unit a file may omit, or from a rate.

A unit is derived from the interval of the rows only if seconds and nanoseconds cannot be confused;
timestamps in another unit need it stated. Names with a word of TIME_WORDS may be those of clocks.
"""

import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.observation import SECOND

#: Unit to ns.
UNITS: Final = {
    **dict.fromkeys(('s', 'sec', 'second', 'seconds'), SECOND),
    **dict.fromkeys(('ms', 'millisecond', 'milliseconds'), SECOND // 10**3),
    **dict.fromkeys(('us', 'microsecond', 'microseconds'), SECOND // 10**6),
    **dict.fromkeys(('ns', 'nanosecond', 'nanoseconds'), 1),
}
PLAUSIBLE: Final = (1e-3, 1.0)  # interval of rows, s; both are excluded
ROUNDING: Final = 1e-5  # relative, of an interval
LARGEST: Final = 2.0**63  # ns, excluded
#: Words in the names of columns that may be times.
TIME_WORDS: Final = frozenset({
    'clock', 'date', 'datetime', 'elapsed', 'epoch', 'nsec', 'nsecs', 'sec', 'secs', 'stamp',
    'stamps', 't', 'time', 'times', 'timestamp', 'timestamps', 'ts',
})  # fmt: skip


def words(name: str) -> frozenset[str]:
    """Return the words of a name in lower case, split at signs, digits and changes of case."""
    parts = re.sub(r'([a-z])([A-Z])|([A-Z])([A-Z][a-z])', r'\1\3 \2\4', name)
    return frozenset(word for word in re.split(r'[\W_\d]+', parts.lower()) if word)


def index_times(start: int, rate: float, count: int) -> list[int]:
    """
    Return the stamps of rows by their index, ns.

    :param start: stamp of row 0, ns
    :param rate: Hz
    """
    return [start + round(row * SECOND / rate) for row in range(count)]


def timestamp_stamps(
    name: str, values: NDArray[Any], unit: str = ''
) -> tuple[list[int] | None, str]:
    """
    Return the stamps of rows with timestamps, ns, or a reason why they have none.

    Timestamps that begin within a second of 0 are counted from 1 s: a stamp of 0 is none.

    :param name: of the timestamps, for the reason
    :param values: (N,)
    :param unit: one of UNITS; '' to derive it from the interval of the rows
    """
    if values.dtype.kind not in 'iuf':
        return None, f'{name} has {values.dtype} values, must have numbers'
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        return None, f'{name} of row {bad[0]} is {values[bad[0]]}'
    known = UNITS.get(unit.strip().lower()) if unit else _unit_of(values)
    if known is None:
        return None, f'the unit of {name} is unknown: {_why(values, unit)}'
    if values.size and float(np.abs(values.astype(np.float64)).max()) * known >= LARGEST:
        return None, f'{name} has {values.max():g} {unit or "ns"}, too large for its unit'
    if values.dtype.kind == 'f':
        stamps = np.round(values.astype(np.float64) * known).astype(np.int64)
    else:
        stamps = values.astype(np.int64) * known
    first = int(stamps.min()) if stamps.size else 0
    if first < 0:
        return None, f'{name} has negative values'
    return (stamps + (SECOND if first < SECOND else 0)).tolist(), ''


def _unit_of(values: NDArray[Any]) -> int | None:
    """Return the unit in which the median interval is plausible, ns; None if it is doubtful."""
    step = _interval(values)
    low, high = PLAUSIBLE[0] * (1 + ROUNDING), PLAUSIBLE[1] * (1 - ROUNDING)
    found = [unit for unit in (SECOND, 1) if low < step * unit / SECOND < high]
    return found[0] if len(found) == 1 else None


def _interval(values: NDArray[Any]) -> float:
    return float(np.median(np.diff(values))) if values.size > 1 else 0.0


def _why(values: NDArray[Any], unit: str) -> str:
    if unit:
        return f'it is {unit!r}, must be one of {", ".join(UNITS)}'
    return f'rows are {_interval(values):g} apart, neither in s nor in ns a plausible interval'
