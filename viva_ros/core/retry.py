# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Retry requests: budgets per episode and per hour, a time-out, a back-off, and then an operator.

Only a fresh alarm requests a retry. Silence and unknown values never do, and a robot that reports
a stop or a fault gets no request: an operator must clear it. An accepted retry is not done: it
lasts until the robot executes the task again, and until then no other retry is requested. A late
acceptance counts, because the robot acts on it. Times are steady seconds from the caller, which
calls the robot for each event of kind 'retry_requested'.
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

#: Ways to request a retry: a std_srvs/Trigger service, a viva_ros/Retry action, or the
#: cancellation of all goals of an action.
TRIGGER, ACTION, CANCEL = 'trigger', 'action', 'cancel'
WAYS: Final = (TRIGGER, ACTION, CANCEL)


@dataclass(frozen=True)
class RetrySettings:
    """Way, budgets and time-outs of retry requests."""

    dry_run: bool = setting(
        True, 'Report the retry that would be requested, and request none.', live=True
    )
    by: str = setting(
        TRIGGER, 'Request by a std_srvs/Trigger service, a viva_ros/Retry action, or a cancel.',
        choices=WAYS,
    )  # fmt: skip
    name: str = setting('retry', 'Name of that service or action.')
    budget: int = setting(
        2, 'Retry requests per episode at most, refused ones included.', at_least=0, live=True
    )
    hourly_budget: int = setting(
        20, 'Retry requests per hour at most, over all episodes.', at_least=0
    )
    timeout: float = setting(5.0, 'Time-out of the answer to a request, s.', above=0.0)
    begin_within: float = setting(
        5.0, 'Time-out from the acceptance until the robot stops executing, s.', above=0.0
    )
    finish_within: float = setting(
        120.0, 'Time-out from that stop until the robot executes the task again, s.', above=0.0
    )
    backoff: float = setting(
        2.0, 'Wait after a refusal or time-out, s; doubles each time.', above=0.0
    )


class RetryState(Enum):
    """State of the retry machine."""

    IDLE = 'idle'
    WAITING = 'waiting for the answer'
    RETRYING = 'retrying'
    BACKING_OFF = 'backing off'
    NEEDS_OPERATOR = 'waiting for a person'


class RetryMachine:
    """
    Decides when a retry is requested.

    ``state`` and ``used`` (retries of this episode) are the present state; ``cause`` is the event
    that requires an operator, or None. Events carry stamp, value and episode of their alarm.
    """

    def __init__(
        self, settings: RetrySettings, hold_until: float = -math.inf,
        requested: Iterable[float] = (), operator: Event | None = None,
    ) -> None:  # fmt: skip
        """
        Start idle, or waiting for an operator.

        :param hold_until: steady time before which nothing is requested, s
        :param requested: steady times of the requests of earlier processes in the last hour, s
        :param operator: event of an earlier process that still requires an operator
        """
        validate(settings)
        self._settings, self._hold_until = settings, hold_until
        self._alarm = operator
        self.cause: Event | None = None
        self._outstanding = False  # whether a request has no answer yet
        self._blocked = ''
        self._executes: bool | None = None
        self._requested = deque(requested)  # steady times of the requests in the last hour
        self.used = 0
        self._rest()
        if operator is not None:
            self.state, self.cause = RetryState.NEEDS_OPERATOR, operator

    def _rest(self) -> None:
        self.state, self._until = RetryState.IDLE, math.inf
        self._failures, self._alarm_over = 0, False  # whether the cause of the alarm is over
        self._begun = False  # whether the robot has reported a stop since the request
        self._unfinished = ''  # alert text if the retry exceeds its time-out
        self.cause = None

    @property
    def level(self) -> Level:
        """NEEDS_OPERATOR; OK if the level of the detector is not changed by this machine."""
        needed = self.state is RetryState.NEEDS_OPERATOR
        return Level.NEEDS_OPERATOR if needed else Level.OK

    def apply(self, settings: RetrySettings) -> None:
        """Use other settings from now on; a dry run ends a back-off."""
        self._settings = settings
        if settings.dry_run and self.state is RetryState.BACKING_OFF:
            self._rest()

    def request(self, now: float, alarm: Event, outdated: str = '') -> list[Event]:
        """
        Request a retry for an alarm, unless a retry or an operator is pending.

        :param outdated: why the alarm may no longer hold; an operator is then required instead
        """
        if self.state is not RetryState.IDLE:
            self._alarm_over = False
            return []
        self._alarm = alarm
        if self._settings.dry_run:
            return [self._event(Level.ALARM, 'retry_dry_run', 'dry run: no retry is requested')]
        if self._blocked or outdated:
            return self._suppress(self._blocked or outdated)
        if now < self._hold_until:
            self.state, self._until = RetryState.BACKING_OFF, self._hold_until
            return []
        return self._send_request(now)

    def accepted(self, now: float, begun: bool = False) -> list[Event]:
        """
        Process the acceptance of the robot, also after the time-out or in another episode.

        :param begun: whether the robot has already stopped executing
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
        Continue a retry that an earlier process requested for an alarm.

        :param begun: see the property; if False, the robot has ``begin_within`` s to stop
        """
        if self.state is not RetryState.NEEDS_OPERATOR:
            self._alarm = alarm
            self._enter_retry(now, begun)
            self._begun = begun  # the next report of execution ends it

    def _enter_retry(self, now: float, begun: bool) -> None:
        self._rest()
        self.state = RetryState.RETRYING
        self._set_deadline(now, begun)

    def _set_deadline(self, now: float, begun: bool) -> None:
        """Set the deadline until which a retry must begin, or be done."""
        if begun:
            limit, fault = self._settings.finish_within, 'does not execute the task again within'
        else:
            limit, fault = self._settings.begin_within, 'has not stopped executing within'
        self._until = now + limit
        self._unfinished = (
            f'the robot accepted the retry and {fault} {limit:g} s: operator required'
        )

    def executing(self, now: float, executes: bool) -> list[Event]:
        """
        Process a report whether the robot executes the task.

        A retry begins when the robot stops executing, and is done when it executes again.
        """
        self._executes = executes
        if not executes:
            if self.state is RetryState.BACKING_OFF:
                self._rest()  # the task of the alarm has ended
            if self.state is RetryState.RETRYING and not self._begun:
                self._set_deadline(now, True)
            self._alarm_over = self._alarm_over or self.state is RetryState.WAITING
            self._begun = self.state in (RetryState.WAITING, RetryState.RETRYING)
            return []
        return self.finished(now) if self.state is RetryState.RETRYING and self._begun else []

    def finished(self, now: float, failure: str = '') -> list[Event]:
        """
        Process the end of a retry: the robot executes the task again, or cannot.

        :param failure: why it cannot; '' on success
        """
        if self.state is not RetryState.RETRYING:
            return []
        if failure:
            return self._fail(now, 'retry_rejected', f'retry failed: {failure}')
        self._rest()
        return [self._event(Level.OK, 'retry_succeeded', 'the robot executes the task again')]

    def lose(self, text: str) -> list[Event]:
        """Require an operator: the end of the present retry cannot be observed."""
        if self.state is not RetryState.RETRYING:
            return []
        return [self._call_operator('retry_unfinished', text)]

    def refused(self, now: float, reason: str) -> list[Event]:
        """Process a refusal or a missing service; ignored without a pending request."""
        self._outstanding = False
        if self.state is not RetryState.WAITING:
            return []
        return self._fail(now, 'retry_rejected', f'retry rejected: {reason}')

    def block(self, reason: str) -> list[Event]:
        """
        Set why the robot is stopped or at fault; '' if it is not.

        A retry in back-off then requires an operator.
        """
        self._blocked = reason
        return self._suppress(reason) if reason and self.state is RetryState.BACKING_OFF else []

    def tick(self, now: float, alarmed: bool) -> list[Event]:
        """
        Check the time-outs; call it ten times a second.

        :param alarmed: whether the alarm lasts by fresh, known values; otherwise no retry is
            requested
        """
        if now < self._until:
            return []
        if self.state is RetryState.WAITING:
            text = f'no answer to the retry within {self._settings.timeout:g} s'
            return self._fail(now, 'retry_timeout', text)
        if self.state is RetryState.RETRYING:
            return [self._call_operator('retry_unfinished', self._unfinished)]
        return self._send_request(now) if alarmed and self.state is RetryState.BACKING_OFF else []

    def drop(self) -> None:
        """Cancel a pending retry of an alarm that is over; an answer is still awaited."""
        if self.state is RetryState.BACKING_OFF:
            self._rest()
        self._alarm_over = self.state is RetryState.WAITING

    def start_episode(self, used: int = 0) -> None:
        """
        Begin or end an episode: no retry is under way; an operator stays required.

        :param used: retries already requested, if an episode continues after a restart
        """
        self.used = used
        if self.state is not RetryState.NEEDS_OPERATOR:
            self._rest()

    def acknowledge(self) -> list[Event]:
        """
        Process the acknowledgement of an operator: the budget is restored.

        Without a need for one, a pending retry is cancelled: the operator has seen its alarm.
        """
        if self.state is not RetryState.NEEDS_OPERATOR:
            self.drop()
            return []
        self.used = 0
        self._rest()
        return [self._event(Level.OK, 'acknowledged', 'acknowledged by an operator')]

    @property
    def _alarm_level(self) -> Level:
        return max(self.level, Level.ALARM)

    def _send_request(self, now: float) -> list[Event]:
        if self._settings.dry_run:  # switched on during the back-off
            self._rest()
            return []
        if self._blocked:
            return self._suppress(self._blocked)
        while self._requested and self._requested[0] <= now - HOUR:
            self._requested.popleft()
        spent = len(self._requested) >= self._settings.hourly_budget
        if spent or self.used >= self._settings.budget:
            return self._budget_spent(len(self._requested) if spent else self.used, spent)
        self.used += 1
        self._outstanding = True
        self._requested.append(now)
        self.state, self._until = RetryState.WAITING, now + self._settings.timeout
        text = f'retry {self.used} of {self._settings.budget} is requested'
        return [self._event(Level.ALARM, 'retry_requested', text)]

    def _fail(self, now: float, kind: str, text: str) -> list[Event]:
        event = self._event(Level.ALARM, kind, text)
        if self.used >= self._settings.budget:
            return [event, *self._budget_spent(self.used)]
        if self._alarm_over or self._settings.dry_run:
            self._rest()
            return [event]
        self.state = RetryState.BACKING_OFF
        self._until = now + self._settings.backoff * 2.0**self._failures
        self._failures, self._begun = self._failures + 1, False
        return [event]

    def _suppress(self, why: str) -> list[Event]:
        """Require an operator instead of a retry."""
        text = f'retry suppressed ({why}): operator required'
        return [self._call_operator('retry_suppressed', text)]

    def _budget_spent(self, used: int, in_an_hour: bool = False) -> list[Event]:
        budget = self._settings.hourly_budget if in_an_hour else self._settings.budget
        name = 'hourly retry budget' if in_an_hour else 'retry budget'
        text = f'{name} used ({used} of {budget}): operator required'
        return [self._call_operator('retry_budget_exhausted', text)]

    def _call_operator(self, kind: str, text: str) -> Event:
        self._rest()
        self.state = RetryState.NEEDS_OPERATOR
        self.cause = self._event(Level.NEEDS_OPERATOR, kind, text)
        return self.cause

    def _event(self, level: Level, kind: str, text: str) -> Event:
        if self._alarm is None:
            raise ValueError(f'{kind} without an alarm')
        return dataclasses.replace(self._alarm, level=level, kind=kind, text=text, window=())
