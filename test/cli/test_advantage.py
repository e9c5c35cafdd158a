# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import math
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.errors import raises
from support.scored_tables import write_scored

from viva_ros.advantage import files
from viva_ros.cli.advantage import main
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.returns import returns, value_from_return
from viva_ros.scoring.store import write_table

pytestmark = [pytest.mark.medium, pytest.mark.usefixtures('small_plots')]

NAN = math.nan


def rows(folder: Path, name: str) -> dict:
    return pq.read_table(folder / f'{name}_advantage.parquet').to_pydict()


def perfect(length: int, success: bool = True) -> list[float]:
    return value_from_return(returns(length, success)).tolist()


def test_steps_are_control_steps_at_any_rate_of_values(tmp_path: Path) -> None:
    # T = 4 frames of .1 s; 10 steps at 50 Hz are .2 s, 2 frames: see advantage/test_estimator.py
    write_scored(tmp_path, 'r', [0.1, 0.3, 0.8, 0.9])
    assert main([str(tmp_path), '--steps', '10', '--positive', '0.5']) == 0
    found = rows(tmp_path, 'r')
    assert found['advantage'] == pytest.approx([0.2, 0.1, -0.05, 0.1])
    assert found['indicator'] == [True, False, False, False]  # eps is the second of four, .1
    assert found['index'] == found['frame_index'] == [0, 1, 2, 3]
    assert found['value'] == [0.1, 0.3, 0.8, 0.9]


def test_horizon_in_seconds_equals_steps(tmp_path: Path) -> None:
    write_scored(tmp_path, 'r', [0.1, 0.3, 0.8, 0.9])
    main([str(tmp_path), '--steps', '10'])
    steps = rows(tmp_path, 'r')
    main([str(tmp_path), '--horizon', '0.2'])
    assert rows(tmp_path, 'r') == steps


@pytest.mark.parametrize('smoothing', ['none', 'median'])
def test_perfect_value_has_zero_advantage_in_success(tmp_path, smoothing) -> None:
    write_scored(tmp_path, 'every', perfect(37))
    write_scored(tmp_path, 'third', perfect(37), asked=3)
    main([str(tmp_path), '--smoothing', smoothing])
    for name in ('every', 'third'):
        known = [one for one in rows(tmp_path, name)['advantage'] if one is not None]
        assert known == [0.0] * 37  # frame 36 has a value: all frames are known
    assert sum(rows(tmp_path, 'third')['interpolated']) == 24


def test_unknown_value_has_null_advantage(tmp_path: Path) -> None:
    values = perfect(12)
    values[6] = NAN
    write_scored(tmp_path, 'r', values)
    main([str(tmp_path), '--steps', '10'])
    found = rows(tmp_path, 'r')
    unknown = [place for place, one in enumerate(found['advantage']) if one is None]
    assert unknown == [4, 6]  # 2 frames before the unknown value, and the value itself
    assert [found['indicator'][place] for place in unknown] == [None, None]
    assert found['value'][6] is None


def test_charge_time_uses_longest_episode_of_task(tmp_path: Path) -> None:
    # advantage/test_estimator.py: T = 4, S = 8, N = 2
    write_scored(tmp_path, 'short', perfect(4))
    write_scored(tmp_path, 'long', perfect(8))
    write_scored(tmp_path, 'other', perfect(20), task='pass')
    main([str(tmp_path), '--steps', '10'])
    assert rows(tmp_path, 'short')['advantage'] == pytest.approx([0.25, 0.25, 0.125, 0.0])
    assert set(rows(tmp_path, 'long')['advantage']) == {0.0}
    main([str(tmp_path), '--steps', '10', '--charge-time', 'longest'])
    assert rows(tmp_path, 'short')['advantage'] == pytest.approx([0.25, 0.25, 0.125, 0.0])
    recipe = json.loads((tmp_path / 'advantage.json').read_text())['recipe']
    assert recipe['charge_time'] == 'longest'


def test_charge_time_own_uses_length_of_each_episode(tmp_path: Path) -> None:
    write_scored(tmp_path, 'short', perfect(4))
    write_scored(tmp_path, 'long', perfect(8))
    main([str(tmp_path), '--steps', '10', '--charge-time', 'own'])
    for name in ('short', 'long'):
        assert set(rows(tmp_path, name)['advantage']) == {0.0}


@pytest.mark.parametrize(
    ('options', 'text'),
    [(['--charge-time'], '--charge-time: expected one argument'),
     (['--charge-time', 'scored'], "--charge-time: invalid choice: 'scored'")],
)  # fmt: skip
def test_charge_time_without_choice_is_refused(tmp_path, options, text: str, capsys) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), *options])
    assert text in capsys.readouterr().err


@pytest.mark.parametrize('smoothing', ['none', 'average', 'median'])
def test_failure_with_outcome_frame_ends_at_most_at_zero(tmp_path, smoothing: str) -> None:
    parts = np.random.default_rng(3).random((20, 30, 2))
    for number, one in enumerate(parts):
        write_scored(
            tmp_path, f'r{number}', (one.sum(axis=1) - 1).tolist(), False, parts=one.tolist()
        )
    assert main([str(tmp_path), '--smoothing', smoothing, '--progress', 'plain']) == 0
    for number, one in enumerate(parts):
        last = rows(tmp_path, f'r{number}')['advantage'][-1]
        assert last <= 0.0
        if smoothing != 'average':
            assert last == pytest.approx(-one[-1, 1])
    assert json.loads((tmp_path / 'advantage.json').read_text())['outcome_frame'] is True
    assert main([str(tmp_path), '--smoothing', smoothing]) == 0
    for number, one in enumerate(parts):
        last = rows(tmp_path, f'r{number}')['advantage'][-1]
        assert last <= 0.0
        if smoothing != 'average':
            assert last == pytest.approx(-one[-1, 1] * (1.0 + one[-1, 0]))


def test_frames_faster_than_values_end_at_last_value(tmp_path: Path) -> None:
    # A value at every third frame, the last at frame 9 of 0 .. 10: T = 10, frame 10 has no value.
    parts = [(0.5, 0.1)] * 11
    for name, success in (('failed', False), ('done', True)):
        write_scored(tmp_path, name, [-0.4] * 11, success, asked=3, parts=parts)
    options = ['--horizon', '0.3', '--charge-time', 'own', '--progress', 'plain']
    assert main([str(tmp_path), *options]) == 0
    failed, done = (rows(tmp_path, name)['advantage'] for name in ('failed', 'done'))
    assert failed[:10] == pytest.approx([-0.3] * 7 + [-0.3, -0.2, -0.1])
    assert done[:10] == pytest.approx([-0.3] * 7 + [1.2, 1.3, 1.4])
    assert [failed[10], done[10]] == [None, None]


def test_end_of_failure_without_known_progress_is_unknown(tmp_path: Path, capsys) -> None:
    parts = [(0.5, 0.1)] * 10 + [(NAN, NAN)]
    values = [-0.4] * 10 + [NAN]
    for name, success in (('failed', False), ('done', True)):
        write_scored(tmp_path, name, values, success, parts=parts)
    assert main([str(tmp_path), '--horizon', '0.3', '--progress', 'plain']) == 0
    failed, done = (rows(tmp_path, name)['advantage'] for name in ('failed', 'done'))
    assert [one is None for one in failed] == [False] * 7 + [True] * 4
    assert [one is None for one in done] == [False] * 7 + [True] + [False] * 2 + [True]
    shown = ' '.join(capsys.readouterr().out.split())
    assert '1 failures have no known value at their end' in shown
    assert main([str(tmp_path), '--horizon', '0.3']) == 0  # the return -1 of a failure is known
    assert [one is None for one in rows(tmp_path, 'failed')['advantage']] == [False] * 7 + [
        True
    ] + [False] * 2 + [True]
    assert 'no known value' not in capsys.readouterr().out


def test_failure_on_the_way_home_ends_with_minus_success(tmp_path: Path) -> None:
    # The published progress is 0, that in V is -.3: V = -.3 + .1 - 1.
    write_scored(tmp_path, 'a', [-0.4, -1.2], False, parts=[(0.5, 0.1), (0.0, 0.1)])
    assert main([str(tmp_path), '--horizon', '0.1', '--progress', 'plain']) == 0
    assert rows(tmp_path, 'a')['advantage'][-1] == pytest.approx(-0.1)
    assert main([str(tmp_path), '--horizon', '0.1']) == 0
    assert rows(tmp_path, 'a')['advantage'][-1] == pytest.approx(-0.1 * (1.0 - 0.3))


def test_progress_of_a_lost_attempt_gives_no_positive_step(tmp_path: Path) -> None:
    # Progress rises by .05 a step, twice as fast as in the success, but success is 0.
    rise = np.arange(20) / 20
    write_scored(tmp_path, 'lost', (rise - 1).tolist(), False, parts=[(p, 0.0) for p in rise])
    steps = np.arange(1, 41) / 40
    write_scored(tmp_path, 'done', steps.tolist(), True, parts=[(p, 1.0) for p in steps])
    share = {}
    for rule in ('plain', 'weighted'):
        assert main([str(tmp_path), '--progress', rule, '--horizon', '0.2']) == 0
        share[rule] = np.mean(rows(tmp_path, 'lost')['indicator'])
    assert share['plain'] > 0.8
    assert share['weighted'] == 0.0
    assert json.loads((tmp_path / 'advantage.json').read_text())['recipe']['progress'] == rule


def test_weighted_progress_needs_an_outcome_frame(tmp_path: Path) -> None:
    write_scored(tmp_path, 'a', perfect(4))
    with raises('progress-weighted', '--progress is weighted', '--progress plain'):
        main([str(tmp_path), '--progress', 'weighted'])
    assert main([str(tmp_path), '--progress', 'plain']) == 0
    assert main([str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ('values', 'parts', 'named'),
    [
        ([NAN, NAN], None, ('no value is known', 'known values')),
        ([0.5, 0.5], [(0.7, 0.8), (NAN, NAN)], ('for 1 and success for 1 of 2', '--out')),
        ([0.5, 0.5], [(0.7, NAN), (0.7, NAN)], ('for 2 and success for 0 of 2', '--out')),
        ([0.5, 0.5], [(0.7, 0.8), (0.7, 0.9)], ('differs', 'by up to 0.1', 'engine')),
        ([0.5, -0.1], [(0.7, 0.8), (0.0, 0.8)], ('differs', 'by up to 0.1', 'engine')),
    ],
)
def test_value_of_unclear_form_is_refused(tmp_path, values, parts, named) -> None:
    path = write_scored(tmp_path, 'a', values, False, parts=parts)
    with raises('value-form', path, *named):
        main([str(tmp_path)])
    assert not (tmp_path / 'a_advantage.parquet').exists()


def test_positive_share_by_time_to_end_is_reported(tmp_path: Path) -> None:
    # V = 0, T = 31, N = 5: A = -5/31; past the end 1 - k/31 in the success, -k/31 in the failure
    # with k = 4 .. 0. The 10 % above the threshold are these 5 and the last of the failure.
    for name, success in (('failed', False), ('done', True)):
        write_scored(tmp_path, name, [0.0] * 31, success)
    main([str(tmp_path), '--horizon', '0.5', '--positive', '0.1'])
    (task,) = json.loads((tmp_path / 'advantage.json').read_text())['tasks'].values()
    shares = task['positive_share_by_time_to_end']
    assert (shares['from'][:2], shares['to'][-1]) == ([0.0, 0.5], 5.0)
    # 31 frames at 10 Hz: six bins of 5 frames, and the first frame
    assert shares['failures']['steps'] == shares['successes']['steps'] == [5] * 6 + [1, 0, 0, 0]
    assert shares['successes']['share'] == [1.0] + [0.0] * 6 + [None] * 3
    assert shares['failures']['share'] == [0.2] + [0.0] * 6 + [None] * 3


def test_positive_steps_without_a_gain_are_told_with_a_remedy_that_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    for number in range(6):
        values = (np.linspace(-0.5, -0.9, 60) + 0.05 * random.standard_normal(60)).tolist()
        write_scored(tmp_path, f'failed{number}', values, False)
    write_scored(tmp_path, 'done', np.linspace(-0.5, 1.0, 60).tolist(), True)
    call = [str(tmp_path), '--horizon', '0.5']
    assert main(call) == 0
    said = ' '.join(capsys.readouterr().out.split())
    (task,) = json.loads((tmp_path / 'advantage.json').read_text())['tasks'].values()
    assert task['threshold'] < 0.0 and task['positive_share'] > task['share_above_0']
    found = re.search(r'only (.+?)% have an advantage above 0\. Use (--positive 0\.\d+)', said)
    assert found is not None, said

    assert main([*call, *found[2].split()]) == 0
    assert 'have an advantage above 0' not in capsys.readouterr().out
    for path in tmp_path.glob('*_advantage.parquet'):
        one = pq.read_table(path).to_pydict()
        assert all(a > 0 for a, i in zip(one['advantage'], one['indicator'], strict=True) if i)


def test_episode_that_a_person_corrects_throughout_has_labels(tmp_path: Path) -> None:
    write_scored(tmp_path, 'r', np.linspace(-0.5, 0.5, 30).tolist(), True)
    spans = tmp_path / 'spans.csv'
    spans.write_text('recording,episode,begin,end\nr,0,0,2.9\n')
    assert main([str(tmp_path), '--horizon', '0.5', '--corrections', str(spans)]) == 0
    assert set(rows(tmp_path, 'r')['indicator']) == {True}


@pytest.mark.parametrize(('success', 'told'), [(False, 'no success'), (True, 'no failure')])
def test_episodes_of_one_outcome_are_told(tmp_path: Path, capsys, success, told: str) -> None:
    write_scored(tmp_path, 'r', np.linspace(-0.5, 0.5, 60).tolist(), success)
    assert main([str(tmp_path), '--horizon', '0.5']) == 0
    assert f'{told} among 1 episodes' in ' '.join(capsys.readouterr().out.split())


@pytest.mark.drawn
def test_each_task_has_own_threshold_and_share(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number, (task, scale) in enumerate([('lift', 0.1), ('pass', 0.4)]):
        write_scored(
            tmp_path, f'r{number}', (scale * random.standard_normal(100)).tolist(), task=task
        )
    assert main([str(tmp_path), '--positive', '0.4']) == 0
    tasks = json.loads((tmp_path / 'advantage.json').read_text())['tasks']
    assert tasks['lift']['positive_share'] == tasks['pass']['positive_share'] == 0.4
    assert tasks['pass']['threshold'] > 0.0 > tasks['lift']['threshold']
    picture = (tmp_path / 'advantage.png').read_bytes()
    assert picture[:4] == b'\x89PNG' and len(picture) > 10_000


def test_effect_of_smoothing_is_reported(tmp_path: Path) -> None:
    noise = 0.05 * np.random.default_rng(1).standard_normal(80)
    write_scored(tmp_path, 'r', (np.array(perfect(80)) + noise).tolist())
    main([str(tmp_path), '--smoothing', 'median', '--window', '1.0'])
    found = json.loads((tmp_path / 'advantage.json').read_text())['tasks']['lift']['smoothing']
    assert found['standard_deviation']['after'] < 0.7 * found['standard_deviation']['before']
    assert found['sign_changes']['after'] < found['sign_changes']['before']
    assert 0.2 < found['rank_correlation'] < 1.0


def test_corrections_are_positive_and_keep_threshold(tmp_path: Path) -> None:
    random = np.random.default_rng(2).standard_normal(40) * 0.1
    write_scored(tmp_path, 'plain', random.tolist())
    write_scored(tmp_path, 'held', random.tolist(), False, corrections=((0.0, 3.9),))
    main([str(tmp_path)])
    held, content = rows(tmp_path, 'held'), json.loads((tmp_path / 'advantage.json').read_text())
    assert held['forced'] == held['indicator'] == [True] * 40
    assert sum(rows(tmp_path, 'plain')['indicator']) == 12  # 30 % of its 40
    assert content['tasks']['lift']['forced'] == 40


def test_corrections_are_read_from_csv(tmp_path: Path) -> None:
    write_scored(tmp_path, 'r', perfect(10))
    spans = tmp_path / 'spans.csv'
    spans.write_text('recording,begin,end\nr,0.15,0.35\n')
    main([str(tmp_path), '--corrections', str(spans)])
    forced = rows(tmp_path, 'r')['forced']
    assert [place for place, one in enumerate(forced) if one] == [2, 3]


@pytest.mark.parametrize(
    ('line', 'code', 'named'),
    [
        ('other,0,1', 'csv-recording', ('line 2', "recording 'other'", 'one of r')),
        ('r,2,1', 'interval-range', ('line 2', '2 to 1 s')),
        ('r,5,6', 'interval-range', ('5 to 6 s', '0.90 s')),
        ('r,0.01,0.02', 'interval-empty', ('line 2', '0.01 to 0.02 s')),
        ('r,a,1', 'interval-number', ('line 2', "'a'", 'seconds')),
        ('r,0', 'csv-row', ('line 2', 'fewer columns')),
    ],
)
def test_invalid_correction_interval_is_refused(tmp_path, line: str, code: str, named) -> None:
    write_scored(tmp_path, 'r', perfect(10))
    spans = tmp_path / 'spans.csv'
    spans.write_text(f'recording,begin,end\n{line}\n')
    with raises(code, spans, *named):
        main([str(tmp_path), '--corrections', str(spans)])
    assert not (tmp_path / 'r_advantage.parquet').exists()


def test_outcomes_of_csv_replace_recorded_ones(tmp_path: Path) -> None:
    # one step, past the end: A = G^ - 0 or G^ - 1
    write_scored(tmp_path, 'a', [0.5], None)
    write_scored(tmp_path, 'b', [0.5], True)
    labels = tmp_path / 'labels.csv'
    labels.write_text('recording,success\na,success\nb,0\n')
    assert main([str(tmp_path), '--labels', str(labels)]) == 0
    assert (rows(tmp_path, 'a')['advantage'], rows(tmp_path, 'b')['advantage']) == ([0.5], [-0.5])


def test_csv_with_invalid_columns_or_outcome_is_refused(tmp_path: Path) -> None:
    write_scored(tmp_path, 'r', perfect(3))
    labels = tmp_path / 'labels.csv'
    labels.write_text('file,outcome\n')
    with raises('csv-columns', labels, 'recording, success'):
        main([str(tmp_path), '--labels', str(labels)])
    labels.write_bytes(b'\xff\xfe')
    with raises('csv-file', labels, 'CSV'):
        main([str(tmp_path), '--labels', str(labels)])
    labels.write_text('recording,success\nr,perhaps\n')
    with raises('outcome-word', labels, "'perhaps'"):
        main([str(tmp_path), '--labels', str(labels)])


def test_episode_without_outcome_is_left_out_by_name(tmp_path: Path, capsys) -> None:
    write_scored(tmp_path, 'known', perfect(10))
    write_scored(tmp_path, 'open', perfect(10), None)
    write_scored(tmp_path, 'empty', [])
    (tmp_path / 'torn_values.parquet').write_bytes(b'PAR1')
    assert main([str(tmp_path)]) == 2
    shown = ' '.join(capsys.readouterr().out.split())
    for text in ('open, episode 0 has no outcome', 'has no frames', 'torn_values.parquet'):
        assert text in shown
    assert rows(tmp_path, 'open')['advantage'] == rows(tmp_path, 'empty')['advantage'] == []
    with raises('outcomes-missing', '1 episodes', 'viva label', '--labels'):
        main([str(tmp_path / 'open_values.parquet')])
    with raises('table-invalid', 'torn_values.parquet'):
        main([str(tmp_path / 'torn_values.parquet')])


def test_values_of_two_engines_are_refused(tmp_path: Path) -> None:
    write_scored(tmp_path, 'a', perfect(10))
    write_scored(tmp_path, 'b', perfect(10), engine='cd' * 8)
    with raises('tables-engines-differ', f'{"ab" * 8}: 1, such as a', f'{"cd" * 8}: 1'):
        main([str(tmp_path)])


def test_different_control_rates_need_horizon(tmp_path: Path) -> None:
    write_scored(tmp_path, 'a', perfect(30))
    write_scored(tmp_path, 'b', perfect(30), rate=30.0)
    with raises('control-rates-differ', '30 to 50 Hz', '50 steps', '--horizon'):
        main([str(tmp_path), '--steps', '50'])
    assert main([str(tmp_path), '--horizon', '1']) == 0


def test_unknown_control_rate_needs_horizon(tmp_path: Path) -> None:
    write_scored(tmp_path, 'a', perfect(30), rate=NAN)
    with raises('control-rate-unknown', '--horizon'):
        main([str(tmp_path), '--steps', '50'])
    assert main([str(tmp_path), '--horizon', '1']) == 0


@pytest.mark.parametrize('rate', [10.0, 50.0, 500.0])
def test_default_horizon_is_a_second_at_any_rate_of_the_joints(
    tmp_path: Path, rate: float
) -> None:
    write_scored(tmp_path, 'a', perfect(30), rate=rate)
    assert main([str(tmp_path)]) == 0
    assert json.loads((tmp_path / 'advantage.json').read_text())['horizon'] == 1.0


def test_horizon_below_distance_of_values_is_refused(tmp_path: Path) -> None:
    write_scored(tmp_path, 'a', perfect(31), asked=5)
    with raises('horizon-short', 'N is 0.2 s', 'a has a value every 0.5 s', '--rate'):
        main([str(tmp_path), '--horizon', '0.2'])


@pytest.mark.parametrize(
    'options', [['--steps', '0'], ['--horizon', '-1'], ['--positive', '1'], ['--drop', '1'],
                ['--window', 'nan'], ['--seed', '-1']],
)  # fmt: skip
def test_advantage_option_out_of_range_is_refused(tmp_path: Path, options: list[str]) -> None:
    write_scored(tmp_path, 'a', perfect(30))
    with raises('advantage-option', ' is '.join(options).removesuffix('.0')):
        main([str(tmp_path), *options])


def test_dropped_steps_do_not_depend_on_other_episodes(tmp_path: Path) -> None:
    write_scored(tmp_path, 'a', perfect(300))
    main([str(tmp_path), '--seed', '5'])
    alone = rows(tmp_path, 'a')['dropped']
    write_scored(tmp_path, 'b', perfect(300))
    main([str(tmp_path), '--seed', '5'])
    assert rows(tmp_path, 'a')['dropped'] == alone != rows(tmp_path, 'b')['dropped']
    assert 65 < sum(alone) < 115  # 90 +- 8


def test_two_recordings_of_one_name_need_their_folders(tmp_path: Path) -> None:
    for name in ('x', 'y'):
        write_scored(tmp_path / name, 'a', perfect(10))
    with raises('recording-name-twice', tmp_path / 'out', 'such as a'):
        main([str(tmp_path), '--out', str(tmp_path / 'out')])
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / 'x' / 'a_advantage.parquet').exists()
    assert (tmp_path / 'y' / 'a_advantage.parquet').exists()


def test_interrupted_run_has_no_summary(tmp_path: Path, monkeypatch) -> None:
    write_scored(tmp_path, 'a', perfect(10))
    write_scored(tmp_path, 'b', perfect(10))
    main([str(tmp_path)])
    assert (tmp_path / 'advantage.json').exists()
    before = (tmp_path / 'b_advantage.parquet').read_bytes()

    def full(path: Path, table: object) -> None:
        if path.name.startswith('b'):
            raise ConfigurationError('table-write', f'{path}: No space left on device')
        write_table(path, table)

    monkeypatch.setattr(files, 'write_table', full)
    with raises('table-write', 'No space left'):
        main([str(tmp_path), '--positive', '0.4'])
    assert not (tmp_path / 'advantage.json').exists()
    assert (tmp_path / 'b_advantage.parquet').read_bytes() == before


def test_metadata_contains_engine_recipe_and_threshold(tmp_path: Path) -> None:
    write_scored(tmp_path, 'a', perfect(10))
    main([str(tmp_path), '--drop', '0.2'])
    metadata = pq.read_schema(tmp_path / 'a_advantage.parquet').metadata
    assert metadata[b'viva.engine'] == b'ab' * 8
    assert json.loads(metadata[b'viva.recipe'])['drop'] == 0.2
    assert json.loads(metadata[b'viva.threshold']) == 0.0


def test_summary_that_cannot_be_deleted_is_an_error(tmp_path: Path) -> None:
    write_scored(tmp_path, 'a', perfect(10))
    (tmp_path / 'advantage.json').mkdir()
    with raises('advantage-write', tmp_path / 'advantage.json', '--out'):
        main([str(tmp_path)])
