# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest
from support.errors import raises
from support.recordings import make_label, write_recording

from benchmarks import seeds
from viva_ros.cli.calibrate import main as calibrate
from viva_ros.engine.manifest import read_manifest


def test_sets_of_this_release_share_no_seed() -> None:
    sets, retired, _ = seeds.read(seeds.RESULTS / 'seeds.json')
    assert set(sets) == {'training', 'calibration', 'development', 'test'}
    assert list(seeds.overlaps(sets, retired)) == []


def test_shared_seed_is_named() -> None:
    sets = {'training': {'lift': frozenset({1, 2})}, 'test': {'lift': frozenset({2, 3})}}
    assert list(seeds.overlaps(sets, {})) == ['training and test share 1 seeds of lift, such as 2']
    retired = {'old': {'lift': frozenset({3})}, 'older': {'lift': frozenset({3})}}
    found = list(seeds.overlaps({'test': sets['test']}, retired))
    assert found == [
        'test and retired: old share 1 seeds of lift, such as 3',
        'test and retired: older share 1 seeds of lift, such as 3',
    ]


def test_result_of_other_episodes_is_named(tmp_path: Path) -> None:
    rows = [{'name': 'episode_000002', 'task': 'lift'}, {'name': 'episode_000009', 'task': 'lift'}]
    (tmp_path / 'a.json').write_text(json.dumps({'episodes': {'ViVa': rows}}))
    sets = {'test': {'lift': frozenset({2, 3})}}
    assert list(seeds.wrong_results(sets, {'a.json': 'test', 'b.json': 'test'}, tmp_path)) == [
        'a.json has 1 seeds of lift outside of test: 9 ...',
        'a.json lacks 1 seeds of lift of test: 3 ...',
        f'b.json of the set test is missing in {tmp_path}',
    ]


def test_published_results_are_of_the_seeds_of_their_sets() -> None:
    sets, _, results = seeds.read(seeds.RESULTS / 'seeds.json')
    assert set(results) == {
        'compare.json', 'objective.json', 'supervision.json', 'viperx.json', 'advantages.json',
    }  # fmt: skip
    assert list(seeds.wrong_results(sets, results, seeds.RESULTS)) == []


def test_calibration_with_other_episodes_is_named(tmp_path: Path, small_engine: Path) -> None:
    task = read_manifest(small_engine).tasks[0]
    folder = tmp_path / 'calibration' / task
    folder.mkdir(parents=True)
    for number in range(6):
        worth = [-0.5 + (0.018 + 1e-4 * number) * step for step in range(61)]
        write_recording(folder / f'episode_{number:06d}.mcap', worth, label=make_label())
    options = ['--engine', str(small_engine), '--alpha', '0.4', '--warn-alpha', '0.5']
    assert calibrate([str(folder), *options]) == 0
    assert list(seeds.wrong_calibrations(small_engine, folder.parent)) == []
    (folder / 'episode_000001.mcap').unlink()
    (text,) = seeds.wrong_calibrations(small_engine, folder.parent)
    assert f'for {task} has ' in text and str(folder) in text


def test_folder_must_hold_the_seeds_of_its_set(tmp_path: Path) -> None:
    (tmp_path / 'train' / 'lift').mkdir(parents=True)
    for name in ('episode_000001.mcap', 'episode_000001_joined.mcap', 'episode_000007.mcap'):
        (tmp_path / 'train' / 'lift' / name).touch()
    sets = {'training': {'lift': frozenset({1})}}
    found = list(seeds.wrong_recordings(sets, tmp_path))
    assert len(found) == 1 and 'has 1 seeds of lift outside of training: 7' in found[0]


def test_selection_is_what_a_training_holds_out(tmp_path: Path) -> None:
    selection = seeds.read_selection(seeds.RESULTS / 'seeds.json')
    assert {task: len(found) for task, found in selection.items()} == {
        'tray_lift': 48, 'cube_transfer': 34,
    }  # fmt: skip
    sets, _, _ = seeds.read(seeds.RESULTS / 'seeds.json')
    for task, whole in sets['training'].items():
        (tmp_path / 'train' / task).mkdir(parents=True)
        for seed in whole:
            (tmp_path / 'train' / task / f'episode_{seed:06d}.mcap').touch()
    assert list(seeds.wrong_selection(selection, tmp_path)) == []
    # Without the first of them, which is held out.
    (tmp_path / 'train' / 'tray_lift' / 'episode_000001.mcap').unlink()
    assert list(seeds.wrong_selection(selection, tmp_path)) == [
        f'the part validation of {tmp_path} lacks 1 seeds of tray_lift of selection: 1 ...'
    ]


def test_seed_of_the_selection_is_one_of_the_training() -> None:
    selection, training = {'lift': frozenset({1, 9})}, {'lift': frozenset({1, 2})}
    assert list(seeds.outside(selection, training)) == [
        'selection has 1 seeds of lift outside of training: 9'
    ]
    assert list(seeds.outside({'lift': frozenset({1})}, training)) == []


def test_missing_sets_are_recorded_by_their_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []

    def main(words: list[str]) -> int:
        called.append(words)
        folder = Path(words[-1])
        folder.mkdir(parents=True)
        for seed in seeds.parse_seeds(words[words.index('--seeds') + 1]):
            (folder / f'episode_{seed:06d}.mcap').touch()
        return 0

    monkeypatch.setattr(seeds.record, 'main', main)
    assert seeds.main([str(tmp_path), '--record', 'calibration']) == 0
    assert [words[1] for words in called] == ['tray_lift', 'cube_transfer']
    assert called[0][2:] == [
        '--seeds', '510000-510149', '--successes', '--out',
        str(tmp_path / 'calibration' / 'tray_lift'),
    ]  # fmt: skip
    (tmp_path / 'calibration' / 'tray_lift' / 'episode_000001.mcap').touch()
    monkeypatch.setattr(seeds.record, 'main', lambda words: 0)
    with raises('seeds-mixed', 'outside of calibration: 1'):
        seeds.main([str(tmp_path), '--record', 'calibration'])
    with raises('seeds-set', 'tests', 'development, test'):
        seeds.main([str(tmp_path), '--record', 'tests'])


def test_mixed_seeds_end_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, 'overlaps', lambda *_: iter(['training and test share 1 seeds']))
    monkeypatch.setattr(seeds, 'wrong_results', lambda *_: iter([]))
    with raises('seeds-mixed', 'training and test share 1 seeds'):
        seeds.main([])
