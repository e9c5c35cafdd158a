# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path

import pytest
from support.recordings import RISING, make_label, write_recording

from viva_ros.calibration.data import Sources, calibrate_engine, is_undisturbed
from viva_ros.cli import score
from viva_ros.cli.calibrate import main
from viva_ros.core.detection.thresholds import calibration_file, load
from viva_ros.core.errors import CalibrationError, RecordingError
from viva_ros.data.episode import Label


@pytest.mark.parametrize(
    ('label', 'expected'),
    [
        (Label('t', True, 'none'), True),
        (Label('t', True, 'pause', 1, {'inject': 2.0}), True),
        (Label('t', True), True),
        (Label('t', True, 'recovered_stall', 1, {'manifest': 2.0}), False),
        (Label('t', True, 'retry_slip', 1), False),
        (Label('t', False, 'slip', 1), False),
        (None, False),
    ],
)
def test_only_successes_in_which_nothing_went_wrong_calibrate(label, expected: bool) -> None:
    assert is_undisturbed(label) is expected


def test_each_task_is_calibrated_on_its_own_episodes() -> None:
    assert is_undisturbed(Label('fold', True, 'none'), 'fold')
    assert not is_undisturbed(Label('fold', True, 'none'), 'lift')


def test_too_few_successes_are_refused_with_the_number_missing(
    tmp_path: Path, worth_engine
) -> None:
    paths = [write_recording(tmp_path / f'{n}.mcap', RISING, label=make_label()) for n in range(3)]
    paths.append(
        write_recording(tmp_path / 'failed.mcap', RISING, label=make_label(success=False))
    )
    # alpha .1: 9 to set the threshold, and 2 to learn what is usual
    with pytest.raises(CalibrationError, match=r'3 successful .* 11 are needed.* 8 are missing'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', paths, 0.1, 0.3)
    with pytest.raises(CalibrationError, match=r'1 of 4 recordings are failures.*failed\.mcap'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', Sources(paths), 0.1, 0.3)


def test_damaged_recordings_are_left_out_and_named(tmp_path: Path, worth_engine, capsys) -> None:
    paths = [write_recording(tmp_path / f'{n}.mcap', RISING, label=make_label()) for n in range(4)]
    content = bytearray(paths[1].read_bytes())
    content[len(content) // 2] ^= 0xFF  # in a picture: the checksum tells
    paths[1].write_bytes(content)
    paths[2].write_bytes(b'no recording')
    with pytest.raises(CalibrationError, match='2 successful'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', paths, 0.1, 0.3)
    said = capsys.readouterr().err
    assert '1.mcap' in said and '2.mcap' in said and said.count('left out: ') >= 2


def test_shares_that_make_no_sense_are_refused(worth_engine) -> None:
    with pytest.raises(CalibrationError, match=r'alpha is 1\.5'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', [], 1.5, 0.3)
    with pytest.raises(CalibrationError, match=r'must be at least alpha, 0\.2'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', [], 0.2, 0.1)


def test_thresholds_lie_beside_the_engine_and_say_what_they_hold_for(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    folder = tmp_path / 'calibration'
    folder.mkdir()
    for number in range(9):
        # From -0.5 up by 0.01 .. 0.018 a step: after 4 s the value has risen by 40 of them.
        slope = 0.01 + 0.001 * number
        worth = [-0.5 + slope * step for step in range(60)]
        write_recording(folder / f'{number}.mcap', worth, label=make_label())
    write_recording(folder / 'lost.mcap', [-0.5] * 60, label=make_label(success=False))
    command = [
        str(folder),
        '--engine',
        str(worth_engine_folder),
        '--alpha',
        '0.3',
        '--warn-alpha',
        '0.6',
    ]
    assert main([*command, '--rules', 'no_rise', '--leave-out-failures']) == 0
    found = load(calibration_file(worth_engine_folder, 'tray_lift'))
    assert (found.engine, found.task, found.episodes) == ('0123456789abcdef', 'tray_lift', 8)
    assert '1 other recordings left out' in found.source
    # The fifth shapes; of the 8 others k = ceil(9 * 0.7) = 7, the second largest score: that of
    # the second slowest rise, 0.011 a step.
    assert (found.rank, found.shaping) == (7, 1)
    # In 4 s it rises by 0.44. Smoothing (0.4 s at 10 Hz: gain 1 - exp(-1/4)) lags by
    # 0.011 (1 - gain) / gain = 0.0387 in the end, and by 0.0387 (1 - exp(-t / 0.4)) at the start.
    # The smallest rise is the first, which must hold 0.3 s: 0.44 - 0.0387 exp(-0.75) = 0.4217.
    assert found.thresholds['no_rise'].alarm == pytest.approx(-0.4217, abs=1e-4)
    assert 'at most 30% of new successes alarm' in capsys.readouterr().out


def test_a_joint_that_is_not_a_number_is_refused_with_its_name(
    tmp_path: Path, worth_engine
) -> None:
    paths = [write_recording(tmp_path / f'{n}.mcap', RISING, label=make_label()) for n in range(2)]
    spoilt = list(RISING)
    spoilt[7] = spoilt[9] = math.nan
    paths.append(write_recording(tmp_path / 'nan.mcap', spoilt, label=make_label()))
    expected = r'nan\.mcap: joint worth is not a finite number in 2 of 60 messages: leave the rec'
    with pytest.raises(CalibrationError, match=expected):
        calibrate_engine(lambda: worth_engine, 'tray_lift', paths, 0.1, 0.3)


def test_from_tables_of_values_the_thresholds_are_the_same(
    tmp_path: Path, worth_engine_folder
) -> None:
    folder = tmp_path / 'calibration'
    folder.mkdir()
    for number in range(12):
        worth = [one * (1 + 0.01 * number) for one in RISING]
        write_recording(folder / f'{number:02d}.mcap', worth, label=make_label())
    command = [str(folder), '--engine', str(worth_engine_folder), '--alpha', '0.3']
    assert main([*command, '--out', str(tmp_path / 'anew.json')]) == 0
    assert (
        score.main(
            [str(folder), '--engine', str(worth_engine_folder), '--out', str(tmp_path / 's')]
        )
        == 0
    )
    tables = ['--scored', str(tmp_path / 's'), '--out', str(tmp_path / 'tables.json')]
    assert main([*command, *tables]) == 0
    anew, again = (load(tmp_path / f'{name}.json') for name in ('anew', 'tables'))
    assert again == anew
    (tmp_path / 's' / '03_values.parquet').unlink()
    with pytest.raises(RecordingError, match=r"03_values\.parquet is not there.*'viva score'"):
        main([*command, *tables])
