# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from viva_ros.nodes.episodes import Episodes

SECOND = 1_000_000_000


def announced_at_5_s() -> Episodes:
    episodes = Episodes()
    episodes.announce('first', SECOND)
    assert episodes.of_value(2 * SECOND) == 'first'
    episodes.announce('second', 5 * SECOND)
    return episodes


def test_before_any_announcement_there_is_no_episode():
    assert Episodes().of_value(SECOND) == ''


def test_what_was_seen_before_the_announcement_belongs_to_the_episode_before():
    episodes = announced_at_5_s()
    assert episodes.of_value(5 * SECOND - 1) == 'first'
    assert episodes.of_value(5 * SECOND) == 'second'


def test_unknown_does_not_begin_an_episode_while_earlier_values_may_still_come():
    episodes = announced_at_5_s()
    assert episodes.of_unknown(5 * SECOND + 1) == 'first'
    assert episodes.of_value(5 * SECOND - 1) == 'first'
    assert episodes.of_unknown(6 * SECOND) == 'second'


def test_an_id_does_not_come_back():
    episodes = announced_at_5_s()
    assert episodes.of_value(5 * SECOND) == 'second'
    assert episodes.of_value(4 * SECOND) == 'second'
    assert episodes.of_unknown(5 * SECOND) == 'second'
