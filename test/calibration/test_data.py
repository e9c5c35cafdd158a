# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support.errors import raises
from support.recordings import RISING, make_label, write_recording

from viva_ros.calibration.data import (
    Sources,
    calibrate_engine,
    chosen_recordings,
    is_undisturbed,
)
from viva_ros.cli import score
from viva_ros.cli.calibrate import main, summary
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Threshold, calibration_file, load
from viva_ros.data.episode import Label
from viva_ros.scoring.replay import check_rates


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
def test_only_undisturbed_successes_calibrate(label, expected: bool) -> None:
    assert is_undisturbed(label) is expected


def test_only_successes_of_the_task_calibrate() -> None:
    assert is_undisturbed(Label('fold', True, 'none'), 'fold')
    assert not is_undisturbed(Label('fold', True, 'none'), 'lift')


def successes(folder: Path, count: int) -> list[Path]:
    return [
        write_recording(
            folder / f'{n}.mcap', [at + 1e-3 * n for at in RISING], label=make_label()
        ) for n in range(count)
    ]  # fmt: skip


def test_copies_of_a_success_are_refused(tmp_path: Path, worth_engine) -> None:
    """A failed attempt at the same motion is no copy, and a copy has another name and label."""
    paths = successes(tmp_path, 2)
    paths += [Path(shutil.copy(paths[0], tmp_path / f'again_{n}.mcap')) for n in range(2)]
    paths.append(write_recording(tmp_path / 'x.mcap', RISING, label=make_label(True, None)))
    named = '3 of 5 recordings', f'{paths[2]} of {paths[0]}', f'{paths[4]} of {paths[0]}'
    with raises('recordings-copied', *named, 'leave the copies out'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', paths, 0.5, 0.5)
    write_recording(tmp_path / 'x.mcap', RISING, label=make_label(False, 'slip'))
    kept = [*paths[:2], paths[4]]
    chosen = chosen_recordings(Sources(kept, leave_out_failures=True), 'tray_lift', Console())
    assert list(chosen) == kept[:2]


def test_too_few_successes_and_failures_are_refused(tmp_path: Path, worth_engine) -> None:
    paths = successes(tmp_path, 3)
    paths.append(
        write_recording(tmp_path / 'failed.mcap', RISING, label=make_label(success=False))
    )
    # alpha .1: 9 for the threshold, and 2 for the reference statistics
    with raises('calibration-episodes', '3 successful', '11 are needed', '8 are missing'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', paths, 0.1, 0.3)
    with raises('calibration-failures', '1 of 4', 'failed.mcap', '3 are', '--leave-out-failures'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', Sources(paths), 0.1, 0.3)


def test_recordings_without_a_success_of_the_task_are_refused(
    tmp_path: Path, worth_engine
) -> None:
    labels = {
        **{f'failed{n}': make_label(success=False) for n in range(3)},
        **{f'other{n}': {**make_label(), 'task': 'fold'} for n in range(2)},
        'retry': make_label(failure='retry_slip'), 'unlabelled': None,
    }  # fmt: skip
    paths = [write_recording(tmp_path / f'{name}.mcap', RISING, label=one)
             for name, one in labels.items()]  # fmt: skip

    def calibrate(some: list[Path]) -> None:
        calibrate_engine(lambda: worth_engine, 'tray_lift', Sources(some), 0.1, 0.3)

    text = (
        "none of 3 recordings is a success of the task 'tray_lift'",
        '(failures: 3): record',
    )
    with raises('calibration-no-success', *text):
        calibrate(paths[:3])
    with raises('calibration-no-success', "(of the task 'fold': 2): use --task fold, or record"):
        calibrate(paths[3:5])
    why = "failures: 3; of the task 'fold': 2; with a retry or recovery: 1; without a label: 1)"
    with raises('calibration-no-success', why):
        calibrate(paths)


def test_damaged_recordings_are_left_out_by_name(tmp_path: Path, worth_engine, capsys) -> None:
    paths = successes(tmp_path, 4)
    content = bytearray(paths[1].read_bytes())
    content[len(content) // 2] ^= 0xFF  # in an image: the checksum differs
    paths[1].write_bytes(content)
    paths[2].write_bytes(b'no recording')
    with raises('calibration-episodes', '2 successful'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', paths, 0.1, 0.3)
    printed = capsys.readouterr().err
    assert '1.mcap' in printed and '2.mcap' in printed and printed.count('left out: ') >= 2


def test_alphas_out_of_range_are_refused(worth_engine) -> None:
    with raises('calibration-alpha', 'alpha is 1.5'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', [], 1.5, 0.3)
    with raises('calibration-warn-alpha', 'warn_alpha is 0.1', 'alpha, 0.2'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', [], 0.2, 0.1)


def test_calibrate_writes_thresholds_to_engine_folder(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    folder = tmp_path / 'calibration'
    folder.mkdir()
    for number in range(9):
        # From -0.5 by 0.01 .. 0.018 per step: in 4 s the value rises by 40 steps.
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
    # The fifth is for the statistics; of the 8 others k = ceil(9 * 0.7) = 7, the second largest
    # score: that of the second slowest rise, 0.011 per step.
    assert (found.rank, found.shaping) == (7, 1)
    # In 4 s it rises by 0.44. Smoothing (0.4 s at 10 Hz: gain 1 - exp(-1/4)) lags by
    # 0.011 (1 - gain) / gain = 0.0387 at the end, and by 0.0387 (1 - exp(-t / 0.4)) at the start.
    # The smallest rise is the first, after a debounce of 0.3 s: 0.44 - 0.0387 exp(-0.75) = 0.4217.
    assert found.thresholds['no_rise'].alarm == pytest.approx(-0.4217, abs=1e-4)
    assert 'at most 30% of new successes raise an alarm' in capsys.readouterr().out
    options = '--rules', 'no_rise', '--leave-out-failures', '--set', 'rules.debounce=0.5'
    assert main([*command, *options]) == 0
    found = load(calibration_file(worth_engine_folder, 'tray_lift'))
    found.check('0123456789abcdef', 'tray_lift', RuleSettings(debounce=0.5), 10.0)
    assert found.thresholds['no_rise'].alarm == pytest.approx(
        -0.44 + 0.0387 * math.exp(-0.5 / 0.4), abs=1e-3
    )


def test_joint_position_that_is_not_finite_is_refused(tmp_path: Path, worth_engine) -> None:
    paths = successes(tmp_path, 2)
    worth = list(RISING)
    worth[7] = worth[9] = math.nan
    paths.append(write_recording(tmp_path / 'nan.mcap', worth, label=make_label()))
    with raises('calibration-joint', paths[-1], 'joint worth', '2 of 60 messages'):
        calibrate_engine(lambda: worth_engine, 'tray_lift', paths, 0.1, 0.3)


def calibration_command(folder: Path, engine: Path, *options: str) -> list[str]:
    """Write nine successes; return the arguments to calibrate on them."""
    folder.mkdir()
    for number in range(9):
        worth = [-0.5 + (0.01 + 0.001 * number) * step for step in range(60)]
        write_recording(folder / f'{number}.mcap', worth, label=make_label())
    return [str(folder), '--engine', str(engine), '--alpha', '0.3', *options]


def test_rate_and_done_level_are_stored(tmp_path: Path, worth_engine_folder, capsys) -> None:
    command = calibration_command(tmp_path / 'c', worth_engine_folder)
    path = calibration_file(worth_engine_folder, 'tray_lift')
    assert main([*command, '--warn-alpha', '0.6', '--done-above', '0.7', '--rate', '5']) == 0
    assert 'at 5 Hz' in (found := load(path)).source
    assert (found.rate, found.expected.done_above) == (5.0, 0.7)
    assert 'done above +0.700' in ' '.join(capsys.readouterr().out.split())
    assert main([*command, '--warn-alpha', '0.6']) == 0
    # The fifth ends at -0.5 + .014 * 59 = .326; smoothing lags by .014 (1 - g) / g, g = .2212.
    assert load(path).expected.done_above == pytest.approx(0.326 - 0.0493 - 0.03, abs=1e-3)
    assert load(path).rate == 10.0


def test_unreachable_rules_are_printed_with_their_remedy(
    tmp_path: Path, worth_engine_folder, capsys
) -> None:
    command = calibration_command(tmp_path / 'c', worth_engine_folder)
    for number in range(6):  # the lowest value there is, in more than 30 % of the successes
        worth = [-1.0] * (60 + number)
        write_recording(tmp_path / 'c' / f'x{number}.mcap', worth, label=make_label())
    assert main([*command, '--rules', 'drop', 'floor']) == 0
    printed = capsys.readouterr().err
    assert 'warning: the rule floor never raises an alarm: its threshold is 1, its' in printed
    found = load(calibration_file(worth_engine_folder, 'tray_lift'))
    assert 'floor' in found.unreachable
    assert 'calibrate again with --rules drop\n' in printed  # no alpha up to .5 does
    assert 'with an engine whose value rises' in printed  # most reference episodes stand
    assert 'the rule drop' not in printed  # nor can they fall


def test_report_notes_the_rule_for_a_standing_value() -> None:
    folder = Path(__file__).parents[2] / 'engines' / 'viperx'
    shipped = load(calibration_file(folder, 'tray_lift'))
    sharp, blunt = (
        replace(shipped, thresholds={**shipped.thresholds, 'no_rise': Threshold(one, one)})
        for one in (-0.1, 0.1)
    )
    assert 'note' not in summary(sharp, Path('c.json'))
    line = 'note: a value that stands raises no alarm of no_rise, whose'
    assert line in summary(blunt, Path('c.json')) and not blunt.warnings
    assert blunt.to_dict().keys() == sharp.to_dict().keys()  # it is not stored


def test_option_values_of_calibrate_are_checked(worth_engine_folder) -> None:
    command = ['x', '--engine', str(worth_engine_folder)]
    with raises('calibrate-rate', '--rate is 0.0', 'above 0'):
        main([*command, '--rate', '0'])
    with raises('calibration-done-level', 'is 1.5', 'at most 1', '--done-above'):
        main([*command, '--done-above', '1.5'])
    with raises('calibrate-setting-removed', 'rules.done_above=0.9', '--done-above VALUE'):
        main([*command, '--set', 'rules.done_above=0.9'])


def test_values_of_a_monitor_at_another_rate_do_not_calibrate(
    tmp_path: Path, worth_engine
) -> None:
    path = write_recording(tmp_path / 'm.mcap', RISING, {0: 0.1}, make_label())
    with raises('calibration-episodes', '1 successful'):  # published at 10 Hz
        calibrate_engine(lambda: worth_engine, 'tray_lift', Sources([path]), 0.1, 0.3)
    text = 'at 10 Hz, must be at 5 Hz: use --rate 10, for viva calibrate too, or leave the rec'
    with raises('recording-rate', path, text):
        calibrate_engine(lambda: worth_engine, 'tray_lift', Sources([path], 5.0), 0.1, 0.3)
    half = frozenset({5.0})
    live = {Path('a'): frozenset({10.0}), **{Path(f'{n}'): half for n in range(3)}}
    each = (
        'a has the values of a monitor at 10 Hz',
        '(recordings at 10 Hz: 1; at 5 Hz: 3)',
    )
    with raises('recording-rate', *each, 'use --rate 5', 'leave these recordings out'):
        check_rates(live, 20.0)
    check_rates({Path('0'): half, Path('without a monitor'): frozenset()}, 5.0)  # the remedy
    for rates in ({0.0}, {5.0, 10.0}):
        with raises('recording-rate', 'Hz: leave the recording out'):
            check_rates({Path('a'): frozenset(rates)}, 20.0)


def test_rate_that_the_images_do_not_reach_does_not_calibrate(
    tmp_path: Path, worth_engine_folder
) -> None:
    command = calibration_command(tmp_path / 'c', worth_engine_folder, '--warn-alpha', '0.6')
    with raises('recording-spacing', '0.mcap', 'at 10 Hz, must be at 30 Hz', 'use --rate 10,'):
        main([*command, '--rate', '30'])
    assert main([*command, '--rate', '10']) == 0  # the remedy
    found = load(calibration_file(worth_engine_folder, 'tray_lift'))
    found.check(found.engine, 'tray_lift', RuleSettings(), 10.0)  # as of the values of a monitor
    with raises('calibration-rate', 'set rate to 10'):
        found.check(found.engine, 'tray_lift', RuleSettings(), 30.0)


@pytest.mark.medium
def test_thresholds_from_tables_equal_computed_ones(tmp_path: Path, worth_engine_folder) -> None:
    folder = tmp_path / 'calibration'
    folder.mkdir()
    for number in range(12):
        worth = [one * (1 + 0.01 * number) for one in RISING]
        write_recording(folder / f'{number:02d}.mcap', worth, label=make_label())
    command = [str(folder), '--engine', str(worth_engine_folder), '--alpha', '0.3']
    assert main([*command, '--out', str(tmp_path / 'computed.json')]) == 0
    assert (
        score.main(
            [str(folder), '--engine', str(worth_engine_folder), '--out', str(tmp_path / 's')]
        )
        == 0
    )
    tables = ['--scored', str(tmp_path / 's'), '--out', str(tmp_path / 'tables.json')]
    assert main([*command, *tables]) == 0
    computed, from_tables = (load(tmp_path / f'{name}.json') for name in ('computed', 'tables'))
    assert from_tables == computed
    with raises('table-rate', '00_values.parquet', 'at 10 Hz, must be at 5 Hz', '--rate 5'):
        main([*command, *tables, '--rate', '5'])
    (tmp_path / 's' / '03_values.parquet').unlink()
    with raises('table-mismatch', '03_values.parquet', '03.mcap', "'viva score'"):
        main([*command, *tables])
