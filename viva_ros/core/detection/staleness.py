# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
No value, and for how long: unknown (the monitor says so) and silence (it says nothing).

Both are states of their own: neither is OK, and neither ever asks for a retry.
"""

import math
from dataclasses import dataclass

import numpy as np

from viva_ros.core.events import Event, Level
from viva_ros.core.settings import setting, validate


def settle(value: float | None, reason: str) -> tuple[float, str]:
    """
    Round a value as the Value message does; one that is none, or beyond [-1, 1], is unknown.

    :returns: value and '', or NaN and a sentence that says why
    """
    value = math.nan if value is None else float(np.float32(value))
    if -1.0 <= value <= 1.0:
        return value, ''
    if not math.isnan(value):
        reason = f'value is {value:g}, must be in [-1, 1]'
    return math.nan, f'value is unknown: {reason or "no reason given"}'


class UnknownRun:
    """An uninterrupted run of unknown values; becomes a level when it lasts."""

    def __init__(self, after: float) -> None:
        self._after = round(after * 1e9)
        self.reset()

    def reset(self, began: int | None = None) -> None:
        """Forget the run; or begin one that is a level at once, since nothing is known yet."""
        self._began, self.lasting, self._told = began, began is not None, False

    def add(self, stamp: int) -> int | None:
        """Add an unknown value; give the stamp where the run began when it is time to tell."""
        if self._began is None:
            self._began = stamp
        if self._told or stamp - self._began < self._after:
            return None
        self.lasting = self._told = True
        return self._began

    def end(self) -> int | None:
        """End the run; give the stamp where it began if it was a level."""
        began = self._began if self.lasting else None
        self.reset()
        return began


@dataclass(frozen=True)
class SilenceSettings:
    """When silence of the monitor is reported; both on the steady clock."""

    silence_after: float = setting(0.8, 'Silence for this long becomes a level, s.', above=0.0)
    start_after: float = setting(
        20.0, 'The same before the first message: engines take time to load, s.', above=0.0
    )


class Silence:
    """Watches that messages come at all, on the steady clock: it must run when stamps do not."""

    def __init__(self, settings: SilenceSettings, now: float) -> None:
        """:param now: steady time at the start, s."""
        validate(settings)
        self._settings = settings
        self._started = now
        self.silent = False

    def update(
        self, now: float, last_heard: float | None, stamp: int, episode_id: str
    ) -> Event | None:
        """
        Compare the steady time with that of the last message; call it ten times a second.

        :param now: steady time, s
        :param last_heard: steady time of the last message, s; None before the first
        :param stamp: receive time for the event, ns
        :returns: an event when silence begins (level UNKNOWN) or ends (level OK), else None
        """
        allowed = (
            self._settings.start_after if last_heard is None else self._settings.silence_after
        )
        quiet = now - (self._started if last_heard is None else last_heard)
        if (quiet > allowed) == self.silent:
            return None
        self.silent = not self.silent
        level = Level.UNKNOWN if self.silent else Level.OK
        text = f'no value for {quiet:.1f} s, limit {allowed:g} s: is the monitor active?'
        onset = stamp - round(quiet * 1e9) if self.silent else stamp
        return Event(
            level, 'silence', stamp, onset, math.nan, math.nan, math.nan, episode_id,
            text if self.silent else 'values come again',
        )  # fmt: skip
