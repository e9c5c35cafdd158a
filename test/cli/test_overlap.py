# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands refuse recordings that the engine was trained on; --part selects the others."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.errors import raises
from support.onnx_engines import forget_training, name_training
from support.recordings import make_label, write_recording

from benchmarks.supervision.main import main as supervise
from viva_ros.cli.calibrate import main as calibrate
from viva_ros.cli.evaluate import main as evaluate
from viva_ros.cli.main import main
from viva_ros.cli.score import main as score
from viva_ros.core.detection.thresholds import calibration_file
from viva_ros.data.split import split
from viva_ros.engine.manifest import read_calibration, save_calibration
from viva_ros.scoring.store import header

pytestmark = [pytest.mark.medium, pytest.mark.usefixtures('small_plots')]
COUNT = 60


@pytest.fixture(scope='session')
def hashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of successes that is split by hash, read-only."""
    folder = tmp_path_factory.mktemp('hashed') / 'tr'
    folder.mkdir()
    for number in range(COUNT):
        worth = [-0.5 + (0.018 + 1e-4 * number) * step for step in range(61)]
        write_recording(folder / f'episode_{number:06d}.mcap', worth, label=make_label())
    return folder


@pytest.fixture
def trained_engine(hashed: Path, small_engine: Path) -> Path:
    """Return an engine that was trained on the folder, as `viva train` splits it."""
    parts = split(hashed)
    name_training(small_engine, [*parts['train'], *parts['validation']])
    return small_engine


def used(hashed: Path) -> int:
    return len(split(hashed)['train']) + len(split(hashed)['validation'])


def test_calibrate_refuses_training_recordings_and_takes_the_rest(
    tmp_path: Path, hashed: Path, trained_engine: Path, capsys
) -> None:
    command = [str(hashed), '--engine', str(trained_engine), '--alpha', '0.4']
    out = tmp_path / 'c.json'
    command += ['--warn-alpha', '0.5', '--out', str(out)]
    with raises('recordings-trained', f'{used(hashed)} of {COUNT} ', '--part calibration'):
        calibrate(command)
    assert not out.exists()
    for part in ('train', 'validation'):
        if split(hashed)[part]:
            with raises('recordings-trained', str(trained_engine)):
                calibrate([*command, '--part', part])
    capsys.readouterr()
    assert calibrate([*command, '--part', 'calibration']) == 0
    assert out.exists()
    left = len(split(hashed)['calibration'])
    error = capsys.readouterr().err
    assert f'{hashed}: {left} of {COUNT} recordings, part calibration' in error
    assert 'warning' not in error


def test_part_of_a_subfolder_of_training_is_refused_with_the_folder(
    tmp_path: Path, hashed: Path, small_engine: Path, capsys
) -> None:
    parts = split(hashed.parent)  # as training was given it
    name_training(small_engine, [*parts['train'], *parts['validation']])
    options = ['--engine', str(small_engine), '--alpha', '0.4', '--warn-alpha', '0.5']
    options += ['--out', str(tmp_path / 'c.json'), '--part', 'calibration']
    remedy = f'name {hashed.parent} with --part calibration and --task'
    with raises('recordings-trained', remedy):
        calibrate([str(hashed), *options])
    assert calibrate([str(hashed.parent), *options, '--task', 'tray_lift']) == 0
    forget_training(small_engine)
    assert calibrate([str(hashed), *options]) == 0
    assert f'only if training was given {hashed} itself' in capsys.readouterr().err


def test_copied_and_renamed_training_recording_is_found(
    tmp_path: Path, hashed: Path, trained_engine: Path
) -> None:
    folder = tmp_path / 'other'
    folder.mkdir()
    for path in split(hashed)['calibration']:
        shutil.copy(path, folder)
    shutil.copy(split(hashed)['train'][0], folder / 'new_name.mcap')
    command = [str(folder), '--engine', str(trained_engine), '--out', str(tmp_path / 'c.json')]
    with raises('recordings-trained', '1 of ', folder / 'new_name.mcap', 'leave them out'):
        calibrate(command)


def test_import_of_a_training_recording_at_another_rate_is_found(
    tmp_path: Path, hashed: Path, trained_engine: Path
) -> None:
    recordings = [*split(hashed)['calibration'], split(hashed)['train'][0]]
    recipe, out = tmp_path / 'map.yaml', tmp_path / 'dataset'
    recipe.write_text('rate: 5\nlimits: {max_gap: 0.5, max_skew: 0.2}\n')
    command = ['import', *map(str, recordings), '--map', str(recipe), '--out', str(out)]
    assert main(command) == 0
    command = [str(out), '--engine', str(trained_engine), '--out', str(tmp_path / 'c.json')]
    trained = out / f'episode_{len(recordings) - 1:06d}'
    with raises('recordings-trained', f'1 of {len(recordings)} ', trained, 'leave them out'):
        calibrate(command)
    scores = ['--engine', str(trained_engine), '--rate', '5', '--out', str(tmp_path / 'scores')]
    assert score([str(out), *scores]) == 0
    tables = sorted((tmp_path / 'scores').glob('*_values.parquet'))
    found = [one['trained'] for path in tables for one in header(path)['episodes']]
    assert found == [False] * (len(recordings) - 1) + [True]


def test_engine_without_identities_is_warned_about(
    tmp_path: Path, hashed: Path, small_engine: Path, capsys
) -> None:
    forget_training(small_engine)
    command = [str(hashed), '--engine', str(small_engine), '--alpha', '0.4', '--warn-alpha', '0.5']
    command += ['--out', str(tmp_path / 'c.json')]
    with raises('part-required', small_engine, hashed, '--part calibration', '--part all'):
        calibrate(command)
    assert calibrate([*command, '--part', 'test']) == 0
    error = capsys.readouterr().err
    assert f'warning: {small_engine} does not name its training episodes' in error
    assert 'train and export it again' in error


def test_evaluate_refuses_training_recordings_of_either_set(
    tmp_path: Path, hashed: Path, trained_engine: Path
) -> None:
    out = tmp_path / 'e.json'
    command = [str(hashed), '--engine', str(trained_engine), '--out', str(out), '--alpha', '0.4']
    command += ['--calibration-recordings', str(hashed)]
    with raises('recordings-trained', f'{used(hashed)} of {COUNT} ', '--part test'):
        evaluate(command)
    command += ['--part', 'test']
    with raises('recordings-trained', f'{used(hashed)} of', '--calibration-part calibration'):
        evaluate(command)
    with raises('evaluation-overlap', hashed):
        evaluate([*command, '--calibration-part', 'test'])
    assert evaluate([*command, '--calibration-part', 'calibration']) == 0
    names = [one['name'] for one in json.loads(out.read_text())['episodes']['ViVa']]
    assert names == [path.stem for path in split(hashed)['test']]


def test_evaluate_takes_the_parts_of_a_divided_folder(
    tmp_path: Path, hashed: Path, small_engine: Path
) -> None:
    folder = tmp_path / 'recordings'
    for part, paths in split(hashed).items():
        (folder / part).mkdir(parents=True)
        for path in paths:
            shutil.copy(path, folder / part)
    name_training(small_engine, split(hashed)['train'])
    out = tmp_path / 'e.json'
    engine = ['--engine', str(small_engine), '--out', str(out), '--alpha', '0.4']
    assert evaluate([str(folder), *engine, '--calibration-recordings', str(folder)]) == 0
    names = [one['name'] for one in json.loads(out.read_text())['episodes']['ViVa']]
    assert names == [path.stem for path in split(hashed)['test']]


def test_copied_test_recording_in_the_calibration_is_refused(
    tmp_path: Path, hashed: Path, trained_engine: Path
) -> None:
    test = tmp_path / 'test'
    test.mkdir()
    shutil.copy(split(hashed)['calibration'][0], test / 'copy.mcap')
    command = [str(test), '--engine', str(trained_engine), '--out', str(tmp_path / 'e.json')]
    command += ['--calibration-recordings', str(hashed), '--calibration-part', 'calibration']
    with raises('evaluation-overlap', '1 of 1', test / 'copy.mcap'):
        evaluate(command)


def test_tables_say_what_was_trained_on_and_evaluate_refuses_them(
    tmp_path: Path, hashed: Path, trained_engine: Path
) -> None:
    engine, scored = ['--engine', str(trained_engine)], tmp_path / 'scored'
    options = [*engine, '--alpha', '0.4', '--warn-alpha', '0.5', '--part', 'calibration']
    assert calibrate([str(hashed), *options]) == 0
    assert score([str(hashed), *engine, '--out', str(scored)]) == 0
    parts = split(hashed)
    trained = {
        path: header(scored / f'{path.stem}_values.parquet')['episodes'][0]['trained']
        for paths in parts.values() for path in paths
    }  # fmt: skip
    learnt = [path for path, was in trained.items() if was]
    assert learnt == [*parts['train'], *parts['validation']]
    command = [str(hashed), '--scores', str(scored), '--out', str(tmp_path / 'e.json')]
    with raises('recordings-trained', f'{len(learnt)} of {COUNT}', scored, '--part test'):
        evaluate(command)
    assert evaluate([*command, '--part', 'test']) == 0


def test_tables_of_an_unknown_training_are_warned_about(
    tmp_path: Path, hashed: Path, small_engine: Path, capsys
) -> None:
    forget_training(small_engine)
    engine, scored = ['--engine', str(small_engine)], tmp_path / 'scored'
    options = [*engine, '--alpha', '0.4', '--warn-alpha', '0.5', '--part', 'calibration']
    assert calibrate([str(hashed), *options]) == 0
    assert score([str(hashed), *engine, '--part', 'test', '--out', str(scored)]) == 0
    tables = list(scored.glob('*_values.parquet'))
    assert len(tables) == len(split(hashed)['test'])
    assert header(tables[0])['episodes'][0]['trained'] is None
    capsys.readouterr()
    command = [str(hashed), '--scores', str(scored), '--out', str(tmp_path / 'e.json')]
    with raises('part-required', scored, hashed, '--part test'):
        evaluate(command)
    assert evaluate([*command, '--part', 'test']) == 0
    assert f'warning: tables in {scored} do not say' in capsys.readouterr().err
    # Once the engine names its training, the same tables are made again.
    name_training(small_engine, split(hashed)['train'])
    assert score([str(hashed), *engine, '--part', 'test', '--out', str(scored)]) == 0
    assert header(tables[0])['episodes'][0]['trained'] is False
    written = tables[0].stat().st_mtime_ns
    assert score([str(hashed), *engine, '--part', 'test', '--out', str(scored)]) == 0
    assert tables[0].stat().st_mtime_ns == written


def test_evaluate_refuses_recordings_of_the_calibration(
    tmp_path: Path, hashed: Path, small_engine: Path, capsys
) -> None:
    engine, scored = ['--engine', str(small_engine)], tmp_path / 'scored'
    test, other = tmp_path / 'test', split(hashed)['calibration']
    test.mkdir()
    shutil.copy(other[0], test / 'copy.mcap')
    shutil.copy(split(hashed)['test'][0], test)
    options = ['--alpha', '0.4', '--warn-alpha', '0.5', '--part', 'calibration']
    assert calibrate([str(hashed), *engine, *options]) == 0
    stored = calibration_file(small_engine, 'tray_lift')
    assert len(json.loads(stored.read_text())['episode_identities'].split()) >= len(other)
    command = [str(test), *engine, '--out', str(tmp_path / 'e.json')]
    command += ['--calibration-recordings', str(hashed), '--calibration-part', 'test']
    with raises('evaluation-overlap', '1 of 2'):  # of what calibrates the time-out
        evaluate(command)
    command[-1] = 'train'
    with raises('recordings-calibrated', '1 of 2', stored, test / 'copy.mcap', 'leave them out'):
        evaluate(command)
    assert score([str(test), *engine, '--out', str(scored)]) == 0
    tables = [str(test), '--scores', str(scored), '--out', str(tmp_path / 'e.json')]
    with raises('recordings-calibrated', '1 of 2', scored, test / 'copy.mcap'):
        evaluate(tables)
    (test / 'copy.mcap').unlink()
    capsys.readouterr()
    assert evaluate(command) == 0
    assert evaluate(tables) == 0
    assert 'warning' not in capsys.readouterr().err
    # A calibration of an earlier version does not name its episodes.
    save_calibration(replace(read_calibration(stored), episode_identities=None), stored)
    assert evaluate(command) == 0
    error = capsys.readouterr().err
    assert error.count('does not name the episodes that it was made with') == 1
    assert f'warning: {stored} does not name' in error


def test_copies_among_test_recordings_are_refused(
    tmp_path: Path, hashed: Path, small_engine: Path
) -> None:
    """Five copies of one success are not five successes without a false alarm."""
    engine, scored, test = ['--engine', str(small_engine)], tmp_path / 'scored', tmp_path / 'test'
    test.mkdir()
    for name in ('first', 'second', 'third'):
        shutil.copy(split(hashed)['test'][0], test / f'{name}.mcap')
    options = ['--alpha', '0.4', '--warn-alpha', '0.5', '--part', 'calibration']
    assert calibrate([str(hashed), *engine, *options]) == 0
    assert score([str(test), *engine, '--out', str(scored)]) == 0
    command = [str(test), '--out', str(tmp_path / 'e.json')]
    run = ['--calibration-recordings', str(hashed), '--calibration-part', 'train', *engine]
    pair = f'{test / "second.mcap"} of {test / "first.mcap"}'
    for source in (run, ['--scores', str(scored)]):
        with raises('recordings-copied', '2 of 3', pair):
            evaluate([*command, *source])
    (test / 'second.mcap').unlink()
    (test / 'third.mcap').unlink()
    for source in (run, ['--scores', str(scored)]):
        assert evaluate([*command, *source]) == 0


def test_supervision_refuses_training_recordings(
    tmp_path: Path, hashed: Path, trained_engine: Path
) -> None:
    command = [str(hashed), '--engine', str(trained_engine), '--scored', str(tmp_path / 's')]
    options = ['--engine', str(trained_engine), '--alpha', '0.4', '--warn-alpha', '0.5']
    assert calibrate([str(hashed), *options, '--part', 'calibration']) == 0
    command += ['--calibration-recordings', str(hashed), '--alpha', '0.4']
    command += ['--without-retries', '--out', str(tmp_path / 'e.json')]
    with raises('recordings-trained', f'{used(hashed)} of {COUNT}', '--part test'):
        supervise(command)
    with raises('recordings-trained', '--calibration-part calibration'):
        supervise([*command, '--part', 'test'])
    with raises('evaluation-overlap', hashed):
        supervise([*command, '--part', 'test', '--calibration-part', 'test'])
    other = str(split(hashed)['calibration'][0])
    with raises('recordings-calibrated', '1 of 1', calibration_file(trained_engine, 'tray_lift')):
        supervise([other, *command[1:], '--calibration-part', 'test'])
    assert not (tmp_path / 's').exists()  # before the first is scored
