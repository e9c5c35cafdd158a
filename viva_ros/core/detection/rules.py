# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The rules: statistics that are the larger, the worse it goes.

drop       largest smoothed value of the last ``drop_window`` s, minus the present one (drawdown)
no_rise    smoothed value ``no_rise_window`` s ago, minus the present one
stall      how long the smoothed value has gained less than ``stall_gain``, s
slope      what the smoothed value has risen less than expected: a one-sided CUSUM
floor      minus the smoothed probability of success, or minus the smoothed value where the engine
           tells none, once ``floor_warm_up`` s are over
foresight  joints as foreseen one horizon ago against joints now: mean over ``foresight_window`` s
           of the residual, 1 when it is as usual

A value starts at the base rate of success, so a failure often shows as a value that does not rise:
a fall alone misses it, and the floor must be calibrated. Once the task is done the value need not
rise. Each statistic counts when it *holds*: over the last ``debounce`` s at least the share
``agreement`` of its samples is as large, and that is what thresholds are compared with, and what
they are calibrated on.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np

from viva_ros.core.detection.forecast_residual import ForecastResidual, Proprioception, one_number
from viva_ros.core.detection.reference import Reference
from viva_ros.core.events import DROP, FLOOR, FORESIGHT, NO_RISE, RULES, SLOPE, STALL
from viva_ros.core.observation import Array
from viva_ros.core.settings import setting, validate
from viva_ros.core.windows import Smoother, Window, seconds

LONGEST: Final = 60.0  # s; a stall is not measured beyond


class StallTimer:
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


class Cusum:
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


@dataclass(frozen=True)
class RuleSettings:
    """How statistics are made of values; a calibration holds for these settings alone."""

    smoothing: float = setting(0.4, 'Time constant of the smoothing, s.', at_least=0.0)
    drop_window: float = setting(4.0, 'Span in which a fall is looked for, s.', above=0.0)
    no_rise_window: float = setting(4.0, 'Span in which the value should rise, s.', above=0.0)
    stall_gain: float = setting(
        0.1, 'Rise that ends a stall, in units of value.', above=0.0, at_most=2.0
    )
    done_above: float = setting(
        0.8, 'A smoothed value above this need not rise.', at_least=-1.0, at_most=1.0
    )
    foresight_window: float = setting(2.0, 'Span of the mean residual, s.', above=0.0)
    floor_warm_up: float = setting(4.0, 'Time before the floor counts, s.', at_least=0.0)
    debounce: float = setting(0.3, 'Time that a crossing must last, s.', at_least=0.0)
    agreement: float = setting(
        1.0, 'Share of the values in that time that must cross.', above=0.0, at_most=1.0
    )
    gap: float = setting(1.0, 'Time without a value that restarts all windows, s.', above=0.0)

    @property
    def span(self) -> float:
        """How far back the windows reach, s."""
        return max(self.drop_window, self.no_rise_window, self.foresight_window) + self.debounce


class RuleReading(NamedTuple):
    """
    One rule's statistic at one stamp, in the unit of the rule.

    :param statistic: NaN until its window is filled
    :param held: what at least the share ``agreement`` of the statistics over the debounce time
        reach; NaN until that is covered
    """

    statistic: float
    held: float


@dataclass(frozen=True)
class Details:
    """
    What an engine tells beside the value.

    :param success: probability of success, in [0, 1]; NaN where it tells none
    :param progress: in [0, 1]; NaN likewise
    :param joints: with their forecast; None where they are not known
    """

    success: float = math.nan
    progress: float = math.nan
    joints: Proprioception | None = None


NO_DETAILS: Final = Details()
NOTHING: Final = RuleReading(math.nan, math.nan)
SMALLEST: Final = -2.0


class Resettable(Protocol):
    """What forgets."""

    def reset(self) -> None:
        """Start afresh."""


class RuleBank:
    """All rules over one series of smoothed values."""

    def __init__(self, settings: RuleSettings, expected: Reference | None = None) -> None:
        """Begin; without ``expected``, what successes are like, no residual is judged."""
        validate(settings)
        self._settings = settings
        self._expected = expected or Reference()
        self._drop = Window(settings.drop_window)
        self._rise = Window(settings.no_rise_window)
        self._stall = StallTimer(settings.stall_gain)
        self._lag = Cusum(self._expected.slope)
        self._likely = Smoother(settings.smoothing)
        self._foresight = ForecastResidual(settings.gap)
        self._residual = Window(settings.foresight_window)
        self._agreement = settings.agreement
        self._held = {kind: Window(settings.debounce) for kind in RULES}
        self._names: tuple[str, ...] = ()
        self._apart: Array | None = None  # by joint, at the last stamp
        self._first: int | None = None

    def reset(self) -> None:
        """Start afresh: every window is empty."""
        parts: list[Resettable] = [
            self._drop, self._rise, self._stall, self._lag, self._likely, self._foresight,
            self._residual, *self._held.values(),
        ]  # fmt: skip
        for part in parts:
            part.reset()
        self._first = self._apart = None

    def update(
        self, stamp: int, smoothed: float, details: Details = NO_DETAILS
    ) -> dict[str, RuleReading]:
        """
        Add a known value.

        :param stamp: ns, later than the last
        :param smoothed: finite
        :returns: a reading for each of RULES
        :raises ValueError: if the stamp is not later than the last
        """
        self._first = stamp if self._first is None else self._first
        warm = seconds(stamp, self._first) >= self._settings.floor_warm_up
        self._drop.add(stamp, smoothed)
        self._rise.add(stamp, smoothed)
        done = smoothed > self._settings.done_above
        stall, lag = self._stall.update(stamp, smoothed), self._lag.update(stamp, smoothed)
        if done:
            self._lag.forgive()
        statistics = {
            DROP: self._drop.maximum() - smoothed,
            NO_RISE: SMALLEST if done and self._rise.full else self._rise.first() - smoothed,
            STALL: 0.0 if done else stall,
            SLOPE: 0.0 if done else lag,
            FLOOR: -self._likelihood(stamp, smoothed, details.success) if warm else math.nan,
            FORESIGHT: self._unforeseen(stamp, details.joints),
        }
        progress = details.progress
        at = progress if math.isfinite(progress) else 0.5 * (1.0 + smoothed)
        norms = self._expected.norms
        if norms:
            statistics |= {k: norms[k].measure(x, at) for k, x in statistics.items() if k in norms}
        return {kind: self._read(kind, stamp, statistics[kind]) for kind in RULES}

    def farthest(self) -> tuple[str, float] | None:
        """Name the joint farthest from where it was foreseen, as usual goes; and how far it is."""
        if self._apart is None or not np.isfinite(ratio := self._apart / self._scales).any():
            return None
        return self._names[worst := int(np.nanargmax(ratio))], float(self._apart[worst])

    def _likelihood(self, stamp: int, smoothed: float, success: float) -> float:
        if not math.isfinite(success):
            return smoothed
        return self._likely.update(stamp, float(np.float32(success)))

    def _unforeseen(self, stamp: int, joints: Proprioception | None) -> float:
        residual = self._foresight.update(stamp, joints)
        self._apart = residual
        if residual is None or joints is None:
            self._residual.reset()
            return math.nan
        if joints.names != self._names:
            self._names, self._scales = joints.names, self._expected.scales(joints.names)
        now = one_number(residual, self._scales)
        if math.isnan(now):
            return math.nan
        self._residual.add(stamp, now)
        return self._residual.mean()

    def _read(self, kind: str, stamp: int, statistic: float) -> RuleReading:
        window = self._held[kind]
        if math.isnan(statistic):
            window.reset()
            return NOTHING
        window.add(stamp, statistic)
        return RuleReading(statistic, window.held(self._agreement))
