# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import math
from pathlib import Path

import pytest

from viva_ros.core.errors import CalibrationError, RecordingError
from viva_ros.core.rules import RuleSettings
from viva_ros.core.thresholds import Calibration, Threshold, calibration_file
from viva_ros.offline.score import calibration_of, find, main


def calibration(engine: str = '0123456789abcdef') -> Calibration:
    return Calibration(
        engine, 'tray_lift', 60, 0.1, 0.3, 59, (0.9, 0.99), RuleSettings(),
        dict.fromkeys(('drop', 'no_rise', 'floor'), Threshold(1.0, 2.0)), '',
    )  # fmt: skip


def test_a_folder_is_scored_into_files_beside_and_stays_as_it_is(
    tmp_path: Path, write, shipped, capsys
) -> None:
    calibration().save(calibration_file(shipped, 'tray_lift'))
    folder = tmp_path / 'recordings'
    folder.mkdir()
    path = write(folder / 'one.mcap', [0.1, 0.2, 1.5])
    before = path.read_bytes()
    assert main([str(folder), '--engine', str(shipped)]) == 0
    assert path.read_bytes() == before
    content = json.loads((folder / 'one_scores.json').read_text())
    assert content['engine'] == '0123456789abcdef'
    assert [sample['value'] for sample in content['samples']] == [0.1, 0.2, None]
    assert content['samples'][1]['forecast'] == {'worth': 0.2, 'other': 0.0}
    assert 'one: 2 values, from +0.10 to +0.20, 1 unknown, 0 alarms' in capsys.readouterr().out


def test_results_go_where_they_are_asked_to(tmp_path: Path, write, shipped) -> None:
    path = write(tmp_path / 'one.mcap', [0.1])
    out = tmp_path / 'new' / 'folder'
    assert main([str(path), '--engine', str(shipped), '--out', str(out)]) == 0
    assert (out / 'one_scores.json').exists()


def test_the_difference_from_the_published_values_is_printed(
    tmp_path: Path, write, shipped, capsys
) -> None:
    path = write(tmp_path / 'one.mcap', [0.5, 0.25], {0: 0.5, 1: math.nan})
    main([str(path), '--engine', str(shipped)])
    assert 'largest difference from the published values: 0\n' in capsys.readouterr().out


def test_a_torn_recording_is_scored_as_far_as_it_goes_with_a_report(
    tmp_path: Path, write, shipped, capsys, rising
) -> None:
    path = write(tmp_path / 'one.mcap', rising * 5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert main([str(path), '--engine', str(shipped)]) == 0
    shown = capsys.readouterr().out
    assert 'the rest is lost after stamp' in shown
    assert len(json.loads((tmp_path / 'one_scores.json').read_text())['samples']) > 50


def test_one_that_cannot_be_read_does_not_stop_the_others(
    tmp_path: Path, write, shipped, capsys
) -> None:
    (tmp_path / 'a.mcap').write_bytes(b'nothing')
    write(tmp_path / 'b.mcap', [0.1])
    assert main([str(tmp_path), '--engine', str(shipped)]) == 2
    assert (tmp_path / 'b_scores.json').exists()
    assert not (tmp_path / 'a_scores.json').exists()
    assert 'a.mcap' in capsys.readouterr().out


def test_a_calibration_of_another_engine_is_refused(tmp_path: Path) -> None:
    calibration('fedcba9876543210').save(calibration_file(tmp_path, 'tray_lift'))
    with pytest.raises(CalibrationError, match="'fedcba9876543210', not for '0123456789abcdef'"):
        calibration_of(tmp_path, 'tray_lift', '0123456789abcdef')


def test_an_engine_without_calibration_gives_none_unless_one_was_named(tmp_path: Path) -> None:
    assert calibration_of(tmp_path, 'tray_lift', '0123456789abcdef') is None
    with pytest.raises(CalibrationError, match="run 'viva calibrate'"):
        calibration_of(tmp_path, 'tray_lift', '0123456789abcdef', tmp_path / 'named.json')


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r'has no \*\.mcap files'):
        find([tmp_path])
