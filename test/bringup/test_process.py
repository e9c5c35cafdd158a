# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from viva_ros.bringup.processes import Respawn


def test_a_node_that_failed_is_started_again_after_a_second() -> None:
    respawn = Respawn(['monitor'])
    assert respawn.gone_for_good({'monitor': -9}, 10.0) == {}
    assert respawn.due(10.9) == []
    assert respawn.gone_for_good({'monitor': -9}, 10.9) == {}, 'it is waited for'
    assert respawn.due(11.0) == ['monitor']
    assert respawn.due(11.1) == []


def test_one_that_was_told_to_end_is_not() -> None:
    assert Respawn(['monitor']).gone_for_good({'monitor': 0}, 1.0) == {'monitor': 0}


def test_one_that_is_not_to_be_started_again_is_not() -> None:
    assert Respawn(['monitor']).gone_for_good({'sim': 1}, 1.0) == {'sim': 1}


def test_the_sixth_failure_within_a_minute_ends_all() -> None:
    respawn = Respawn(['monitor'])
    for second in range(0, 50, 10):
        assert respawn.gone_for_good({'monitor': 1}, float(second)) == {}
        assert respawn.due(second + 1.0) == ['monitor']
    assert respawn.gone_for_good({'monitor': 1}, 50.0) == {'monitor': 1}
    # The first start, at 1 s, is more than a minute ago.
    assert respawn.gone_for_good({'monitor': 1}, 61.5) == {}
