# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The schedule of a chaos run depends on its seed only, and is what a launch may survive."""

from itertools import combinations

import pytest

from benchmarks.chaos.schedule import APART, KINDS, MOST_KILLS, PEACE, WINDOW, draw

#: Kinds and targets of seed 1 before episodes of strangers were added.
FIRST_OF_SEED_1 = [
    ('kill', 'robot'), ('replayed_values', 'value'), ('kill', 'monitor'),
    ('second_camera', 'head'),
]  # fmt: skip


def test_same_seed_gives_the_same_schedule():
    assert draw(600.0, 7) == draw(600.0, 7) != draw(600.0, 8)


@pytest.mark.parametrize('seed', range(5))
def test_schedule_leaves_time_to_start_and_to_recover(seed):
    plan = draw(120.0, seed)
    assert len(plan) > 5
    assert plan[0].at >= PEACE and all(p.at + p.length <= 120.0 - PEACE for p in plan)
    assert [p.at for p in plan] == sorted(p.at for p in plan)


@pytest.mark.parametrize('seed', range(5))
def test_no_node_is_killed_more_often_than_a_launch_restarts_it(seed):
    kills = [p for p in draw(1800.0, seed) if p.kind in ('kill', 'hidden_engine')]
    for target in {p.target for p in kills}:
        times = [p.at for p in kills if p.target == target]
        assert all(b - a >= WINDOW for a, b in zip(times, times[MOST_KILLS:], strict=False))


@pytest.mark.parametrize('seed', range(5))
def test_a_node_is_disturbed_by_one_thing_at_a_time(seed):
    for a, b in combinations(draw(600.0, seed), 2):
        assert a.target != b.target or b.at >= a.at + a.length


def test_long_run_has_all_disturbances():
    found = {(p.kind, p.target) for p in draw(7200.0, 1, sim_time=True)}
    assert found == {(kind, target) for kind, (targets, _) in KINDS.items() for target in targets}
    assert 'clock' not in {p.kind for p in draw(7200.0, 1)}, 'nodes that do not follow /clock'


def test_episodes_of_strangers_leave_the_schedule_of_a_seed_as_it_was():
    plan = [p for p in draw(120.0, 1) if p.kind != APART]
    assert [(p.kind, p.target) for p in plan[:4]] == FIRST_OF_SEED_1
    assert APART in {p.kind for p in draw(600.0, 1)}


def test_chosen_kinds_are_the_only_ones():
    assert {p.kind for p in draw(120.0, 1, kinds=['foreign_episode'])} == {'foreign_episode'}
    assert {p.kind for p in draw(600.0, 1, kinds=['kill', 'flood'])} == {'kill', 'flood'}
