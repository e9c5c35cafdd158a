# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from support.errors import raises

from viva_ros.core.detection.staleness import Silence, SilenceSettings, UnknownRun
from viva_ros.core.events import Level

S = 1_000_000_000


def silence() -> Silence:
    return Silence(SilenceSettings(silence_after=0.8, start_after=20.0), now=100.0)


def test_silence_is_reported_once_and_ends_with_a_message() -> None:
    watch = silence()
    assert watch.update(100.5, 100.0, 7 * S, 'a') is None
    event = watch.update(101.0, 100.0, 7 * S, 'a')
    assert event is not None
    assert (event.kind, event.level, event.stamp, event.onset, event.episode_id) == (
        'silence', Level.UNKNOWN, 7 * S, 6 * S, 'a',
    )  # fmt: skip
    assert event.text == 'no value for 1.0 s, limit 0.8 s: is the monitor active?'
    assert watch.silent
    assert watch.update(101.1, 100.0, 7 * S, 'a') is None
    event = watch.update(101.2, 101.2, 8 * S, 'a')
    assert event is not None and (event.level, event.onset) == (Level.OK, 8 * S)
    assert not watch.silent


def test_silence_before_the_first_message_has_longer_timeout() -> None:
    watch = silence()
    assert watch.update(119.9, None, S, '') is None
    event = watch.update(120.1, None, 120 * S, '')
    assert event is not None and event.level == Level.UNKNOWN


def test_silence_is_never_an_alarm() -> None:
    watch = silence()
    events = [watch.update(100.0 + i, 100.0, S, 'a') for i in range(1000)]
    assert [event.level for event in events if event] == [Level.UNKNOWN]


def test_invalid_silence_settings_are_refused() -> None:
    with raises('setting-out-of-range', 'silence_after', 0.0):
        Silence(SilenceSettings(silence_after=0.0), now=0.0)


def test_lasting_unknown_run_is_reported_once() -> None:
    run = UnknownRun(after=1.0)
    assert [run.add(at * S // 2) for at in (2, 3, 4, 5)] == [None, None, 1 * S, None]
    assert run.lasting
    assert run.end() == 1 * S
    assert not run.lasting


def test_short_unknown_run_is_not_reported() -> None:
    run = UnknownRun(after=1.0)
    run.add(0)
    assert run.end() is None
    assert run.add(S) is None  # the run begins here, with a duration of 0
