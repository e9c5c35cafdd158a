# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Requests for a retry: a budget per episode and per hour, a time-out, a back-off, and then a person.

Only an alarm leads to a request; silence and unknown never do, nor is anything requested from a
robot that reports a stop or a fault: what has stopped it is a person's to see to. "Accepted" is
not "done": a retry lasts until the robot executes the task again, and meanwhile no other one is
requested. An acceptance that comes late counts, since the robot acts on it. Times are steady
seconds, given by the caller, which calls the robot for each event of kind 'retry_requested'.
"""

import dataclasses
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from viva_ros.core.events import Event, Level
from viva_ros.core.settings import setting, validate
from viva_ros.core.supervision_memory import HOUR

#: How a retry is requested: a service of std_srvs/Trigger, an action of viva_ros/Retry, or all
#: goals of any action are canceled.
TRIGGER, ACTION, CANCEL = 'trigger', 'action', 'cancel'
WAYS: Final = (TRIGGER, ACTION, CANCEL)


@dataclass(frozen=True)
class RetrySettings:
    """How a retry is requested, how often, and how long is waited."""

    dry_run: bool = setting(
        True, 'Report the retry that would be requested, and request none.', live=True
    )
    by: str = setting(
        TRIGGER, 'Request by a std_srvs/Trigger service, a viva_ros/Retry action, or a cancel.',
        choices=WAYS,
    )  # fmt: skip
    name: str = setting('retry', 'Name of that service or action.')
    budget: int = setting(
        2, 'Retries requested per episode, refused ones included.', at_least=0, live=True
    )
    hourly: int = setting(20, 'Retries requested within an hour, over all episodes.', at_least=0)
    timeout: float = setting(5.0, 'Time for the answer, s.', above=0.0)
    begin_within: float = setting(
        5.0, 'Time from the acceptance until the robot stops executing, s.', above=0.0
    )
    finish_within: float = setting(
        120.0, 'Time from then until it executes the task again, s.', above=0.0
    )
    backoff: float = setting(
        2.0, 'Wait after a refusal or time-out, s; doubles with each.', above=0.0
    )


class RetryState(Enum):
    """What the machine is waiting for."""

    IDLE = 'idle'
    WAITING = 'waiting for the answer'
    RETRYING = 'retrying'
    BACKING_OFF = 'backing off'
    NEEDS_OPERATOR = 'waiting for a person'


class RetryMachine:
    """
    Decides when a retry is requested.

    ``state`` and ``used`` (retries of this episode) hold now; ``cause`` is the event because of
    which an operator is required, None if none is. Events carry stamp, value and episode of the
    alarm that led to them.
    """

    def __init__(
        self, settings: RetrySettings, hold_until: float = -math.inf, asked: Iterable[float] = (),
        operator: Event | None = None,
    ) -> None:  # fmt: skip
        """
        Begin idle, or waiting for a person.

        :param hold_until: steady time before which nothing is requested: start conservatively
        :param asked: when retries were requested in the last hour, by an earlier process
        :param operator: the event because of which an operator was required then
        """
        validate(settings)
        self._settings, self._hold_until = settings, hold_until
        self._alarm = operator
        self.cause: Event | None = None
        self._outstanding = False  # whether a request has no answer yet, however late
        self._blocked = ''
        self._executes: bool | None = None
        self._asked = deque(asked)  # steady times, of the last hour
        self.used = 0
        self._rest()
        if operator is not None:
            self.state, self.cause = RetryState.NEEDS_OPERATOR, operator

    def _rest(self) -> None:
        self.state, self._until = RetryState.IDLE, math.inf
        self._failures, self._over = 0, False  # whether what the alarm was about is over
        self._begun = False  # whether the robot has reported that it stopped, since the request
        self._unfinished = ''  # what a retry under way has not come to, when its time is over
        self.cause = None

    @property
    def level(self) -> Level:
        """NEEDS_OPERATOR, or OK where this machine has nothing to add to the judge's level."""
        needed = self.state is RetryState.NEEDS_OPERATOR
        return Level.NEEDS_OPERATOR if needed else Level.OK

    def apply(self, settings: RetrySettings) -> None:
        """Use other settings from now on; a dry run ends a back-off."""
        self._settings = settings
        if settings.dry_run and self.state is RetryState.BACKING_OFF:
            self._rest()

    def request(self, now: float, alarm: Event) -> list[Event]:
        """Request a retry because of an alarm; nothing, while one or a person is waited for."""
        if self.state is not RetryState.IDLE:
            self._over = False
            return []
        self._alarm = alarm
        if self._settings.dry_run:
            return [self._event(Level.ALARM, 'retry_dry_run', 'dry run: no retry is requested')]
        if self._blocked:
            return self._refrain()
        if now < self._hold_until:
            self.state, self._until = RetryState.BACKING_OFF, self._hold_until
            return []
        return self._ask(now)

    def accepted(self, now: float, begun: bool = False) -> list[Event]:
        """
        Take the robot's answer that it retries, even after the time-out, or in another episode.

        :param begun: whether it has stopped executing already
        """
        outstanding, self._outstanding = self._outstanding, False
        if self.state is RetryState.RETRYING or not outstanding:
            return []
        events = [self._event(self._alarm_level, 'retry_accepted', 'the robot retries')]
        if self.state is RetryState.NEEDS_OPERATOR:
            return events
        reported = self._begun
        self._enter_retry(now, begun or reported)
        self._begun = reported
        over = reported and self._executes is True
        return events + (self.finished(now) if over else [])

    @property
    def begun(self) -> bool:
        """Whether the robot has reported, since the request, that it does not execute."""
        return self._begun

    def resume(self, now: float, alarm: Event, begun: bool) -> None:
        """
        Go on with a retry that an earlier process requested, because of an alarm.

        :param begun: see the property; else the robot may report that it executes for a while
        """
        if self.state is not RetryState.NEEDS_OPERATOR:
            self._alarm = alarm
            self._enter_retry(now, begun)
            self._begun = begun  # the next report of execution ends it

    def _enter_retry(self, now: float, begun: bool) -> None:
        self._rest()
        self.state = RetryState.RETRYING
        self._allow(now, begun)

    def _allow(self, now: float, begun: bool) -> None:
        """Set the time until which a retry must have begun, or be done."""
        if begun:
            limit, what = self._settings.finish_within, 'does not execute the task again within'
        else:
            limit, what = self._settings.begin_within, 'has not stopped executing within'
        self._until = now + limit
        self._unfinished = (
            f'the robot accepted the retry and {what} {limit:g} s: operator required'
        )

    def executing(self, now: float, executes: bool) -> list[Event]:
        """
        Take the robot's report whether it executes the task, where it reports that.

        A retry begins when it does not, and is done when it does again.
        """
        self._executes = executes
        if not executes:
            if self.state is RetryState.BACKING_OFF:
                self._rest()  # its task has ended: the alarm is about nothing any more
            if self.state is RetryState.RETRYING and not self._begun:
                self._allow(now, True)
            self._over = self._over or self.state is RetryState.WAITING
            self._begun = self.state in (RetryState.WAITING, RetryState.RETRYING)
            return []
        return self.finished(now) if self.state is RetryState.RETRYING and self._begun else []

    def finished(self, now: float, failure: str = '') -> list[Event]:
        """
        Take the end of a retry: the robot executes the task again, or cannot.

        :param failure: why not; '' if it does
        """
        if self.state is not RetryState.RETRYING:
            return []
        if failure:
            return self._fail(now, 'retry_refused', f'retry failed: {failure}')
        self._rest()
        return [self._event(Level.OK, 'retry_done', 'the robot executes the task again')]

    def lose(self, text: str) -> list[Event]:
        """Take that nothing will tell the end of the retry under way: a person must see to it."""
        if self.state is not RetryState.RETRYING:
            return []
        return [self._call_operator('retry_unfinished', text)]

    def refused(self, now: float, reason: str) -> list[Event]:
        """Take a refusal, or that there is no such service; without effect on nothing asked."""
        self._outstanding = False
        if self.state is not RetryState.WAITING:
            return []
        return self._fail(now, 'retry_refused', f'retry refused: {reason}')

    def block(self, reason: str) -> list[Event]:
        """
        Take the robot's word that it is stopped or at fault; '' that it is not.

        A retry that was to be requested again then needs a person.
        """
        self._blocked = reason
        return self._refrain() if reason and self.state is RetryState.BACKING_OFF else []

    def tick(self, now: float, known: bool) -> list[Event]:
        """
        Let time pass; call it ten times a second.

        :param known: whether values are heard and known: without, no retry is requested
        """
        if now < self._until:
            return []
        if self.state is RetryState.WAITING:
            text = f'no answer to the retry within {self._settings.timeout:g} s'
            return self._fail(now, 'retry_timeout', text)
        if self.state is RetryState.RETRYING:
            return [self._call_operator('retry_unfinished', self._unfinished)]
        return self._ask(now) if known and self.state is RetryState.BACKING_OFF else []

    def drop(self) -> None:
        """Request nothing more for an alarm that is over. An answer is still waited for."""
        if self.state is RetryState.BACKING_OFF:
            self._rest()
        self._over = self.state is RetryState.WAITING

    def start_episode(self, used: int = 0) -> None:
        """
        Begin an episode, or end one: nothing is under way; an operator stays required.

        :param used: retries of an episode that goes on
        """
        self.used = used
        if self.state is not RetryState.NEEDS_OPERATOR:
            self._rest()

    def acknowledge(self) -> list[Event]:
        """Take a person's word that the robot was seen to: the budget is whole again."""
        if self.state is not RetryState.NEEDS_OPERATOR:
            return []
        self.used = 0
        self._rest()
        return [self._event(Level.OK, 'acknowledged', 'a person has seen to the robot')]

    @property
    def _alarm_level(self) -> Level:
        return max(self.level, Level.ALARM)

    def _ask(self, now: float) -> list[Event]:
        if self._settings.dry_run:  # switched on meanwhile
            self._rest()
            return []
        if self._blocked:
            return self._refrain()
        while self._asked and self._asked[0] <= now - HOUR:
            self._asked.popleft()
        spent = len(self._asked) >= self._settings.hourly
        if spent or self.used >= self._settings.budget:
            return self._give_up(len(self._asked) if spent else self.used, spent)
        self.used += 1
        self._outstanding = True
        self._asked.append(now)
        self.state, self._until = RetryState.WAITING, now + self._settings.timeout
        text = f'retry {self.used} of {self._settings.budget} is requested'
        return [self._event(Level.ALARM, 'retry_requested', text)]

    def _fail(self, now: float, kind: str, text: str) -> list[Event]:
        event = self._event(Level.ALARM, kind, text)
        if self.used >= self._settings.budget:
            return [event, *self._give_up(self.used)]
        if self._over or self._settings.dry_run:
            self._rest()
            return [event]
        self.state = RetryState.BACKING_OFF
        self._until = now + self._settings.backoff * 2.0**self._failures
        self._failures, self._begun = self._failures + 1, False
        return [event]

    def _refrain(self) -> list[Event]:
        """Request nothing from a robot that is stopped."""
        text = f'retry suppressed ({self._blocked}): operator required'
        return [self._call_operator('retry_blocked', text)]

    def _give_up(self, used: int, in_an_hour: bool = False) -> list[Event]:
        budget = self._settings.hourly if in_an_hour else self._settings.budget
        when = ' of this hour' if in_an_hour else ''
        text = f'{used} of {budget} retries{when} are spent: operator required'
        return [self._call_operator('retry_budget', text)]

    def _call_operator(self, kind: str, text: str) -> Event:
        self._rest()
        self.state = RetryState.NEEDS_OPERATOR
        self.cause = self._event(Level.NEEDS_OPERATOR, kind, text)
        return self.cause

    def _event(self, level: Level, kind: str, text: str) -> Event:
        if self._alarm is None:
            raise ValueError(f'{kind} without an alarm')
        return dataclasses.replace(self._alarm, level=level, kind=kind, text=text, window=())
