# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.events import Event, Level
from viva_ros.core.events import kinds as event_kinds
from viva_ros.core.retry import RetryMachine, RetrySettings, RetryState

ALARM = Event(Level.ALARM, 'drop', 5, 3, -0.4, 0.6, 0.5, 'a', 'value fell')
LIVE = RetrySettings(dry_run=False, budget=2, timeout=5.0, backoff=2.0)


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def waiting(settings: RetrySettings = LIVE) -> RetryMachine:
    """Return a machine that has requested a retry at 0 s."""
    machine = RetryMachine(settings)
    assert kinds(machine.request(0.0, ALARM)) == ['retry_requested']
    return machine


def complete_retry(machine: RetryMachine, at: float) -> None:
    """Accept the request, stop executing, and execute again."""
    machine.accepted(at)
    machine.executing(at, False)
    machine.executing(at + 1.0, True)


def test_alarm_requests_retry_with_its_stamp_and_value() -> None:
    machine = RetryMachine(LIVE)
    (event,) = machine.request(0.0, ALARM)
    assert (event.kind, event.level, event.text) == (
        'retry_requested', Level.ALARM, 'retry 1 of 2 is requested',
    )  # fmt: skip
    assert (event.stamp, event.onset, event.value, event.episode_id) == (5, 3, -0.4, 'a')
    assert machine.state is RetryState.WAITING
    assert machine.used == 1


def test_accepted_retry_is_done_when_robot_executes_again() -> None:
    machine = waiting()
    assert kinds(machine.accepted(1.0)) == ['retry_accepted']
    assert machine.state is RetryState.RETRYING
    assert machine.executing(1.5, True) == []  # the robot has not stopped yet
    assert machine.executing(2.0, False) == []
    assert machine.request(10.0, ALARM) == machine.tick(30.0, True) == []
    (done,) = machine.executing(32.0, True)
    assert (done.kind, done.level) == ('retry_succeeded', Level.OK)
    assert machine.state is RetryState.IDLE
    assert kinds(machine.request(40.0, ALARM)) == ['retry_requested']
    assert machine.used == 2


def test_stop_before_the_answer_begins_the_retry() -> None:
    machine = waiting()
    machine.executing(0.5, False)
    machine.accepted(1.0)
    assert kinds(machine.executing(20.0, True)) == ['retry_succeeded']


def test_retry_over_before_the_answer_is_done_on_acceptance() -> None:
    machine = waiting()
    machine.executing(0.5, False)
    machine.executing(0.9, True)
    assert kinds(machine.accepted(1.0)) == ['retry_accepted', 'retry_succeeded']


@pytest.mark.parametrize(('begins', 'at', 'limit'), [(False, 6.0, '5 s'), (True, 122.0, '120 s')])
def test_retry_without_begin_or_end_requires_operator(begins, at, limit) -> None:
    machine = waiting()
    machine.accepted(1.0)
    if begins:
        machine.executing(2.0, False)
    assert machine.tick(at - 0.1, True) == []
    (event,) = machine.tick(at, True)
    assert (event.kind, event.level) == ('retry_unfinished', Level.NEEDS_OPERATOR)
    assert limit in event.text and machine.cause is event


def test_late_report_of_execution_does_not_end_action_retry() -> None:
    machine = waiting()
    machine.executing(0.1, True)
    assert kinds(machine.accepted(1.0, begun=True)) == ['retry_accepted']
    assert machine.executing(1.1, True) == []  # a late report: the goals have ended
    machine.executing(1.2, False)
    assert kinds(machine.executing(9.0, True)) == ['retry_succeeded']


def test_late_acceptance_counts_after_the_alarm_is_over() -> None:
    machine = waiting()
    machine.start_episode()
    assert machine.state is RetryState.IDLE
    assert kinds(machine.accepted(7.0)) == ['retry_accepted']
    assert machine.state is RetryState.RETRYING
    assert machine.accepted(8.0) == []


def test_resumed_retry_ends_by_report_or_operator() -> None:
    machine = RetryMachine(LIVE)
    machine.resume(0.0, ALARM, True)
    assert machine.request(1.0, ALARM) == []
    assert kinds(machine.executing(2.0, True)) == ['retry_succeeded']
    other = RetryMachine(LIVE)
    other.resume(0.0, ALARM, True)
    assert kinds(other.tick(120.0, True)) == ['retry_unfinished']


def test_resumed_retry_before_stop_is_not_ended_by_execution() -> None:
    machine = RetryMachine(LIVE)
    machine.resume(0.0, ALARM, False)
    assert machine.executing(0.1, True) == [] and machine.state is RetryState.RETRYING
    machine.executing(1.0, False)
    assert machine.begun
    assert kinds(machine.executing(9.0, True)) == ['retry_succeeded']


def test_retry_without_observable_end_requires_operator() -> None:
    machine = RetryMachine(LIVE)
    assert machine.lose('no reports') == []
    machine.resume(0.0, ALARM, True)
    assert kinds(machine.lose('no reports')) == ['retry_unfinished']
    assert machine.state is RetryState.NEEDS_OPERATOR


@pytest.mark.parametrize('accepted', [False, True])
def test_dry_run_during_a_retry_requests_nothing_more(accepted) -> None:
    machine = waiting()
    if accepted:
        machine.accepted(0.5, begun=True)
    machine.apply(RetrySettings(dry_run=True))
    failed = machine.finished(1.0, 'x') if accepted else machine.refused(1.0, 'x')
    assert kinds(failed) == ['retry_rejected']
    assert machine.tick(50.0, True) == []


def test_failed_action_result_counts_as_refusal() -> None:
    machine = waiting()
    machine.accepted(1.0, begun=True)
    (event,) = machine.finished(30.0, 'the gripper is stuck')
    assert (event.kind, event.text) == ('retry_rejected', 'retry failed: the gripper is stuck')
    assert kinds(machine.tick(32.0, True)) == ['retry_requested']
    machine.accepted(33.0, begun=True)
    assert kinds(machine.finished(40.0)) == ['retry_succeeded']
    assert machine.finished(41.0) == []


def test_end_of_task_during_back_off_cancels_the_retry() -> None:
    machine = waiting()
    machine.refused(1.0, 'x')
    machine.executing(2.0, False)
    machine.executing(3.0, True)
    assert machine.tick(50.0, True) == []


def test_operator_stays_required_over_episodes_and_restarts() -> None:
    machine = waiting(RetrySettings(dry_run=False, budget=1))
    machine.refused(1.0, 'x')
    cause = machine.cause
    machine.start_episode()
    assert machine.level == Level.NEEDS_OPERATOR and machine.used == 0
    restarted = RetryMachine(LIVE, operator=cause)
    assert restarted.level == Level.NEEDS_OPERATOR and restarted.cause is cause
    assert restarted.request(5.0, ALARM) == []
    assert kinds(restarted.acknowledge()) == ['acknowledged']
    assert restarted.cause is None and kinds(restarted.request(6.0, ALARM)) == ['retry_requested']


def test_settings_change_during_back_off_takes_effect() -> None:
    machine = waiting()
    machine.refused(1.0, 'x')
    machine.apply(RetrySettings(dry_run=True))
    assert machine.tick(50.0, True) == []
    assert kinds(machine.request(51.0, ALARM)) == ['retry_dry_run']
    machine.apply(RetrySettings(dry_run=False, budget=1))
    assert kinds(machine.request(52.0, ALARM)) == ['retry_budget_exhausted']


def test_spent_budget_requires_operator_until_acknowledged() -> None:
    machine = waiting()
    complete_retry(machine, 1.0)
    machine.request(10.0, ALARM)
    complete_retry(machine, 11.0)
    (event,) = machine.request(20.0, ALARM)
    assert (event.kind, event.level) == ('retry_budget_exhausted', Level.NEEDS_OPERATOR)
    assert event.text == 'retry budget used (2 of 2): operator required'
    assert machine.level == Level.NEEDS_OPERATOR
    assert machine.request(30.0, ALARM) == []
    (event,) = machine.acknowledge()
    assert (event.kind, event.level) == ('acknowledged', Level.OK)
    assert (machine.level, machine.used) == (Level.OK, 0)
    assert kinds(machine.request(40.0, ALARM)) == ['retry_requested']


def test_acknowledged_alarm_has_no_pending_retry() -> None:
    machine = waiting()
    machine.refused(1.0, 'arm is moving')
    assert machine.acknowledge() == [] and machine.state is RetryState.IDLE
    assert machine.tick(100.0, True) == []
    machine = waiting()
    assert machine.acknowledge() == []
    assert kinds(machine.refused(1.0, 'arm is moving')) == ['retry_rejected']
    assert machine.state is RetryState.IDLE and machine.tick(100.0, True) == []


def test_back_off_doubles_with_each_refusal() -> None:
    machine = waiting(RetrySettings(dry_run=False, budget=3, backoff=2.0))
    (event,) = machine.refused(1.0, 'arm is moving')
    assert event.text == 'retry rejected: arm is moving'
    assert machine.tick(2.9, True) == []
    assert kinds(machine.tick(3.0, True)) == ['retry_requested']
    machine.refused(3.5, 'arm is moving')
    assert machine.tick(7.4, True) == []  # the back-off is 4 s now
    assert kinds(machine.tick(7.5, True)) == ['retry_requested']
    assert kinds(machine.refused(8.0, 'no')) == ['retry_rejected', 'retry_budget_exhausted']


def test_retry_timeout_counts_as_refusal() -> None:
    machine = waiting()
    assert machine.tick(4.9, True) == []
    (event,) = machine.tick(5.0, True)
    assert (event.kind, event.text) == ('retry_timeout', 'no answer to the retry within 5 s')
    assert kinds(machine.tick(7.0, True)) == ['retry_requested']
    assert kinds(machine.tick(12.0, True)) == ['retry_timeout', 'retry_budget_exhausted']
    assert machine.level == Level.NEEDS_OPERATOR
    assert machine.tick(100.0, True) == []


def test_acceptance_after_timeout_prevents_a_second_retry() -> None:
    machine = waiting()
    machine.tick(5.0, True)
    assert kinds(machine.accepted(5.5)) == ['retry_accepted']
    assert machine.tick(10.0, True) == []
    assert machine.used == 1


def test_acceptance_after_spent_budget_still_requires_operator() -> None:
    machine = waiting(RetrySettings(dry_run=False, budget=1))
    machine.tick(5.0, True)
    (event,) = machine.accepted(6.0)
    assert (event.kind, event.level) == ('retry_accepted', Level.NEEDS_OPERATOR)
    assert machine.state is RetryState.NEEDS_OPERATOR


def test_answer_without_a_request_is_ignored() -> None:
    machine = RetryMachine(LIVE)
    assert machine.accepted(0.0) == machine.refused(0.0, 'x') == machine.acknowledge() == []
    backing_off = waiting()
    backing_off.refused(1.0, 'x')
    assert backing_off.refused(1.1, 'x') == []


def test_alarm_during_a_retry_requests_no_other() -> None:
    machine = waiting()
    assert machine.request(1.0, ALARM) == []
    machine.refused(2.0, 'x')
    assert machine.request(2.5, ALARM) == []
    assert machine.used == 1


def test_unknown_values_delay_the_retry() -> None:
    machine = waiting()
    machine.refused(1.0, 'x')
    assert machine.tick(50.0, False) == []
    assert kinds(machine.tick(50.1, True)) == ['retry_requested']


def test_recovery_during_back_off_cancels_the_retry() -> None:
    machine = waiting()
    machine.refused(1.0, 'x')
    machine.drop()
    assert machine.tick(50.0, True) == []


@pytest.mark.parametrize('again', [False, True])
def test_refusal_after_recovery_needs_another_alarm_to_retry(
    again: bool,
) -> None:
    machine = waiting()
    machine.drop()
    assert machine.state is RetryState.WAITING  # the answer may still come
    if again:
        assert machine.request(1.0, ALARM) == []
    assert kinds(machine.refused(2.0, 'x')) == ['retry_rejected']
    expected = ['retry_requested'] if again else []
    assert kinds(machine.tick(50.0, True)) == expected


def test_dry_run_reports_and_keeps_the_budget() -> None:
    machine = RetryMachine(RetrySettings())
    for second in range(5):
        (event,) = machine.request(float(second), ALARM)
        assert (event.kind, event.level) == ('retry_dry_run', Level.ALARM)
    assert machine.used == 0
    assert machine.level == Level.OK


def test_new_episode_has_the_full_budget() -> None:
    machine = waiting()
    machine.refused(1.0, 'x')
    machine.start_episode()
    assert (machine.state, machine.used) == (RetryState.IDLE, 0)
    machine.start_episode(used=1)  # the episode continues after a restart
    assert machine.used == 1


def test_zero_budget_requires_operator_at_once() -> None:
    machine = RetryMachine(RetrySettings(dry_run=False, budget=0))
    assert kinds(machine.request(0.0, ALARM)) == ['retry_budget_exhausted']


def test_restarted_supervisor_waits_before_a_request() -> None:
    machine = RetryMachine(LIVE, hold_until=6.0)
    assert machine.request(1.0, ALARM) == []
    assert machine.tick(5.9, True) == []
    (event,) = machine.tick(6.0, True)
    assert event.text == 'retry 1 of 2 is requested'


def test_retries_before_a_restart_count_for_the_hour() -> None:
    machine = RetryMachine(
        RetrySettings(dry_run=False, hourly_budget=2), requested=[-3000.0, -10.0]
    )
    assert kinds(machine.request(0.0, ALARM)) == ['retry_budget_exhausted']
    machine.acknowledge()
    # the retry of -3000 s is older than an hour
    assert kinds(machine.request(600.5, ALARM)) == ['retry_requested']


def test_invalid_retry_settings_are_refused() -> None:
    with raises('setting-out-of-range', 'budget', -1):
        RetryMachine(RetrySettings(budget=-1))


ACTIONS = st.lists(
    st.tuples(
        st.floats(0.0, 10.0),
        st.sampled_from(
            ['request', 'accepted', 'refused', 'tick', 'quiet tick', 'drop', 'stops', 'executes']
        ),
    ),
    max_size=80,
)


@given(ACTIONS, st.integers(0, 4), st.booleans())
def test_retries_never_exceed_the_budget(actions, budget: int, dry_run: bool) -> None:
    settings = RetrySettings(dry_run=dry_run, budget=budget)
    machine, now, events = RetryMachine(settings), 0.0, []
    for step, action in actions:
        now += step
        calls = {
            'request': lambda at: machine.request(at, ALARM),
            'accepted': lambda at: machine.accepted(at),
            'stops': lambda at: machine.executing(at, False),
            'executes': lambda at: machine.executing(at, True),
            'refused': lambda at: machine.refused(at, 'x'),
            'tick': lambda at: machine.tick(at, True),
            'quiet tick': lambda at: machine.tick(at, False),
            'drop': lambda at: machine.drop() or [],
        }
        new = calls[action](now)
        if action == 'quiet tick':
            assert 'retry_requested' not in kinds(new)
        events += new
    requested = kinds(events).count('retry_requested')
    assert requested == machine.used <= (0 if dry_run else budget)
    assert set(kinds(events)) <= set(event_kinds())
    assert not math.isnan(machine.used)


def test_hourly_budget_spans_episodes_and_recovers() -> None:
    machine = RetryMachine(RetrySettings(dry_run=False, budget=2, hourly_budget=3))
    for at in (0.0, 10.0, 20.0):
        machine.start_episode()
        assert kinds(machine.request(at, ALARM)) == ['retry_requested']
        complete_retry(machine, at + 1.0)
    machine.start_episode()
    (event,) = machine.request(30.0, ALARM)
    assert (event.kind, event.level) == ('retry_budget_exhausted', Level.NEEDS_OPERATOR)
    assert event.text == 'hourly retry budget used (3 of 3): operator required'
    machine.acknowledge()
    assert kinds(machine.request(3599.0, ALARM)) == ['retry_budget_exhausted']  # not restored
    machine.acknowledge()
    # the retry of 0 s is older than an hour
    assert kinds(machine.request(3600.5, ALARM)) == ['retry_requested']


def test_stopped_robot_gets_no_request_but_an_operator() -> None:
    machine = RetryMachine(LIVE)
    assert machine.block('the robot is stopped') == []
    (event,) = machine.request(0.0, ALARM)
    assert (event.kind, event.level) == ('retry_suppressed', Level.NEEDS_OPERATOR)
    assert 'the robot is stopped' in event.text and event.window == ()
    assert machine.used == 0
    machine.acknowledge()
    machine.block('')
    assert kinds(machine.request(1.0, ALARM)) == ['retry_requested']


def test_outdated_alarm_requests_nothing_but_an_operator() -> None:
    machine = RetryMachine(LIVE)
    (event,) = machine.request(0.0, ALARM, 'the alarm is 2760.3 s old, limit 0.8 s')
    assert (event.kind, event.level) == ('retry_suppressed', Level.NEEDS_OPERATOR)
    assert event.text == (
        'retry suppressed (the alarm is 2760.3 s old, limit 0.8 s): operator required'
    )
    assert machine.used == 0
    machine.acknowledge()
    assert kinds(machine.request(1.0, ALARM)) == ['retry_requested']


def test_outdated_alarm_of_a_dry_run_requires_no_operator() -> None:
    machine = RetryMachine(RetrySettings(dry_run=True))
    assert kinds(machine.request(0.0, ALARM, 'the alarm is 9 s old')) == ['retry_dry_run']


def test_stop_during_back_off_cancels_the_retry() -> None:
    machine = waiting()
    machine.block('the robot is stopped')
    assert kinds(machine.tick(5.0, True)) == ['retry_timeout']
    assert kinds(machine.tick(7.0, True)) == ['retry_suppressed']
    other = waiting()
    other.refused(1.0, 'busy')
    assert kinds(other.block('the robot is stopped')) == ['retry_suppressed']
