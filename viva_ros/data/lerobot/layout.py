# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Paths and columns of LeRobot datasets, v3.0, and the columns that this package adds.

The episode table gets 'success' and columns whose names begin with 'viva/'.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from viva_ros.data.lerobot.video import CODEC, ENCODERS

VERSION: Final = 'v3.0'
INFO, STATS, TASKS = 'meta/info.json', 'meta/stats.json', 'meta/tasks.parquet'
FILE: Final = 'chunk-{chunk_index:03d}/file-{file_index:03d}'
EPISODES: Final = f'meta/episodes/{FILE}.parquet'
DATA: Final = f'data/{FILE}.parquet'
VIDEO: Final = f'videos/{{video_key}}/{FILE}.mp4'
FILES_PER_CHUNK: Final = 1000
DATA_LIMIT: Final = 100  # MB per file
VIDEO_LIMIT: Final = 200  # MB per file
STATE, ACTION, IMAGES = 'observation.state', 'action', 'observation.images.'
FRAME_SUCCESS: Final = 'next.success'  # of LeRobot
SUCCESS, NAME, SOURCE = 'success', 'viva/name', 'viva/source'
START, FAILURE, SEED = 'viva/start_stamp', 'viva/failure', 'viva/seed'
TIMES, MARKS = 'viva/times', 'viva/marks'  # JSON
IDENTITIES: Final = 'viva/identities'  # JSON; ``Episode.origins``
EXTRA_COLUMNS: Final = {
    SUCCESS: pa.bool_(), NAME: pa.string(), SOURCE: pa.string(), START: pa.int64(),
    FAILURE: pa.string(), SEED: pa.int64(), TIMES: pa.string(), MARKS: pa.string(),
    IDENTITIES: pa.string(),
}  # fmt: skip
INDEX_COLUMNS: Final = {
    'timestamp': 'float32', 'frame_index': 'int64', 'episode_index': 'int64', 'index': 'int64',
    'task_index': 'int64',
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """
    The properties that all episodes of a dataset share.

    :param fps: Hz
    :param action_names: empty without actions
    :param sizes: camera to (height, width), px
    :param codec: of the videos
    """

    fps: int
    joint_names: tuple[str, ...]
    action_names: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int]]
    codec: str = CODEC

    def to_dict(self) -> dict[str, Any]:
        """Return the content for JSON."""
        sizes = {camera: list(size) for camera, size in self.sizes.items()}
        return {
            'fps': self.fps, 'joint_names': list(self.joint_names),
            'action_names': list(self.action_names), 'sizes': sizes, 'codec': self.codec,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> 'Shape':
        """Return the shape from the content of JSON."""
        sizes = {camera: (int(h), int(w)) for camera, (h, w) in content['sizes'].items()}
        return cls(
            int(content['fps']), tuple(content['joint_names']), tuple(content['action_names']),
            sizes, content['codec'],
        )  # fmt: skip

    def difference(self, other: 'Shape') -> str:
        """Return the differences of another shape as a text; '' for none."""
        pairs = {
            'rate': (self.fps, other.fps),
            'joints': (sorted(self.joint_names), sorted(other.joint_names)),
            'action': (sorted(self.action_names), sorted(other.action_names)),
            'cameras': (dict(self.sizes), dict(other.sizes)),
        }  # fmt: skip
        return '; '.join(
            f'{name} {theirs}, the others have {own}'
            for name, (own, theirs) in pairs.items() if own != theirs
        )  # fmt: skip


def vectors(shape: Shape) -> dict[str, tuple[str, ...]]:
    """Return the vector features with the names of their elements."""
    action = {ACTION: shape.action_names} if shape.action_names else {}
    return {STATE: shape.joint_names, **action}


def features(shape: Shape) -> dict[str, Any]:
    """Return the features for ``info.json``."""
    found: dict[str, Any] = {
        key: {'dtype': 'float32', 'shape': [len(names)], 'names': list(names)}
        for key, names in vectors(shape).items()
    }
    encoder = ENCODERS[shape.codec]
    for camera, (height, width) in shape.sizes.items():
        found[f'{IMAGES}{camera}'] = {
            'dtype': 'video', 'shape': [height, width, 3],
            'names': ['height', 'width', 'channels'],
            'info': {
                'video.height': height, 'video.width': width, 'video.codec': shape.codec,
                'video.pix_fmt': encoder.pixel_format(height, width), 'is_depth_map': False,
                'video.fps': shape.fps, 'video.channels': 3, 'has_audio': False,
                'video.g': encoder.key_every, 'video.crf': encoder.quality,
            },
        }  # fmt: skip
    for key, kind in INDEX_COLUMNS.items():
        found[key] = {'dtype': kind, 'shape': [1], 'names': None}
    return found


def info(shape: Shape, robot: str, episodes: int, frames: int, tasks: int) -> dict[str, Any]:
    """Return the content of ``info.json``."""
    return {
        'codebase_version': VERSION, 'robot_type': robot or None, 'total_episodes': episodes,
        'total_frames': frames, 'total_tasks': tasks, 'chunks_size': FILES_PER_CHUNK,
        'data_files_size_in_mb': DATA_LIMIT, 'video_files_size_in_mb': VIDEO_LIMIT,
        'fps': shape.fps, 'splits': {'train': f'0:{episodes}'}, 'data_path': DATA,
        'video_path': VIDEO, 'features': features(shape),
    }  # fmt: skip


def data_schema(shape: Shape) -> pa.Schema:
    """Return the columns of the data files."""
    kinds = {'float32': pa.float32(), 'int64': pa.int64()}
    columns = [
        pa.field(key, pa.list_(pa.float32(), len(names)) if len(names) > 1 else pa.float32())
        for key, names in vectors(shape).items()
    ]
    columns += [pa.field(key, kinds[kind]) for key, kind in INDEX_COLUMNS.items()]
    return pa.schema(columns)


def tasks_table(tasks: Sequence[str]) -> pa.Table:
    """Return the tasks as pandas writes them, with the text as index."""
    columns = [
        {'name': 'task_index', 'field_name': 'task_index', 'pandas_type': 'int64',
         'numpy_type': 'int64', 'metadata': None},
        {'name': 'task', 'field_name': 'task', 'pandas_type': 'unicode', 'numpy_type': 'object',
         'metadata': None},
    ]  # fmt: skip
    pandas = {
        'index_columns': ['task'], 'columns': columns, 'pandas_version': '2.0.0',
        'column_indexes': [
            {'name': None, 'field_name': None, 'pandas_type': 'unicode', 'numpy_type': 'object',
             'metadata': {'encoding': 'UTF-8'}},
        ],
    }  # fmt: skip
    table = pa.table({'task_index': pa.array(range(len(tasks)), pa.int64()),
                      'task': pa.array(list(tasks), pa.string())})  # fmt: skip
    return table.replace_schema_metadata({'pandas': json.dumps(pandas)})


def place(number: int) -> dict[str, int]:
    """Return chunk and file index of the n-th file, counted from 0."""
    return {'chunk_index': number // FILES_PER_CHUNK, 'file_index': number % FILES_PER_CHUNK}
