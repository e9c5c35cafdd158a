# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises

from viva_ros.core.detection.staleness import SilenceSettings
from viva_ros.core.value_source import (
    AHEAD,
    CAUSES,
    EPISODE,
    JUMPS,
    STALE,
    TWO_MONITORS,
    OwnEpisode,
    OwnEpisodes,
    ValueSource,
    ValueSources,
)

S = 1_000_000_000
T0 = 1_760_000_000 * S  # ROS time at steady time 0
MONITOR, OTHER = ValueSource(b'\1' * 16, 11), ValueSource(b'\2' * 16, 22)
LIMIT = 0.8
TASK = 'lift'


class Gate:
    """ValueSources with a clock: stamps are relative to the time of a message."""

    def __init__(self, own: str | None = 'a') -> None:
        self.sources = ValueSources(SilenceSettings(LIMIT), time_jump=1.0, topic='/value')
        self.own = None if own is None else OwnEpisodes()
        if self.own is not None and own is not None:
            self.own.announce(OwnEpisode(own, TASK, True), T0 - 100 * S, -100.0)

    def hear(
        self, at: float, source: ValueSource = MONITOR, age: float = 0.0, episode: str = 'a',
        known: bool = True, clock: float = 0.0, task: str = TASK, executing: bool = True,
        oldest: float | None = None,
    ) -> str:  # fmt: skip
        """Hear a value at a steady time, s; return the cause of its refusal."""
        now = T0 + round((at + clock) * S)
        refusal = self.sources.judge(
            source, now - round(age * S), known, OwnEpisode(episode, task, executing), now, at,
            self.own, None if oldest is None else now - round(oldest * S),
        )  # fmt: skip
        return '' if refusal is None else refusal.cause

    def lack(self, at: float) -> str:
        lack = self.sources.lack(at)
        return '' if lack is None else lack.cause


def test_values_of_one_monitor_are_accepted() -> None:
    gate = Gate()
    assert [gate.hear(0.1 * i, age=0.3) for i in range(100)] == [''] * 100
    assert gate.sources.source == MONITOR
    assert gate.sources.stamp == T0 + round(9.6 * S)
    assert gate.lack(9.95) == '' and gate.sources.notice(9.95) == ''
    assert not gate.sources.counts


def test_stamp_at_the_limits_is_accepted() -> None:
    assert Gate().hear(0.0, age=LIMIT) == ''
    assert Gate().hear(0.0, age=-0.5) == ''
    assert Gate().hear(0.0, age=LIMIT + 1e-9) == STALE
    assert Gate().hear(0.0, age=-0.5 - 1e-9) == AHEAD


@pytest.mark.parametrize(
    ('age', 'cause', 'text'),
    [
        (2760.3, STALE, 'values are 2760.3 s old, limit 0.8 s: '),
        (365 * 86400.0, STALE, 'values are 31536000.0 s old, limit 0.8 s: '),
        (-3600.0, AHEAD, 'values are 3600.0 s ahead of the clock, limit 0.5 s: '),
    ],
)
def test_replayed_values_are_never_heard(age: float, cause: str, text: str) -> None:
    gate = Gate()
    assert {gate.hear(0.1 * i, age=age) for i in range(50)} == {cause}
    assert gate.sources.accepted_at is None and gate.sources.source is None
    lack = gate.sources.lack(5.0)
    assert lack is not None and lack.text.startswith(text)
    assert 'end the player of a recording' in lack.text and 'use_sim_time' in lack.text
    assert gate.sources.counts == {cause: 50}


def test_replay_next_to_a_monitor_is_noticed_and_changes_nothing() -> None:
    gate = Gate()
    for i in range(50):
        assert gate.hear(0.1 * i) == ''
        assert gate.hear(0.1 * i + 0.05, OTHER, age=3000.0) == STALE
        assert not gate.sources.changed or i == 0
    assert gate.lack(5.0) == ''
    assert gate.sources.notice(5.0).startswith('refused: values are 3000.0 s old')
    assert gate.sources.notice(10.0) == ''  # it has ended


def test_old_values_end_in_a_lack_within_the_silence_limit() -> None:
    gate = Gate()
    gate.hear(0.0)
    for i in range(1, 10):
        gate.hear(0.1 * i, age=0.9)
    assert gate.lack(0.79) == ''
    assert gate.lack(0.81) == STALE
    assert gate.hear(1.0) == '' and gate.lack(1.0) == ''


def test_refusals_before_the_last_value_are_no_reason_of_silence() -> None:
    gate = Gate()
    gate.hear(0.0, age=50.0)
    gate.hear(0.1)
    assert gate.lack(1.0) == ''  # no message arrives: Silence has that reason
    assert gate.sources.notice(1.0) != ''


@pytest.mark.parametrize(
    'other',
    [
        OTHER,
        ValueSource(MONITOR.publisher, 22),  # a publisher that changes its session
        ValueSource(b'\2' * 16, MONITOR.session),  # a stranger with the same session
        ValueSource(b'', 22),  # where the middleware tells no publisher
    ],
)
def test_neither_of_two_fresh_sources_is_accepted(other: ValueSource) -> None:
    gate = Gate()
    gate.hear(0.0)
    heard = [
        cause
        for i in range(1, 20)
        for cause in (gate.hear(0.25 * i, other, episode='x', known=False), gate.hear(0.25 * i))
    ]
    assert set(heard) == {TWO_MONITORS}
    lack = gate.sources.lack(4.8)
    assert lack is not None
    assert lack.text.startswith('two monitors publish /value (sessions ')
    assert lack.text.endswith('nothing is judged, end all but one')
    for one in (MONITOR, other):
        assert str(one.session) in lack.text


def test_sources_of_equal_sessions_are_named_by_publisher() -> None:
    gate = Gate()
    gate.hear(0.0)
    gate.hear(0.1, ValueSource(b'\2' * 16, MONITOR.session))
    lack = gate.sources.lack(0.2)
    assert lack is not None
    assert f'(sessions 11 of publishers {"01" * 16}, {"02" * 16})' in lack.text


def test_values_are_judged_again_when_the_other_is_silent() -> None:
    gate = Gate()
    gate.hear(0.0)
    assert gate.hear(0.1, OTHER) == TWO_MONITORS
    assert [gate.hear(0.1 * i) for i in range(2, 10)] == [TWO_MONITORS] * 8
    assert gate.hear(0.95) == '' and gate.sources.changed
    assert gate.hear(1.0) == '' and not gate.sources.changed
    assert gate.lack(1.0) == ''


def test_next_monitor_is_accepted_at_once_after_a_kill() -> None:
    gate = Gate()
    gate.hear(0.0)
    assert gate.hear(3.0, OTHER, episode='a') == ''
    assert gate.sources.changed and gate.sources.source == OTHER


def test_next_monitor_is_accepted_when_the_killed_one_is_silent() -> None:
    gate = Gate()
    gate.hear(0.0)
    heard = [gate.hear(0.1 * i, OTHER) for i in range(3, 12)]
    assert heard == [TWO_MONITORS] * 6 + [''] * 3


def test_rare_second_source_makes_the_lack_last() -> None:
    """A source that speaks each 2 s would otherwise be forgotten in between."""
    gate, lacks = Gate(), []
    for i in range(1, 400):
        if i % 20 == 0:
            gate.hear(0.1 * i, OTHER)
        gate.hear(0.1 * i)
        lacks.append(gate.lack(0.1 * i))
    assert set(lacks[100:]) == {TWO_MONITORS}
    assert [gate.hear(0.1 * i) for i in range(400, 520)][-20:] == [''] * 20


def test_many_sources_take_no_memory() -> None:
    gate = Gate()
    for i in range(10_000):
        assert gate.hear(1e-5 * i, ValueSource(b'', i)) == (TWO_MONITORS if i else '')
    assert len(gate.sources._heard) <= 17
    lack = gate.sources.lack(0.1)
    assert lack is not None and len(lack.text) < 500


def test_values_of_a_foreign_episode_are_refused() -> None:
    gate = Gate()
    assert gate.hear(0.0, episode='recorded') == EPISODE
    lack = gate.sources.lack(0.0)
    assert lack is not None
    assert "values are of episode 'recorded', episode 'a' of this supervisor" in lack.text
    assert "'episode'" in lack.text
    assert gate.hear(0.1, episode='') == EPISODE
    assert gate.hear(0.2) == '' and gate.lack(0.2) == ''


def test_foreign_episode_id_is_escaped_and_short() -> None:
    gate = Gate()
    gate.hear(0.0, episode='\x1b[2J\n' + 5000 * 'x')
    lack = gate.sources.lack(0.0)
    assert lack is not None
    assert lack.text.isprintable() and len(lack.text) < 300


def judged(name: str, task: str = TASK, executing: bool | None = True) -> OwnEpisode:
    return OwnEpisode(name, task, executing)


def test_previous_episode_is_accepted_for_its_lag() -> None:
    own = OwnEpisodes()
    own.announce(judged('a'), T0, 0.0)
    own.announce(judged('b'), T0 + 10 * S, 10.0)
    assert own.refusal(judged('b'), T0 + 11 * S, 11.0) is None
    assert own.refusal(judged('a'), T0 + 15 * S, 15.0) is None
    assert own.refusal(OwnEpisode(), T0 + 15 * S, 15.0) is not None  # ended at 0
    assert own.refusal(judged('a'), T0 + 16 * S, 16.0) is not None


def test_lag_of_an_episode_stands_still_with_the_clock() -> None:
    own = OwnEpisodes()
    own.announce(judged('a'), T0, 0.0)
    own.announce(judged('b'), T0, 1.0)
    assert own.refusal(judged('a'), T0, 500.0) is None  # a paused monitor has not followed
    assert own.refusal(judged('a'), T0 - 3600 * S, 500.0) is not None  # the clock runs again


@pytest.mark.parametrize(
    ('task', 'executing', 'text'),
    [
        ('fold', True, "values are of task 'fold', task of 'a' is 'lift': end what else"),
        ('', True, "values are of task '', task of 'a' is 'lift'"),
        (TASK, False, "'executing' is false in values, this supervisor announced true for "
                      "episode 'a'"),
    ],
)  # fmt: skip
def test_value_that_contradicts_the_episode_changes_nothing(
    task: str, executing: bool, text: str
) -> None:
    gate = Gate()
    for i in range(40):
        assert gate.hear(0.1 * i) == ''
        assert gate.hear(0.1 * i + 0.05, task=task, executing=executing) == EPISODE
        assert not gate.sources.changed or i == 0
    assert gate.lack(4.0) == ''
    for i in range(10):
        gate.hear(4.0 + 0.1 * i, known=False, task=task, executing=executing)
    lack = gate.sources.lack(5.0)
    assert lack is not None and lack.text.startswith(text)


def test_value_judged_without_an_episode_is_refused() -> None:
    own = OwnEpisodes()
    assert own.refusal(OwnEpisode('', 'any task', False), T0, 0.0) is None
    refusal = own.refusal(OwnEpisode('', TASK, True), T0, 0.0)
    assert refusal is not None and 'announced false for no episode' in refusal.text


def test_monitor_may_follow_task_before_episode() -> None:
    """The task of a monitor changes when it is announced, the episode with the next inputs."""
    own = OwnEpisodes()
    own.announce(judged('a', 'fold'), T0, 0.0)
    own.announce(judged('b', 'lift'), T0 + 10 * S, 10.0)
    assert own.refusal(judged('a', 'fold'), T0 + 11 * S, 11.0) is None
    assert own.refusal(judged('a', 'lift'), T0 + 11 * S, 11.0) is None
    assert own.refusal(judged('b', 'lift'), T0 + 11 * S, 11.0) is None
    assert own.refusal(judged('b', 'fold'), T0 + 11 * S, 11.0) is not None
    assert own.refusal(judged('a', 'stack'), T0 + 11 * S, 11.0) is not None


def test_end_of_execution_is_followed_within_its_lag() -> None:
    own = OwnEpisodes()
    own.announce(judged('a'), T0, 0.0)
    own.announce(judged('a', executing=False), T0 + 10 * S, 10.0)
    assert own.refusal(judged('a'), T0 + 14 * S, 14.0) is None
    assert own.refusal(judged('a'), T0 + 16 * S, 16.0) is not None
    own.announce(judged('a', executing=None), T0 + 20 * S, 20.0)  # a supervisor starts again
    for executing in (True, False):
        assert own.refusal(judged('a', executing=executing), T0 + 60 * S, 60.0) is None


@pytest.mark.parametrize(('oldest', 'cause'), [(0.8, ''), (0.9, STALE), (1e9, STALE)])
def test_value_of_an_old_input_is_refused(oldest: float, cause: str) -> None:
    gate = Gate()
    assert gate.hear(0.0, age=0.1, oldest=oldest) == cause
    lack = gate.sources.lack(0.0)
    assert not cause or (lack and lack.text.startswith('inputs of values are '))


def test_passive_supervisor_accepts_all_episodes() -> None:
    gate = Gate(own=None)
    assert [gate.hear(0.1, episode=name) for name in ('x', '', 'y')] == ['', '', '']


def test_clock_that_jumps_back_is_accepted() -> None:
    gate = Gate()
    assert [gate.hear(0.1 * i) for i in range(10)] == [''] * 10
    assert gate.hear(1.0, clock=-3600.0) == ''
    assert gate.hear(1.1, clock=-3600.0) == ''


def test_stamps_that_go_back_again_and_again_are_refused() -> None:
    gate, heard = Gate(), []
    for i in range(20):
        heard.append(gate.hear(0.2 * i, clock=-3600.0 * i))
    assert heard[:4] == [''] * 4 and set(heard[4:]) == {JUMPS}
    lack = gate.sources.lack(4.0)
    assert lack is not None and 'went back 4 times within 10 s, at most 3' in lack.text
    late = [gate.hear(0.2 * i, clock=-3600.0 * 20) for i in range(20, 80)]
    assert late[-1] == '' and not gate.lack(16.0)


def test_unknown_values_ahead_of_late_known_ones_are_no_jump() -> None:
    """A late estimate is older than the attempts without one since its inputs."""
    gate = Gate()
    gate.sources = ValueSources(SilenceSettings(10.0), time_jump=1.0)
    for i in range(40):
        assert gate.hear(0.1 * i, age=0.0, known=False) == ''
        assert gate.hear(0.1 * i, age=2.0) == ''


def test_age_of_a_stamp_is_told_with_its_limit() -> None:
    sources = Gate().sources
    assert sources.age_fault(T0, T0) == sources.age_fault(T0 - round(LIMIT * S), T0) == ''
    assert sources.age_fault(T0 - 3 * S, T0) == '3.0 s old, limit 0.8 s'
    assert sources.age_fault(T0 + S, T0) == '1.0 s ahead of the clock, limit 0.5 s'


def test_invalid_limit_of_stamps_ahead_is_refused() -> None:
    with raises('setting-out-of-range', 'max_future', -1.0):
        ValueSources(SilenceSettings(max_future=-1.0), 1.0)


MESSAGES = st.lists(
    st.tuples(
        st.floats(0.0, 2.0),  # s since the message before
        st.sampled_from([MONITOR, OTHER, ValueSource(b'', 3)]),
        st.sampled_from([0.0, 0.5, 5.0, 3e7, -0.4, -1.0]),
        st.sampled_from(['a', '', 'x']),
        st.booleans(),
    ),
    max_size=60,
)


@given(MESSAGES)
def test_accepted_value_is_fresh_own_and_of_the_only_source(messages) -> None:
    gate, at = Gate(), 0.0
    fresh: list[tuple[float, ValueSource]] = []
    for wait, source, age, episode, known in messages:
        at += wait
        cause = gate.hear(at, source, age, episode, known)
        others = [when for when, one in fresh if one != source and at - when <= LIMIT]
        if -0.5 <= age <= LIMIT:
            fresh.append((at, source))
        if cause == '':
            assert -0.5 <= age <= LIMIT and episode == 'a' and not others
            assert gate.lack(at) == ''
        else:
            assert cause in CAUSES
            heard = gate.sources.accepted_at
            if heard is None or at - heard > LIMIT or cause == TWO_MONITORS:
                assert gate.lack(at) != ''
