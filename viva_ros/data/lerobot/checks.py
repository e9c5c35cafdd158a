# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Cross-checks of the rows, the video frames and the metadata of an episode of a LeRobot dataset.

Frame i of a video belongs to row i, whatever the timestamps of the rows are: recorders write real
times, and encoders an even rate. That holds only if a file has as many frames as its episodes have
rows; otherwise the episodes are refused, since the place of the lost or additional frames is
unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from viva_ros.core.errors import RecordingError
from viva_ros.data.lerobot.metadata import Dataset
from viva_ros.data.lerobot.video import index_of

TOLERANCE: Final = 1e-3  # share of a range, and of positions in float32
AGAIN: Final = 'record or convert it again, or leave it out'


def checked_rows(dataset: Dataset, row: Mapping[str, Any], table: pa.Table) -> pa.Table:
    """
    Return the rows of an episode in the order of their frame index.

    :param table: rows in the data file with the index of the episode
    :raises RecordingError: if they differ from the metadata
    """
    number, length = int(row['episode_index']), int(row['length'])
    where = f'episode {number} of {dataset.root}'
    if table.num_rows != length:
        raise RecordingError(
            'dataset-length',
            f'{where} has {table.num_rows} rows in {dataset.data_file(row).name}, by its metadata '
            f'{length}: {AGAIN}',
        )
    column = next((n for n in ('frame_index', 'index') if n in table.column_names), None)
    if column is not None and length:
        frames = np.array(table[column].to_pylist(), dtype=np.int64)
        frames -= frames.min() if column == 'index' else 0
        order = np.argsort(frames, kind='stable')
        if not np.array_equal(frames[order], np.arange(length)):
            raise RecordingError(
                'dataset-frame-index',
                f'{where} has a {column} from {frames.min()} to {frames.max()}, '
                f'{len(np.unique(frames))} different ones, must be 0 to {length - 1}, each once: '
                f'{AGAIN}',
            )
        table = table.take(pa.array(order))
    _check_index(row, table, where)
    return table


def _check_index(row: Mapping[str, Any], table: pa.Table, where: str) -> None:
    """Compare the index of the rows in the dataset with the metadata of v3."""
    begin, end = row.get('dataset_from_index'), row.get('dataset_to_index')
    if begin is None or end is None:
        return
    indices = table['index'].to_pylist() if 'index' in table.column_names else []
    first, last = int(begin), int(end) - 1  # of any size: compared before a list is made of them
    is_as_long = last - first + 1 == table.num_rows
    if not is_as_long or (indices and indices != list(range(first, last + 1))):
        own = f'{indices[0]} to {indices[-1]}' if indices else f'{table.num_rows} rows'
        raise RecordingError(
            'dataset-index',
            f'{where} has the rows {begin} to {last} of the dataset by its metadata, but '
            f'{own} in its data file: {AGAIN}',
        )


def check_episode_column(dataset: Dataset, row: Mapping[str, Any], table: pa.Table) -> None:
    """
    Check that a file of one episode, as in v2, has rows of no other.

    :raises RecordingError: if it has
    """
    if not dataset.old or 'episode_index' not in table.column_names:
        return
    number = int(row['episode_index'])
    others = sorted(set(pc.unique(table['episode_index']).to_pylist()) - {number})
    if others:
        raise RecordingError(
            'dataset-foreign-rows',
            f'{dataset.data_file(row)} has rows of episode {", ".join(map(str, others[:3]))}, '
            f'must have those of episode {number} alone: {AGAIN}',
        )


def check_statistics(
    dataset: Dataset, row: Mapping[str, Any], key: str, values: np.ndarray[Any, Any]
) -> None:
    """
    Compare a feature with its smallest and largest value in the metadata, if these are known.

    :param values: (N, D)
    :raises RecordingError: if they differ: the file belongs to another episode
    """
    for name, found in (('min', values.min(axis=0)), ('max', values.max(axis=0))):
        stated = row.get(f'stats/{key}/{name}')
        expected = np.ravel(np.array(stated if stated is not None else [], dtype=np.float64))
        if expected.shape != found.shape or not np.isfinite(expected).all():
            continue
        allowed = TOLERANCE * (1.0 + np.abs(expected))
        wrong = np.flatnonzero(~(np.abs(found - expected) <= allowed))
        if wrong.size:
            k = int(wrong[0])
            raise RecordingError(
                'dataset-statistics',
                f'episode {row["episode_index"]} of {dataset.root} has {found[k]:.4g} as {name} '
                f'of {key}[{k}], its statistics {expected[k]:.4g}: is it the data of another '
                'episode? Compute the statistics again, or leave it out',
            )


def first_frame_of(dataset: Dataset, row: Mapping[str, Any], key: str) -> int:
    """
    Return the frame of a video at which an episode begins.

    :raises RecordingError: if the frames of the file, the rows of its episodes and the pointers to
        them differ
    """
    sharing = dataset.sharing(row, key)
    path = dataset.video_file(row, key)
    begin = f'videos/{key}/from_timestamp'
    if not dataset.old:
        sharing = sorted(sharing, key=lambda one: float(one[begin]))
    frames, rows = len(index_of(path)), sum(int(one['length']) for one in sharing)
    if frames != rows:
        raise RecordingError(
            'video-frames-differ',
            f'video {path} has {frames} frames, and its {_episodes(sharing)} {rows} rows: no '
            f'frame can be assigned to a row; {AGAIN}',
        )
    numbers = [int(one['episode_index']) for one in sharing]
    if numbers != sorted(numbers):
        begins = ', '.join(f'{one["episode_index"]} at {float(one[begin]):g} s' for one in sharing)
        raise RecordingError(
            'dataset-video-order',
            f'episodes of {path} do not follow each other in their order by from_timestamp '
            f'({begins}), as LeRobot writes them: {AGAIN}',
        )
    before = 0
    for one in sharing:
        pointed = 0.0 if dataset.old else float(one[begin]) * dataset.fps
        if not abs(pointed - before) <= 0.5:  # NaN is no pointer
            raise RecordingError(
                'video-pointer',
                f'episode {one["episode_index"]} begins at frame {pointed:.1f} of {path} by its '
                f'from_timestamp, at frame {before} by the lengths of the episodes before it: '
                f'{AGAIN}',
            )
        if one is row or one['episode_index'] == row['episode_index']:
            return before
        before += int(one['length'])
    return before


def _episodes(rows: Sequence[Mapping[str, Any]]) -> str:
    numbers = [str(one['episode_index']) for one in rows]
    if len(numbers) == 1:
        return f'episode {numbers[0]} has'
    return f'{len(numbers)} episodes ({numbers[0]} to {numbers[-1]}) have'
