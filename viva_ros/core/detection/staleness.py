# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Missing values: unknown (the monitor publishes no value) and silence (it publishes nothing).

Both are separate states: neither is OK, and neither requests a retry.
"""

import math
from dataclasses import dataclass

import numpy as np

from viva_ros.core.events import Event, Level
from viva_ros.core.settings import setting, validate


def settle(value: float | None, reason: str) -> tuple[float, str]:
    """
    Round a value as the Value message does; None, NaN or a value outside of [-1, 1] is unknown.

    :returns: value and '', or NaN and a sentence with the reason
    """
    value = math.nan if value is None else float(np.float32(value))
    if -1.0 <= value <= 1.0:
        return value, ''
    if not math.isnan(value):
        reason = f'value is {value:g}, must be in [-1, 1]'
    return math.nan, f'value is unknown: {reason or "no reason given"}'


class UnknownRun:
    """An uninterrupted run of unknown values; a long one changes the level."""

    def __init__(self, after: float) -> None:
        self._after = round(after * 1e9)
        self.reset()

    def reset(self, began: int | None = None) -> None:
        """End the run; or begin one at a stamp that changes the level at once."""
        self._began, self.lasting, self._reported = began, began is not None, False
        self._held = False

    def hold(self) -> None:
        """Hold the level at UNKNOWN until ``end``, without a begin: no value has arrived."""
        self.reset()
        self.lasting = self._held = True

    def add(self, stamp: int) -> int | None:
        """Add an unknown value; return the begin of the run, once, when it changes the level."""
        if self._began is None:
            self._began = stamp
        if self._reported or stamp - self._began < self._after:
            return None
        self.lasting = self._reported = True
        return self._began

    def end(self) -> int | None:
        """End the run; return its begin if it has changed the level."""
        told = self._reported if self._held else self.lasting
        began = self._began if told else None
        self.reset()
        return began


@dataclass(frozen=True)
class SilenceSettings:
    """Time-outs of messages from the monitor, on the steady clock, and limits of their stamps."""

    silence_after: float = setting(
        0.8, 'Time without a value after which the level is UNKNOWN; largest age of a value, s.',
        above=0.0, at_most=60.0,
    )  # fmt: skip
    start_after: float = setting(
        20.0,
        'The same before the first value, s: engines take time to load.',
        above=0.0,
        at_most=3600.0,
    )
    max_future: float = setting(
        0.5, 'Largest time of the stamp of a value ahead of now, s.', at_least=0.0, at_most=60.0
    )


class Silence:
    """Watchdog of the messages, on the steady clock, which also runs when stamps stand still."""

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
        Compare the steady time with that of the last message; call this ten times a second.

        :param now: steady time, s
        :param last_heard: steady time of the last message, s; None before the first
        :param stamp: receive time for the event, ns
        :returns: an event when silence begins (level UNKNOWN) or ends (level OK), else None
        """
        allowed = (
            self._settings.start_after if last_heard is None else self._settings.silence_after
        )
        silence = now - (self._started if last_heard is None else last_heard)
        if (silence > allowed) == self.silent:
            return None
        self.silent = not self.silent
        level = Level.UNKNOWN if self.silent else Level.OK
        text = f'no value for {silence:.1f} s, limit {allowed:g} s: is the monitor active?'
        onset = stamp - round(silence * 1e9) if self.silent else stamp
        return Event(
            level, 'silence', stamp, onset, math.nan, math.nan, math.nan, episode_id,
            text if self.silent else 'values arrive again',
        )  # fmt: skip
