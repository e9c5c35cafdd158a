# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes of a stranger have the id of the supervisor or another by turns, never its task."""

from random import Random

import pytest
from rclpy.serialization import serialize_message

from benchmarks.chaos.history import TASK
from benchmarks.chaos.stranger import EPISODE_RATES, FOREIGN, OTHER_TASKS, Stranger
from viva_ros.msg import Episode

pytestmark = pytest.mark.fast


def episodes(seed: int, count: int = 40) -> list[Episode]:
    """Return what a stranger sends that has heard the supervisor, itself, and half a message."""
    one = Stranger.__new__(Stranger)
    one._episode = ''
    heard = serialize_message(Episode(id='present', task=TASK))
    for cdr in (heard, serialize_message(Episode(id='mine', task=OTHER_TASKS[0])), heard[:9]):
        one._note_episode(bytes(cdr))
    random = Random(seed)
    return [one._messages('foreign_episode', Episode, random, k, [])[0] for k in range(count)]


def test_foreign_episodes_take_turns_of_id_and_have_other_tasks():
    found = episodes(1)
    assert all(one.id == 'present' for one in found[::2])
    assert all(one.id.startswith(FOREIGN) for one in found[1::2])
    assert {one.task for one in found} == set(OTHER_TASKS) and TASK not in OTHER_TASKS
    assert all(one.executing for one in found)


def test_foreign_episodes_of_a_seed_are_always_the_same():
    tasks = [[one.task for one in episodes(seed)] for seed in (1, 1, 2)]
    assert tasks[0] == tasks[1] != tasks[2]
    one = Stranger.__new__(Stranger)
    periods = [one._period('foreign_episode', Random(seed)) for seed in range(50)]
    assert min(periods) >= EPISODE_RATES[0] and max(periods) <= EPISODE_RATES[1]
    assert max(periods) - min(periods) > 1.0
