# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path

import pytest
from support.recordings import RISING, make_label, write_recording

from viva_ros.cli.score import main
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration, Threshold, calibration_file
from viva_ros.core.errors import CalibrationError, ConfigurationError, RecordingError
from viva_ros.data.open import find
from viva_ros.scoring.jobs import calibration_of
from viva_ros.scoring.store import read_scored


def calibration(engine: str = '0123456789abcdef') -> Calibration:
    return Calibration(
        engine, 'tray_lift', 60, 0.1, 0.3, 59, (0.9, 0.99), RuleSettings(),
        dict.fromkeys(('drop', 'no_rise', 'floor'), Threshold(1.0, 2.0)), '',
    )  # fmt: skip


def tables(path: Path):
    return read_scored(path).table.to_pydict()


def test_a_folder_is_scored_into_tables_beside_and_stays_as_it_is(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    calibration().save(calibration_file(worth_engine_folder, 'tray_lift'))
    folder = tmp_path / 'recordings'
    folder.mkdir()
    path = write_recording(folder / 'one.mcap', [0.1, 0.2, 1.5])
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert main([str(folder), '--engine', str(worth_engine_folder), '--task', 'tray_lift']) == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    found = read_scored(folder / 'one_values.parquet')
    assert found.engine == '0123456789abcdef'
    assert found.header['calibration']['alpha'] == 0.1
    rows = found.table.to_pydict()
    assert rows['value'] == [0.1, 0.2, None]
    assert rows['status'] == ['ok', 'ok', 'unknown']
    assert rows['reason'][2] == 'worth is 1.5, at most 1 is allowed'
    assert rows['forecast.worth'] == [0.1, 0.2, None]
    shown = capsys.readouterr().out
    assert '1 recordings: 1 scored' in shown
    assert '+0.10 to +0.20' in shown


def test_folders_are_gone_through_and_keep_their_form(tmp_path: Path, worth_engine_folder) -> None:
    (tmp_path / 'in' / 'deep').mkdir(parents=True)
    write_recording(tmp_path / 'in' / 'deep' / 'one.mcap', [0.1])
    write_recording(tmp_path / 'in' / 'one.mcap', [0.2])
    out = tmp_path / 'new'
    options = ['--engine', str(worth_engine_folder), '--task', 'tray_lift', '--out', str(out)]
    assert main([str(tmp_path / 'in'), *options]) == 0
    assert tables(out / 'deep' / 'one_values.parquet')['value'] == [0.1]
    assert tables(out / 'one_values.parquet')['value'] == [0.2]
    assert [p.suffix for p in (tmp_path / 'in').rglob('*.*')] == ['.mcap', '.mcap']


def test_two_recordings_for_one_place_are_refused(tmp_path: Path, worth_engine_folder) -> None:
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        write_recording(tmp_path / name / 'one.mcap', [0.1])
    both = [str(tmp_path / name / 'one.mcap') for name in ('a', 'b')]
    with pytest.raises(ConfigurationError, match='would both be written'):
        main([*both, '--engine', str(worth_engine_folder), '--out', str(tmp_path / 'out')])


def test_the_task_is_the_recordings_own(tmp_path: Path, worth_engine_folder) -> None:
    write_recording(tmp_path / 'one.mcap', [0.1], label=make_label())
    assert main([str(tmp_path / 'one.mcap'), '--engine', str(worth_engine_folder)]) == 0
    assert read_scored(tmp_path / 'one_values.parquet').header['task'] == 'tray_lift'


def test_a_recording_that_does_not_say_its_task_is_not_guessed_at(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    write_recording(tmp_path / 'one.mcap', [0.1])
    assert main([str(tmp_path / 'one.mcap'), '--engine', str(worth_engine_folder)]) == 2
    assert 'name it with --task' in capsys.readouterr().out.replace('\n', ' ')


def test_the_difference_from_the_published_values_is_printed(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    path = write_recording(tmp_path / 'one.mcap', [0.5, 0.25], {0: 0.5, 1: math.nan})
    main([str(path), '--engine', str(worth_engine_folder)])
    assert 'largest difference from the published values: 0\n' in capsys.readouterr().out
    assert tables(tmp_path / 'one_values.parquet')['published'] == [0.5, None]


def test_a_torn_recording_is_scored_as_far_as_it_goes_and_reported_each_time(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    path = write_recording(tmp_path / 'one.mcap', RISING * 5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for state in ('scored, damaged', 'there already, damaged'):
        assert main([str(path), '--engine', str(worth_engine_folder), '--task', 'tray_lift']) == 2
        shown = capsys.readouterr().out
        assert 'the rest is lost after stamp' in shown
        assert state in shown
    assert len(tables(tmp_path / 'one_values.parquet')['value']) > 50


def test_one_that_cannot_be_read_does_not_stop_the_others(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    (tmp_path / 'a.mcap').write_bytes(b'nothing')
    write_recording(tmp_path / 'b.mcap', [0.1])
    assert main([str(tmp_path), '--engine', str(worth_engine_folder), '--task', 'tray_lift']) == 2
    assert (tmp_path / 'b_values.parquet').exists()
    assert not (tmp_path / 'a_values.parquet').exists()
    assert 'a.mcap' in capsys.readouterr().out


@pytest.mark.parametrize('option', ['--rate', '--batch', '--processes'])
def test_a_number_out_of_its_range_is_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match=f'{option} is -1'):
        main(['x.mcap', option, '-1'])


def test_a_calibration_of_another_engine_is_refused(tmp_path: Path) -> None:
    calibration('fedcba9876543210').save(calibration_file(tmp_path, 'tray_lift'))
    with pytest.raises(CalibrationError, match="'fedcba9876543210', not for '0123456789abcdef'"):
        calibration_of(tmp_path, 'tray_lift', '0123456789abcdef')


def test_an_engine_without_calibration_gives_none_unless_one_was_named(tmp_path: Path) -> None:
    assert calibration_of(tmp_path, 'tray_lift', '0123456789abcdef') is None
    with pytest.raises(CalibrationError, match="run 'viva calibrate'"):
        calibration_of(tmp_path, 'tray_lift', '0123456789abcdef', tmp_path / 'named.json')


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match='has no recordings'):
        find([tmp_path])
