# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of tables equals the evaluation of their engine."""

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.errors import raises
from support.recordings import RISING, make_label, write_recording
from support.scored_tables import write_scored

from viva_ros.cli.evaluate import main as evaluate_main
from viva_ros.cli.main import main
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration, Threshold
from viva_ros.data.episode import Annotation, Mark, save
from viva_ros.evaluation.from_scores import calibrations_of, check_alphas, read_tables
from viva_ros.evaluation.run import TIME, VIVA

pytestmark = [pytest.mark.medium, pytest.mark.usefixtures('small_plots')]


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Return folders of recordings; the test folder has two successes and two failures."""
    places = {name: tmp_path / name for name in ('calibration', 'test', 'scored')}
    for name in ('calibration', 'test'):
        places[name].mkdir()
    for number in range(9):
        slower = [-0.5 + (0.018 + 1e-4 * number) * step for step in range(61)]
        write_recording(places['calibration'] / f'{number:02}.mcap', slower, label=make_label())
    uneven = [*RISING[:20], RISING[10], *RISING[20:]]
    fall = [*RISING[:30], *[-0.9] * 30]
    write_recording(places['test'] / 'a.mcap', RISING, label=make_label())
    write_recording(places['test'] / 'b.mcap', uneven, label=make_label())
    write_recording(
        places['test'] / 'c.mcap', fall, label=make_label(False, 'slip', inject=2.9, manifest=3.0)
    )
    write_recording(
        places['test'] / 'd.mcap', [-0.5] * 60, label=make_label(False, 'stall', manifest=2.5)
    )
    return places


def evaluate(out: Path, *arguments: object) -> dict[str, Any]:
    assert main(['evaluate', *map(str, arguments), '--out', str(out)]) == 0
    return dict(json.loads(out.read_text()))


def test_figures_of_tables_equal_those_of_their_engine(
    tmp_path: Path, places: dict[str, Path], small_engine: Path
) -> None:
    engine = ('--engine', str(small_engine))
    main(['calibrate', str(places['calibration']), *engine, '--alpha', '0.3'])
    directly = evaluate(
        tmp_path / 'direct.json', places['test'], *engine,
        '--calibration-recordings', places['calibration'],
    )  # fmt: skip
    assert main(['score', str(places['test']), *engine, '--out', str(places['scored'])]) == 0
    tables = evaluate(
        tmp_path / 'tables.json', places['test'], '--scores', places['scored'],
        '--report', tmp_path / 'page.html',
    )  # fmt: skip
    assert tables['figures'][VIVA] == directly['figures'][VIVA]
    assert tables['episodes'][VIVA] == directly['episodes'][VIVA]
    assert list(tables['figures']) == [VIVA]  # the time counter needs the recordings
    assert TIME in directly['figures']
    assert tables['figures'][VIVA]['tpr']['value'] == 1.0
    assert 0.9 < tables['figures'][VIVA]['spearman']['value'] < 1.0
    assert tables['engine']['fingerprint'] == directly['engine']['fingerprint']
    assert 'stall' in (tmp_path / 'page.html').read_text()


def test_outcomes_come_from_current_recordings(
    tmp_path: Path, places: dict[str, Path], small_engine: Path
) -> None:
    engine = ('--engine', str(small_engine))
    main(['calibrate', str(places['calibration']), *engine, '--alpha', '0.3'])
    main(['score', str(places['test']), *engine, '--out', str(places['scored'])])
    verdicts = {'b': Annotation(False, 'tray_lift', (Mark('error', 4.0, 'dropped'),))}
    save(places['test'] / 'labels.json', verdicts)
    content = evaluate(tmp_path / 'e.json', places['test'], '--scores', places['scored'])
    groups = {one['name']: one['group'] for one in content['episodes'][VIVA]}
    assert groups == {'a': 'success', 'b': 'failure', 'c': 'failure', 'd': 'failure'}


@pytest.mark.parametrize(('change', 'code', 'named'), [
    (lambda places: (places['scored'] / 'c_values.parquet').unlink(),
     'table-missing', ('c.mcap', "'viva score'")),
    (lambda places: (places['test'] / 'c.mcap').write_bytes(
        (places['test'] / 'a.mcap').read_bytes()
    ), 'table-outdated', ('c.mcap', 'score it again')),
    (lambda places: (places['scored'] / 'c_values.parquet').write_bytes(b'PAR1'),
     'table-invalid', ('c_values.parquet', "'viva score'")),
    (lambda places: [path.unlink() for path in places['scored'].glob('*_values.parquet')],
     'tables-missing', ('scored', '*_values.parquet')),
], ids=['missing', 'outdated', 'torn', 'empty'])  # fmt: skip
def test_tables_that_do_not_match_are_refused_by_name(
    tmp_path: Path, places: dict[str, Path], small_engine: Path, change, code, named
) -> None:
    main(['calibrate', str(places['calibration']), '--engine', str(small_engine),
          '--alpha', '0.3'])  # fmt: skip
    main(['score', str(places['test']), '--engine', str(small_engine),
          '--out', str(places['scored'])])  # fmt: skip
    change(places)
    out = tmp_path / 'e.json'
    command = [str(places['test']), '--scores', str(places['scored']), '--out', str(out)]
    with raises(code, *named):
        evaluate_main(command)
    assert not out.exists()


def scored(name: str, alpha: float, **changes: object) -> Any:
    made = Calibration(
        'e', 'tray_lift', 60, alpha, 0.3, 59, (0.9, 0.99), RuleSettings(), 10.0,
        {'drop': Threshold(0.2, 0.3)}, '',
    )  # fmt: skip
    content = {**json.loads(made.to_json()), **changes}
    content.pop('format')
    return SimpleNamespace(path=Path(name), header={'task': 'tray_lift', 'calibration': content})


def test_calibration_of_an_earlier_version_in_a_table_is_refused() -> None:
    made = calibrations_of({Path('r'): scored('a.parquet', 0.1)})
    assert made['tray_lift'].rate == 10.0
    before = scored('a.parquet', 0.1, rules={'done_above': 0.8})
    with raises('table-calibration-format', 'a.parquet', 'done_above', 'score again'):
        calibrations_of({Path('r'): before})


def test_tables_with_different_calibrations_are_refused() -> None:
    """Seconds are unknown in both: NaN, as a table stores it."""
    first, same = (scored(name, 0.1, seconds=math.nan) for name in ('a.parquet', 'b.parquet'))
    other = scored('c.parquet', 0.1, seconds=math.nan, source='other successes')
    assert set(calibrations_of({Path('a'): first, Path('b'): same})) == {'tray_lift'}
    named = 'tray_lift', '2 different', 'a.parquet of r/a', 'c.parquet of r/c', '--calibration'
    with raises('table-calibrations-differ', *named):
        calibrations_of({Path('r/a'): first, Path('r/b'): same, Path('r/c'): other})
    other.header['task'] = 'fold'
    assert set(calibrations_of({Path('a'): first, Path('c'): other})) == {'tray_lift', 'fold'}


def test_tables_of_two_calibrations_are_refused_until_scored_again(
    tmp_path: Path, places: dict[str, Path], small_engine: Path
) -> None:
    """The first calibration has a test recording, and its table is not the last one."""
    engine, out = ['--engine', str(small_engine)], ['--out', str(places['scored'])]
    shutil.copy(places['test'] / 'a.mcap', places['calibration'] / 'z.mcap')
    calibrate = ['calibrate', str(places['calibration']), *engine, '--alpha', '0.3']
    assert main([*calibrate]) == 0
    assert main(['score', str(places['test'] / 'a.mcap'), *engine, *out]) == 0
    (places['calibration'] / 'z.mcap').unlink()
    assert main([*calibrate]) == 0
    for name in 'bcd':
        assert main(['score', str(places['test'] / f'{name}.mcap'), *engine, *out]) == 0
    command = [str(places['test']), '--scores', str(places['scored'])]
    command += ['--out', str(tmp_path / 'e.json')]
    with raises('table-calibrations-differ', places['test'] / 'a.mcap', places['test'] / 'b.mcap'):
        evaluate_main(command)
    assert main(['score', str(places['test']), *engine, *out]) == 0  # the remedy
    assert evaluate_main(command) == 0


def test_tables_with_different_alphas_are_refused() -> None:
    check_alphas([scored('a.parquet', 0.1), scored('b.parquet', 0.1)])
    both = 'a.parquet has alpha 0.1', 'b.parquet has alpha 0.05', 'viva score'
    with raises('table-alphas-differ', *both):
        check_alphas([scored('a.parquet', 0.1), scored('b.parquet', 0.05)])


def test_two_tables_of_one_recording_are_refused(tmp_path: Path) -> None:
    path = write_scored(tmp_path, 'a', [0.1, 0.2])
    shutil.copy(path, tmp_path / 'b_values.parquet')
    with raises('table-recording-twice', path, 'b_values.parquet', '/a.mcap', '--task'):
        read_tables(tmp_path)


def test_task_without_tables_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    write_scored(tmp_path, 'a', [0.1, 0.2], task='fold')
    with raises('tables-task-missing', tmp_path, 'task lift', 'one of fold', '--task'):
        read_tables(tmp_path, 'lift')


@pytest.mark.parametrize('alpha', [None, 'x', [0.1], {}])
def test_damaged_calibration_of_a_table_is_refused(alpha: object) -> None:
    table = scored('a.parquet', 0.1)
    table.header['calibration']['alpha'] = alpha
    for read in (check_alphas, lambda tables: calibrations_of({Path('r'): tables[0]})):
        with raises('table-calibration-format', 'a.parquet', 'score again'):
            read([table])


def test_table_without_thresholds_is_refused(
    tmp_path: Path, places: dict[str, Path], small_engine: Path
) -> None:
    main(['score', str(places['test']), '--engine', str(small_engine),
          '--out', str(places['scored'])])  # fmt: skip
    command = [str(places['test']), '--scores', str(places['scored'])]
    with raises('table-without-thresholds', '_values.parquet', "'viva calibrate'"):
        evaluate_main([*command, '--out', str(tmp_path / 'e.json')])
