# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of a value that should rise: how long it has not, and how far it lags behind."""

from bisect import bisect_right
from typing import Final

from viva_ros.core.windows import seconds

LONGEST: Final = 60.0  # s; a stall is not measured beyond


class Stall:
    """
    How long the value has gained less than ``gain``, s, up to 60.

    That is the time since it was last lower than now by at least that much. It is measured from
    wherever the value stands: after a fall it need not climb to its old height to be well.
    """

    def __init__(self, gain: float) -> None:
        self._gain = gain
        self.reset()

    def reset(self) -> None:
        """Start afresh."""
        self._first: int | None = None
        self._stamps: list[int] = []  # of the samples that no later one is as low as
        self._values: list[float] = []  # theirs, rising

    def update(self, stamp: int, value: float) -> float:
        """Add a sample, later than the last; give the statistic."""
        if self._first is None:
            self._first = stamp
        lower = bisect_right(self._values, value - self._gain)
        since = self._stamps[lower - 1] if lower else self._first
        while self._values and self._values[-1] >= value:
            self._values.pop()
            self._stamps.pop()
        self._values.append(value)
        self._stamps.append(stamp)
        if seconds(stamp, self._stamps[0]) > LONGEST:
            del self._stamps[0], self._values[0]
        return min(seconds(stamp, since), LONGEST)


class Lag:
    """
    One-sided CUSUM against the expected slope (Page 1954): C <- max(0, C + slope dt - dV).

    It gathers what the value has risen less than expected, and forgets it as the value catches up.
    """

    def __init__(self, slope: float) -> None:
        """:param slope: rise that is expected at least, value per s."""
        self._slope = slope
        self.reset()

    def reset(self) -> None:
        """Start afresh."""
        self._last: tuple[int, float] | None = None
        self._sum = 0.0

    def update(self, stamp: int, value: float) -> float:
        """Add a sample, later than the last; give the statistic, >= 0, in units of value."""
        if self._last is not None:
            before, was = self._last
            due = self._slope * seconds(stamp, before)
            self._sum = max(0.0, self._sum + due - (value - was))
        self._last = stamp, value
        return self._sum

    def forgive(self) -> None:
        """Forget what has been gathered: the task is done."""
        self._sum = 0.0
