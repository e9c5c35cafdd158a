# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the parts of a recording are called: its episodes, and the attempts in them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from viva_ros.data.recorded_messages import Moment, runs, stamp_of_event
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import spans, within

APART: Final = 300_000_000  # ns; the truth comes ten times a second


@dataclass(frozen=True)
class Stretch:
    """Stamps [begin, end) that have a name, ns."""

    begin: int
    end: int
    name: str


def announced(
    recording: Recording, moments: Sequence[Moment], begin: int, end: int
) -> list[Stretch]:
    """Give the announced episodes, named by their number and what was injected."""
    found = []
    for span in spans(recording):
        first, last = max(span.begin, begin), min(span.end, end)
        if span.id and first < last:
            name = f'episode {span.id.rpartition("-")[2]}'
            told = within(moments, span)
            if told and told[-1].time > 0.0:  # it did not only wait
                name += f': {injected(told[-1].failure)}'
            found.append(Stretch(first, last, name))
    return found


def injected(failure: str) -> str:
    """Say what was injected, in words."""
    return 'nothing injected' if failure == 'none' else f'{failure.replace("_", " ")} injected'


def attempts(moments: Sequence[Moment]) -> list[Stretch]:
    """Give what the robot was at: its attempts, and the way back before each but the first."""
    return [part for run in runs(moments) for part in _attempts(run)]


def _attempts(run: Sequence[Moment]) -> list[Stretch]:
    parts = []
    for number in sorted({m.attempt for m in run}):
        of_it = [m for m in run if m.attempt == number]
        begin, end = of_it[0].stamp, of_it[-1].stamp
        back = [m.stamp for m in of_it if m.phase == 'home']
        if back:
            parts.append(Stretch(begin, back[-1], 'goes back'))
            begin = back[-1]
        waits = of_it[-1].time == 0.0
        parts.append(Stretch(begin, end, 'waits' if waits else f'attempt {number}'))
    return parts


def evident(run: Sequence[Moment]) -> list[float]:
    """
    Give the stamps, ns, at which the failures of one episode became evident.

    A simulation tells the time of the first; of those in later attempts, that there is one.
    """
    first = stamp_of_event(run, 'manifest')
    told = [first] if math.isfinite(first) else []
    rises = [
        now.stamp for before, now in pairwise(run)
        if now.failed and not (before.failed and before.attempt == now.attempt)
    ]  # fmt: skip
    return told + [stamp for stamp in rises if not told or stamp > first + APART]


def succeeded(run: Sequence[Moment]) -> list[int]:
    """Give the stamp, ns, of the first success of one episode."""
    return [moment.stamp for moment in run if moment.success][:1]
