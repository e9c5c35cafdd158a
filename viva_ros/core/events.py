# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Levels, kinds and events of the supervision; the Alert message carries them."""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from viva_ros.core.detection.rules import RULES

#: Kinds of event other than rules; the comment in Alert.msg lists them after the rules.
OTHER_KINDS: Final = (
    'unknown',
    'paused',
    'silence',
    'refused',
    'robot',
    'retry_requested',
    'retry_accepted',
    'retry_succeeded',
    'retry_rejected',
    'retry_timeout',
    'retry_unfinished',
    'retry_budget_exhausted',
    'retry_suppressed',
    'retry_dry_run',
    'recovered',
    'acknowledged',
    'episode_start',
    'resumed',
)


def kinds() -> tuple[str, ...]:
    """Return every kind of event: all rules, also of other packages, and OTHER_KINDS."""
    return (*RULES, *OTHER_KINDS)


class Level(IntEnum):
    """The constants of Alert.msg; their numbers are not ordered by severity, see ORDER."""

    OK = 0
    UNKNOWN = 1
    WARN = 2
    ALARM = 3
    NEEDS_OPERATOR = 4
    LATCHED = 5
    PAUSED = 6


#: By increasing severity.
ORDER: Final = (
    Level.OK, Level.PAUSED, Level.LATCHED, Level.UNKNOWN, Level.WARN, Level.ALARM,
    Level.NEEDS_OPERATOR,
)  # fmt: skip

#: Levels at which an alarm is on.
ALARMING: Final = frozenset((Level.ALARM, Level.NEEDS_OPERATOR))


def is_alarming(level: int, kind: str) -> bool:
    """
    Return whether an alert reports an alarm or a step of its retry.

    Any other alert carries the present level, which may be that of an earlier alarm.
    """
    of_alarm = kind in RULES or (kind.startswith('retry_') and kind != 'retry_succeeded')
    return level in ALARMING and of_alarm


def worst(*levels: Level) -> Level:
    """Return the most severe level."""
    return max(levels, key=ORDER.index)


@dataclass(frozen=True)
class Event:
    """
    A change of the supervision.

    :param kind: one of ``kinds()``
    :param stamp: of the value that caused it, ns; of the alarm for retry events
    :param onset: when the condition began, ns, <= stamp
    :param value: in [-1, 1]; NaN when unknown
    :param statistic: debounced, in the unit of its rule; NaN without one
    :param threshold: that the statistic crossed; NaN without one
    :param text: message for a person
    :param alpha: share of successes that may raise a false alarm, over all rules; NaN without one
    :param window: stamp (ns), value and statistic of the samples in the windows of the rule
    """

    level: Level
    kind: str
    stamp: int
    onset: int
    value: float
    statistic: float
    threshold: float
    episode_id: str
    text: str
    alpha: float = math.nan
    window: tuple[tuple[int, float, float], ...] = ()
