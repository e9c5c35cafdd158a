# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A batch with recordings that cannot be read: each fails by name, the results of others stay."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.errors import raises
from support.hostile_batch import REFUSED, write_foreign_types, write_hostile
from support.recordings import INFO, RISING, WorthEngine, make_label, write_recording
from support.slides import CUT, slide_episode, write_slide

from viva_ros.calibration.data import Sources, calibration_series
from viva_ros.cli import evaluate, label
from viva_ros.cli.score import main as score
from viva_ros.console.terminal import Terminal
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.data.episode import load
from viva_ros.data.open import find, resolve
from viva_ros.evaluation import run
from viva_ros.evaluation.run import OVERDUE, TIME, VIVA, Contender, TimeCounter
from viva_ros.scoring.store import read_scored
from viva_ros.training import cache

FAULT = 'fault.mcap'  # a library ends on its content
GOOD = ('a.mcap', 'c.mcap', 'foreign.mcap')


@pytest.fixture(scope='module')
def batch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return folders of the same good recordings, the second with hostile ones, read-only."""
    good, mixed = (tmp_path_factory.mktemp(name) for name in ('good', 'mixed'))
    write_recording(good / 'a.mcap', RISING[:30], label=make_label())
    fall = [*RISING[:20], -0.5, *[-0.9] * 9]
    write_recording(good / 'c.mcap', fall, label=make_label(False, 'slip', manifest=2.0))
    write_foreign_types(good / 'foreign.mcap')
    for name in GOOD:
        shutil.copy2(good / name, mixed)
    write_recording(mixed / FAULT, RISING[:31], label=make_label())
    write_hostile(mixed)
    return good, mixed


def failing(function: Callable[..., Any], place: str) -> Callable[..., Any]:
    """Return a reader that ends as a library does, on the recording FAULT alone."""

    def reader(recording: Any, *arguments: Any) -> Any:
        if recording.path.name == FAULT:
            raise ZeroDivisionError(f'{place}\x1b[31m')
        return function(recording, *arguments)

    return reader


def late(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a replay that ends in the middle of the recording FAULT."""

    def reader(recording: Any, *arguments: Any) -> Iterator[Any]:
        for number, one in enumerate(function(recording, *arguments)):
            if recording.path.name == FAULT and number == 5:
                raise ZeroDivisionError('in the replay\x1b[31m')
            yield one

    return reader


def check_named(printed: str, refused: dict[str, str]) -> None:
    text = ' '.join(printed.split())
    for name, reason in refused.items():
        assert Path(name).name in text and reason in text, f'{name}: {reason} not in {text}'
    assert '\x1b[31m' not in printed and 'Traceback' not in printed


def test_score_goes_on_past_recordings_that_fail(
    tmp_path: Path, batch, worth_engine_folder, capsys, monkeypatch
) -> None:
    good, mixed = batch
    replay = late(run.replay_for_engine)
    monkeypatch.setattr('viva_ros.scoring.scorer.replay_for_engine', replay)
    options = ['--engine', str(worth_engine_folder), '--task', 'tray_lift']
    assert score([str(good), *options, '--out', str(tmp_path / 'good')]) == 0
    capsys.readouterr()
    for _ in range(2):  # again: the others are unchanged
        assert score([str(mixed), *options, '--out', str(tmp_path / 'mixed')]) == 2
        printed = capsys.readouterr().out
        check_named(printed, {**REFUSED, FAULT: 'ZeroDivisionError'})
        assert f'{len(REFUSED) + 1} FAILED' in printed
    assert '3 unchanged' in printed
    written = sorted(path.name for path in (tmp_path / 'mixed').rglob('*_values.parquet'))
    assert written == [f'{Path(name).stem}_values.parquet' for name in GOOD]
    for name in written:
        one, other = (read_scored(tmp_path / of / name) for of in ('good', 'mixed'))
        assert one.table.equals(other.table)
        assert one.header['summary'] == other.header['summary']


def test_label_goes_on_past_recordings_that_fail(tmp_path: Path, batch, monkeypatch) -> None:
    _, mixed = batch
    folder = shutil.copytree(mixed, tmp_path / 'mixed')
    monkeypatch.setattr(label, 'episodes_of', failing(label.episodes_of, 'in episodes'))
    out = io.StringIO()
    session = label.LabelSession(find([folder]), False, Terminal(file=out, width=400))
    session.run(io.StringIO('f\n' * len(GOOD)))
    refused = {**REFUSED, FAULT: 'ZeroDivisionError'}
    assert {str(path.relative_to(folder)) for path in session.failed} == {*refused}
    check_named(out.getvalue(), refused)
    assert out.getvalue().count('FAILED') == len(refused)
    written = load(folder / 'labels.json')
    assert {name: one.success for name, one in written.items()} == dict.fromkeys(
        [Path(name).stem for name in GOOD], False
    )


def test_write_success_goes_on_past_a_dataset_that_fails(
    tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in 'ab':
        (tmp_path / name / 'meta').mkdir(parents=True)
        (tmp_path / name / 'meta/info.json').write_text('{"codebase_version": "v3.0"}')
    real = label.write_success
    written = []

    def write(root: Path, console: Any) -> None:
        written.append(root.name)
        real(root, console) if root.name == 'a' else None

    monkeypatch.setattr(label, 'write_success', write)
    assert label.main([str(tmp_path), '--write-success']) == 2
    text = ' '.join(capsys.readouterr().out.split())
    assert f'{tmp_path}/a: FAILED: ' in text and written == ['a', 'b']


@pytest.fixture
def contenders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an evaluation use the engine of the tests, without calibrations."""
    counter, engine = TimeCounter(INFO, 3.0), WorthEngine()
    none: dict[str, Calibration] = {}
    some = [
        Contender(name, {'tray_lift': lambda one=one: one}, none)
        for name, one in ((VIVA, engine), (TIME, counter), (OVERDUE, counter))
    ]
    monkeypatch.setattr(evaluate, 'load_contenders', lambda *arguments: some)
    monkeypatch.setattr(evaluate, 'trained_episodes', lambda folder: frozenset())
    monkeypatch.setattr(
        evaluate, 'tasks_of', lambda seen, folder: dict.fromkeys(seen, 'tray_lift')
    )
    monkeypatch.setattr(run, 'replay_for_engine', late(run.replay_for_engine))
    monkeypatch.setattr(evaluate, 'draw', lambda *arguments: None)


@pytest.mark.medium
def test_evaluation_goes_on_past_recordings_that_fail(
    tmp_path: Path, batch, contenders, capsys
) -> None:
    good, mixed = batch
    other = tmp_path / 'calibration'
    other.mkdir()
    write_recording(other / 'z.mcap', RISING[5:], label=make_label())
    common = ['--engine', str(tmp_path), '--calibration-recordings', str(other)]
    common += ['--part', 'all', '--calibration-part', 'all']
    assert evaluate.main([str(good), *common, '--out', str(tmp_path / 'good.json')]) == 0
    capsys.readouterr()
    assert evaluate.main([str(mixed), *common, '--out', str(tmp_path / 'mixed.json')]) == 2
    refused = {**REFUSED, FAULT: 'in the replay'}
    check_named(capsys.readouterr().err, refused)
    alone, beside = (
        json.loads((tmp_path / f'{name}.json').read_text()) for name in ('good', 'mixed')
    )
    assert alone['left_out'] == []
    assert sorted(beside['left_out']) == sorted(str(mixed / name) for name in refused)
    assert [one['name'] for one in alone['episodes'][VIVA]] == ['a', 'c', 'foreign']
    for key in ('figures', 'episodes', 'tasks'):
        assert alone[key] == beside[key]
    assert f'{len(refused)} recordings could not be read' in (tmp_path / 'mixed.md').read_text()


def test_evaluation_names_all_recordings_without_outcome(tmp_path: Path) -> None:
    for name in 'ab':
        write_recording(tmp_path / f'{name}.mcap', RISING[:3])
    with raises('evaluation-outcome-missing', 'a.mcap', 'b.mcap', 'viva label'):
        run.read_tests(find([tmp_path]))


def test_calibration_leaves_out_a_fault_in_a_replay_by_name(
    batch, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, mixed = batch
    replay = late(run.replay_for_engine)
    monkeypatch.setattr('viva_ros.calibration.data.replay_for_engine', replay)
    found = [
        calibration_series(
            Sources(find([folder]), leave_out_failures=True), lambda: WorthEngine(), 'tray_lift'
        )
        for folder in (good, mixed)
    ]
    (alone, marks), (beside, others) = found
    assert [path.name for path in beside] == [path.name for path in alone]
    assert marks == others
    check_named(capsys.readouterr().err, {**REFUSED, FAULT: 'in the replay'})


def test_fault_of_the_engine_is_not_one_of_the_recording(
    batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: WorthEngine, observation: Any) -> Any:
        raise ZeroDivisionError('of the engine')

    monkeypatch.setattr(WorthEngine, 'estimate', broken)
    with pytest.raises(ZeroDivisionError):
        calibration_series(Sources([batch[0] / 'a.mcap']), lambda: WorthEngine(), 'tray_lift')


def test_training_names_all_recordings_that_fail_and_keeps_the_rest(
    tmp_path: Path, batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [resolve(write_slide(tmp_path / 'r', slide_episode(seed))) for seed in (1, 2)]
    bad = [resolve(batch[1] / name) for name in ('empty.mcap', 'noise.db3')]
    with raises('cache-recordings-refused', '2 of 4', 'empty.mcap', 'noise.db3', 'leave'):
        cache.load([bad[0], good[0], bad[1], good[1]], tmp_path / 'cache', CUT)
    monkeypatch.setattr(cache, 'open_ref', lambda ref: pytest.fail('it is in the cache'))
    assert len(cache.load(good, tmp_path / 'cache', CUT).labels) == 2
    with monkeypatch.context() as patch:
        patch.setattr(cache, 'open_ref', lambda ref: 1 / 0)
        with raises('recording-fault', bad[1].path, 'ZeroDivisionError'):
            cache.load([bad[1], *good], tmp_path / 'cache', CUT)
