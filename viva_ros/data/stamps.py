# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Order of the stamps of a stream.

Neighbouring messages may be recorded in the wrong order by threads. A step back of more than one
period is another matter: the clock was set, or two publishers share the topic. Sorting would mix
two stretches of time, so the step is measured and the caller refuses the stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Stamps = NDArray[np.int64]  # ns

#: Remedy for timestamps of a dataset.
INDEX_REMEDY: Final = 'set "stamp: frame_index" in the map if the rows have a constant rate'


@dataclass(frozen=True)
class OrderedStamps:
    """
    The stamps of a stream in order.

    :param stamps: (N,), ns, ascending, each once
    :param rows: of these stamps in the order of the recording
    :param backwards: largest step back in the order of the recording, s
    :param unstamped: number of messages with a stamp of 0, which are left out
    :param repeated: number of messages with the stamp of another, which are left out
    """

    stamps: Stamps
    rows: list[int]
    backwards: float
    unstamped: int
    repeated: int


def ordered(recorded: Sequence[int] | Stamps) -> OrderedStamps:
    """
    Return the stamps of a stream in order.

    :param recorded: in the order of the recording, ns
    """
    raw = np.asarray(recorded, dtype=np.int64)
    stamped = np.flatnonzero(raw > 0)
    known = raw[stamped]
    back = float((np.maximum.accumulate(known) - known).max()) * 1e-9 if known.size else 0.0
    stamps, first = np.unique(known, return_index=True)
    unstamped, repeated = int(raw.size - known.size), int(known.size - stamps.size)
    return OrderedStamps(stamps, stamped[first].tolist(), back, unstamped, repeated)


def period_of(stamps: Stamps) -> float:
    """Return the median interval of ascending stamps, s; 0 for fewer than two."""
    return float(np.median(np.diff(stamps))) * 1e-9 if stamps.size > 1 else 0.0


def step_back_text(name: str, backwards: float, period: float, is_dataset: bool = False) -> str:
    """
    Return the reason to refuse a stream whose stamps go back; '' within one period.

    :param is_dataset: whether the remedy for rows of a dataset applies
    """
    if backwards <= period:
        return ''
    remedy = 'set "stamp: received" for it in the map, or split the recording there'
    if is_dataset:
        remedy = INDEX_REMEDY
    return (
        f'stamps of {name} go back by {backwards:.3f} s, at most one period ({period:.3f} s) is '
        f'allowed: the clock was set, or two publishers share the topic; {remedy}'
    )
