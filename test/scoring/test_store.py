# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.errors import raises
from support.scored_tables import header

from viva_ros.core.events import Event, Level
from viva_ros.data.episode import Label
from viva_ros.scoring.frame_index import Timeline, labelled_corrections, place
from viva_ros.scoring.scorer import ScoredSample, Scores
from viva_ros.scoring.store import (
    PROGRESS_SCHEMA,
    find_scored,
    is_whole,
    per_frame,
    progress_table,
    read_scored,
    values_table,
    with_header,
    write_table,
)
from viva_ros.scoring.table_checks import METADATA

EPOCH, STEP = 1_000_000_000_000, 100_000_000  # ns
NAN = math.nan


def sample(step: float, value: float, episode: str = '', **more: float) -> ScoredSample:
    reason = '' if math.isfinite(value) else 'head is stale'
    stamp = EPOCH + round(step * STEP)
    return ScoredSample(stamp, value, reason, {'waist': 0.5}, episode, None, **more)


def timeline(count: int = 5, number: int = 0, first: int = 0, **more) -> Timeline:
    stamps = EPOCH + (first + np.arange(count, dtype=np.int64)) * STEP
    content = {'id': '', 'control_rate': 50.0, 'label': None, 'corrections': (), **more}
    return Timeline(number, first=first, stamps=stamps, **content)


def scores(*samples: ScoredSample, events: tuple[Event, ...] = ()) -> Scores:
    return Scores('r', 'tray_lift', 'ab' * 8, samples, events, None, ())


def test_frame_without_estimate_has_row_not_asked() -> None:
    rows = values_table(scores(sample(0, 0.1), sample(2, NAN)), [timeline(4)]).to_pydict()
    assert rows['frame'] == [0, 1, 2, 3]
    assert rows['value'] == [0.1, None, None, None]
    assert rows['status'] == ['ok', 'not_asked', 'unknown', 'not_asked']
    assert rows['reason'] == ['', '', 'head is stale', '']
    assert rows['forecast.waist'][0] == 0.5


def test_value_belongs_to_newest_frame_at_its_stamp() -> None:
    episodes = [timeline(3)]
    assert [place(sample(at, 0.0).stamp, '', episodes)[1] for at in (-1, 0, 0.9, 1, 9)] == [
        -1, 0, 0, 1, 2,
    ]  # fmt: skip
    rows = values_table(scores(sample(-1, NAN), sample(0, 0.1)), episodes).to_pydict()
    assert rows['frame'][:2] == [None, 0]


def test_value_belongs_to_named_or_else_started_episode() -> None:
    episodes = [timeline(5, id='a'), timeline(5, number=1, first=5, id='b')]
    assert place(sample(6, 0.0).stamp, '', episodes)[0] is episodes[1]
    assert place(sample(6, 0.0).stamp, 'a', episodes)[0] is episodes[0]
    assert place(sample(6, 0.0).stamp, '', [])[0] is None


def test_alarm_is_marked_in_row_of_its_value() -> None:
    event = Event(Level.ALARM, 'drop', EPOCH + STEP, EPOCH, 0.1, 0.4, 0.3, '', 'fell')
    alarmed = scores(sample(0, 0.5), sample(1, 0.1), events=(event,))
    assert values_table(alarmed, [timeline(2)])['alarm'].to_pylist() == [False, True]


def test_correction_interval_is_marked_in_its_rows() -> None:
    table = values_table(scores(sample(0, 0.5)), [timeline(4, corrections=((0.1, 0.25),))])
    assert table['correction'].to_pylist() == [False, True, True, False]


def test_progress_table_has_lerobot_columns_and_types() -> None:
    table = progress_table(scores(sample(0, 0.0)), [timeline(1)])
    assert table.schema.remove_metadata() == pa.schema([
        ('index', pa.int64()), ('episode_index', pa.int64()), ('frame_index', pa.int64()),
        ('progress_sparse', pa.float32()),
    ])  # fmt: skip
    assert table.schema.names == PROGRESS_SCHEMA.names


def test_progress_table_interpolates_only_between_values() -> None:
    # values at frames 0, 2 and 4 of 6: (1 + V) / 2; the last frame is after all values
    given = scores(sample(0, 0.0), sample(2, 0.4), sample(4, 0.6))
    rows = progress_table(given, [timeline(6)]).to_pydict()
    assert rows['index'] == rows['frame_index'] == [0, 1, 2, 3, 4, 5]
    assert rows['progress_sparse'][:5] == pytest.approx([0.5, 0.6, 0.7, 0.75, 0.8])
    assert math.isnan(rows['progress_sparse'][5])


def test_frame_index_continues_across_episodes() -> None:
    episodes = [timeline(2, id='a'), timeline(3, number=1, first=2, id='b')]
    given = scores(*(sample(at, 0.0) for at in range(5)))
    rows = progress_table(given, episodes).to_pydict()
    assert rows['index'] == [0, 1, 2, 3, 4]
    assert rows['episode_index'] == [0, 0, 1, 1, 1]
    assert rows['frame_index'] == [0, 1, 0, 1, 2]
    assert not any(math.isnan(one) for one in rows['progress_sparse'])


def test_progress_output_of_engine_is_used() -> None:
    given = scores(sample(0, -0.5, progress=0.25, success=0.25))
    table = progress_table(given, [timeline(1)])
    assert table['progress_sparse'].to_pylist() == [0.25]
    assert table.schema.metadata[b'viva.progress_of'] == b'progress of the engine'
    rows = values_table(given, [timeline(1)]).to_pydict()
    assert (rows['progress'], rows['success']) == ([0.25], [0.25])


def test_frame_takes_newest_of_its_known_values() -> None:
    values, asked = per_frame(3, [-1, 0, 0, 0, 2], [9.0, 0.1, 0.2, NAN, NAN])
    np.testing.assert_array_equal(values, [0.2, NAN, NAN])
    assert asked.tolist() == [True, False, True]


def written(path, given: Scores, episodes) -> None:
    write_table(path, with_header(values_table(given, episodes), header(given, episodes, 'r')))


def test_written_table_is_read_back(tmp_path) -> None:
    label = Label('tray_lift', False, 'slip', 3, {'correction_begin': 0.1})
    spans = tuple(labelled_corrections(label, 0.4))
    path = tmp_path / 'r_values.parquet'
    written(
        path, scores(sample(0, 0.1), sample(2, 0.3)), [timeline(5, label=label, corrections=spans)]
    )
    found = read_scored(path)
    (episode,) = found.episodes
    assert (found.name, found.engine) == ('r', 'ab' * 8)
    assert found.header['command'] == 'viva score r.mcap'
    np.testing.assert_array_equal(episode.values, [0.1, NAN, 0.3, NAN, NAN])
    assert episode.asked.tolist() == [True, False, True, False, False]
    assert episode.corrected.tolist() == [False, True, True, True, True]
    np.testing.assert_array_equal(episode.stamps, EPOCH + np.arange(5) * STEP)
    assert (episode.entry['success'], episode.entry['control_rate']) == (False, 50.0)


def test_empty_table_is_read_back_without_episodes(tmp_path) -> None:
    written(tmp_path / 'r_values.parquet', scores(), [])
    assert read_scored(tmp_path / 'r_values.parquet').episodes == []


def test_label_corrections_are_paired_by_suffix() -> None:
    times = {'correction_begin_2': 5.0, 'correction_end_2': 6.0, 'correction_begin': 1.0,
             'correction_end': 2.0, 'inject': 0.5}  # fmt: skip
    label = Label('tray_lift', True, times=times)
    assert labelled_corrections(label, 9.0) == [(1.0, 2.0), (5.0, 6.0)]


@pytest.mark.parametrize('content', [b'', b'PAR1', b'text'], ids=['empty', 'torn', 'text'])
def test_invalid_table_file_is_refused_by_name(tmp_path, content: bytes) -> None:
    path = tmp_path / 'x_values.parquet'
    path.write_bytes(content)
    with raises('table-invalid', path, "'viva score'"):
        read_scored(path)
    assert not is_whole(path)


def test_table_of_other_format_is_refused(tmp_path) -> None:
    path = tmp_path / 'x_values.parquet'
    write_table(path, pa.table({'value': [1.0]}))
    with raises('table-invalid', path, 'format'):
        read_scored(path)


def changed_column(table: pa.Table, name: str, column: list, kind=None) -> pa.Table:
    """Return a table with another column of a name."""
    at = table.column_names.index(name) if name in table.column_names else table.num_columns
    table = table.remove_column(at) if at < table.num_columns else table
    return table.add_column(at, name, pa.array(column, kind))


OTHER_COLUMNS = {
    'missing': lambda table: table.drop_columns(['alarm']),
    'twice': lambda table: table.append_column('value', table['value']),
    'text': lambda table: changed_column(table, 'value', ['1'] * 3),
    'all null': lambda table: changed_column(table, 'success', [None] * 3),
    'float frame': lambda table: changed_column(table, 'frame', [0.0, 1.0, 2.0]),
    'list': lambda table: changed_column(table, 'frame', [[1]] * 3),
    'struct': lambda table: changed_column(table, 'stamp', [{'a': 1}] * 3),
    'frame beyond': lambda table: changed_column(table, 'frame', [0, 1, 1 << 62]),
    'null stamp': lambda table: changed_column(table, 'stamp', [1, None, 2], pa.int64()),
    'null status': lambda table: changed_column(table, 'status', [None] * 3, pa.string()),
    'text forecast': lambda table: changed_column(table, 'forecast.a', ['x'] * 3),
    'rows lost': lambda table: table.slice(1),
}


@pytest.mark.parametrize('change', OTHER_COLUMNS.values(), ids=OTHER_COLUMNS)
def test_table_with_other_columns_is_refused(tmp_path, change) -> None:
    path = tmp_path / 'x_values.parquet'
    written(path, scores(sample(0, 0.1), sample(2, 0.3)), [timeline(3)])
    assert len(read_scored(path).episodes) == 1
    write_table(path, change(pq.read_table(path)))
    with raises('table-invalid', path, "'viva score'"):
        read_scored(path)


def with_entry(table: pa.Table, name: str, value: object) -> pa.Table:
    """Return a table with another entry of its metadata."""
    entry = {f'viva.{name}'.encode(): json.dumps(value).encode()}
    return table.replace_schema_metadata({**table.schema.metadata, **entry})


OTHER_METADATA = {
    'episodes': [None, {}, [1], [{'episode': 0}]], 'made_of': [None, [], {'rate': 'x'},
    {'rate': 0.0}, {'input': [3]}, {'input': 'x'}], 'alarms': [[{'level': 9}], 'x'],
    'calibration': [[], 'x'], 'losses': [None, 'x', [1]], 'refused': [3],
    'summary': [None, 3, {}, {'episodes': -1}],
}  # fmt: skip
OTHER_ENTRY = {
    'frames': [0, -1, 4, 1e9, '3', 10**18], 'begin': ['x', 1.5, 10**19], 'end': [None],
    'corrections': [3, [[1.0]], [[0.0, 'x']], ['ab']], 'success': [1, 'true'], 'id': [None],
    'trained': ['no'], 'identities': ['ab', [1]], 'control_rate': ['x', [5.0]], 'other': [1],
}  # fmt: skip


@pytest.mark.parametrize(
    ('name', 'value'), [(name, one) for name, some in OTHER_METADATA.items() for one in some]
)
def test_table_with_other_metadata_is_refused(tmp_path, name: str, value: object) -> None:
    path = tmp_path / 'x_values.parquet'
    written(path, scores(sample(0, 0.1)), [timeline(3)])
    write_table(path, with_entry(pq.read_table(path), name, value))
    with raises('table-invalid', path, name, "'viva score'"):
        read_scored(path)
    assert not is_whole(path)


@pytest.mark.parametrize('name', [*METADATA, 'format', 'made_of.input', 'made_of.rate'])
def test_table_that_lacks_an_entry_is_refused_by_name(tmp_path, name: str) -> None:
    path = tmp_path / 'x_values.parquet'
    written(path, scores(sample(0, 0.1)), [timeline(3)])
    table, (entry, _, inner) = pq.read_table(path), name.partition('.')
    known = {**table.schema.metadata}
    text = known.pop(f'viva.{entry}'.encode())
    if inner:
        known[f'viva.{entry}'.encode()] = json.dumps(
            {key: one for key, one in json.loads(text).items() if key != inner}
        ).encode()
    write_table(path, table.replace_schema_metadata(known))
    with raises('table-invalid', path, inner or name, "'viva score'"):
        read_scored(path)
    assert not is_whole(path)


def test_table_with_an_episode_twice_is_refused(tmp_path) -> None:
    path = tmp_path / 'x_values.parquet'
    written(path, scores(sample(0, 0.1)), [timeline(3)])
    (entry,) = read_scored(path).header['episodes']
    write_table(path, with_entry(pq.read_table(path), 'episodes', [entry, entry]))
    with raises('table-invalid', path, 'episodes has 0 twice'):
        read_scored(path)


@pytest.mark.parametrize(
    ('name', 'value'), [(name, one) for name, some in OTHER_ENTRY.items() for one in some]
)
def test_table_with_another_episode_entry_is_refused(tmp_path, name: str, value: object) -> None:
    path = tmp_path / 'x_values.parquet'
    written(path, scores(sample(0, 0.1)), [timeline(3)])
    (entry,) = read_scored(path).header['episodes']
    changed = [{**entry, name: value}]
    write_table(path, with_entry(pq.read_table(path), 'episodes', changed))
    with raises('table-invalid', path, "'viva score'"):
        read_scored(path)


def test_find_scored_refuses_empty_folder_and_removes_twins(tmp_path) -> None:
    with raises('tables-missing', tmp_path, "'viva score'"):
        find_scored([tmp_path])
    (tmp_path / 'deep').mkdir()
    path = tmp_path / 'deep' / 'x_values.parquet'
    path.touch()
    assert find_scored([tmp_path, path]) == [path]
