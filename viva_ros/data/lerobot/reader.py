# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reading LeRobot datasets, v2.0 to v3.x: each episode is opened as a recording.

Stamps start at 'viva/start_stamp', or at 1 s in datasets of other tools. The outcome is the column
'success' of the episode or 'next.success' of its frames; without both there is none. Each numeric
feature is a topic, so that a map can name the joints.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from viva_ros.core.errors import RecordingError
from viva_ros.core.foreign_text import shown
from viva_ros.core.json_reader import parse_json
from viva_ros.core.observation import SECOND, Array, Image
from viva_ros.core.outcome import agreed, outcome, outcome_of_frames
from viva_ros.data.dataset_tracks import FEATURE, ImagesOnAccess, ImageTrack, VectorTrack
from viva_ros.data.file_signature import content_fault
from viva_ros.data.formats import EpisodeRef, RecordingFormat, content_hash
from viva_ros.data.images import RAW
from viva_ros.data.lerobot import layout
from viva_ros.data.lerobot.checks import (
    AGAIN,
    check_episode_column,
    check_statistics,
    checked_rows,
    first_frame_of,
)
from viva_ros.data.lerobot.metadata import (
    ACTIONS,
    MODALITY,
    READ_ERRORS,
    Dataset,
    confined,
    is_dataset,
    is_depth,
    open_dataset,
    width,
)
from viva_ros.data.lerobot.stored_images import ROW, ColumnCells, StoredImages, own_rows
from viva_ros.data.lerobot.video import VideoImages
from viva_ros.data.recording import (
    COLUMNS,
    DATASET_ACTION,
    DOUBT,
    JOINT_STATE,
    NUMBERS,
    ORIGINS,
    SOURCE,
    Recording,
    Track,
)
from viva_ros.data.row_times import LARGEST
from viva_ros.data.segmentation import LABEL, TASK
from viva_ros.data.table_limits import open_table

EPISODE: Final = 'episode_{:06d}'
OLD_TASKS: Final = 'meta/tasks.jsonl'
TIMESTAMP: Final = 'timestamp'


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
        f'{path} cannot be read ({type(error).__name__}: {error}): compare it with its original, '
        'or leave it out',
    )


def _topic(feature: str) -> str:
    """Return the topic of a feature that only a map can name."""
    return f'/{FEATURE}{feature.replace("/", ".")}'


class _Reader:
    """Reads one episode of a dataset as a recording."""

    def __init__(self, dataset: Dataset, row: Mapping[str, Any], path: Path) -> None:
        self._dataset, self._row, self._path = dataset, row, path
        self._number = int(row['episode_index'])
        self._table = self._data()
        self._start = int(row.get(layout.START) or SECOND)
        since = np.round(self._seconds() * SECOND)
        is_known = np.abs(since) < LARGEST - self._start  # others are no seconds: no stamps
        stamps = self._start + np.where(is_known, since, 0.0).astype(np.int64)
        self._stamps = np.where(is_known, stamps, 0).tolist()

    def _seconds(self) -> Array:
        """
        Return the timestamps of the rows, (N,), s; by the rate if they are multiples of it.

        :raises RecordingError: if they are missing, or no numbers
        """
        path, fps = self._path, self._dataset.fps
        if TIMESTAMP not in self._table.column_names:
            raise RecordingError(
                'dataset-timestamp-missing',
                f'{path} has no column {TIMESTAMP}: add it (frame_index / fps, s), or leave it '
                'out',
            )
        times = self._column(TIMESTAMP)
        if times.size != self._table.num_rows:
            raise RecordingError(
                'dataset-timestamp',
                f'{path}: {TIMESTAMP} has {times.size} numbers in {self._table.num_rows} rows, '
                f'must have one in each: {AGAIN}',
            )
        times = times.ravel()
        if not np.isfinite(times).all():
            k = int(np.flatnonzero(~np.isfinite(times))[0])
            raise RecordingError(
                'dataset-timestamp',
                f'{path}: timestamp of row {k} is {times[k]}, must be finite: {AGAIN}',
            )
        kind = getattr(self._table[TIMESTAMP].type, 'value_type', self._table[TIMESTAMP].type)
        rounding = np.finfo(np.float32 if pa.types.is_float32(kind) else np.float64).eps
        steps = np.round(times * fps)
        exact = np.allclose(steps / fps, times, rtol=rounding, atol=1e-4)
        return steps / fps if exact else times

    def recording(self) -> Recording:
        dataset = self._dataset
        tracks: dict[str, Track] = {}
        topics: dict[str, str] = {}
        for camera, key in dataset.cameras.items():
            topic = topics[key] = f'/{camera}/image_raw'
            images: Any = self._images(key)  # instead of messages
            tracks[topic] = ImageTrack(topic, RAW, self._stamps, images)
        for key in dataset.others:
            topic = topics[key] = _topic(key)
            later: Any = ImagesOnAccess(partial(self._images, key), len(self._stamps))
            tracks[topic] = ImageTrack(topic, RAW, self._stamps, later)
        state, problem = dataset.state()
        action = next((key for key in ACTIONS if key in dataset.features), '')
        notes = list(dataset.notes)
        if action and not dataset.names(action):
            notes.append(f'feature {action} is left out: it has no names')
        for key in self._vectors():
            names = dataset.names(key)
            own = {state: '/joint_states', action: DATASET_ACTION}.get(key) if names else None
            topic = topics[key] = own or _topic(key)
            tracks[topic] = self._vector(key, topic, names)
        source = {
            'topics': topics, 'start': self._start, 'fps': dataset.fps, 'robot': dataset.robot,
            'problem': problem,
            'depth': [key for key, one in dataset.features.items()
                      if one.get('dtype') in ('video', 'image') and is_depth(key, one)],
        }  # fmt: skip
        metadata = {**self._metadata(), SOURCE: source, COLUMNS: _Columns(self._row, self._table)}
        if self._row.get(layout.IDENTITIES):
            metadata[ORIGINS] = {'identities': parse_json(self._row[layout.IDENTITIES])}
        return Recording(self._path, tracks, metadata, (), notes=tuple(notes))

    def _data(self) -> pa.Table:
        path = self._dataset.data_file(self._row)
        if not path.is_file():
            raise RecordingError(
                'dataset-file-missing',
                f'{path} is missing: copy it from the original, or leave episode {self._number} '
                'out',
            )
        images = [
            key for key, one in self._dataset.features.items() if one.get('dtype') == 'image'
        ]
        try:
            table = own_rows(path, None if self._dataset.old else self._number, images)
        except pa.ArrowException as error:
            raise RecordingError(
                'dataset-file-unreadable',
                f'{path} cannot be read ({content_fault(path) or error}): copy it from the '
                'original, or leave its episodes out',
            ) from error
        check_episode_column(self._dataset, self._row, table)
        return checked_rows(self._dataset, self._row, table)

    def _column(self, name: str) -> Array:
        return np.array(self._table[name].to_pylist(), dtype=np.float64)

    def _vectors(self) -> list[str]:
        """Return the numeric features that are in the data file."""
        return [
            key for key, one in self._dataset.features.items()
            if key in self._table.column_names and key not in layout.INDEX_COLUMNS
            and (str(one.get('dtype')).startswith('float') or self._has_integers(key))
        ]  # fmt: skip

    def _has_integers(self, key: str) -> bool:
        """Return whether all rows of a feature have as many integers as its shape, not tokens."""
        column, feature = self._table[key], self._dataset.features[key]
        if not str(feature.get('dtype')).startswith(('int', 'uint')):
            return False
        if pa.types.is_integer(column.type):
            return width(feature) == 1
        kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
        if not any(is_kind(column.type) for is_kind in kinds):
            return False
        return bool(pc.unique(pc.list_value_length(column)).to_pylist() == [width(feature)])

    def _vector(self, key: str, topic: str, names: tuple[str, ...]) -> Track:
        try:
            rows: Any = self._column(key).reshape(len(self._stamps), -1)
        except ValueError as error:
            raise RecordingError(
                'dataset-width',
                f'{self._path}: rows of {key} have different lengths ({error}): leave it out',
            ) from error
        if names and rows.shape[1] != len(names):
            raise RecordingError(
                'dataset-width',
                f'{self._path}: {key} has {rows.shape[1]} numbers in its rows and {len(names)} '
                'names: leave it out',
            )
        check_statistics(self._dataset, self._row, key, rows)
        kind = JOINT_STATE if names else NUMBERS
        return VectorTrack(topic, kind, self._stamps, rows, names=names)

    def _images(self, key: str) -> Sequence[Image]:
        if self._dataset.features[key]['dtype'] == 'image':
            rows = np.array(self._table[ROW], dtype=np.int64)
            path = self._dataset.data_file(self._row)
            pq.read_schema(path).field(key)  # KeyError if it is not there
            return StoredImages(ColumnCells(path, key, rows), self._dataset.root)
        first = first_frame_of(self._dataset, self._row, key)
        path = self._dataset.video_file(self._row, key)
        return VideoImages(path, first + np.arange(len(self._stamps)))

    def _metadata(self) -> dict[str, dict[str, Any]]:
        row, tasks = self._row, self._tasks()
        task = tasks[0] if len(tasks) == 1 else ''
        found: dict[str, dict[str, Any]] = {
            TASK: {'task': task, 'tasks': tasks if len(tasks) > 1 else []}
        }
        success, doubt, known = self._outcome()
        if doubt:
            found[DOUBT] = {'text': doubt, 'known': known}
        if success is None:
            return found
        found[LABEL] = {
            'task': task, 'success': success, 'failure': row.get(layout.FAILURE),
            'seed': row.get(layout.SEED), 'times': parse_json(row.get(layout.TIMES) or '{}'),
            'marks': parse_json(row.get(layout.MARKS) or '[]'),
        }  # fmt: skip
        return found

    def _outcome(self) -> tuple[bool | None, str, dict[str, bool]]:
        """Return the outcome by the columns, a reason without one, and that of each column."""
        found: dict[str, bool | None] = {}
        doubts = []
        stated = self._row.get(layout.SUCCESS)
        if stated is not None:
            found[layout.SUCCESS] = outcome(stated)
            if found[layout.SUCCESS] is None:
                doubts.append(f'{layout.SUCCESS} is {stated!r}')
        if layout.FRAME_SUCCESS in self._table.column_names:
            values = self._table[layout.FRAME_SUCCESS].to_pylist()
            found[layout.FRAME_SUCCESS], doubt = outcome_of_frames(layout.FRAME_SUCCESS, values)
            doubts += [f'{layout.FRAME_SUCCESS}: {doubt}'] if doubt else []
        success, conflict = agreed(found)
        doubts += [conflict] if conflict else []
        known = {name: one for name, one in found.items() if one is not None}
        if conflict or success is None:
            return None, '; '.join(doubts), known
        return success, '', known

    def _tasks(self) -> list[str]:
        """Return the tasks of the frames, else those that the episode lists."""
        if 'task_index' in self._table.column_names and self._dataset.tasks:
            indices = dict.fromkeys(self._table['task_index'].to_pylist())
            for index in indices:
                if type(index) is not int or index not in self._dataset.tasks:
                    raise self._task_unknown(index)
            return [self._dataset.tasks[index] for index in indices]
        return list(self._row.get('tasks') or [])

    def _task_unknown(self, index: object) -> RecordingError:
        tasks = self._dataset.tasks
        return RecordingError(
            'dataset-task',
            f'{self._path} has frames with task_index {shown(repr(index), 40)}, the table of '
            f'tasks has {min(tasks)} to {max(tasks)}: compare meta/ with its original, add the '
            'task to it, or leave the episode out',
        )


class _Columns(Mapping[str, Any]):
    """Values of the columns of an episode, and lists of those of its frames."""

    def __init__(self, row: Mapping[str, Any], table: pa.Table) -> None:
        hidden = ('data/', 'videos/', 'meta/', 'stats/', 'viva/', 'dataset_')
        self._row = {key: row[key] for key in row if not key.startswith(hidden)}
        self._table = table.drop_columns([ROW])

    def __getitem__(self, key: str) -> Any:
        return self._row[key] if key in self._row else self._table[key].to_pylist()

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._row, *self._table.column_names]))

    def __len__(self) -> int:
        return len(list(iter(self)))


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
    videos = [
        key for key in dataset.color_features
        if dataset.features[key]['dtype'] == 'video' and dataset.has_video(row, key)
    ]  # fmt: skip
    try:
        files = [dataset.data_file(row), *(dataset.video_file(row, key) for key in videos)]
    except READ_ERRORS as error:
        raise _unreadable(ref.path, error) from error
    described = [ref.path.parent / name for name in (MODALITY, layout.TASKS, OLD_TASKS)]
    files += [path for path in described if path.is_file()]
    files += _pictures(dataset, row)
    hashes = [content_hash(path) if path.exists() else 'missing' for path in files]
    return [repr(sorted(row.items())), *hashes]


def _pictures(dataset: Dataset, row: Mapping[str, Any]) -> list[Path]:
    """Return the images of an episode in files of their own."""
    keys = [key for key in dataset.color_features if dataset.features[key]['dtype'] == 'image']
    file = dataset.data_file(row)
    if not keys or not file.is_file():
        return []
    parquet = open_table(file)
    found: list[Path] = []
    for key in keys:
        index = parquet.schema_arrow.get_field_index(key)
        kind = parquet.schema_arrow.field(index).type if index >= 0 else None
        if kind is None or not pa.types.is_struct(kind) or kind.get_field_index('path') < 0:
            continue
        table = parquet.read(columns=[f'{key}.path', 'episode_index'])
        mine = table.filter(pc.equal(table['episode_index'], int(row['episode_index'])))
        paths = [cell['path'] for cell in mine[key].to_pylist() if cell]
        found += [confined(dataset.root, path) for path in paths if path]
    return [path for path in found if path.is_file()]


FORMAT: Final = RecordingFormat(
    'LeRobot datasets', _list_in, _resolve, lambda ref: read_episode(ref.path), _info,
    _state, _first_frame, folders_up=1,
)  # fmt: skip
