# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
from support.errors import raises
from support.recordings import RISING, make_label, write_recording

from viva_ros.cli.evaluate import main
from viva_ros.core.observation import Observation, Unknown
from viva_ros.evaluation.run import Contender
from viva_ros.evaluation.surrogates import (
    HOLD,
    frozen,
    measure_surrogates,
    pairs,
    repeated,
    stopped,
    swapped,
    truncated,
    undone,
)
from viva_ros.scoring.replay import ReplayInput

STEP = 100_000_000  # ns


def episode(base: int, count: int = 30) -> list[ReplayInput]:
    """Return inputs at 10 Hz: images of one grey level each, a joint that moves by 0.1."""
    return [
        ReplayInput(
            n * STEP,
            Observation({'a': np.full((4, 4, 3), base + n, np.uint8)}, {'j': 0.1 * n}, {'a': n}),
        )
        for n in range(count)
    ]


def grey(inputs: list[ReplayInput]) -> list[int]:
    return [int(one.observation.images['a'][0, 0, 0]) for one in inputs]


def joint(inputs: list[ReplayInput]) -> list[int]:
    return [round(10 * one.observation.proprio['j']) for one in inputs]


def test_undone_goes_back_at_the_recorded_times() -> None:
    inputs = episode(0, 7)
    made = undone(inputs, 3, [])
    assert grey(made) == joint(made) == [0, 1, 2, 2, 1, 0]
    assert [one.stamp for one in made] == [n * STEP for n in range(6)]
    assert grey(inputs) == list(range(7))  # the recording is left alone


def test_stopped_holds_images_and_joints() -> None:
    made = stopped(episode(0), 3, [])
    assert len(made) == 3 + HOLD * 10
    assert set(grey(made[2:])) == set(joint(made[2:])) == {2}
    assert np.diff([one.stamp for one in made]).tolist() == [STEP] * (len(made) - 1)


def test_truncated_ends_at_the_onset() -> None:
    assert grey(truncated(episode(0), 3, [])) == [0, 1, 2]


def test_swapped_shows_other_episode_and_keeps_joints() -> None:
    made = swapped(episode(0, 6), 3, episode(100, 2))
    assert grey(made) == [0, 1, 2, 100, 101]
    assert joint(made) == [0, 1, 2, 3, 4]


def test_repeated_images_are_unknown_behind_the_frozen_check() -> None:
    inputs = episode(0)
    assert grey(repeated(inputs, 10, []))[9:] == [9] * 21
    made = frozen(inputs, 10, [])
    lost = [isinstance(one.observation, Unknown) for one in made]
    # The image of input 9 is still there more than 1 s later, at input 20.
    assert lost == [n >= 20 for n in range(30)]
    assert 'a: frozen: same picture for 1.1 s' in made[20].observation.reason


def test_pairs_swap_each_episode_with_the_one_before() -> None:
    assert list(pairs('abc')) == [('b', 'a'), ('c', 'b'), ('a', 'c')]
    assert list(pairs('a')) == list(pairs('')) == []


def test_evaluate_reports_surrogates_of_each_contender(
    evaluation_folders, worth_engine_folder, tmp_path: Path, capsys
) -> None:
    calibration, test = evaluation_folders
    out = tmp_path / 'x.json'
    command = [str(test), '--engine', str(worth_engine_folder), '--out', str(out)]
    command += ['--calibration-recordings', str(calibration), '--surrogates', '2']
    assert main(command) == 0
    found = json.loads(out.read_text())['surrogates']
    ours = {name: row['contenders']['ViVa'] for name, row in found.items()}
    clock = {name: row['contenders']['time counter'] for name, row in found.items()}
    assert {row['episodes'] for row in ours.values()} == {2}  # failures c and d are left out
    assert ours['unchanged']['detected']['value'] == 0.0
    assert ours['unchanged']['false_alarms']['value'] == 0.0
    # The value of this engine is a joint: it falls when the robot goes back ...
    assert ours['reversed']['in_time']['value'] == 1.0
    assert sum(ours['reversed']['rules'].values()) == 2
    assert ours['reversed']['auroc']['value'] == 1.0
    # ... and does not depend on the images.
    assert ours['images swapped']['detected']['value'] == 0.0
    assert ours['images repeated']['unknown']['value'] == 0.0
    assert ours['camera frozen']['unknown']['value'] == 1.0
    assert ours['camera frozen']['detected']['value'] == 0.0
    assert np.isnan(float(ours['camera frozen']['auroc']['value'] or np.nan))
    assert clock['robot stops']['unknown']['value'] == 0.0  # a time above the mean is known
    assert ours['truncated']['detected']['value'] == 0.0
    assert clock['reversed']['detected']['value'] == 0.0
    assert clock['truncated']['auroc']['value'] == 1.0  # a clock knows a short episode, too
    assert (tmp_path / 'x_surrogates.png').stat().st_size > 10_000
    table = out.with_suffix('.md').read_text()
    assert (
        '2 episodes. Share of the unchanged ones with an alarm at any moment: ViVa 0.000' in table
    )
    assert '| reversed | ViVa | 1.000 [0.158, 1.000] |' in table
    assert 'camera frozen' in capsys.readouterr().out


def test_surrogates_of_single_success_are_refused(tmp_path: Path, worth_engine) -> None:
    paths = {write_recording(tmp_path / 'a.mcap', RISING, label=make_label()): 'tray_lift'}
    one = Contender('x', {'tray_lift': lambda: worth_engine}, {})
    with raises('surrogates-few', 'tray_lift has 1 undisturbed success', 'leave it out'):
        measure_surrogates([one], paths, 5)
