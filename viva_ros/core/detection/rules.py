# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Alert rules: statistics of the value, or of the joints, that grow when the task goes worse.

A rule is one file that defines a ``Rule``; ``RULES`` lists them, and another package adds one by
an entry point. The *held* statistic is the level that at least the share ``agreement`` of the
samples in the last ``debounce`` s reach. Thresholds are calibrated on held statistics, and
compared with them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from viva_ros.core.detection.reference import Reference
from viva_ros.core.observation import Array
from viva_ros.core.registry import Registry
from viva_ros.core.settings import SettingLimits, setting, validate
from viva_ros.core.windows import Window, seconds


@dataclass(frozen=True)
class RuleSettings:
    """Parameters of the statistics; a calibration is valid only for these settings."""

    smoothing: float = setting(0.4, 'Time constant of the value smoothing, s.', at_least=0.0)
    drop_window: float = setting(4.0, 'Window of the rule drop, s.', above=0.0)
    no_rise_window: float = setting(4.0, 'Window in which the value must rise, s.', above=0.0)
    stall_gain: float = setting(
        0.1, 'Rise of the value that ends a stall.', above=0.0, at_most=2.0
    )
    forecast_residual_window: float = setting(
        2.0, 'Window of the mean forecast residual, s.', above=0.0
    )
    floor_warm_up: float = setting(
        4.0, 'Time from the first value until the rule floor starts, s.', at_least=0.0
    )
    debounce: float = setting(0.3, 'Time that a crossing must last, s.', at_least=0.0)
    agreement: float = setting(
        1.0, 'Share of the values in that time that must cross.', above=0.0, at_most=1.0
    )
    max_gap: float = setting(1.0, 'Time without a value that restarts all windows, s.', above=0.0)

    @property
    def span(self) -> float:
        """Longest time that a window covers, s."""
        return (
            max(self.drop_window, self.no_rise_window, self.forecast_residual_window)
            + self.debounce
        )


@dataclass(frozen=True)
class Proprioception:
    """
    The joints of one value, as the Value message carries them.

    :param names: in the order of the arrays
    :param positions: (J,), rad or m
    :param forecast: predicted positions at stamp + horizon, (J,); None without a forecast
    :param horizon: s, above 0
    """

    names: tuple[str, ...]
    positions: Array
    forecast: Array | None
    horizon: float


@dataclass(frozen=True)
class Details:
    """
    Outputs of an engine other than the value.

    :param success: probability of success, in [0, 1]; NaN if the engine has none
    :param progress: in [0, 1]; NaN likewise
    :param joints: joints with their forecast; None if unknown
    """

    success: float = math.nan
    progress: float = math.nan
    joints: Proprioception | None = None


NO_DETAILS: Final = Details()


class Sample(NamedTuple):
    """
    The input of a rule for one known value.

    :ivar stamp: ns, later than that of the previous sample
    :ivar smoothed: smoothed value, in [-1, 1]
    :ivar done: whether the smoothed value is above the done level and need not rise
    :ivar warm: whether ``floor_warm_up`` s have passed since the first value
    """

    stamp: int
    smoothed: float
    done: bool
    warm: bool
    details: Details


class RuleState(Protocol):
    """The state of one rule on one series of values."""

    def reset(self) -> None:
        """Empty all windows."""

    def update(self, sample: Sample) -> float:
        """Add a sample and return the statistic; NaN until it is defined."""

    def explain(self, statistic: float, threshold: float) -> str:
        """Return the text of an alert: the fault with numbers and units."""


@dataclass(frozen=True)
class Rule:
    """
    An alert rule.

    :param start: returns the state for a new series, from settings and reference
    :param unit: size of the statistic that corresponds to 1 in units of value
    :param of_value: whether the rule judges the value; with ``combine: and`` an alarm needs one
        such rule and one other
    :param until_done: whether the rule judges only values below the done level of the reference
    :param falls_with_value: of a statistic and the smoothed value: whether the statistic falls by
        the rise of the value
    :param largest: from settings, reference and whether the engine has a probability of success:
        the largest value that the statistic can take; infinite without a bound
    :param span: smallest and largest value that a threshold can have, in the unit of the rule,
        finite: that of the statistic, or far above that of any failure where it has no bound
    """

    start: Callable[[RuleSettings, Reference], RuleState]
    unit: float = 1.0
    of_value: bool = True
    until_done: bool = False
    falls_with_value: Callable[[float, float], bool] = lambda statistic, smoothed: False
    largest: Callable[[RuleSettings, Reference, bool], float] = lambda *_: math.inf
    span: tuple[float, float] = (-1e6, 1e6)


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
    """Return the names of the rules that judge other outputs than the value."""
    return tuple(name for name in RULES if not RULES[name].of_value)


def largest_statistic(
    name: str, settings: RuleSettings, expected: Reference, has_success: bool
) -> float:
    """
    Return the largest value that the statistic of a rule can take; infinite without a bound.

    A threshold at or above it never raises an alarm.

    :param expected: with norms of the rule, the value is in spreads above the middle
    :param has_success: whether the engine has a probability of success
    """
    largest, norm = RULES[name].largest(settings, expected, has_success), expected.norms.get(name)
    return largest if norm is None else norm.largest(largest)


def threshold_limits(name: str, expected: Reference) -> SettingLimits:
    """
    Return the range of the thresholds of a rule.

    :param expected: with norms of the rule, thresholds are in spreads above the middle
    """
    (low, high), norm = RULES[name].span, expected.norms.get(name)
    if norm is not None:
        low, high = norm.smallest(low), norm.largest(high)
    return SettingLimits(at_least=low, at_most=high)


class RuleReading(NamedTuple):
    """
    The statistic of one rule at one stamp, in the unit of the rule.

    :ivar statistic: NaN until its window is full; -inf where the rule asks for nothing
    :ivar held: level that at least the share ``agreement`` of the statistics in the debounce time
        reach; NaN until that time is covered
    """

    statistic: float
    held: float


NOTHING: Final = RuleReading(math.nan, math.nan)


class RuleBank:
    """All rules on one series of smoothed values."""

    def __init__(self, settings: RuleSettings, expected: Reference | None = None) -> None:
        """
        Start with empty windows.

        :param expected: reference of successful episodes; None: no forecast residual is judged
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
        """Empty all windows."""
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
            stamp, smoothed, smoothed > self._expected.done_above,
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
        """Return the text of an alert of a rule, at the last stamp."""
        return self._states[name].explain(statistic, threshold)


def _progress(sample: Sample) -> float:
    """Return the predicted progress, or an estimate from the value if there is none."""
    progress = sample.details.progress
    return progress if math.isfinite(progress) else 0.5 * (1.0 + sample.smoothed)
