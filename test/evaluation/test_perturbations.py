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
from viva_ros.scoring.replay import ReplayInput

STEP = 100_000_000  # ns


@pytest.fixture
def inputs() -> list[ReplayInput]:
    """Return 6 inputs at 10 Hz; the third is unknown."""
    picture = np.full((4, 4, 3), 200, dtype=np.uint8)
    observations = [
        Observation({'a': picture, 'b': picture}, {'j': 0.1 * n}, {'a': n}) for n in range(6)
    ]
    made = [ReplayInput(1000 + n * STEP, one) for n, one in enumerate(observations)]
    made[2] = ReplayInput(made[2].stamp, Unknown('missing', 'a is missing'))
    return made


def test_covered_changes_images_of_one_camera(inputs: list[ReplayInput]) -> None:
    shown = covered('a', inputs)
    assert [row for row, _ in shown] == list(range(6))
    first = shown[0][1].observation
    assert (first.images['a'] == GREY).all() and (first.images['b'] == 200).all()
    assert (inputs[0].observation.images['a'] == 200).all()  # the recording is left alone
    assert isinstance(shown[2][1].observation, Unknown)


def test_shuffled_keeps_times_and_changes_order(inputs: list[ReplayInput]) -> None:
    shown = shuffled(inputs)
    assert [entry.stamp for _, entry in shown] == [entry.stamp for entry in inputs]
    assert sorted(row for row, _ in shown) == list(range(6))
    assert [row for row, _ in shown] != list(range(6))
    for row, entry in shown:
        if row == 2:
            assert isinstance(entry.observation, Unknown)
        else:
            assert entry.observation.proprio == {'j': 0.1 * row}


def test_input_stamps_move_with_perturbed_time(
    inputs: list[ReplayInput],
) -> None:
    # The age of the fifth input, stamp 4 ns at 1000 ns, is kept.
    age = inputs[4].stamp - inputs[4].observation.stamp
    for change in (shuffled, doubled, halved, paused):
        for row, entry in change(inputs):
            if row == 4:
                assert entry.stamp - entry.observation.stamp == age
    assert inputs[4].observation.stamps == {'a': 4}  # the recording is left alone


def test_doubled_uses_every_second_input_in_half_the_time(inputs) -> None:
    assert [row for row, _ in doubled(inputs)] == [0, 2, 4]
    assert [entry.stamp for _, entry in doubled(inputs)] == [1000 + n * STEP for n in range(3)]


def test_halved_uses_each_input_twice_in_twice_the_time(inputs) -> None:
    shown = halved(inputs)
    assert [row for row, _ in shown[:6]] == [0, 0, 1, 1, 2, 2]
    assert [entry.stamp for _, entry in shown[:5]] == [1000 + n * STEP for n in range(5)]
    stamps = [entry.stamp for _, entry in shown]
    assert np.diff(stamps).tolist() == [STEP] * 11


def test_paused_repeats_middle_input_and_continues(inputs: list[ReplayInput]) -> None:
    shown = paused(inputs)
    rows = [row for row, _ in shown]
    assert rows == [0, 1, 2, *[3] * 20, 3, 4, 5]
    stamps = [entry.stamp for _, entry in shown]
    assert np.diff(stamps).tolist() == [STEP] * 25
    assert paused([]) == [] == halved([])


def test_wrong_task_check_needs_engine_with_two_tasks() -> None:
    assert 'wrong task' not in [check.name for check in checks(['a'], 1)]
    assert 'wrong task' in [check.name for check in checks(['a'], 2)]


def test_checks_expose_clock_that_uses_input_stamps(tmp_path: Path, worth_engine) -> None:
    paths = {write_recording(tmp_path / 'a.mcap', RISING, label=make_label()): 'tray_lift'}
    clock = Contender('clock', {'tray_lift': lambda: TimeCounter(worth_engine.info, 6.0)}, {})
    found = measure_checks(clock, paths, 1)
    assert found['frames shuffled']['time_order']['value'] == pytest.approx(1.0)
    assert abs(found['frames shuffled']['change_in_successes']['value']) < 0.2
    assert found['half the speed']['change_in_successes']['value'] > 0.2
    assert found['twice the speed']['change_in_successes']['value'] < -0.1


def test_checks_pass_value_that_depends_on_inputs(tmp_path: Path, worth_engine) -> None:
    paths = {write_recording(tmp_path / 'a.mcap', RISING, label=make_label()): 'tray_lift'}
    one = Contender('x', {'tray_lift': lambda: worth_engine}, {})
    found = measure_checks(one, paths, 1)
    assert found['as it was']['time_order']['value'] == pytest.approx(1.0)
    assert abs(found['frames shuffled']['time_order']['value']) < 0.5
    for name in ('frames shuffled', 'twice the speed', 'half the speed', 'a pause of 2 s'):
        assert found[name]['change_in_successes']['value'] == pytest.approx(0.0), name


def test_checks_expose_time_counter(tmp_path: Path, worth_engine) -> None:
    paths = {write_recording(tmp_path / 'a.mcap', RISING, label=make_label()): 'tray_lift'}
    one = Contender('x', {'tray_lift': lambda: TimeCounter(worth_engine.info, 5.9)}, {})
    found = measure_checks(one, paths, 1)
    assert found['as it was']['time_order']['value'] == pytest.approx(1.0)
    # It follows the time, whatever the images.
    assert found['frames shuffled']['time_order']['value'] == pytest.approx(1.0)
    # At twice the speed its mean is half: 59 / 2 of 59 frames, .5 before.
    assert found['twice the speed']['change_in_successes']['value'] == pytest.approx(
        -0.25, abs=0.01
    )
    # It rises during the pause of 2 s: 30 of 80 inputs are 20 frames later, and 20 in between.
    assert found['a pause of 2 s']['change_in_successes']['value'] == pytest.approx(
        (30 * 20 + sum(range(20))) / 80 / 59, abs=0.01
    )


def test_each_check_has_interval_and_expected_behaviour(tmp_path: Path, worth_engine):
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
        # No alarm in 2 episodes: the upper limit of the share is 1 - .025^(1/2) = .842.
        assert row['false_alarms']['high'] == pytest.approx(0.842, abs=1e-3)
        # Both changes are 0, so that the bootstrap has no interval.
        assert row['change_in_successes']['value'] == 0.0
        assert np.isnan(row['change_in_successes']['low'])
