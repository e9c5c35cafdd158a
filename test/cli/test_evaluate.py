# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.errors import raises
from support.recordings import RISING, make_label, write_recording

from viva_ros.cli import calibrate
from viva_ros.cli.evaluate import by_name, main, mean_duration
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import (
    Calibration,
    Threshold,
    Unreachable,
    calibration_file,
    load,
)
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.split import select
from viva_ros.engine.manifest import save_calibration
from viva_ros.evaluation.results import Result
from viva_ros.evaluation.run import EvaluationConfig
from viva_ros.evaluation.summary import of_all
from viva_ros.evaluation.tables import markdown

pytestmark = [pytest.mark.medium, pytest.mark.usefixtures('small_plots')]


@pytest.mark.drawn
def test_evaluate_writes_tables_json_and_plot(
    tmp_path: Path, evaluation_folders, worth_engine_folder, capsys, monkeypatch
) -> None:
    calibration, test = evaluation_folders
    out = tmp_path / 'benchmarks' / 'small.json'
    command = [
        str(test),
        '--engine',
        str(worth_engine_folder),
        '--proprio',
        str(worth_engine_folder),
    ]
    command += ['--calibration-recordings', str(calibration), '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', ['viva', 'evaluate', *command])
    assert main(command) == 0
    assert out.with_suffix('.png').stat().st_size > 10_000
    table = out.with_suffix('.md').read_text()
    assert table.startswith(f'Made by `{shlex.join(sys.argv)}` on ')
    assert '|  | ViVa | proprioception only | time counter |' in table
    # 2 of 2, exact interval: .025^(1/2) = .158
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
    # No calibration episode falls, so any fall raises an alarm after the debounce of 0.3 s.
    assert figures['ViVa']['failures']['slip']['delay_median'] == pytest.approx(0.3)
    assert figures['ViVa']['camera_only']['episodes'] == 1
    # All episodes last 6 s: the time counter has perfect order, but cannot separate outcomes.
    assert figures['time counter']['spearman']['value'] == pytest.approx(1.0)
    assert figures['time counter']['auroc']['value'] == pytest.approx(0.5)
    assert figures['time counter']['tpr']['value'] == 0.0
    shown = capsys.readouterr().out
    assert 'only cameras can tell' in shown
    assert 'time counter' in shown


def test_calibration_recordings_as_test_set_are_refused(
    evaluation_folders, worth_engine_folder, tmp_path: Path
) -> None:
    calibration, _ = evaluation_folders
    command = [
        str(calibration),
        '--engine',
        str(worth_engine_folder),
        '--out',
        str(tmp_path / 'x.json'),
    ]
    with raises('evaluation-overlap', calibration / '00.mcap'):
        main([*command, '--calibration-recordings', str(calibration)])


def test_recording_without_outcome_is_refused_by_name(
    evaluation_folders, worth_engine_folder, tmp_path: Path
) -> None:
    calibration, _ = evaluation_folders
    path = write_recording(tmp_path / 'e.mcap', RISING)
    command = [str(path), '--engine', str(worth_engine_folder), '--out', str(tmp_path / 'x.json')]
    with raises('evaluation-outcome-missing', path, 'viva label'):
        main([*command, '--calibration-recordings', str(calibration)])


def own_calibration(folder: Path, alpha: float, rate: float = 10.0) -> Path:
    """Write a calibration to the folder of the engine."""
    made = Calibration(
        '0123456789abcdef', 'tray_lift', 60, alpha, 0.3, 59, (0.9, 0.99), RuleSettings(),
        rate, {'drop': Threshold(0.2, 0.3)}, '',
    )  # fmt: skip
    path = calibration_file(folder, 'tray_lift')
    save_calibration(made, path)
    return path


def test_alpha_other_than_that_of_engine_is_refused(
    evaluation_folders, worth_engine_folder, tmp_path: Path
) -> None:
    calibration, test = evaluation_folders
    path = own_calibration(worth_engine_folder, 0.01)
    out = tmp_path / 'x.json'
    command = [str(test), '--engine', str(worth_engine_folder), '--out', str(out)]
    command += ['--calibration-recordings', str(calibration)]
    with raises('evaluation-alpha', '--alpha is 0.2', path, 'alpha 0.01', 'viva calibrate'):
        main([*command, '--alpha', '0.2'])
    assert not out.exists()
    # Equal or missing: accepted; the time-out uses the same alpha, with too few recordings.
    for option in ([], ['--alpha', '0.01']):
        with raises('calibration-episodes', 'rate of 0.01'):
            main([*command, *option])


def test_rules_that_never_alarm_are_announced(
    evaluation_folders, worth_engine_folder, tmp_path: Path, capsys
) -> None:
    calibration, test = evaluation_folders
    path = own_calibration(worth_engine_folder, 0.2)
    found = {'drop': Unreachable(2.0, ('drop',))}
    save_calibration(replace(load(path), unreachable=found), path)
    command = [str(test), '--engine', str(worth_engine_folder), '--out', str(tmp_path / 'x.json')]
    assert main([*command, '--calibration-recordings', str(calibration)]) == 0
    text = "warning: ViVa: task 'tray_lift': the rule drop never raises an alarm: its threshold"
    assert capsys.readouterr().err.count(text) == 1


def test_rate_that_the_images_do_not_reach_is_refused(
    evaluation_folders, worth_engine_folder, tmp_path: Path
) -> None:
    calibration, test = evaluation_folders
    own_calibration(worth_engine_folder, 0.2, rate=30.0)
    command = [str(test), '--engine', str(worth_engine_folder), '--out', str(tmp_path / 'x.json')]
    with raises('recording-spacing', 'at 10 Hz, must be at 30 Hz', 'use --rate 10,'):
        main([*command, '--calibration-recordings', str(calibration), '--rate', '30'])


def commands_in(text: str) -> list[list[str]]:
    """Return the arguments of the commands 'viva calibrate ...' in an error."""
    commands = re.findall(r"'viva calibrate (.*?--alpha [\w. -]+)'", text)
    return [shlex.split(found) for found in commands]


@pytest.mark.parametrize(('alpha', 'rate'), [('0.2', 10.0), ('0.4', 5.0)])
def test_remedy_of_another_alpha_works_as_printed(
    evaluation_folders, worth_engine_folder, tmp_path: Path, alpha: str, rate: float
) -> None:
    calibration, test = evaluation_folders
    own_calibration(worth_engine_folder, 0.01, rate)
    command = [str(test), '--engine', str(worth_engine_folder), '--alpha', alpha]
    command += ['--rate', str(rate)]
    command += ['--calibration-recordings', str(calibration), '--out', str(tmp_path / 'x.json')]
    with raises('evaluation-alpha') as caught:
        main(command)
    (remedy,) = commands_in(str(caught.value))
    assert calibrate.main(remedy) == 0
    assert main(command) == 0


@pytest.mark.parametrize(
    ('inside', 'part'), [('tray_lift', 'calibration'), ('calibration/tray_lift', None)]
)
def test_remedy_of_another_alpha_selects_the_same_recordings(
    evaluation_folders, worth_engine_folder, tmp_path: Path, inside: str, part
) -> None:
    """The calibration recordings are in a subfolder of the folder that is split."""
    folder = tmp_path / 'my recs'
    (folder / inside).mkdir(parents=True)
    for number in range(32):
        worth = [-0.5 + (0.018 + 1e-4 * number) * step for step in range(61)]
        path = folder / inside / f'episode_{number:06d}.mcap'
        write_recording(path, worth, label=make_label())
    own_calibration(worth_engine_folder, 0.01)
    command = [str(evaluation_folders[1]), '--engine', str(worth_engine_folder), '--alpha', '0.5']
    command += ['--calibration-recordings', str(folder), '--out', str(tmp_path / 'x.json')]
    command += ['--calibration-part', part] if part else []
    with raises('evaluation-alpha') as caught:
        main(command)
    (remedy,) = commands_in(str(caught.value))
    args = calibrate.parse(remedy)
    expected = select([folder], part, 'calibration').recordings
    assert select(args.recordings, args.part, 'calibration').recordings == expected
    assert calibrate.main(remedy) == 0
    assert main(command) == 0


def test_calibrations_with_different_alphas_are_refused(
    evaluation_folders, worth_engine_folder, tmp_path: Path
) -> None:
    calibration, test = evaluation_folders
    other = tmp_path / 'other engine'
    other.mkdir()
    first, second = own_calibration(worth_engine_folder, 0.2), own_calibration(other, 0.05)
    command = [str(test), '--engine', str(worth_engine_folder), '--engine', f'other={other}']
    command += ['--calibration-recordings', str(calibration), '--out', str(tmp_path / 'x.json')]
    named = f'{first} has alpha 0.2', f'{second} has alpha 0.05'
    with raises('evaluation-alphas-differ', *named) as caught:
        main(command)
    (remedy,) = commands_in(str(caught.value))
    assert str(other) in remedy and str(calibration) in remedy
    assert calibrate.main(remedy) == 0
    assert load(second).alpha == 0.2
    assert main(command) == 0


def test_engine_without_calibration_gets_the_alpha_of_the_others(
    evaluation_folders, worth_engine_folder, tmp_path: Path
) -> None:
    calibration, test = evaluation_folders
    own_calibration(worth_engine_folder, 0.01)
    other = tmp_path / 'other'
    other.mkdir()
    command = [str(test), '--engine', str(worth_engine_folder), '--engine', f'other={other}']
    command += ['--calibration-recordings', str(calibration), '--out', str(tmp_path / 'x.json')]
    with raises('calibration-episodes', 'rate of 0.01'):
        main(command)


def test_calibration_of_another_rate_is_refused(
    evaluation_folders, worth_engine_folder, tmp_path: Path
) -> None:
    calibration, test = evaluation_folders
    own_calibration(worth_engine_folder, 0.2, rate=5.0)
    out = tmp_path / 'x.json'
    command = [str(test), '--engine', str(worth_engine_folder), '--out', str(out)]
    command += ['--calibration-recordings', str(calibration)]
    with raises('calibration-rate', 'at 5 Hz, these are at 10 Hz', 'set rate to 5'):
        main(command)
    assert main([*command, '--rate', '5']) == 0  # the remedy


def test_alpha_sets_thresholds_of_engine_without_calibration(
    evaluation_folders, worth_engine_folder, tmp_path: Path
) -> None:
    calibration, test = evaluation_folders
    command = [str(test), '--engine', str(worth_engine_folder), '--out', str(tmp_path / 'x.json')]
    with raises('calibration-episodes', 'rate of 0.01', '123 are needed'):
        main([*command, '--calibration-recordings', str(calibration), '--alpha', '0.01'])


@pytest.mark.parametrize('option', [
    {'alpha': 0.1}, {'checks': 1}, {'surrogates': 1}, {'proprio': Path('p')},
    {'engine': ('e',)}, {'calibration_recordings': Path('c')}, {'rate': 10.0},
], ids=lambda option: next(iter(option)))  # fmt: skip
def test_scores_exclude_options_of_engines(option: dict) -> None:
    flag = '--' + next(iter(option)).replace('_', '-')
    with raises('evaluation-options', '--scores', flag):
        EvaluationConfig((Path('r'),), Path('o'), scores=('s',), **option)


def test_missing_calibration_recordings_are_an_error() -> None:
    with raises('evaluation-calibration-missing', '--calibration-recordings'):
        EvaluationConfig((Path('r'),), Path('o'))


def test_two_engines_of_one_name_are_refused() -> None:
    assert by_name(['a', 'x/b', 'c=d']) == {'ViVa': 'a', 'b': 'x/b', 'c': 'd'}
    with raises('evaluate-name-twice', "'b'", 'NAME=FOLDER'):
        by_name(['a', 'x/b', 'y/b'])


def test_time_counter_uses_mean_duration_of_successes(tmp_path: Path) -> None:
    paths = [
        write_recording(tmp_path / 'a.mcap', [0.0] * 41, label=make_label()),
        write_recording(tmp_path / 'b.mcap', [0.0] * 61, label=make_label()),
        write_recording(tmp_path / 'c.mcap', [0.0] * 99, label=make_label(success=False)),
    ]
    assert mean_duration(paths) == pytest.approx((4.0 + 6.0) / 2)
    with raises('evaluation-no-success', 'fold'):
        mean_duration(paths, 'fold')


def test_recording_with_two_episodes_is_refused_by_name(
    evaluation_folders, worth_engine_folder, tmp_path: Path, monkeypatch
) -> None:
    calibration, test = evaluation_folders
    one = episodes_of(open_recording(test / 'a.mcap'))[0]
    monkeypatch.setattr('viva_ros.evaluation.run.episodes_of', lambda recording: [one, one])
    command = [str(test), '--engine', str(worth_engine_folder), '--out', str(tmp_path / 'x.json')]
    with raises('evaluation-episodes', test / 'a.mcap', '2 episodes', 'viva import'):
        main([*command, '--calibration-recordings', str(calibration)])


NAMES = {
    '<img src=x>': '&lt;img src=x>',
    'a|b': 'a\\|b',
    'a\\|b': 'a\\\\\\|b',
    '[x](http://y)': '[x]\\(http&#58;//y)',
    '[x]: y': '[x]\\: y',
    '$\\frac$': '\\$\\\\frac\\$',
    '**x**': '\\*\\*x\\*\\*',
    'a\x1b[31m\u202e\n| b': 'a\\\\x1b[31m\\\\u202e \\| b',
}


def test_markdown_escapes_names_with_markup() -> None:
    times = np.arange(4.0)
    rows = [
        Result('a', mode, 'failure', False, 4.0, times, times, (), 0.0, 1.0, times)
        for mode in NAMES
    ]
    table = markdown({'all tasks': of_all({'`x`': rows}, ())}, {}, {})
    for shown in NAMES.values():
        assert f'| {shown} | 1 |' in table
    assert '|  | \\`x\\` |' in table
    assert not any(ord(one) < 32 and one != '\n' for one in table)
