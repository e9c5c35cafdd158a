# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from viva_ros.core.observation import Observation, Unknown
from viva_ros.offline.baselines import TimeCounter
from viva_ros.offline.contest import Contender
from viva_ros.offline.replay import Sight
from viva_ros.offline.truth_checks import (
    GREY,
    checks,
    covered,
    doubled,
    halved,
    measure_checks,
    paused,
    shuffled,
)

STEP = 100_000_000  # ns


@pytest.fixture
def sights() -> list[Sight]:
    """6 moments at 10 Hz; the third cannot be seen."""
    picture = np.full((4, 4, 3), 200, dtype=np.uint8)
    seen = [Observation({'a': picture, 'b': picture}, {'j': 0.1 * n}, {'a': n}) for n in range(6)]
    made = [Sight(1000 + n * STEP, one) for n, one in enumerate(seen)]
    made[2] = Sight(made[2].stamp, Unknown('missing', 'a is missing'))
    return made


def test_one_camera_is_covered_and_the_other_is_not(sights: list[Sight]) -> None:
    shown = covered('a', sights)
    assert [row for row, _ in shown] == list(range(6))
    first = shown[0][1].seen
    assert (first.images['a'] == GREY).all() and (first.images['b'] == 200).all()
    assert (sights[0].seen.images['a'] == 200).all()  # the recording is left alone
    assert isinstance(shown[2][1].seen, Unknown)


def test_shuffling_keeps_the_times_and_changes_the_order(sights: list[Sight]) -> None:
    shown = shuffled(sights)
    assert [sight.stamp for _, sight in shown] == [sight.stamp for sight in sights]
    assert sorted(row for row, _ in shown) == list(range(6))
    assert [row for row, _ in shown] != list(range(6))
    for row, sight in shown:
        if row != 2:
            assert sight.seen.images is sights[row].seen.images
            assert sight.seen.stamp - sight.stamp == sights[row].seen.stamp - sights[row].stamp


def test_twice_the_speed_shows_every_second_moment_in_half_the_time(sights) -> None:
    assert [row for row, _ in doubled(sights)] == [0, 2, 4]
    assert [sight.stamp for _, sight in doubled(sights)] == [1000 + n * STEP for n in range(3)]


def test_half_the_speed_shows_every_moment_twice_in_twice_the_time(sights) -> None:
    shown = halved(sights)
    assert [row for row, _ in shown[:6]] == [0, 0, 1, 1, 2, 2]
    assert [sight.stamp for _, sight in shown[:5]] == [1000 + n * STEP for n in range(5)]
    stamps = [sight.stamp for _, sight in shown]
    assert stamps == sorted(set(stamps))


def test_a_pause_holds_the_middle_and_goes_on_later(sights: list[Sight]) -> None:
    shown = paused(sights)
    rows = [row for row, _ in shown]
    assert rows == [0, 1, 2, *[3] * 20, 3, 4, 5]
    stamps = [sight.stamp for _, sight in shown]
    assert np.diff(stamps).tolist() == [STEP] * 25
    assert paused([]) == []


def test_another_task_is_asked_only_of_an_engine_that_knows_two() -> None:
    assert 'wrong task' not in [check.name for check in checks(['a'], 1)]
    assert 'wrong task' in [check.name for check in checks(['a'], 2)]


def test_a_clock_that_goes_by_the_stamps_it_is_given_is_found_out(
    tmp_path: Path, write, label, rising, engine
) -> None:
    paths = {write(tmp_path / 'a.mcap', rising, label=label()): 'tray_lift'}
    clock = Contender('clock', {'tray_lift': lambda: TimeCounter(engine.info, 6.0)}, {})
    found = measure_checks(clock, paths, 1)
    assert found['frames shuffled']['time_order']['value'] == pytest.approx(1.0)
    assert abs(found['frames shuffled']['change_in_successes']['value']) < 0.2
    assert found['half the speed']['change_in_successes']['value'] > 0.2
    assert found['twice the speed']['change_in_successes']['value'] < -0.1


def test_a_value_that_follows_what_it_sees_is_not_fooled(
    tmp_path: Path, write, label, rising, engine
) -> None:
    paths = {write(tmp_path / 'a.mcap', rising, label=label()): 'tray_lift'}
    one = Contender('x', {'tray_lift': lambda: engine}, {})
    found = measure_checks(one, paths, 1)
    assert found['as it was']['time_order']['value'] == pytest.approx(1.0)
    assert abs(found['frames shuffled']['time_order']['value']) < 0.5
    for name in ('frames shuffled', 'twice the speed', 'half the speed', 'a pause of 2 s'):
        assert found[name]['change_in_successes']['value'] == pytest.approx(0.0), name
