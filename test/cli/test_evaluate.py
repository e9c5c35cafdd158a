# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest
from support.recordings import RISING, make_label, write_recording

from viva_ros.cli.evaluate import main, mean_duration
from viva_ros.core.errors import CalibrationError, RecordingError
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.evaluation.results import Result
from viva_ros.evaluation.summary import of_all
from viva_ros.evaluation.tables import markdown


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """29 successes to calibrate on; two successes, a fall and one that stays down to test on."""
    calibration, test = tmp_path / 'calibration', tmp_path / 'test'
    calibration.mkdir()
    test.mkdir()
    for number in range(29):
        slower = [-0.5 + (0.018 + 1e-4 * number) * step for step in range(61)]
        write_recording(calibration / f'{number:02}.mcap', slower, label=make_label())
    fall = [*RISING[:30], *[-0.9] * 30]
    write_recording(test / 'a.mcap', RISING, label=make_label())
    write_recording(test / 'b.mcap', RISING, label=make_label())
    write_recording(
        test / 'c.mcap', fall, label=make_label(False, 'slip', inject=2.9, manifest=3.0)
    )
    write_recording(
        test / 'd.mcap', [-0.5] * 60, label=make_label(False, 'stall', inject=0.0, manifest=2.5)
    )
    return calibration, test


def test_one_command_gives_table_json_and_picture(
    tmp_path: Path, folders, worth_engine_folder, capsys
) -> None:
    calibration, test = folders
    out = tmp_path / 'benchmarks' / 'small.json'
    command = [
        str(test),
        '--engine',
        str(worth_engine_folder),
        '--proprio',
        str(worth_engine_folder),
    ]
    command += ['--calibration-recordings', str(calibration), '--out', str(out)]
    assert main(command) == 0
    assert out.with_suffix('.png').stat().st_size > 10_000
    table = out.with_suffix('.md').read_text()
    assert '|  | ViVa | proprioception only | time counter |' in table
    # 2 of 2, and the exact interval of that: .025^(1/2) = .158
    assert '| failures found ↑ | 1.000 [0.158, 1.000] |' in table
    assert '| slip | 1 | 1.000, 1.000 |' in table
    content = json.loads(out.read_text())
    assert content['hardware']
    assert content['engine']['fingerprint'] == '0123456789abcdef'
    figures = content['figures']
    assert list(figures) == ['ViVa', 'proprioception only', 'time counter']
    assert figures['ViVa']['spearman']['value'] == pytest.approx(1.0)
    assert figures['ViVa']['auroc']['value'] == 1.0
    assert figures['ViVa']['tpr']['value'] == 1.0
    assert figures['ViVa']['false_alarms']['value'] == 0.0
    # No calibration episode falls at all, so any fall counts once it has held for 0.3 s.
    assert figures['ViVa']['failures']['slip']['delay_median'] == pytest.approx(0.3)
    assert figures['ViVa']['camera_only']['episodes'] == 1
    # All episodes last 6 s: a clock orders time perfectly and tells nothing apart.
    assert figures['time counter']['spearman']['value'] == pytest.approx(1.0)
    assert figures['time counter']['auroc']['value'] == pytest.approx(0.5)
    assert figures['time counter']['tpr']['value'] == 0.0
    shown = capsys.readouterr().out
    assert 'only cameras can tell' in shown
    assert 'time counter' in shown


def test_testing_on_what_was_calibrated_on_is_refused(
    folders, worth_engine_folder, tmp_path: Path
) -> None:
    calibration, _ = folders
    command = [
        str(calibration),
        '--engine',
        str(worth_engine_folder),
        '--out',
        str(tmp_path / 'x.json'),
    ]
    with pytest.raises(CalibrationError, match='keep them apart'):
        main([*command, '--calibration-recordings', str(calibration)])


def test_a_recording_without_outcome_is_refused_by_name(
    folders, worth_engine_folder, tmp_path: Path
) -> None:
    calibration, test = folders
    write_recording(test / 'e.mcap', RISING)
    command = [str(test), '--engine', str(worth_engine_folder), '--out', str(tmp_path / 'x.json')]
    with pytest.raises(RecordingError, match=r'e\.mcap has no outcome'):
        main([*command, '--calibration-recordings', str(calibration)])


def test_the_clock_runs_by_the_mean_of_the_successes(tmp_path: Path) -> None:
    paths = [
        write_recording(tmp_path / 'a.mcap', [0.0] * 41, label=make_label()),
        write_recording(tmp_path / 'b.mcap', [0.0] * 61, label=make_label()),
        write_recording(tmp_path / 'c.mcap', [0.0] * 99, label=make_label(success=False)),
    ]
    assert mean_duration(paths) == pytest.approx((4.0 + 6.0) / 2)


def test_several_episodes_in_a_recording_are_refused_by_name(
    folders, worth_engine_folder, tmp_path: Path, monkeypatch
) -> None:
    calibration, test = folders
    one = episodes_of(open_recording(test / 'a.mcap'))[0]
    monkeypatch.setattr('viva_ros.evaluation.run.episodes_of', lambda recording: [one, one])
    command = [str(test), '--engine', str(worth_engine_folder), '--out', str(tmp_path / 'x.json')]
    with pytest.raises(RecordingError, match=r'a\.mcap has 2 episodes, must have 1'):
        main([*command, '--calibration-recordings', str(calibration)])


def test_names_that_are_markup_stay_names_in_the_tables() -> None:
    times = np.arange(4.0)
    rows = [
        Result('a', mode, 'failure', False, 4.0, times, times, (), 0.0, 1.0, times)
        for mode in ('<img src=x>', 'a|b', '[x](http://y)')
    ]
    table = markdown({'all tasks': of_all({'`x`': rows}, ())}, {})
    assert '| &lt;img src=x> | 1 |' in table
    assert '| a\\|b | 1 |' in table
    assert '| [x]\\(http://y) | 1 |' in table
    assert '|  | \\`x\\` |' in table
