# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation of tables is that of the engine which made them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.recordings import RISING, make_label, write_recording

from viva_ros.cli.main import main
from viva_ros.data.episode import Annotation, Mark, save
from viva_ros.evaluation.run import TIME, VIVA


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Return folders of recordings; of those to test, two succeed and two fail."""
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


def test_tables_give_the_figures_of_the_engine_that_made_them(
    tmp_path: Path, places: dict[str, Path], small_engine: Path
) -> None:
    given = ('--engine', str(small_engine))
    main(['calibrate', str(places['calibration']), *given, '--alpha', '0.3'])
    directly = evaluate(
        tmp_path / 'direct.json', places['test'], *given,
        '--calibration-recordings', places['calibration'],
    )  # fmt: skip
    assert main(['score', str(places['test']), *given, '--out', str(places['scored'])]) == 0
    tables = evaluate(
        tmp_path / 'tables.json', places['test'], '--scores', places['scored'],
        '--report', tmp_path / 'page.html',
    )  # fmt: skip
    assert tables['figures'][VIVA] == directly['figures'][VIVA]
    assert tables['episodes'][VIVA] == directly['episodes'][VIVA]
    assert list(tables['figures']) == [VIVA]  # a clock would have to look at the recordings
    assert TIME in directly['figures']
    assert tables['figures'][VIVA]['tpr']['value'] == 1.0
    assert 0.9 < tables['figures'][VIVA]['spearman']['value'] < 1.0
    assert tables['engine']['fingerprint'] == directly['engine']['fingerprint']
    assert 'stall' in (tmp_path / 'page.html').read_text()


def test_outcomes_are_those_of_the_recordings_as_they_are_now(
    tmp_path: Path, places: dict[str, Path], small_engine: Path
) -> None:
    given = ('--engine', str(small_engine))
    main(['calibrate', str(places['calibration']), *given, '--alpha', '0.3'])
    main(['score', str(places['test']), *given, '--out', str(places['scored'])])
    verdicts = {'b': Annotation(False, 'tray_lift', (Mark('error', 4.0, 'dropped'),))}
    save(places['test'] / 'labels.json', verdicts)
    content = evaluate(tmp_path / 'e.json', places['test'], '--scores', places['scored'])
    groups = {one['name']: one['group'] for one in content['episodes'][VIVA]}
    assert groups == {'a': 'success', 'b': 'failure', 'c': 'failure', 'd': 'failure'}


@pytest.mark.parametrize(('change', 'message'), [
    (lambda places: (places['scored'] / 'c_values.parquet').unlink(),
     r"c\.mcap has no table of values: run 'viva score' on it"),
    (lambda places: (places['test'] / 'c.mcap').write_bytes(
        (places['test'] / 'a.mcap').read_bytes()
    ), r'c\.mcap was changed after it was scored: score it again'),
    (lambda places: (places['scored'] / 'c_values.parquet').write_bytes(b'PAR1'),
     r'c_values\.parquet is no table of values'),
    (lambda places: [path.unlink() for path in places['scored'].glob('*_values.parquet')],
     r'has no \*_values\.parquet files'),
])  # fmt: skip
def test_tables_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, places: dict[str, Path], small_engine: Path, capsys, change, message: str
) -> None:
    main(['calibrate', str(places['calibration']), '--engine', str(small_engine),
          '--alpha', '0.3'])  # fmt: skip
    main(['score', str(places['test']), '--engine', str(small_engine),
          '--out', str(places['scored'])])  # fmt: skip
    change(places)
    capsys.readouterr()
    out = tmp_path / 'e.json'
    given = ['evaluate', str(places['test']), '--scores', str(places['scored'])]
    assert main([*given, '--out', str(out)]) == 2
    said = capsys.readouterr().err.replace('\n', ' ')
    assert re.search(message, said), said
    assert not out.exists()


def test_tables_without_thresholds_are_refused(
    tmp_path: Path, places: dict[str, Path], small_engine: Path, capsys
) -> None:
    main(['score', str(places['test']), '--engine', str(small_engine),
          '--out', str(places['scored'])])  # fmt: skip
    given = ['evaluate', str(places['test']), '--scores', str(places['scored'])]
    assert main([*given, '--out', str(tmp_path / 'e.json')]) == 2
    assert "run 'viva calibrate' for the engine, then score again" in capsys.readouterr().err
