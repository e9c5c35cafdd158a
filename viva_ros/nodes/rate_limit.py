# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the next estimate is due, and whether time stands still. Times are given, not read."""

import math
from typing import Final

LATE: Final = 1.5  # spacings


class Pace:
    """
    Keeps a rate by the time since the last estimate.

    A fixed grid of due times would make each frame wait for its point of the grid, up to a whole
    period. A tenth of the period is let go, so that a camera of the same rate is never late.
    """

    def __init__(self, rate: float) -> None:
        """:param rate: Hz."""
        self._spacing = 0.9 / rate
        self._last = -math.inf

    @property
    def due_at(self) -> float:
        """When it will be time, s; minus infinity before the first."""
        return self._last + self._spacing

    def due(self, now: float) -> bool:
        """Say whether it is time, s."""
        return now >= self.due_at

    def overdue(self, now: float) -> bool:
        """Say whether it is time to take what there is, s: who is awaited may not come."""
        return now >= self._last + LATE * self._spacing

    def take(self, now: float) -> None:
        """Use the time."""
        self._last = now


class Pause:
    """Tells when a clock that others drive (/clock) has stopped."""

    LIMIT = 0.5  # s

    def __init__(self) -> None:
        self._clock = -1
        self._since = 0.0

    def update(self, steady: float, clock: int) -> bool:
        """
        Compare the clock, ns, with itself earlier.

        :param steady: s
        """
        if clock != self._clock:
            self._clock, self._since = clock, steady
        return steady - self._since > self.LIMIT
