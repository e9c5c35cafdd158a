# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest

from viva_ros.core.progress_watch import (
    ProcessUsage,
    ProgressLimits,
    ProgressWatch,
    RestartBackoff,
    ThreadUsage,
)

LIMITS = ProgressLimits(idle=1.0, wall=30.0)
PERIOD = 0.1  # s


def usage(used=0.0, waited=0.0, runnable=False, page_faults=0):
    """Return the figures of a process with one thread."""
    return ProcessUsage({7: ThreadUsage(used, waited, runnable)}, page_faults)


def ran(watch, seconds, figures, period=PERIOD):
    """Add readings for some seconds; return the verdict and its time."""
    for count in range(1, round(seconds / period) + 1):
        now = count * period
        verdict = watch.update(now, figures(now))
        if verdict:
            return round(now, 6), verdict
    return None, ''


def test_period_is_a_tenth_of_the_limit_at_most_a_tenth_of_a_second():
    assert ProgressLimits(0.4, 1.0).period == pytest.approx(0.04)
    assert ProgressLimits(120.0, 600.0).period == pytest.approx(0.1)
    assert ProgressLimits(1e-9, 1.0).period == pytest.approx(1e-3), 'a reading is not for nothing'


def test_sleeping_process_is_killed_after_limit():
    watch = ProgressWatch(LIMITS, 0.0)
    at, verdict = ran(watch, 5.0, lambda now: usage())
    assert at == pytest.approx(1.0)
    assert verdict == 'engine has not answered for 1 s (it used 0.00 s of CPU in 1.0 s)'


def test_process_that_wakes_for_a_moment_still_hangs():
    """It runs 1 ms of each 0.1 s: 0.99 s of idle time in 1 s, and the limit after one more."""
    at, verdict = ran(ProgressWatch(LIMITS, 0.0), 5.0, lambda now: usage(0.01 * now))
    assert at == pytest.approx(1.1) and 'has not answered' in verdict


def test_endless_loop_is_killed_after_three_limits_of_cpu_time():
    """The first reading has no predecessor: it counts as idle, 0.1 s."""
    watch = ProgressWatch(LIMITS, 0.0)
    at, verdict = ran(watch, 9.0, lambda now: usage(now, runnable=True))
    assert at == pytest.approx(3.1)
    assert verdict == 'engine has used 3.0 s of CPU without an answer, limit 3 s'


def test_loop_limit_is_of_one_thread_not_of_all():
    """Four threads use 1 s of CPU together in 0.5 s: a legitimate estimate on four cores."""

    def four(now):
        return ProcessUsage({n: ThreadUsage(0.5 * now, 0.0, runnable=True) for n in range(4)})

    at, verdict = ran(ProgressWatch(LIMITS, 0.0), 9.0, four)
    assert at == pytest.approx(6.1) and 'used 3.0 s' in verdict


def test_starved_process_is_given_time_until_wall_limit():
    """It gets a tenth of a core, and waits for the rest."""
    watch = ProgressWatch(LIMITS, 0.0)
    assert ran(watch, 2.0, lambda now: usage(0.1 * now, 0.9 * now)) == (None, '')
    assert watch.idle == pytest.approx(0.1)
    assert watch.delay == (
        'the machine is overloaded: the estimate has got 0.19 s of CPU in 2.0 s, and has waited '
        '1.7 s for it'
    )
    at, verdict = ran(ProgressWatch(LIMITS, 0.0), 40.0, lambda now: usage(0.1 * now, 0.9 * now))
    assert at == pytest.approx(30.0)
    assert verdict == 'engine has got 2.99 s of CPU in 30.0 s on an overloaded machine, limit 30 s'


def test_runnable_process_that_never_ran_is_starved():
    """A throttled control group: its waiting is counted only when it runs again."""
    watch = ProgressWatch(LIMITS, 0.0)
    assert ran(watch, 20.0, lambda now: usage(runnable=True)) == (None, '')
    assert watch.waited == pytest.approx(19.9)


def test_process_whose_memory_is_read_from_disk_is_starved():
    figures = ProgressWatch(LIMITS, 0.0)
    assert ran(figures, 9.0, lambda now: usage(page_faults=round(now / PERIOD))) == (None, '')


def test_watcher_that_was_delayed_counts_two_periods():
    """A watcher that wakes each second instead of each 0.1 s sees the hang after 5 readings."""
    at, verdict = ran(ProgressWatch(LIMITS, 0.0), 9.0, lambda now: usage(), period=1.0)
    assert at == pytest.approx(5.0) and 'has not answered' in verdict


def test_wall_time_decides_where_nothing_can_be_read():
    watch = ProgressWatch(LIMITS, 0.0)
    at, verdict = ran(watch, 9.0, lambda now: None, period=0.25)
    assert at == pytest.approx(1.0)
    assert verdict == (
        'engine has not answered for 1 s (wall time: /proc does not show whether it makes '
        'progress)'
    )
    assert watch.delay.startswith('the engine has not answered for 1.0 s')


def test_wall_limit_below_idle_limit_is_the_idle_limit():
    watch = ProgressWatch(ProgressLimits(1.0, 0.2), 0.0)
    at, _ = ran(watch, 9.0, lambda now: usage(0.1 * now, 0.9 * now))
    assert at == pytest.approx(1.0)


def test_ended_and_new_threads_are_compared_by_id():
    watch = ProgressWatch(LIMITS, 0.0)
    watch.update(0.1, ProcessUsage({1: ThreadUsage(50.0, 9.0, runnable=False)}))
    watch.update(0.2, ProcessUsage({2: ThreadUsage(0.04, 0.02, runnable=False)}))
    assert watch.used == pytest.approx(0.04) and watch.waited == pytest.approx(0.02)
    assert watch.idle == pytest.approx(0.1 + 0.04)


def test_backoff_doubles_to_a_minute_and_takes_a_random_share():
    backoff = RestartBackoff()
    assert [backoff.fail(1.0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.fail(0.25) == 15.0
    assert backoff.fail(0.0) == 0.0


def test_backoff_begins_again_after_a_minute_of_answers():
    backoff = RestartBackoff()
    backoff.fail(1.0)
    backoff.succeed(10.0)
    backoff.succeed(69.0)
    assert backoff.fail(1.0) == 2.0, '59 s are too short'
    backoff.succeed(100.0)
    backoff.succeed(160.0)
    assert backoff.fail(1.0) == 1.0


def test_backoff_counts_answers_without_interruption():
    backoff = RestartBackoff()
    backoff.fail(1.0)
    backoff.succeed(0.0)
    backoff.fail(1.0)
    backoff.succeed(65.0)
    assert backoff.fail(1.0) == 4.0
