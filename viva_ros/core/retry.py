# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Asking for a retry: a budget per episode and per hour, a time-out, a back-off, and then a person.

Only an alarm asks; silence and unknown never do, nor is anything asked of a robot that reports a
stop or a fault: what has stopped it is a person's to see to. An answer "accepted" that comes late
counts, since the robot acts on it. Times are steady seconds, given by the caller, who calls the
service for each event of kind 'retry_requested'.
"""

import dataclasses
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from viva_ros.core.events import Event, Level
from viva_ros.core.retry_memory import HOUR
from viva_ros.core.settings import setting, validate


@dataclass(frozen=True)
class RetrySettings:
    """How often, how long, how patiently."""

    dry_run: bool = setting(True, 'Report the retry that would be asked for, and ask for none.')
    action: str = setting(
        '', 'Action whose goals a retry cancels; empty: the service retry is called.'
    )
    budget: int = setting(2, 'Retries asked for per episode, refused ones included.', at_least=0)
    hourly: int = setting(20, 'Retries asked for within an hour, over all episodes.', at_least=0)
    timeout: float = setting(5.0, 'Time for the answer, s.', above=0.0)
    backoff: float = setting(
        2.0, 'Wait after a refusal or time-out, s; doubles with each.', above=0.0
    )


class RetryState(Enum):
    """What the machine is waiting for."""

    IDLE = 'idle'
    WAITING = 'waiting for the answer'
    BACKING_OFF = 'backing off'
    NEEDS_OPERATOR = 'waiting for a person'


class RetryMachine:
    """
    Decides when a retry is asked for; ``state`` and ``used`` tell where it stands.

    Events carry stamp, value and episode of the alarm that led to them.
    """

    def __init__(
        self, settings: RetrySettings, hold_until: float = -math.inf, asked: Iterable[float] = ()
    ) -> None:
        """
        Begin idle.

        :param hold_until: steady time before which nothing is asked: start conservatively
        :param asked: when retries were asked for in the last hour, by a supervisor before this one
        """
        validate(settings)
        self._settings, self._hold_until = settings, hold_until
        self._alarm: Event | None = None
        self._blocked = ''
        self._asked = deque(asked)  # steady times, of the last hour
        self.used = 0
        self._rest()

    def _rest(self) -> None:
        self.state, self._until = RetryState.IDLE, math.inf
        self._failures, self._over = 0, False  # whether what the alarm was about is over

    @property
    def level(self) -> Level:
        """NEEDS_OPERATOR, or OK where this machine has nothing to add to the judge's level."""
        needed = self.state is RetryState.NEEDS_OPERATOR
        return Level.NEEDS_OPERATOR if needed else Level.OK

    def request(self, now: float, alarm: Event) -> list[Event]:
        """Ask for a retry because of an alarm; nothing, while one is under way or a person is."""
        if self.state is not RetryState.IDLE:
            self._over = False
            return []
        self._alarm = alarm
        if self._settings.dry_run:
            return [self._event(Level.ALARM, 'retry_dry_run', 'dry run: no retry is asked for')]
        if self._blocked:
            return self._refrain()
        if now < self._hold_until:
            self.state, self._until = RetryState.BACKING_OFF, self._hold_until
            return []
        return self._ask(now)

    def accepted(self) -> list[Event]:
        """Take the robot's word that it retries, even after the time-out."""
        if self.state is RetryState.IDLE:
            return []
        if self.state is not RetryState.NEEDS_OPERATOR:
            self._rest()
        return [self._event(self._alarm_level, 'retry_accepted', 'the robot retries')]

    def refused(self, now: float, reason: str) -> list[Event]:
        """Take a refusal, or that there is no such service; without effect on nothing asked."""
        if self.state is not RetryState.WAITING:
            return []
        return self._fail(now, 'retry_refused', f'retry refused: {reason}')

    def block(self, reason: str) -> list[Event]:
        """
        Take the robot's word that it is stopped or at fault; '' that it is not.

        A retry that was to be asked for again then needs a person.
        """
        self._blocked = reason
        return self._refrain() if reason and self.state is RetryState.BACKING_OFF else []

    def tick(self, now: float, known: bool) -> list[Event]:
        """
        Let time pass; call it ten times a second.

        :param known: whether values are heard and known: without, no retry is asked for
        """
        if now < self._until:
            return []
        if self.state is RetryState.WAITING:
            text = f'no answer to the retry within {self._settings.timeout:g} s'
            return self._fail(now, 'retry_timeout', text)
        return self._ask(now) if known and self.state is RetryState.BACKING_OFF else []

    def drop(self) -> None:
        """Ask no more for what an alarm was about: it is over. An answer is still waited for."""
        if self.state is RetryState.BACKING_OFF:
            self._rest()
        self._over = self.state is RetryState.WAITING

    def start_episode(self) -> None:
        """Begin an episode: the whole budget, nothing under way."""
        self.used = 0
        self._rest()

    def acknowledge(self) -> list[Event]:
        """Take a person's word that the robot was seen to: the budget is whole again."""
        if self.state is not RetryState.NEEDS_OPERATOR:
            return []
        self.start_episode()
        return [self._event(Level.OK, 'acknowledged', 'a person has seen to the robot')]

    @property
    def _alarm_level(self) -> Level:
        return max(self.level, Level.ALARM)

    def _ask(self, now: float) -> list[Event]:
        if self._blocked:
            return self._refrain()
        while self._asked and self._asked[0] <= now - HOUR:
            self._asked.popleft()
        spent = len(self._asked) >= self._settings.hourly
        if spent or self.used >= self._settings.budget:
            return self._give_up(len(self._asked) if spent else self.used, spent)
        self.used += 1
        self._asked.append(now)
        self.state, self._until = RetryState.WAITING, now + self._settings.timeout
        text = f'retry {self.used} of {self._settings.budget} is asked for'
        return [self._event(Level.ALARM, 'retry_requested', text)]

    def _fail(self, now: float, kind: str, text: str) -> list[Event]:
        event = self._event(Level.ALARM, kind, text)
        if self.used >= self._settings.budget:
            return [event, *self._give_up(self.used)]
        if self._over:
            self._rest()
            return [event]
        self.state = RetryState.BACKING_OFF
        self._until = now + self._settings.backoff * 2.0**self._failures
        self._failures += 1
        return [event]

    def _refrain(self) -> list[Event]:
        """Ask nothing of a robot that is stopped."""
        self._rest()
        self.state = RetryState.NEEDS_OPERATOR
        text = f'no retry is asked for: {self._blocked}; see to the robot'
        return [self._event(Level.NEEDS_OPERATOR, 'retry_blocked', text)]

    def _give_up(self, used: int, in_an_hour: bool = False) -> list[Event]:
        self._rest()
        self.state = RetryState.NEEDS_OPERATOR
        budget = self._settings.hourly if in_an_hour else self._settings.budget
        when = ' of this hour' if in_an_hour else ''
        text = f'{used} of {budget} retries{when} are spent: see to the robot'
        return [self._event(Level.NEEDS_OPERATOR, 'retry_budget', text)]

    def _event(self, level: Level, kind: str, text: str) -> Event:
        if self._alarm is None:
            raise ValueError(f'{kind} without an alarm')
        return dataclasses.replace(self._alarm, level=level, kind=kind, text=text, window=())
