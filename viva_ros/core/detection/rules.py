# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Alert rules: statistics of the value, or of what goes with it, that grow as the task goes worse.

A rule is one file that defines a ``Rule``; ``RULES`` lists them, and another package adds one by
an entry point. A statistic counts when it *holds*: over the last ``debounce`` s at least the share
``agreement`` of its samples is as large. Thresholds are compared with what holds, and calibrated
on it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from viva_ros.core.detection.reference import Reference
from viva_ros.core.observation import Array
from viva_ros.core.registry import Registry
from viva_ros.core.settings import setting, validate
from viva_ros.core.windows import Window, seconds


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
    forecast_residual_window: float = setting(2.0, 'Span of the mean residual, s.', above=0.0)
    floor_warm_up: float = setting(4.0, 'Time before the floor counts, s.', at_least=0.0)
    debounce: float = setting(0.3, 'Time that a crossing must last, s.', at_least=0.0)
    agreement: float = setting(
        1.0, 'Share of the values in that time that must cross.', above=0.0, at_most=1.0
    )
    gap: float = setting(1.0, 'Time without a value that restarts all windows, s.', above=0.0)

    @property
    def span(self) -> float:
        """How far back the windows reach, s."""
        return (
            max(self.drop_window, self.no_rise_window, self.forecast_residual_window)
            + self.debounce
        )


@dataclass(frozen=True)
class Proprioception:
    """
    The joints that go with one value, as the Value message carries them.

    :param names: in the order of the arrays
    :param positions: (J,), rad or m
    :param forecast: (J,), expected at stamp + horizon; None where there is none
    :param horizon: s, above 0
    """

    names: tuple[str, ...]
    positions: Array
    forecast: Array | None
    horizon: float


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


class Sample(NamedTuple):
    """
    What a rule sees of one known value.

    :ivar stamp: ns, later than that of the last
    :ivar smoothed: value
    :ivar done: whether the smoothed value is above ``done_above``: it need not rise any more
    :ivar warm: whether ``floor_warm_up`` s have passed since the first value
    """

    stamp: int
    smoothed: float
    done: bool
    warm: bool
    details: Details


class RuleState(Protocol):
    """One rule at work on one series of values."""

    def reset(self) -> None:
        """Start again: every window is empty."""

    def update(self, sample: Sample) -> float:
        """Add a sample and return the statistic; NaN where there is none yet."""

    def explain(self, statistic: float, threshold: float) -> str:
        """Return the text of an alert: what is wrong, with numbers and units."""


@dataclass(frozen=True)
class Rule:
    """
    An alert rule.

    :param start: makes the state for a series, from the settings and what successes are like
    :param unit: size of a statistic that matters as much as 1 in units of value
    :param of_value: whether it judges the value; with ``combine: and`` an alarm needs one rule
        that does, and one that does not
    :param falls_with_value: of a statistic and the smoothed value, whether the statistic shrinks
        by what the value rises by
    """

    start: Callable[[RuleSettings, Reference], RuleState]
    unit: float = 1.0
    of_value: bool = True
    falls_with_value: Callable[[float, float], bool] = lambda statistic, smoothed: False


#: In the order of their statistics.
RULES: Final[Registry[Rule]] = Registry(
    'rule',
    'viva_ros.alert_rules',
    {
        'drop': 'viva_ros.core.detection.value_rules:DROP',
        'no_rise': 'viva_ros.core.detection.value_rules:NO_RISE',
        'stall': 'viva_ros.core.detection.value_rules:STALL',
        'slope': 'viva_ros.core.detection.value_rules:SLOPE',
        'floor': 'viva_ros.core.detection.value_rules:FLOOR',
        'forecast_residual': 'viva_ros.core.detection.forecast_residual:FORECAST_RESIDUAL',
    },
)


def value_rules() -> tuple[str, ...]:
    """Return the names of the rules that judge the value."""
    return tuple(name for name in RULES if RULES[name].of_value)


def other_rules() -> tuple[str, ...]:
    """Return the names of the rules that judge what goes with the value."""
    return tuple(name for name in RULES if not RULES[name].of_value)


class RuleReading(NamedTuple):
    """
    One rule's statistic at one stamp, in the unit of the rule.

    :ivar statistic: NaN until its window is filled
    :ivar held: what at least the share ``agreement`` of the statistics over the debounce time
        reach; NaN until that is covered
    """

    statistic: float
    held: float


NOTHING: Final = RuleReading(math.nan, math.nan)


class RuleBank:
    """All rules over one series of smoothed values."""

    def __init__(self, settings: RuleSettings, expected: Reference | None = None) -> None:
        """
        Begin with empty windows.

        :param expected: what successes are like; without it no forecast residual is judged
        """
        validate(settings)
        self._settings = settings
        self._expected = expected or Reference()
        self._states = {name: RULES[name].start(settings, self._expected) for name in RULES}
        self._windows = [
            (name, state, Window(settings.debounce)) for name, state in self._states.items()
        ]
        self._first: int | None = None

    def reset(self) -> None:
        """Start again: every window is empty."""
        for _, state, window in self._windows:
            state.reset()
            window.reset()
        self._first = None

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
        sample = Sample(
            stamp, smoothed, smoothed > self._settings.done_above,
            seconds(stamp, self._first) >= self._settings.floor_warm_up, details,
        )  # fmt: skip
        readings: dict[str, RuleReading] = {}
        for name, state, window in self._windows:
            statistic = state.update(sample)
            if name in self._expected.norms:
                statistic = self._expected.norms[name].measure(statistic, _progress(sample))
            if math.isnan(statistic):
                window.reset()
                readings[name] = NOTHING
            else:
                window.add(stamp, statistic)
                readings[name] = RuleReading(statistic, window.held(self._settings.agreement))
        return readings

    def explain(self, name: str, statistic: float, threshold: float) -> str:
        """Return the text of an alert by a rule, at the last stamp."""
        return self._states[name].explain(statistic, threshold)


def _progress(sample: Sample) -> float:
    """Return the predicted progress, or what the value says of it where there is none."""
    progress = sample.details.progress
    return progress if math.isfinite(progress) else 0.5 * (1.0 + sample.smoothed)
