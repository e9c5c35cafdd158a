# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Invariants of the supervision for any order of inputs: detector, silence and retry."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from viva_ros.core.detection.alarm import AlarmSettings
from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import RULES, RuleSettings
from viva_ros.core.detection.staleness import Silence, SilenceSettings
from viva_ros.core.detection.thresholds import Threshold
from viva_ros.core.events import Event, Level
from viva_ros.core.retry import RetryMachine, RetrySettings, RetryState

S = 1_000_000_000
QUICK = RuleSettings(drop_window=1.0, no_rise_window=1.0, floor_warm_up=0.5, debounce=0.2)
THRESHOLDS = {
    'drop': Threshold(0.1, 0.2), 'stall': Threshold(0.8, 1.2), 'floor': Threshold(0.3, 0.5),
}  # fmt: skip
COOL_DOWN, SILENT, BUDGET, HOURLY = 2.0, 0.8, 2, 5
RETRIES = RetrySettings(
    dry_run=False, budget=BUDGET, hourly_budget=HOURLY, timeout=1.0, backoff=0.5
)
TICK = 0.1


class Supervision(RuleBasedStateMachine):
    """Detector, silence and retry machine as in the supervisor, on one clock."""

    @initialize(latch=st.booleans())
    def begin(self, latch: bool) -> None:
        alarm = AlarmSettings(cool_down=COOL_DOWN, latch=latch)
        self.latch = latch
        self.detector = Detector(DetectorSettings(QUICK, alarm), THRESHOLDS, alpha=0.05)
        self.silence = Silence(SilenceSettings(SILENT, 5.0), 0.0)
        self.machine, self.hold_until = RetryMachine(RETRIES), 0.0
        self.now, self.stamp, self.episode = 0.0, 10**18, 1
        self.received: float | None = None
        self.silent_since = 0.0
        self.executing, self.blocked, self.unknown = True, '', False
        self.alarm_pending = False  # an alarm of this task that is not over
        self.alarms: list[tuple[int, bool]] = []  # stamp, and whether stamps are comparable
        self.requested: list[float] = []
        self.comparable = True
        self.reported = False

    def process(self, events: list[Event], known: bool) -> None:
        """Check events, and act as the supervisor does."""
        for event in events:
            if event.kind in ('episode_start', 'recovered', 'paused'):
                self.cancel_retry()
            alarms = event.level == Level.ALARM and event.kind in RULES
            if alarms:
                assert known and self.executing, 'no alarm without a value, or while paused'
                assert event.statistic > event.threshold
                assert event.onset <= event.stamp and event.alpha == 0.05
                assert event.window[-1][0] == event.stamp
                if self.alarms and self.comparable:
                    assert event.stamp - self.alarms[-1][0] >= COOL_DOWN * S
                self.alarms.append((event.stamp, True))
                self.comparable = self.alarm_pending = True
                self.follow(self.machine.request(self.now, event))

    def cancel_retry(self) -> None:
        """Cancel a pending retry, as the supervisor does when the alarm is over."""
        self.alarm_pending = False
        self.machine.drop()

    def follow(self, events: list[Event]) -> None:
        for event in events:
            if event.kind == 'retry_requested':
                assert not self.blocked, 'a stopped robot gets no request'
                assert self.now >= self.hold_until, 'no request directly after a restart'
                assert self.alarm_pending, 'a request needs an alarm of this task'
                assert not self.unknown, 'the newest value is known'
                assert self.now - self.received <= SILENT + TICK, 'values arrive'
                assert self.machine.state is RetryState.WAITING, 'one retry at a time'
                self.requested.append(self.now)

    @rule(value=st.floats(-1, 1), count=st.integers(1, 15))
    def hold(self, value: float, count: int) -> None:
        self.values(value, count)

    def values(self, value: float, count: int) -> None:
        for _ in range(count):
            self.pass_time(TICK)
            self.received, self.unknown = self.now, False
            self.update(value, True)

    def update(self, value: float, known: bool, kind: str = '') -> list[Event]:
        events = self.detector.update(
            self.stamp, value, 'why', str(self.episode), kind=kind, executing=self.executing
        )
        self.process(events, known)
        return events

    @rule()
    def fall(self) -> None:
        """Let the value fall far enough for an alarm."""
        self.values(value=0.9, count=12)
        self.values(value=-0.9, count=6)

    @rule(count=st.integers(1, 15), kind=st.sampled_from(['stale', 'paused']))
    def unknowns(self, count: int, kind: str) -> None:
        for _ in range(count):
            self.pass_time(TICK)
            self.received, self.unknown = self.now, True
            events = self.update(math.nan, False, kind)
            assert all(event.level not in (Level.WARN, Level.ALARM) for event in events)

    @rule(seconds=st.floats(0.1, 7.0))
    def quiet(self, seconds: float) -> None:
        """Pass time without a message."""
        for _ in range(round(seconds / TICK)):
            self.pass_time(TICK)

    @rule()
    def next_episode(self) -> None:
        self.episode += 1
        self.alarm_pending = False
        needed = self.machine.level
        self.machine.start_episode()
        assert self.machine.level == needed, 'an operator stays required'

    @rule()
    def other_task(self) -> None:
        """Use the thresholds of another task, which ends an alarm without an event."""
        self.alarm_pending = False
        self.detector.set_thresholds(THRESHOLDS, alpha=0.05)

    @rule()
    def restart(self) -> None:
        """Start another retry machine with the recorded retries and cause."""
        self.hold_until = self.now + COOL_DOWN
        recent = [at for at in self.requested if at > self.now - 3600.0]
        needed = self.machine.level
        self.machine = RetryMachine(RETRIES, self.hold_until, recent, self.machine.cause)
        self.machine.block(self.blocked)
        assert self.machine.level == needed, 'an operator stays required'

    @rule()
    def stamps_go_back(self) -> None:
        self.stamp -= 100 * S
        self.comparable = False

    @rule(executing=st.booleans())
    def execute(self, executing: bool) -> None:
        """Report execution: to the machine at once, to the detector with the next value."""
        self.executing = executing
        if not executing:
            self.alarm_pending = False
        self.follow(self.machine.executing(self.now, executing))

    @rule(blocked=st.sampled_from(['', 'the robot is stopped']))
    def stop(self, blocked: str) -> None:
        self.blocked = blocked
        self.follow(self.machine.block(blocked))

    @rule(accept=st.booleans())
    def answer(self, accept: bool) -> None:
        machine = self.machine
        self.follow(machine.accepted(self.now) if accept else machine.refused(self.now, 'no'))

    @rule()
    def acknowledge(self) -> None:
        self.alarm_pending = False  # an operator has seen it
        self.follow(self.machine.acknowledge())
        self.detector.acknowledge(self.stamp)
        assert self.detector.level not in (Level.ALARM, Level.LATCHED)

    def pass_time(self, seconds: float) -> None:
        """Advance both clocks, and tick as the supervisor does."""
        self.now += seconds
        self.stamp += round(seconds * S)
        event = self.silence.update(self.now, self.received, self.stamp, '')
        if event is not None:
            assert event.level == (Level.UNKNOWN if self.silence.silent else Level.OK)
            self.cancel_retry()
        alarmed = not self.silence.silent and self.detector.level is Level.ALARM
        self.follow(self.machine.tick(self.now, self.detector.known and alarmed))

    @invariant()
    def silence_is_reported_within_its_timeout(self) -> None:
        if not hasattr(self, 'silence'):
            return
        allowed = 5.0 if self.received is None else SILENT
        quiet = self.now - (self.received or 0.0)
        if quiet > allowed + TICK + 1e-6:
            assert self.silence.silent

    @invariant()
    def retries_never_exceed_the_hourly_budget(self) -> None:
        if hasattr(self, 'requested'):
            assert len([at for at in self.requested if at > self.now - 3600.0]) <= HOURLY
            assert self.machine.used <= BUDGET

    @invariant()
    def levels_are_consistent(self) -> None:
        if not hasattr(self, 'detector'):
            return
        if self.detector.level == Level.LATCHED:
            assert self.latch
        if self.machine.state is RetryState.NEEDS_OPERATOR:
            assert self.machine.level == Level.NEEDS_OPERATOR


TestSupervision = Supervision.TestCase
TestSupervision.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
