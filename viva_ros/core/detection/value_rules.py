# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The rules that judge the value.

drop     maximum of the smoothed value in the last ``drop_window`` s minus its present value
         (drawdown)
no_rise  smoothed value ``no_rise_window`` s ago minus its present value
stall    time in which the smoothed value has risen by less than ``stall_gain``, s
slope    one-sided CUSUM of the value increments against the reference slope of successful episodes
floor    minus the smoothed probability of success, or minus the smoothed value if the engine has
         none, after ``floor_warm_up`` s

A value starts at the base rate of success. In many failures it does not fall but fails to rise:
the rule drop misses these, and the floor must be calibrated. The value of a finished task need not
rise: above the done level of the reference no_rise has no reading, and stall and slope start again
from 0.

A value is in [-1, 1], so that drop and no_rise are at most 2, the stall at most its limit, and the
floor at most 0 on a probability of success, 1 on a value. The CUSUM has no bound: a value that
does not rise adds the reference slope each second. Without a reference slope it is at most 2, the
largest fall.
"""

import math
from bisect import bisect_right
from typing import Final

import numpy as np

from viva_ros.core.detection.reference import Reference
from viva_ros.core.detection.rules import Rule, RuleSettings, Sample
from viva_ros.core.windows import Smoother, Window, seconds

DONE: Final = -math.inf  # statistic of no_rise above the done level
LARGEST: Final = 2.0  # largest difference of two values
LONGEST: Final = 60.0  # s; upper limit of the statistic
FARTHEST: Final = 1000.0  # a value that stands for an hour is 360 behind a rise of .1 per s


class StallTimer:
    """
    Time in which the value has risen by less than ``gain``, s, up to 60.

    This is the time since the value was last lower than now by at least ``gain``. After a fall the
    value need not return to its former level to end a stall.
    """

    def __init__(self, gain: float) -> None:
        self._gain = gain
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self._first: int | None = None
        self._stamps: list[int] = []  # of samples below all later samples
        self._values: list[float] = []  # of the same samples, ascending

    def update(self, stamp: int, value: float) -> float:
        """Add a sample, later than the last, and return the statistic."""
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


class Cusum:
    """
    One-sided CUSUM against the expected slope (Page 1954): C <- max(0, C + slope dt - dV).

    The sum grows while the value rises less than expected, and falls while it rises more.
    """

    def __init__(self, slope: float) -> None:
        """:param slope: minimum expected rise, value per s."""
        self._slope = slope
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self._last: tuple[int, float] | None = None
        self._sum = 0.0

    def update(self, stamp: int, value: float) -> float:
        """Add a sample, later than the last, and return the sum, >= 0, in units of value."""
        if self._last is not None:
            last_stamp, last_value = self._last
            expected = self._slope * seconds(stamp, last_stamp)
            self._sum = max(0.0, self._sum + expected - (value - last_value))
        self._last = stamp, value
        return self._sum

    def clear(self) -> None:
        """Set the sum to 0: the task is done."""
        self._sum = 0.0


class _Drop:
    def __init__(self, settings: RuleSettings, expected: Reference) -> None:
        self._span, self._window = settings.drop_window, Window(settings.drop_window)

    def reset(self) -> None:
        self._window.reset()

    def update(self, sample: Sample) -> float:
        self._window.add(sample.stamp, sample.smoothed)
        return self._window.maximum() - sample.smoothed

    def explain(self, statistic: float, threshold: float) -> str:
        return f'value fell by {statistic:.2f} within {self._span:g} s, threshold {threshold:.2f}'


class _NoRise:
    def __init__(self, settings: RuleSettings, expected: Reference) -> None:
        self._span, self._window = settings.no_rise_window, Window(settings.no_rise_window)

    def reset(self) -> None:
        self._window.reset()

    def update(self, sample: Sample) -> float:
        self._window.add(sample.stamp, sample.smoothed)
        if sample.done and self._window.full:
            return DONE
        return self._window.first() - sample.smoothed

    def explain(self, statistic: float, threshold: float) -> str:
        return (
            f'value changed by {-statistic:+.2f} in {self._span:g} s, '
            f'at least {-threshold:+.2f} is expected'
        )


class _Stall:
    def __init__(self, settings: RuleSettings, expected: Reference) -> None:
        self._gain, self._timer = settings.stall_gain, StallTimer(settings.stall_gain)

    def reset(self) -> None:
        self._timer.reset()

    def update(self, sample: Sample) -> float:
        if sample.done:
            self._timer.reset()
            return 0.0
        return self._timer.update(sample.stamp, sample.smoothed)

    def explain(self, statistic: float, threshold: float) -> str:
        return (
            f'value gained less than {self._gain:g} in {statistic:.1f} s, '
            f'successes never took longer than {threshold:.1f} s'
        )


class _Slope:
    def __init__(self, settings: RuleSettings, expected: Reference) -> None:
        self._cusum = Cusum(expected.slope)

    def reset(self) -> None:
        self._cusum.reset()

    def update(self, sample: Sample) -> float:
        statistic = self._cusum.update(sample.stamp, sample.smoothed)
        if not sample.done:
            return statistic
        self._cusum.clear()
        return 0.0

    def explain(self, statistic: float, threshold: float) -> str:
        return f'value is {statistic:.2f} behind its usual rise, threshold {threshold:.2f}'


class _Floor:
    def __init__(self, settings: RuleSettings, expected: Reference) -> None:
        self._success = Smoother(settings.smoothing)

    def reset(self) -> None:
        self._success.reset()

    def update(self, sample: Sample) -> float:
        if not sample.warm:
            return math.nan
        if not math.isfinite(sample.details.success):
            return -sample.smoothed
        return -self._success.update(sample.stamp, float(np.float32(sample.details.success)))

    def explain(self, statistic: float, threshold: float) -> str:
        return f'success is rated {-statistic:.2f}, below the floor of {-threshold:.2f}'


DROP: Final = Rule(
    _Drop, falls_with_value=lambda statistic, smoothed: True, largest=lambda *_: LARGEST,
    span=(0.0, LARGEST),
)  # fmt: skip
NO_RISE: Final = Rule(
    _NoRise, until_done=True, falls_with_value=lambda statistic, smoothed: True,
    largest=lambda *_: LARGEST, span=(-LARGEST, LARGEST),
)  # fmt: skip
STALL: Final = Rule(
    _Stall, unit=10.0, until_done=True, largest=lambda *_: LONGEST, span=(0.0, LONGEST)
)
SLOPE: Final = Rule(
    _Slope,
    until_done=True,
    largest=lambda settings, expected, has_success: math.inf if expected.slope > 0.0 else LARGEST,
    span=(0.0, FARTHEST),
)
#: The statistic is minus the value if the engine has no probability of success.
FLOOR: Final = Rule(
    _Floor,
    falls_with_value=lambda statistic, smoothed: statistic == -smoothed,
    largest=lambda settings, expected, has_success: 0.0 if has_success else 1.0,
    span=(-1.0, 1.0),
)
