# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from viva_ros.advantage import files as advantage_files
from viva_ros.cli.advantage import main
from viva_ros.core.errors import ConfigurationError, EngineError, RecordingError
from viva_ros.core.returns import returns, value_from_return
from viva_ros.data.episode import Label
from viva_ros.scoring.frame_index import Timeline
from viva_ros.scoring.scorer import ScoredSample, Scores
from viva_ros.scoring.store import header_of, values_table, with_header, write_table

EPOCH, STEP = 1_000_000_000_000, 100_000_000  # ns: frames at 10 Hz
NAN = math.nan
Write = Callable[..., Path]


def write(
    folder: Path, name: str, values: Sequence[float], success: bool | None = True, *,
    engine: str = 'ab' * 8, task: str = 'lift', rate: float = 50.0, asked: int = 1,
    corrections: tuple[tuple[float, float], ...] = (),
) -> Path:  # fmt: skip
    """Write a table of values at every ``asked``-th frame."""
    stamps = EPOCH + np.arange(len(values), dtype=np.int64) * STEP
    label = None if success is None else Label(task, success)
    episodes = [Timeline(0, '', 0, stamps, rate, label, corrections)] if len(values) else []
    samples = tuple(
        ScoredSample(int(stamps[n]), value, '', {}, '', None)
        for n, value in enumerate(values) if n % asked == 0
    )  # fmt: skip
    scores = Scores(name, task, engine, samples, (), None, ())
    path = folder / f'{name}_values.parquet'
    header = header_of(scores, episodes, {'calibration': None}, 'viva score')
    write_table(path, with_header(values_table(scores, episodes), header))
    return path


def rows(folder: Path, name: str) -> dict:
    return pq.read_table(folder / f'{name}_advantage.parquet').to_pydict()


def perfect(length: int, success: bool = True) -> list[float]:
    return value_from_return(returns(length, success)).tolist()


def test_n_counts_control_steps_whatever_the_rate_of_the_values(tmp_path: Path) -> None:
    # T = 4 frames of .1 s; 10 steps at 50 Hz are .2 s, 2 frames: worked out in core/test_advantage
    write(tmp_path, 'r', [0.1, 0.3, 0.8, 0.9])
    assert main([str(tmp_path), '--steps', '10', '--positive', '0.5']) == 0
    found = rows(tmp_path, 'r')
    assert found['advantage'] == pytest.approx([0.2, 0.1, -0.05, 0.1])
    assert found['indicator'] == [True, False, False, False]  # eps is the second of four, .1
    assert found['index'] == found['frame_index'] == [0, 1, 2, 3]
    assert found['value'] == [0.1, 0.3, 0.8, 0.9]


def test_seconds_give_the_same_as_steps(tmp_path: Path) -> None:
    write(tmp_path, 'r', [0.1, 0.3, 0.8, 0.9])
    main([str(tmp_path), '--steps', '10'])
    steps = rows(tmp_path, 'r')
    main([str(tmp_path), '--horizon', '0.2'])
    assert rows(tmp_path, 'r') == steps


@pytest.mark.parametrize('smoothing', ['none', 'median'])
def test_a_perfect_value_gives_0_on_every_frame_of_a_success(tmp_path, smoothing) -> None:
    write(tmp_path, 'every', perfect(37))
    write(tmp_path, 'third', perfect(37), asked=3)
    main([str(tmp_path), '--smoothing', smoothing])
    for name in ('every', 'third'):
        known = [one for one in rows(tmp_path, name)['advantage'] if one is not None]
        assert known == [0.0] * 37  # frame 36 was asked for: nothing is left out
    assert sum(rows(tmp_path, 'third')['interpolated']) == 24


def test_an_unknown_value_gives_null_and_never_0(tmp_path: Path) -> None:
    values = perfect(12)
    values[6] = NAN
    write(tmp_path, 'r', values)
    main([str(tmp_path), '--steps', '10'])
    found = rows(tmp_path, 'r')
    unknown = [place for place, one in enumerate(found['advantage']) if one is None]
    assert unknown == [4, 6]  # what looks 2 frames ahead at it, and itself
    assert [found['indicator'][place] for place in unknown] == [None, None]
    assert found['value'][6] is None


def test_charged_for_time_the_longest_episode_of_the_task_counts(tmp_path: Path) -> None:
    # core/test_advantage: T = 4, S = 8, N = 2
    write(tmp_path, 'short', perfect(4))
    write(tmp_path, 'long', perfect(8))
    write(tmp_path, 'other', perfect(20), task='pass')
    main([str(tmp_path), '--steps', '10', '--charge-time'])
    assert rows(tmp_path, 'short')['advantage'] == pytest.approx([0.25, 0.25, 0.125, 0.0])
    assert set(rows(tmp_path, 'long')['advantage']) == {0.0}


def test_each_task_has_its_threshold_and_its_share(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number, (task, scale) in enumerate([('lift', 0.1), ('pass', 0.4)]):
        write(tmp_path, f'r{number}', (scale * random.standard_normal(100)).tolist(), task=task)
    assert main([str(tmp_path), '--positive', '0.4']) == 0
    tasks = json.loads((tmp_path / 'advantage.json').read_text())['tasks']
    assert tasks['lift']['positive_share'] == tasks['pass']['positive_share'] == 0.4
    assert tasks['pass']['threshold'] > 0.0 > tasks['lift']['threshold']
    assert (tmp_path / 'advantage.png').read_bytes()[:4] == b'\x89PNG'


def test_smoothing_is_reported_before_and_after(tmp_path: Path) -> None:
    noise = 0.05 * np.random.default_rng(1).standard_normal(80)
    write(tmp_path, 'r', (np.array(perfect(80)) + noise).tolist())
    main([str(tmp_path), '--smoothing', 'median', '--window', '1.0'])
    told = json.loads((tmp_path / 'advantage.json').read_text())['tasks']['lift']['smoothing']
    assert told['standard_deviation']['after'] < 0.7 * told['standard_deviation']['before']
    assert told['sign_changes']['after'] < told['sign_changes']['before']
    assert 0.2 < told['rank_correlation'] < 1.0


def test_corrections_are_positive_and_do_not_move_the_threshold(tmp_path: Path) -> None:
    random = np.random.default_rng(2).standard_normal(40) * 0.1
    write(tmp_path, 'plain', random.tolist())
    write(tmp_path, 'held', random.tolist(), False, corrections=((0.0, 3.9),))
    main([str(tmp_path)])
    held, content = rows(tmp_path, 'held'), json.loads((tmp_path / 'advantage.json').read_text())
    assert held['forced'] == held['indicator'] == [True] * 40
    assert sum(rows(tmp_path, 'plain')['indicator']) == 12  # 30 % of its 40
    assert content['tasks']['lift']['forced'] == 40


def test_corrections_come_from_a_file_as_well(tmp_path: Path) -> None:
    write(tmp_path, 'r', perfect(10))
    spans = tmp_path / 'spans.csv'
    spans.write_text('recording,begin,end\nr,0.15,0.35\n')
    main([str(tmp_path), '--corrections', str(spans)])
    forced = rows(tmp_path, 'r')['forced']
    assert [place for place, one in enumerate(forced) if one] == [2, 3]


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('other,0,1', "line 2: recording 'other' is not among those given; there are r"),
        ('r,2,1', 'span is 2 to 1 s'),
        ('r,5,6', r'within the 0.90 s of the episode'),
        ('r,0.01,0.02', 'no frame lies in'),
        ('r,a,1', 'begin and end are seconds'),
        ('r,0', 'fewer columns'),
    ],
)
def test_a_span_that_cannot_be_meant_is_refused(tmp_path, line: str, message: str) -> None:
    write(tmp_path, 'r', perfect(10))
    spans = tmp_path / 'spans.csv'
    spans.write_text(f'recording,begin,end\n{line}\n')
    with pytest.raises(ConfigurationError, match=message):
        main([str(tmp_path), '--corrections', str(spans)])
    assert not (tmp_path / 'r_advantage.parquet').exists()


def test_outcomes_come_from_a_file_and_go_before_those_recorded(tmp_path: Path) -> None:
    # one step, past its end: A = G^ - 0 or G^ - 1
    write(tmp_path, 'a', [0.5], None)
    write(tmp_path, 'b', [0.5], True)
    labels = tmp_path / 'labels.csv'
    labels.write_text('recording,success\na,success\nb,0\n')
    assert main([str(tmp_path), '--labels', str(labels)]) == 0
    assert (rows(tmp_path, 'a')['advantage'], rows(tmp_path, 'b')['advantage']) == ([0.5], [-0.5])


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 'r', perfect(3))
    labels = tmp_path / 'labels.csv'
    labels.write_text('file,outcome\n')
    with pytest.raises(ConfigurationError, match='lacks the columns recording, success'):
        main([str(tmp_path), '--labels', str(labels)])
    labels.write_text('recording,success\nr,perhaps\n')
    with pytest.raises(ConfigurationError, match="success is 'perhaps'"):
        main([str(tmp_path), '--labels', str(labels)])


def test_an_episode_without_an_outcome_is_left_out_by_name(tmp_path: Path, capsys) -> None:
    write(tmp_path, 'known', perfect(10))
    write(tmp_path, 'open', perfect(10), None)
    write(tmp_path, 'empty', [])
    (tmp_path / 'torn_values.parquet').write_bytes(b'PAR1')
    assert main([str(tmp_path)]) == 2
    shown = ' '.join(capsys.readouterr().out.split())
    for told in ('open, episode 0: it has no outcome', 'it has no frames', 'torn_values.parquet'):
        assert told in shown
    assert rows(tmp_path, 'open')['advantage'] == rows(tmp_path, 'empty')['advantage'] == []
    with pytest.raises(RecordingError, match='none of 1 episodes has an outcome'):
        main([str(tmp_path / 'open_values.parquet')])


def test_values_of_two_engines_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path, 'a', perfect(10))
    write(tmp_path, 'b', perfect(10), engine='cd' * 8)
    with pytest.raises(EngineError, match='abababababababab: 1, such as a; cdcdcdcdcdcdcdcd: 1'):
        main([str(tmp_path)])


def test_steps_of_different_lengths_need_seconds(tmp_path: Path) -> None:
    write(tmp_path, 'a', perfect(30))
    write(tmp_path, 'b', perfect(30), rate=30.0)
    with pytest.raises(ConfigurationError, match=r'control rates are 30 to 50 Hz.*--horizon'):
        main([str(tmp_path)])
    assert main([str(tmp_path), '--horizon', '1']) == 0


def test_recordings_that_do_not_tell_their_rate_need_seconds(tmp_path: Path) -> None:
    write(tmp_path, 'a', perfect(30), rate=NAN)
    with pytest.raises(ConfigurationError, match='no recording tells its control rate'):
        main([str(tmp_path)])


def test_a_horizon_shorter_than_the_distance_of_values_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 'a', perfect(31), asked=5)
    with pytest.raises(ConfigurationError, match=r'N is 0.2 s, but a has a value every 0.5 s'):
        main([str(tmp_path), '--horizon', '0.2'])


@pytest.mark.parametrize(
    'options', [['--steps', '0'], ['--horizon', '-1'], ['--positive', '1'], ['--drop', '1'],
                ['--window', 'nan'], ['--seed', '-1']],
)  # fmt: skip
def test_an_option_out_of_its_range_is_refused(tmp_path: Path, options: list[str]) -> None:
    write(tmp_path, 'a', perfect(30))
    with pytest.raises(ConfigurationError, match=options[0]):
        main([str(tmp_path), *options])


def test_a_step_is_dropped_or_not_whatever_else_is_there(tmp_path: Path) -> None:
    write(tmp_path, 'a', perfect(300))
    main([str(tmp_path), '--seed', '5'])
    alone = rows(tmp_path, 'a')['dropped']
    write(tmp_path, 'b', perfect(300))
    main([str(tmp_path), '--seed', '5'])
    assert rows(tmp_path, 'a')['dropped'] == alone != rows(tmp_path, 'b')['dropped']
    assert 65 < sum(alone) < 115  # 90 +- 8


def test_two_of_one_name_are_not_written_to_one_place(tmp_path: Path) -> None:
    for name in ('x', 'y'):
        write(tmp_path / name, 'a', perfect(10))
    with pytest.raises(ConfigurationError, match='there twice, such as a'):
        main([str(tmp_path), '--out', str(tmp_path / 'out')])
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / 'x' / 'a_advantage.parquet').exists()
    assert (tmp_path / 'y' / 'a_advantage.parquet').exists()


def test_stopped_half_way_there_is_no_summary(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path, 'a', perfect(10))
    write(tmp_path, 'b', perfect(10))
    main([str(tmp_path)])
    assert (tmp_path / 'advantage.json').exists()
    before = (tmp_path / 'b_advantage.parquet').read_bytes()

    def full(path: Path, table: object) -> None:
        if path.name.startswith('b'):
            raise ConfigurationError(f'{path} cannot be written (No space left on device)')
        write_table(path, table)

    monkeypatch.setattr(advantage_files, 'write_table', full)
    with pytest.raises(ConfigurationError, match='No space left'):
        main([str(tmp_path), '--positive', '0.4'])
    assert not (tmp_path / 'advantage.json').exists()
    assert (tmp_path / 'b_advantage.parquet').read_bytes() == before


def test_the_metadata_says_how_it_was_made(tmp_path: Path) -> None:
    write(tmp_path, 'a', perfect(10))
    main([str(tmp_path), '--drop', '0.2'])
    told = pq.read_schema(tmp_path / 'a_advantage.parquet').metadata
    assert told[b'viva.engine'] == b'ab' * 8
    assert json.loads(told[b'viva.recipe'])['drop'] == 0.2
    assert json.loads(told[b'viva.threshold']) == 0.0
