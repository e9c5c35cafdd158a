# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The value rules: statistics that are the larger, the worse the value does.

drop      largest smoothed value of the last ``drop_window`` s, minus the present one
no_rise   smoothed value ``no_rise_window`` s ago, minus the present one; once the task is done -2,
          the smallest there is, since a value near 1 has no need to rise
floor     minus the smoothed value, once ``floor_warm_up`` s are over

A value starts at the base rate of success, so a failure often shows as a value that does not rise:
a fall alone misses it, and the floor must be calibrated. Each statistic counts when it *holds*:
its smallest value over the last ``debounce`` s is what thresholds are compared with, and what they
are calibrated on.
"""

import math
from dataclasses import dataclass
from typing import Final

from viva_ros.core.events import DROP, FLOOR, NO_RISE, RULES
from viva_ros.core.settings import setting, validate
from viva_ros.core.windows import Window, seconds


@dataclass(frozen=True)
class RuleSettings:
    """How statistics are made of values; a calibration holds for these settings alone."""

    smoothing: float = setting(0.4, 'Time constant of the smoothing, s.', at_least=0.0)
    drop_window: float = setting(4.0, 'Span in which a fall is looked for, s.', above=0.0)
    no_rise_window: float = setting(4.0, 'Span in which the value should rise, s.', above=0.0)
    done_above: float = setting(
        0.8, 'A smoothed value above this need not rise.', at_least=-1.0, at_most=1.0
    )
    floor_warm_up: float = setting(4.0, 'Time before the floor counts, s.', at_least=0.0)
    debounce: float = setting(0.3, 'Time that a crossing must last, s.', at_least=0.0)
    gap: float = setting(1.0, 'Time without a value that restarts all windows, s.', above=0.0)


@dataclass(frozen=True)
class Reading:
    """
    One rule's statistic at one stamp, in units of value.

    :param statistic: NaN until its window is filled
    :param held: smallest statistic over the debounce time; NaN until that is covered
    """

    statistic: float
    held: float


NOTHING: Final = Reading(math.nan, math.nan)
SMALLEST: Final = -2.0


class RuleBank:
    """All rules over one series of smoothed values."""

    def __init__(self, settings: RuleSettings) -> None:
        validate(settings)
        self._settings = settings
        self._drop = Window(settings.drop_window)
        self._rise = Window(settings.no_rise_window)
        self._held = {kind: Window(settings.debounce) for kind in RULES}
        self._first: int | None = None

    def reset(self) -> None:
        """Start afresh: every window is empty."""
        for window in (self._drop, self._rise, *self._held.values()):
            window.reset()
        self._first = None

    def update(self, stamp: int, smoothed: float) -> dict[str, Reading]:
        """
        Add a known value.

        :param stamp: ns, later than the last
        :param smoothed: finite
        :returns: a reading for each of RULES
        :raises ValueError: if the stamp is not later than the last
        """
        if self._first is None:
            self._first = stamp
        self._drop.add(stamp, smoothed)
        self._rise.add(stamp, smoothed)
        warm = seconds(stamp, self._first) >= self._settings.floor_warm_up
        statistics = {
            DROP: self._drop.maximum() - smoothed,
            NO_RISE: self._no_rise(smoothed),
            FLOOR: -smoothed if warm else math.nan,
        }
        return {kind: self._read(kind, stamp, statistics[kind]) for kind in RULES}

    def _no_rise(self, smoothed: float) -> float:
        done = self._rise.full and smoothed > self._settings.done_above
        return SMALLEST if done else self._rise.first() - smoothed

    def _read(self, kind: str, stamp: int, statistic: float) -> Reading:
        if math.isnan(statistic):
            return NOTHING
        self._held[kind].add(stamp, statistic)
        return Reading(statistic, self._held[kind].held_minimum())


def explain(kind: str, statistic: float, threshold: float, settings: RuleSettings) -> str:
    """Say for a person what a rule's crossing means."""
    if kind == DROP:
        return (
            f'value fell by {statistic:.2f} within {settings.drop_window:g} s, '
            f'threshold {threshold:.2f}'
        )
    if kind == NO_RISE:
        return (
            f'value changed by {-statistic:+.2f} in {settings.no_rise_window:g} s, '
            f'at least {-threshold:+.2f} is expected'
        )
    return f'value is {-statistic:.2f}, below its floor of {-threshold:.2f}'
