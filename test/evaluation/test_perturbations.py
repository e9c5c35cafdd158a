# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from support.recordings import RISING, make_label, write_recording

from viva_ros.core.observation import Observation, Unknown
from viva_ros.evaluation.perturbations import (
    GREY,
    checks,
    covered,
    doubled,
    halved,
    measure_checks,
    paused,
    shuffled,
)
from viva_ros.evaluation.run import Contender, TimeCounter
from viva_ros.scoring.replay import Sight

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
        if row == 2:
            assert isinstance(sight.seen, Unknown)
        else:
            assert sight.seen.proprio == {'j': 0.1 * row}


def test_who_counts_time_by_its_inputs_is_shown_the_changed_time(sights: list[Sight]) -> None:
    # The fifth moment is seen 4 s late here: its input is as old as it was, 4 ns against 1000.
    age = sights[4].stamp - sights[4].seen.stamp
    for change in (shuffled, doubled, halved, paused):
        for row, sight in change(sights):
            if row == 4:
                assert sight.stamp - sight.seen.stamp == age
    assert sights[4].seen.stamps == {'a': 4}  # the recording is left alone


def test_twice_the_speed_shows_every_second_moment_in_half_the_time(sights) -> None:
    assert [row for row, _ in doubled(sights)] == [0, 2, 4]
    assert [sight.stamp for _, sight in doubled(sights)] == [1000 + n * STEP for n in range(3)]


def test_half_the_speed_shows_every_moment_twice_in_twice_the_time(sights) -> None:
    shown = halved(sights)
    assert [row for row, _ in shown[:6]] == [0, 0, 1, 1, 2, 2]
    assert [sight.stamp for _, sight in shown[:5]] == [1000 + n * STEP for n in range(5)]
    stamps = [sight.stamp for _, sight in shown]
    assert np.diff(stamps).tolist() == [STEP] * 11


def test_a_pause_holds_the_middle_and_goes_on_later(sights: list[Sight]) -> None:
    shown = paused(sights)
    rows = [row for row, _ in shown]
    assert rows == [0, 1, 2, *[3] * 20, 3, 4, 5]
    stamps = [sight.stamp for _, sight in shown]
    assert np.diff(stamps).tolist() == [STEP] * 25
    assert paused([]) == [] == halved([])


def test_another_task_is_asked_only_of_an_engine_that_knows_two() -> None:
    assert 'wrong task' not in [check.name for check in checks(['a'], 1)]
    assert 'wrong task' in [check.name for check in checks(['a'], 2)]


def test_a_clock_that_goes_by_the_stamps_it_is_given_is_found_out(
    tmp_path: Path, worth_engine
) -> None:
    paths = {write_recording(tmp_path / 'a.mcap', RISING, label=make_label()): 'tray_lift'}
    clock = Contender('clock', {'tray_lift': lambda: TimeCounter(worth_engine.info, 6.0)}, {})
    found = measure_checks(clock, paths, 1)
    assert found['frames shuffled']['time_order']['value'] == pytest.approx(1.0)
    assert abs(found['frames shuffled']['change_in_successes']['value']) < 0.2
    assert found['half the speed']['change_in_successes']['value'] > 0.2
    assert found['twice the speed']['change_in_successes']['value'] < -0.1


def test_a_value_that_follows_what_it_sees_is_not_fooled(tmp_path: Path, worth_engine) -> None:
    paths = {write_recording(tmp_path / 'a.mcap', RISING, label=make_label()): 'tray_lift'}
    one = Contender('x', {'tray_lift': lambda: worth_engine}, {})
    found = measure_checks(one, paths, 1)
    assert found['as it was']['time_order']['value'] == pytest.approx(1.0)
    assert abs(found['frames shuffled']['time_order']['value']) < 0.5
    for name in ('frames shuffled', 'twice the speed', 'half the speed', 'a pause of 2 s'):
        assert found[name]['change_in_successes']['value'] == pytest.approx(0.0), name


def test_a_clock_is_found_out(tmp_path: Path, worth_engine) -> None:
    paths = {write_recording(tmp_path / 'a.mcap', RISING, label=make_label()): 'tray_lift'}
    one = Contender('x', {'tray_lift': lambda: TimeCounter(worth_engine.info, 5.9)}, {})
    found = measure_checks(one, paths, 1)
    assert found['as it was']['time_order']['value'] == pytest.approx(1.0)
    # It follows the time that it is told, whatever it is shown.
    assert found['frames shuffled']['time_order']['value'] == pytest.approx(1.0)
    # Twice as fast, it is on average half as far: 59 / 2 of 59 frames, .5 before.
    assert found['twice the speed']['change_in_successes']['value'] == pytest.approx(
        -0.25, abs=0.01
    )
    # For 2 s of 5.9 s it goes on; then 30 of 80 moments at 2 / 5.9 more and 20 in between.
    assert found['a pause of 2 s']['change_in_successes']['value'] == pytest.approx(
        (30 * 20 + sum(range(20))) / 80 / 59, abs=0.01
    )


def test_each_check_has_an_interval_and_a_sentence(tmp_path: Path, worth_engine):
    paths = {
        write_recording(
            tmp_path / f'{n}.mcap', [0.01 * n + x for x in RISING], label=make_label()
        ): 'tray_lift'
        for n in range(2)
    }
    found = measure_checks(Contender('x', {'tray_lift': lambda: worth_engine}, {}), paths, 2)
    for name, row in found.items():
        assert row['good'], name
        assert row['episodes'] == 2
        # No alarm in 2 of 2: the true share may still be 1 - .025^(1/2) = .842.
        assert row['false_alarms']['high'] == pytest.approx(0.842, abs=1e-3)
        # Both are changed alike, not at all: drawn again that says nothing.
        assert row['change_in_successes']['value'] == 0.0
        assert np.isnan(row['change_in_successes']['low'])
