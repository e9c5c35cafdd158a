# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.errors import raises
from support.recordings import RISING, make_label, write_recording

from viva_ros.cli.calibrate import main as calibrate
from viva_ros.cli.score import main
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import (
    Calibration,
    Threshold,
    Unreachable,
    calibration_file,
)
from viva_ros.data.open import find
from viva_ros.engine.manifest import save_calibration
from viva_ros.scoring.jobs import calibration_of
from viva_ros.scoring.replay import check_spacing
from viva_ros.scoring.store import read_scored


def calibration(engine: str = '0123456789abcdef') -> Calibration:
    return Calibration(
        engine, 'tray_lift', 60, 0.1, 0.3, 59, (0.9, 0.99), RuleSettings(),
        10.0, {'drop': Threshold(1.0, 2.0), 'no_rise': Threshold(1.0, 2.0),
               'floor': Threshold(1.0, 1.0)}, '',
    )  # fmt: skip


def tables(path: Path):
    return read_scored(path).table.to_pydict()


def test_folder_is_scored_into_tables_and_stays_unchanged(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    save_calibration(calibration(), calibration_file(worth_engine_folder, 'tray_lift'))
    folder = tmp_path / 'recordings'
    folder.mkdir()
    path = write_recording(folder / 'one.mcap', [0.9, 0.95, 1.2])
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert main([str(folder), '--engine', str(worth_engine_folder), '--task', 'tray_lift']) == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    found = read_scored(folder / 'one_values.parquet')
    assert found.engine == '0123456789abcdef'
    assert found.header['calibration']['alpha'] == 0.1
    rows = found.table.to_pydict()
    assert rows['value'] == [0.9, 0.95, None]
    assert rows['status'] == ['ok', 'ok', 'unknown']
    assert rows['reason'][2] == 'worth is 1.2, at most 1 is allowed'
    assert rows['forecast.worth'] == [0.9, 0.95, None]
    shown = capsys.readouterr().out
    assert '1 recordings: 1 scored' in shown
    assert '+0.90 to +0.95' in shown


def test_subfolders_are_scored_and_kept_below_out(tmp_path: Path, worth_engine_folder) -> None:
    (tmp_path / 'in' / 'deep').mkdir(parents=True)
    write_recording(tmp_path / 'in' / 'deep' / 'one.mcap', [0.1])
    write_recording(tmp_path / 'in' / 'one.mcap', [0.2])
    out = tmp_path / 'new'
    options = ['--engine', str(worth_engine_folder), '--task', 'tray_lift', '--out', str(out)]
    assert main([str(tmp_path / 'in'), *options]) == 0
    assert tables(out / 'deep' / 'one_values.parquet')['value'] == [0.1]
    assert tables(out / 'one_values.parquet')['value'] == [0.2]
    assert [p.suffix for p in (tmp_path / 'in').rglob('*.*')] == ['.mcap', '.mcap']


def test_two_recordings_with_one_table_path_are_refused(
    tmp_path: Path, worth_engine_folder
) -> None:
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        write_recording(tmp_path / name / 'one.mcap', [0.1])
    both = [str(tmp_path / name / 'one.mcap') for name in ('a', 'b')]
    with raises('tables-same-path', *both, 'one_values.parquet', '--out'):
        main([*both, '--engine', str(worth_engine_folder), '--out', str(tmp_path / 'out')])


def test_task_is_read_from_recording(tmp_path: Path, worth_engine_folder) -> None:
    write_recording(tmp_path / 'one.mcap', [0.1], label=make_label())
    assert main([str(tmp_path / 'one.mcap'), '--engine', str(worth_engine_folder)]) == 0
    assert read_scored(tmp_path / 'one_values.parquet').header['task'] == 'tray_lift'


def test_recording_without_task_fails_with_remedy(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    write_recording(tmp_path / 'one.mcap', [0.1])
    assert main([str(tmp_path / 'one.mcap'), '--engine', str(worth_engine_folder)]) == 2
    assert 'name it with --task' in capsys.readouterr().out.replace('\n', ' ')


def test_difference_from_published_values_is_printed(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    path = write_recording(tmp_path / 'one.mcap', [0.5, 0.25], {0: 0.5, 1: math.nan})
    main([str(path), '--engine', str(worth_engine_folder)])
    assert 'largest difference from the published values: 0\n' in capsys.readouterr().out
    assert tables(tmp_path / 'one_values.parquet')['published'] == [0.5, None]


def test_torn_recording_is_scored_and_reported_each_time(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    path = write_recording(tmp_path / 'one.mcap', RISING * 5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for state in ('scored, damaged', 'unchanged, damaged'):
        assert main([str(path), '--engine', str(worth_engine_folder), '--task', 'tray_lift']) == 2
        shown = capsys.readouterr().out
        assert 'the rest is lost after stamp' in shown
        assert state in shown
    assert len(tables(tmp_path / 'one_values.parquet')['value']) > 50


def test_reasons_of_an_import_are_reported_each_time(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    path = write_recording(tmp_path / 'one.mcap', [0.1, 0.2, math.nan, 0.3, 0.4])
    for state in ('scored', 'unchanged'):
        assert main([str(path), '--engine', str(worth_engine_folder), '--task', 'tray_lift']) == 0
        shown = ' '.join(capsys.readouterr().out.split())
        assert 'an import refuses it: positions are not finite (worth 1 times)' in shown
        assert f'1 recordings: 1 {state}' in shown
    values = tables(tmp_path / 'one_values.parquet')
    assert values['status'] == ['ok', 'ok', 'unknown', 'ok', 'ok']  # by moment


def test_unreadable_recording_does_not_stop_the_others(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    (tmp_path / 'a.mcap').write_bytes(b'nothing')
    write_recording(tmp_path / 'b.mcap', [0.1])
    assert main([str(tmp_path), '--engine', str(worth_engine_folder), '--task', 'tray_lift']) == 2
    assert (tmp_path / 'b_values.parquet').exists()
    assert not (tmp_path / 'a_values.parquet').exists()
    assert 'a.mcap' in capsys.readouterr().out


@pytest.mark.parametrize('option', ['--rate', '--batch', '--processes'])
def test_score_option_out_of_range_is_refused(option: str) -> None:
    with raises('score-option', f'{option} is -1', 'above 0'):
        main(['x.mcap', option, '-1'])


@pytest.mark.parametrize('rate', ['inf', '1e10', '101'])
def test_rate_that_no_monitor_has_is_refused(rate: str, worth_engine_folder) -> None:
    with raises('score-option', f'--rate is {float(rate)}', 'at most 100'):
        main(['x.mcap', '--rate', rate])
    with raises('calibrate-rate', f'--rate is {float(rate)}', 'at most 100'):
        calibrate(['x', '--engine', str(worth_engine_folder), '--rate', rate])


def test_calibration_of_other_engine_is_refused(tmp_path: Path) -> None:
    save_calibration(calibration('fedcba9876543210'), calibration_file(tmp_path, 'tray_lift'))
    with raises('calibration-engine', 'fedcba9876543210', '0123456789abcdef'):
        calibration_of(tmp_path, 'tray_lift', '0123456789abcdef', 10.0)


def test_calibration_of_another_rate_is_refused_or_left_out(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    save_calibration(calibration(), calibration_file(worth_engine_folder, 'tray_lift'))
    path = write_recording(tmp_path / 'one.mcap', RISING)
    command = [str(path), '--engine', str(worth_engine_folder), '--task', 'tray_lift']
    command += ['--rate', '5']
    with raises('scoring-stopped', 'at 10 Hz, these are at 5 Hz', '--no-alarms'):
        main(command)
    assert not (tmp_path / 'one_values.parquet').exists()
    assert main([*command, '--no-alarms']) == 0
    found = read_scored(tmp_path / 'one_values.parquet')
    assert found.header['calibration'] is None
    # 60 frames at 10 Hz: every second one has a value.
    assert found.table['status'].to_pylist() == ['ok', 'not_asked'] * 30
    with raises('score-alarms', '--no-alarms', 'leave out --calibration'):
        main([*command, '--no-alarms', '--calibration', 'c.json'])


def test_recorded_monitor_of_another_rate_fails_alone(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    save_calibration(
        replace(calibration(), rate=5.0), calibration_file(worth_engine_folder, 'tray_lift')
    )
    folder = tmp_path / 'r'
    folder.mkdir()
    write_recording(folder / 'monitor.mcap', RISING, {0: 0.1})  # published at 10 Hz
    write_recording(folder / 'plain.mcap', RISING)
    command = [str(folder), '--engine', str(worth_engine_folder), '--task', 'tray_lift']
    assert main([*command, '--rate', '5']) == 2
    assert 'a monitor at 10 Hz, must be at 5 Hz' in ' '.join(capsys.readouterr().out.split())
    assert (folder / 'plain_values.parquet').exists()
    assert not (folder / 'monitor_values.parquet').exists()


def test_rate_that_the_images_do_not_reach_is_refused(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    path = write_recording(tmp_path / 'one.mcap', RISING)  # 10 Hz
    command = [str(path), '--engine', str(worth_engine_folder), '--task', 'tray_lift']
    assert main([*command, '--no-alarms', '--rate', '30']) == 2
    printed = ' '.join(capsys.readouterr().out.split())
    assert 'has values at 10 Hz, must be at 30 Hz' in printed and 'use --rate 10,' in printed
    assert not (tmp_path / 'one_values.parquet').exists()
    assert main([*command, '--no-alarms', '--rate', '10']) == 0  # the remedy
    # A monitor with that rate uses slow images too: its own values are taken as they are.
    with_monitor = write_recording(tmp_path / 'm.mcap', RISING, dict.fromkeys(range(60), 0.1))
    command[0] = str(with_monitor)
    assert main([*command, '--no-alarms', '--rate', '30']) == 0


@pytest.mark.parametrize(
    ('steps', 'rate'),
    [
        ([0.1] * 20, 10.0),
        ([0.1, 0.1, 0.2] * 7, 9.0),  # a frame lost now and then: 7.5 Hz
        ([0.067, 0.133] * 10, 10.0),  # images at 15 Hz
        ([0.1] * 10 + [5.0] + [0.1] * 10, 10.0),  # a pause
        ([0.5] * 4, 10.0),  # too few
        ([0.1] * 20, 11.5),
    ],
)
def test_spacing_of_values_agrees_with_the_rate(steps: list[float], rate: float) -> None:
    stamps = [round(at * 1e9) for at in np.cumsum([0.0, *steps])]
    check_spacing(Path('r.mcap'), stamps, rate)
    if len(steps) > 4:
        with raises('recording-spacing', 'r.mcap', f'must be at {1.4 * rate:g} Hz', '--rate'):
            check_spacing(Path('r.mcap'), stamps, 1.4 * rate)


def test_rules_that_never_alarm_are_announced_once(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    made = replace(calibration(), unreachable={'drop': Unreachable(2.0, ('drop',))})
    save_calibration(made, calibration_file(worth_engine_folder, 'tray_lift'))
    for name in 'ab':
        write_recording(tmp_path / f'{name}.mcap', RISING)
    command = [str(tmp_path), '--engine', str(worth_engine_folder), '--task', 'tray_lift']
    for _ in range(2):  # of unchanged tables as well
        assert main(command) == 0
        text = "warning: task 'tray_lift': the rule drop never raises an alarm"
        assert capsys.readouterr().out.count(text) == 1


def test_missing_calibration_is_none_unless_file_is_named(tmp_path: Path) -> None:
    assert calibration_of(tmp_path, 'tray_lift', '0123456789abcdef', 10.0) is None
    with raises('calibration-unreadable', 'named.json', "'viva calibrate'"):
        calibration_of(tmp_path, 'tray_lift', '0123456789abcdef', 10.0, tmp_path / 'named.json')


def test_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    with raises('recordings-missing', tmp_path):
        find([tmp_path])
