# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values of another type in the metadata of a dataset are refused by name."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.errors import raises
from support.lerobot_datasets import write_lerobot

from viva_ros.data.lerobot.metadata import open_dataset
from viva_ros.data.lerobot.metadata_types import check_info, check_modality, check_row, check_tasks
from viva_ros.data.open import find, open_recording

INFO = {'codebase_version': 'v2.1', 'fps': 10, 'features': {'a': {'dtype': 'float32'}}}
ROW = {'episode_index': 0, 'length': 5}


@pytest.mark.parametrize('shape', [['2'], [2.0], [True], [None], [-1], 'ab', {'0': 2}, 2, [[2]]])
def test_shape_that_is_no_list_of_numbers_is_refused(tmp_path: Path, shape: Any) -> None:
    root = write_lerobot(tmp_path / 'set')
    path = root / 'meta/info.json'
    info = json.loads(path.read_text())
    info['features']['observation.state']['shape'] = shape
    path.write_text(json.dumps(info))
    with raises('dataset-unreadable', root, 'observation.state: shape', 'whole number'):
        open_dataset(root)


@pytest.mark.parametrize(
    'change',
    [
        {'fps': '10'}, {'fps': True}, {'fps': [10]}, {'chunks_size': '1000'}, {'chunks_size': 0},
        {'chunks_size': 1.5}, {'chunks_size': True}, {'total_episodes': '2'},
        {'codebase_version': 2.1}, {'robot_type': 5}, {'robot_type': ['a']}, {'data_path': 5},
        {'video_path': True}, {'features': []}, {'features': {'a': 5}},
        {'features': {'a': {'dtype': 5}}}, {'features': {'a': {'info': 5}}},
        {'features': {'a/b': {'shape': [2.0]}}},
    ],
)  # fmt: skip
def test_info_of_another_type_is_refused(change: dict[str, Any]) -> None:
    check_info(INFO)
    with pytest.raises(ValueError, match='must be'):
        check_info(INFO | change)


@pytest.mark.parametrize(
    'change',
    [
        {'episode_index': '0'}, {'episode_index': 0.0}, {'episode_index': True},
        {'episode_index': None}, {'length': '5'}, {'length': 5.5}, {'length': -1},
        {'data/chunk_index': '0'}, {'data/file_index': 0.5}, {'videos/a/chunk_index': True},
        {'videos/a/from_timestamp': '0.5'}, {'videos/a/from_timestamp': True},
        {'dataset_from_index': '3'}, {'dataset_to_index': 3.5}, {'tasks': 'fold'}, {'tasks': [5]},
        {'tasks': [None]},
    ],
)  # fmt: skip
def test_row_of_another_type_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match='must be'):
        check_row(ROW | change)


def test_whole_floats_of_pandas_are_whole_numbers() -> None:
    found = check_row(ROW | {'videos/a/file_index': 3.0, 'videos/b/file_index': float('nan')})
    assert type(found['videos/a/file_index']) is int and found['videos/a/file_index'] == 3


@pytest.mark.parametrize(
    'pair', [('0', 'a'), (0.0, 'a'), (True, 'a'), (0, None), (0, 5), (-1, 'a')]
)
def test_task_of_another_type_is_refused(pair: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match='must be'):
        check_tasks([pair])


@pytest.mark.parametrize('part', [5, {'start': '0', 'end': 2}, {'start': 0, 'end': 2.0},
                                  {'start': 0, 'end': 2, 'original_key': 5}])  # fmt: skip
def test_modality_of_another_type_is_refused(part: Any) -> None:
    with pytest.raises(ValueError, match='must be'):
        check_modality({'state': {'arm': part}})


@pytest.mark.parametrize('version', ['v2.1', 'v3.0'])
@pytest.mark.parametrize('index', [1, -1, None, '0'])
def test_task_index_without_a_task_is_refused(tmp_path: Path, version: str, index: Any) -> None:
    root = write_lerobot(tmp_path / 'set', version=version)
    assert open_recording(find([root])[0])
    for path in sorted((root / 'data').rglob('*.parquet')):
        table = pq.read_table(path)
        values = [index, *([0] * (table.num_rows - 1))] if index != '0' else ['0'] * table.num_rows
        if 'task_index' in table.column_names:
            table = table.drop_columns(['task_index'])
        pq.write_table(table.append_column('task_index', pa.array(values)), path)
    with raises('dataset-task', 'task_index', repr(index), '0 to 0', 'leave the episode out'):
        open_recording(find([root])[0])
