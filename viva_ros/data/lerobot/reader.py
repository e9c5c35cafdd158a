# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reading LeRobot datasets, v3.0 and v2.1: each episode is opened as a recording.

Stamps start at 'viva/start_stamp', or at 1 s in datasets of other tools. The outcome is the column
'success' of the episode, else 'next.success' of its frames; without both there is none.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from viva_ros.core.errors import RecordingError
from viva_ros.core.observation import SECOND, Array, Image
from viva_ros.data.conversion.raw_episode import DATASET_ACTION, SOURCE
from viva_ros.data.formats import EpisodeRef, RecordingFormat, content_hash
from viva_ros.data.images import RAW
from viva_ros.data.lerobot import layout
from viva_ros.data.lerobot.video import VideoImages
from viva_ros.data.messages import header
from viva_ros.data.recording import Recording, Track, joint_track
from viva_ros.data.segmentation import LABEL, ORIGINS, TASK


class ImageMessage:
    """A sensor_msgs/Image that is decoded on access."""

    __msgtype__ = RAW
    encoding = 'rgb8'
    is_bigendian = 0

    def __init__(self, stamp: int, images: Sequence[Image], row: int) -> None:
        self.header = header(stamp)
        self._images, self._row = images, row

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self._images[self._row].shape[0])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self._images[self._row].shape[1])

    @property
    def step(self) -> int:
        """Bytes of a row."""
        return 3 * self.width

    @property
    def data(self) -> Any:
        """Pixels, row by row."""
        return np.ascontiguousarray(self._images[self._row]).reshape(-1)


@dataclass(frozen=True)
class ImageTrack(Track):
    """A camera of a dataset: ``times`` are stamps, ``data`` are images instead of messages."""

    def messages(self) -> Iterator[tuple[int, Any]]:
        """Yield stamps, ns, and messages."""
        images: Any = self.data
        for row, time in enumerate(self.times):
            yield time, ImageMessage(time, images, row)

    def stamps(self) -> list[int]:
        """Return the stamps, ns."""
        return self.times

    def pictures(self, rows: Sequence[int]) -> Sequence[Image]:
        """Return the images of some rows, decoded on access."""
        return ImageSubset(self.data, rows)


class ImageSubset(Sequence[Image]):
    """Images at some indices of a sequence."""

    def __init__(self, images: Any, rows: Sequence[int]) -> None:
        self._images, self._rows = images, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ImageSubset(self._images, self._rows[index])
        return self._images[self._rows[index]]


READABLE: Final = ('v3.', 'v2.1')
EPISODE: Final = 'episode_{:06d}'
READ_ERRORS: Final = (OSError, ValueError, KeyError, TypeError, IndexError, pa.ArrowException)
FRAME_SUCCESS: Final = 'next.success'


def is_dataset(folder: Path) -> bool:
    """Return whether a folder is a dataset."""
    return (folder / layout.INFO).is_file()


@dataclass(frozen=True)
class Dataset:
    """
    The metadata of a dataset on disk.

    :param fps: Hz
    :param cameras: name to feature
    :param rows: of the episode table, in order
    :param tasks: index to text
    :param info: content of ``info.json``
    """

    root: Path
    version: str
    fps: float
    features: Mapping[str, Any]
    cameras: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]
    tasks: Mapping[int, str]
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def old(self) -> bool:
        """Whether each episode has its own files, as in v2.1."""
        return self.version.startswith('v2')

    def data_file(self, row: Mapping[str, Any]) -> Path:
        """Return the path of the data of an episode; others may share the file."""
        return self.root / str(self.info['data_path']).format(**self._place(row, 'data'))

    def video_file(self, row: Mapping[str, Any], key: str) -> Path:
        """Return the path of the video of a camera of an episode; others may share the file."""
        place = self._place(row, f'videos/{key}')
        return self.root / str(self.info['video_path']).format(video_key=key, **place)

    def _place(self, row: Mapping[str, Any], of: str) -> dict[str, int]:
        if self.old:
            number = int(row['episode_index'])
            chunk = number // int(self.info.get('chunks_size', 1000))
            return {'episode_chunk': chunk, 'episode_index': number}
        return {name: row[f'{of}/{name}'] for name in ('chunk_index', 'file_index')}

    def names(self, key: str) -> tuple[str, ...]:
        """Return the element names of a feature; numbered names if the dataset has none."""
        feature = self.features[key]
        names = feature.get('names')
        while isinstance(names, Mapping):  # {'motors': [...]} in some datasets
            names = next(iter(names.values()), None)
        count = int(np.prod(feature['shape']))
        if isinstance(names, list) and len(names) == count:
            return tuple(map(str, names))
        return tuple(f'{key.rpartition(".")[2]}_{i}' for i in range(count))


def open_dataset(root: Path) -> Dataset:
    """
    Read the metadata of a dataset.

    :raises RecordingError: if it cannot be read, or its version is unknown
    """
    stamp = (root / layout.INFO).stat().st_mtime_ns if is_dataset(root) else 0
    return _open(root.resolve(), stamp)


@lru_cache(maxsize=8)
def _open(root: Path, stamp: int) -> Dataset:
    try:
        info = json.loads((root / layout.INFO).read_text(encoding='utf-8'))
        version = str(info['codebase_version'])
        if not version.startswith(READABLE):
            raise ValueError(f'version is {version}, must be v3.x or v2.1')
        features = info['features']
        kinds = {key: one['dtype'] for key, one in features.items()}
        keys = [key for key, kind in kinds.items() if kind in ('video', 'image')]
        cameras = {key.removeprefix(layout.IMAGES).replace('.', '_'): key for key in keys}
        rows, tasks = _old_rows(root) if version.startswith('v2') else _rows(root)
    except READ_ERRORS as error:
        raise RecordingError(
            'dataset-unreadable',
            f'dataset {root} cannot be read ({type(error).__name__}: {error}): download it again',
        ) from error
    return Dataset(root, version, float(info['fps']), features, cameras, rows, tasks, info)


def _rows(root: Path) -> tuple[list[dict[str, Any]], dict[int, str]]:
    rows: list[dict[str, Any]] = []
    for path in sorted((root / 'meta/episodes').glob('*/*.parquet')):
        file = pq.ParquetFile(path)
        wanted = [n for n in file.schema_arrow.names if not n.startswith('stats/')]
        rows += file.read(columns=wanted).to_pylist()
    table = pq.read_table(root / layout.TASKS).to_pydict()
    texts = table.get('task') or table.get('__index_level_0__') or []
    rows.sort(key=lambda row: row['episode_index'])
    return rows, dict(zip(table['task_index'], texts, strict=True))


def _old_rows(root: Path) -> tuple[list[dict[str, Any]], dict[int, str]]:
    rows, tasks = (
        [json.loads(line) for line in (root / f'meta/{name}.jsonl').read_text().splitlines()]
        for name in ('episodes', 'tasks')
    )
    rows.sort(key=lambda row: row['episode_index'])
    return rows, {row['task_index']: row['task'] for row in tasks}


def episode_paths(root: Path) -> list[Path]:
    """Return the paths of the episodes of a dataset, in order; they are not on disk."""
    rows = open_dataset(root).rows
    return [root / EPISODE.format(row['episode_index']) for row in rows]


def episode_index(path: Path) -> int | None:
    """Return the index of the episode of a path; None for any other path."""
    digits = path.name.removeprefix('episode_')
    matches = path.name.startswith('episode_') and digits.isdigit()
    return int(digits) if matches and is_dataset(path.parent) else None


def read_episode(path: Path) -> Recording:
    """
    Read the episode of a path.

    :raises RecordingError: if the dataset has no such episode, or it cannot be read
    """
    dataset, index = open_dataset(path.parent), episode_index(path)
    row = next((row for row in dataset.rows if row['episode_index'] == index), None)
    if row is None:
        raise RecordingError(
            'episode-unknown',
            f'{path.parent} has no episode {index}, it has {len(dataset.rows)} episodes',
        )
    try:
        return _Reader(dataset, row, path).recording()
    except READ_ERRORS as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> RecordingError:
    return RecordingError(
        'episode-unreadable',
        f'{path} cannot be read ({type(error).__name__}: {error}): download the dataset again',
    )


class _Reader:
    """Reads one episode of a dataset as a recording."""

    def __init__(self, dataset: Dataset, row: Mapping[str, Any], path: Path) -> None:
        self._dataset, self._row, self._path = dataset, row, path
        self._number = int(row['episode_index'])
        self._table = self._data()
        self._times = self._column('timestamp').astype(np.float64)
        start = int(row.get(layout.START) or SECOND)
        steps = np.round(self._times * dataset.fps)
        exact = np.allclose(steps / dataset.fps, self._times, atol=1e-4)  # of float32
        seconds = steps / dataset.fps if exact else self._times
        self._stamps = start + np.round(seconds * SECOND).astype(np.int64)
        self._seconds = seconds

    def recording(self) -> Recording:
        if layout.STATE not in self._dataset.features:
            raise RecordingError(
                'state-missing', f'{self._path.parent} has no {layout.STATE}: leave it out'
            )
        names = self._dataset.names(layout.STATE)
        tracks: dict[str, Track] = {}
        topics = {layout.STATE: '/joint_states', 'action': DATASET_ACTION}
        for camera, key in self._dataset.cameras.items():
            topic = topics[key] = f'/{camera}/image_raw'
            images: Any = self._images(key)  # instead of messages
            tracks[topic] = ImageTrack(topic, RAW, self._stamps.tolist(), images)
        joints = self._column(layout.STATE).reshape(len(self._stamps), -1)
        tracks['/joint_states'] = joint_track('/joint_states', self._stamps, names, joints)
        if 'action' in self._dataset.features:
            action = self._column('action').reshape(len(self._stamps), -1)
            names = self._dataset.names('action')
            tracks[DATASET_ACTION] = joint_track(DATASET_ACTION, self._stamps, names, action)
        metadata = {**self._metadata(), SOURCE: {'topics': topics}}
        if self._row.get(layout.IDENTITIES):
            metadata[ORIGINS] = {'identities': json.loads(self._row[layout.IDENTITIES])}
        return Recording(self._path, tracks, metadata, ())

    def _data(self) -> pa.Table:
        own = None if self._dataset.old else [('episode_index', '=', self._number)]
        return pq.read_table(self._dataset.data_file(self._row), filters=own)

    def _column(self, name: str) -> Array:
        return np.array(self._table[name].to_pylist(), dtype=np.float64)

    def _images(self, key: str) -> Sequence[Image]:
        if self._dataset.features[key]['dtype'] == 'image':
            return StoredImages(self._table[key].to_pylist(), self._dataset.root)
        begin = 0.0 if self._dataset.old else float(self._row[f'videos/{key}/from_timestamp'])
        path = self._dataset.video_file(self._row, key)
        return VideoImages(path, begin + self._seconds, self._dataset.fps)

    def _metadata(self) -> dict[str, dict[str, Any]]:
        row = self._row
        task = self._task()
        success = row.get(layout.SUCCESS)
        if success is None and FRAME_SUCCESS in self._table.column_names:
            success = bool(self._column(FRAME_SUCCESS).any())
        if success is None:
            return {TASK: {'task': task}}
        known = {
            'task': task, 'success': bool(success), 'failure': row.get(layout.FAILURE),
            'seed': row.get(layout.SEED), 'times': json.loads(row.get(layout.TIMES) or '{}'),
            'marks': json.loads(row.get(layout.MARKS) or '[]'),
        }  # fmt: skip
        return {LABEL: known, TASK: {'task': task}}

    def _task(self) -> str:
        if self._row.get('tasks'):
            return str(self._row['tasks'][0])
        indices = self._table['task_index'].to_pylist() if self._table.num_rows else []
        return self._dataset.tasks.get(indices[0], '') if indices else ''


class StoredImages(Sequence[Image]):
    """Images in the data files, as PNG or JPEG; decoded on access."""

    def __init__(self, cells: Sequence[Mapping[str, Any]], root: Path) -> None:
        self._cells, self._root = cells, root

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return StoredImages(self._cells[index], self._root)
        cell = self._cells[index]
        content = cell.get('bytes') or (self._root / str(cell['path'])).read_bytes()
        pixels = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise RecordingError(
                'image-damaged', f'{self._root}: image {index} is damaged: download it again'
            )
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)

    def __iter__(self) -> Iterator[Image]:
        return (self[i] for i in range(len(self)))


def _list_in(path: Path) -> list[Path] | None:
    return episode_paths(path) if is_dataset(path) else None


def _resolve(path: Path) -> EpisodeRef | None:
    index = episode_index(path)
    return None if index is None else EpisodeRef(path, 'lerobot', path.parent, index)


def _info(ref: EpisodeRef) -> Path:
    return ref.path.parent / layout.INFO


def _first_frame(ref: EpisodeRef) -> int:
    rows = open_dataset(ref.path.parent).rows
    before = sum(int(row['length']) for row in rows if row['episode_index'] < ref.index)
    own = next((row for row in rows if row['episode_index'] == ref.index), {})
    return int(own.get('dataset_from_index', before))


def _state(ref: EpisodeRef) -> list[Any]:
    """Return the description of an episode and content hashes of its files."""
    dataset = open_dataset(ref.path.parent)
    row = next((row for row in dataset.rows if row['episode_index'] == ref.index), None)
    if row is None:
        return []
    videos = [key for key in dataset.cameras.values() if dataset.features[key]['dtype'] == 'video']
    try:
        files = [dataset.data_file(row), *(dataset.video_file(row, key) for key in videos)]
    except READ_ERRORS as error:
        raise _unreadable(ref.path, error) from error
    return [repr(sorted(row.items())), *map(content_hash, files)]


FORMAT: Final = RecordingFormat(
    'LeRobot datasets', _list_in, _resolve, lambda ref: read_episode(ref.path), _info,
    _state, _first_frame,
)  # fmt: skip
