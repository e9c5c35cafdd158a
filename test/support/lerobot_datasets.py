# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LeRobot datasets as other tools write them: frame k of the dataset shows the number k."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from viva_ros.data.lerobot.video import encode

BITS = 10
NAMES = ('left_waist', 'left_grip', 'right_waist', 'right_grip')
FPS = 10
KEY = 'observation.images.top'


def numbered(number: int) -> np.ndarray:
    """Return an image, (48, 80, 3), with a number as black and white blocks."""
    image = np.full((48, 80, 3), 20, dtype=np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            image[:, 8 * bit : 8 * bit + 8] = 235
    return image


def number_of(image: np.ndarray) -> int:
    """Return the number that an image shows."""
    blocks = image[8:40].reshape(32, BITS, 8, 3)[:, :, 2:6].mean(axis=(0, 2, 3))
    return sum(1 << bit for bit in range(BITS) if blocks[bit] > 128)


def state_of(row: int) -> list[float]:
    """Return the joint positions of a row of the dataset; the first is its number."""
    return [float(row), row + 0.1, row + 0.2, row + 0.3]


def write_lerobot(
    root: Path, lengths: Sequence[int] = (12, 9), version: str = 'v2.1', names: Any = NAMES,
    shown: Callable[[int], Sequence[int]] | None = None,
    timestamps: Callable[[int, int], Any] | None = None,
    frame_columns: Mapping[str, Sequence[Any]] | None = None,
    episode_columns: Mapping[str, Sequence[Any]] | None = None,
    features: Mapping[str, Any] | None = None, state: str = 'observation.state',
    begins: Sequence[float] | None = None,
) -> Path:  # fmt: skip
    """
    Write a dataset with one camera and four joints.

    :param shown: episode to the numbers of the frames in its part of the video
    :param timestamps: of the rows of an episode, from its index and length, s
    :param frame_columns: further columns of all rows
    :param episode_columns: further columns of the episodes
    :param features: further features of ``info.json``
    :param state: name of the feature with the joints; '' for none
    :param begins: from_timestamp of each episode in v3, s
    """
    old, starts = version.startswith('v2'), np.concatenate([[0], np.cumsum(lengths)])
    rows, tables, pictures = [], [], []
    for number, length in enumerate(lengths):
        first = int(starts[number])
        at = np.arange(length) / FPS if timestamps is None else timestamps(number, length)
        columns: dict[str, Any] = {
            'timestamp': pa.array(np.asarray(at, dtype=np.float32)),
            'frame_index': pa.array(range(length)),
            'episode_index': pa.array([number] * length),
            'index': pa.array(range(first, first + length)),
            'task_index': pa.array([0] * length),
        }
        if state:
            joints = [state_of(first + k) for k in range(length)]
            columns[state] = pa.array(joints, pa.list_(pa.float32()))
        for key, values in (frame_columns or {}).items():
            columns[key] = pa.array(values[first : first + length])
        tables.append(pa.table(columns))
        pictures.append(list(shown(number)) if shown else list(range(first, first + length)))
        row = {'episode_index': number, 'tasks': ['fold'], 'length': length}
        row |= {key: values[number] for key, values in (episode_columns or {}).items()}
        rows.append(row)
    described: dict[str, Any] = {
        KEY: {'dtype': 'video', 'shape': [48, 80, 3], 'names': ['height', 'width', 'channel']}
    }
    if state:
        described[state] = {
            'dtype': 'float32', 'shape': [4],
            'names': list(names) if isinstance(names, tuple) else names,
        }  # fmt: skip
    for key in ('timestamp', 'frame_index', 'episode_index', 'index', 'task_index'):
        kind = 'float32' if key == 'timestamp' else 'int64'
        described[key] = {'dtype': kind, 'shape': [1], 'names': None}
    write = _write_old if old else _write_new
    paths = write(root, tables, pictures, rows, starts.tolist(), begins)
    info = {
        'codebase_version': version, 'robot_type': 'duo', 'total_episodes': len(lengths),
        'total_frames': int(starts[-1]), 'chunks_size': 1000, 'fps': FPS, **paths,
        'features': {**described, **(features or {})},
    }  # fmt: skip
    (root / 'meta').mkdir(exist_ok=True)
    (root / 'meta/info.json').write_text(json.dumps(info, indent=1))
    return root


def _video(path: Path, numbers: Sequence[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encode(path, map(numbered, numbers), FPS)


def _write_old(
    root: Path, tables: Sequence[pa.Table], pictures: Sequence[Sequence[int]],
    rows: Sequence[dict[str, Any]], starts: Sequence[int], begins: Sequence[float] | None,
) -> dict[str, str]:  # fmt: skip
    data = 'data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet'
    video = 'videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4'
    for number, (table, shown) in enumerate(zip(tables, pictures, strict=True)):
        known = {'episode_chunk': 0, 'episode_index': number, 'video_key': KEY}
        (root / data.format(**known)).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, root / data.format(**known))
        _video(root / video.format(**known), shown)
    (root / 'meta').mkdir()
    lines = [json.dumps(row) for row in rows]
    (root / 'meta/episodes.jsonl').write_text('\n'.join(lines) + '\n')
    (root / 'meta/tasks.jsonl').write_text('{"task_index": 0, "task": "fold"}\n')
    return {'data_path': data, 'video_path': video}


def _write_new(
    root: Path, tables: Sequence[pa.Table], pictures: Sequence[Sequence[int]],
    rows: Sequence[dict[str, Any]], starts: Sequence[int], begins: Sequence[float] | None,
) -> dict[str, str]:  # fmt: skip
    for number, row in enumerate(rows):
        begin = starts[number] / FPS if begins is None else begins[number]
        row |= {'data/chunk_index': 0, 'data/file_index': 0}
        row |= {f'videos/{KEY}/chunk_index': 0, f'videos/{KEY}/file_index': 0}
        row |= {f'videos/{KEY}/from_timestamp': begin, 'dataset_from_index': starts[number]}
        row['dataset_to_index'] = starts[number + 1]
    for folder in ('data/chunk-000', 'meta/episodes/chunk-000'):
        (root / folder).mkdir(parents=True)
    pq.write_table(pa.concat_tables(tables), root / 'data/chunk-000/file-000.parquet')
    episodes = pa.Table.from_pylist(list(rows))
    pq.write_table(episodes, root / 'meta/episodes/chunk-000/file-000.parquet')
    tasks = pa.table({'task_index': pa.array([0]), 'task': ['fold']})
    pq.write_table(tasks, root / 'meta/tasks.parquet')
    _video(root / f'videos/{KEY}/chunk-000/file-000.mp4', [k for part in pictures for k in part])
    return {
        'data_path': 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet',
        'video_path': 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4',
    }
