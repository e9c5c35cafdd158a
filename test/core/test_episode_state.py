# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from viva_ros.core.episode_state import Episodes, EpisodeState

SECOND = 1_000_000_000
FIRST, SECOND_ONE = (
    EpisodeState('first', 'fold', True, ''),
    EpisodeState('second', 'fold', True, ''),
)


def announced_at_5_s() -> Episodes:
    episodes = Episodes()
    episodes.announce(FIRST, SECOND)
    assert episodes.of_value(2 * SECOND) == FIRST
    episodes.announce(SECOND_ONE, 5 * SECOND)
    return episodes


def test_value_before_any_announcement_has_no_episode():
    state = Episodes('fold').of_value(SECOND)
    assert (state.id, state.task, state.executing) == ('', 'fold', False)


def test_value_stamped_before_announcement_has_previous_state():
    episodes = announced_at_5_s()
    assert episodes.newest == SECOND_ONE
    assert episodes.of_value(5 * SECOND - 1) == FIRST
    assert episodes.of_value(5 * SECOND) == SECOND_ONE


def test_unknown_keeps_previous_state_during_grace_period():
    episodes = announced_at_5_s()
    assert episodes.of_unknown(5 * SECOND + 1) == FIRST
    assert episodes.of_value(5 * SECOND - 1) == FIRST
    assert episodes.of_unknown(6 * SECOND) == SECOND_ONE


def test_earlier_state_is_not_used_again():
    episodes = announced_at_5_s()
    assert episodes.of_value(5 * SECOND) == SECOND_ONE
    assert episodes.of_value(4 * SECOND) == SECOND_ONE
    assert episodes.of_unknown(5 * SECOND) == SECOND_ONE


def test_two_announcements_within_a_period_are_both_used():
    episodes = Episodes()
    pause = EpisodeState('first', 'fold', False, 'the robot retries')
    for at, state in ((1, FIRST), (2, pause), (3, FIRST)):
        episodes.announce(state, at * SECOND)
    assert [episodes.of_value(at * SECOND) for at in (1, 2, 3)] == [FIRST, pause, FIRST]


def test_newest_state_is_used_after_a_jump_of_time():
    episodes = announced_at_5_s()
    assert episodes.of_value(2 * SECOND) == FIRST
    episodes.jump()
    assert episodes.of_value(2 * SECOND) == SECOND_ONE
