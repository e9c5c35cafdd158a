# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reading folders with one video for each camera and a table of joints, CSV or Parquet.

A folder is one episode. Its cameras have the names of the video files; its joints have the names
of the columns. Frame i belongs to row i, so each video must have as many frames as the table has
rows. In a map, the numeric columns together are the feature 'table'.
"""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from viva_ros.core.errors import RecordingError
from viva_ros.core.observation import SECOND
from viva_ros.core.outcome import agreed, outcome_of_frames
from viva_ros.core.regular_file import open_regular
from viva_ros.data.dataset_tracks import ImageTrack, VectorTrack
from viva_ros.data.formats import EpisodeRef, RecordingFormat
from viva_ros.data.images import RAW
from viva_ros.data.lerobot.metadata import is_dataset
from viva_ros.data.lerobot.video import GREY_DEPTH, VideoImages, index_of
from viva_ros.data.recording import COLUMNS, DOUBT, JOINT_STATE, SOURCE, Recording, Track
from viva_ros.data.row_times import TIME_WORDS, index_times, timestamp_stamps, words
from viva_ros.data.segmentation import LABEL, TASK
from viva_ros.data.table_limits import check_table, open_table
from viva_ros.data.video_file import open_video

VIDEOS: Final = ('.mp4', '.mkv', '.avi', '.mov')
OTHER_VIDEOS: Final = ('.webm', '.m4v', '.mpg', '.mpeg', '.wmv', '.flv')  # they are left out
TABLES: Final = ('.csv', '.parquet')
OTHERS: Final = ('.mcap', '.db3', '.bag', '.hdf5', '.h5')  # recordings of their own
TABLE: Final = 'table'  # feature with all numeric columns
TIMESTAMP, FRAME, EPISODE, TASK_COLUMN = 'timestamp', 'frame_index', 'episode_index', 'task'
SUCCESSES: Final = ('success', 'is_success', 'next.success')
KNOWN: Final = (TIMESTAMP, FRAME, EPISODE, TASK_COLUMN, *SUCCESSES)
#: Words in the names of columns that may be no joint positions.
NO_POSITION: Final = frozenset({
    'acc', 'acceleration', 'accelerations', 'action', 'actions', 'clock', 'cmd', 'cmds', 'command',
    'commanded', 'commands', 'count', 'counter', 'current', 'currents', 'date', 'datetime',
    'desired', 'discount', 'done', 'dones', 'dt', 'duration', 'ee', 'eef', 'effort', 'efforts',
    'elapsed', 'end', 'epoch', 'episode', 'failed', 'failure', 'force', 'forces', 'frame',
    'frames', 'goal', 'goals', 'header', 'id', 'idx', 'imu', 'index', 'label', 'labels', 'leader',
    'load', 'master', 'nsec', 'nsecs', 'number', 'outcome', 'pose', 'pwm', 'qacc', 'qvel',
    'reference', 'reward', 'rewards', 'row', 'sec', 'secs', 'seq', 'speed', 'stamp', 'stamps',
    'state', 'status', 'step', 'steps', 'success', 'successes', 'successful', 't', 'target',
    'targets', 'task', 'tau', 'tcp', 'temperature', 'terminated', 'time', 'times', 'timestamp',
    'timestamps', 'torque', 'torques', 'truncated', 'ts', 'unnamed', 'vel', 'velocities',
    'velocity', 'voltage', 'wrench',
})  # fmt: skip
LARGEST: Final = 256 << 20  # bytes of a CSV file
LONGEST_HEAD: Final = 1 << 20  # bytes of its first line
MOST_COLUMNS: Final = 10_000
MOST_VALUES: Final = 50_000_000  # of a CSV file
FOLDERS_UP: Final = 3


def is_video_folder(path: Path) -> bool:
    """
    Return whether a folder has videos and a table of their rows, and is no part of a dataset.

    It must have no other recordings. A table of outcomes, with the column 'file', is none.
    """
    if not path.is_dir() or _is_in_other(path):
        return False
    files = _files(path)
    if not any(one.suffix.lower() in VIDEOS for one in files) or not _tables(path):
        return False
    below = [one for one in path.iterdir() if one.is_dir() and not one.name.startswith('.')]
    return not any(map(_has_other_files, [path, *below])) and not any(
        _is_other(one) or is_video_folder(one) for one in below
    )


def is_incomplete(path: Path) -> bool:
    """
    Return whether a folder beside episodes has videos without a table, or a table without videos.

    A table without videos is one of an episode if its folder has the name of an episode beside
    it, but for digits.
    """
    if not path.is_dir() or _is_in_other(path) or is_video_folder(path):
        return False
    has_videos = any(one.suffix.lower() in VIDEOS for one in _files(path))
    if has_videos == bool(_tables(path)) or _has_other_files(path):
        return False
    if any(one.is_dir() and is_video_folder(one) for one in path.iterdir()):
        return False
    return any(
        has_videos or _stem(one) == _stem(path) for one in path.absolute().parent.iterdir()
        if one.name != path.absolute().name and is_video_folder(one)
    )  # fmt: skip


def _stem(path: Path) -> str:
    return re.sub(r'\d+', '', path.absolute().name)


def _has_other_files(folder: Path) -> bool:
    return any(one.suffix in OTHERS for one in _files(folder))


def _is_in_other(folder: Path) -> bool:
    """Return whether a folder is, or is in, a LeRobot dataset or a bag."""
    above = folder.absolute().parents
    return _is_other(folder) or _is_other(above[0]) or any(map(is_dataset, above[:4]))


def _is_other(folder: Path) -> bool:
    return is_dataset(folder) or (folder / 'metadata.yaml').is_file()


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith('.'))


def _tables(folder: Path) -> list[Path]:
    return [p for p in _files(folder) if p.suffix.lower() in TABLES and not _is_outcome_table(p)]


def _is_outcome_table(path: Path) -> bool:
    if path.suffix.lower() != '.csv':
        return False
    with path.open('rb') as file:
        head = file.readline(1 << 16).decode('utf-8-sig', errors='replace')
    names = {name.strip().strip('"') for name in head.split(',')}
    return {'file', 'success'} <= names


def _check_separator(path: Path) -> None:
    """
    Check that the columns of a CSV file are separated by commas.

    :raises RecordingError: if they are by another sign
    """
    with path.open('rb') as file:
        head = file.readline(1 << 16).decode('utf-8-sig', errors='replace')
    found = next((sign for sign in ';\t|' if sign in head), '')
    if found and ',' not in head:
        raise RecordingError(
            'joint-table-separator',
            f'table {path} separates its columns by {found!r}, must be by commas, with a decimal '
            'point: write it again',
        )


def read_folder(path: Path) -> Recording:
    """
    Read the episode in a folder.

    :raises RecordingError: if its table or a video cannot be read, or their lengths differ
    """
    tables = _tables(path)
    if not tables:
        raise RecordingError(
            'video-folder-tables',
            f'{path} has videos and no table ({", ".join(TABLES)}) with a row for each frame: '
            'copy it from the original, or move the folder away',
        )
    if not any(one.suffix.lower() in VIDEOS for one in _files(path)):
        raise RecordingError(
            'video-folder-videos',
            f'{path} has the table {tables[0].name} and no video ({", ".join(VIDEOS)}): copy it '
            'from the original, or move the folder away',
        )
    if len(tables) != 1:
        raise RecordingError(
            'video-folder-tables',
            f'{path} has {len(tables)} tables ({", ".join(one.name for one in tables)}), must '
            'have one with a row for each frame: move the others away',
        )
    return _Reader(path, tables[0], read_rows(tables[0])).recording()


def _check_csv(path: Path) -> None:
    """
    Check the size of a CSV file before it is decoded: its values take far more memory.

    :raises OSError: if it is a pipe, socket or device
    :raises ValueError: if it has too many bytes, columns or values
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise ValueError(f'it has {size} bytes, at most {LARGEST} are read: write Parquet')
        head = file.read(LONGEST_HEAD)
        try:
            columns = len(next(csv.reader(io.StringIO(head.decode(errors='replace'))), []))
        except csv.Error as error:
            raise ValueError(f'its first line cannot be read: {error}') from error
        is_cut = size > len(head) and not {*b'\r\n'} & {*head}
        if columns > MOST_COLUMNS or is_cut:
            raise ValueError(f'its first line has more than {MOST_COLUMNS} columns')
        rows = 0
        while head:
            rows += max(head.count(b'\n'), head.count(b'\r'))
            head = file.read(1 << 20)
    if rows * columns > MOST_VALUES:
        raise ValueError(f'it has {rows * columns} values, at most {MOST_VALUES} are read')


def read_rows(path: Path) -> pa.Table:
    """
    Read a table, with its rows in the order of frame_index.

    :raises RecordingError: if it cannot be read, or has a column twice, lost or repeated rows
    """
    try:
        if path.suffix.lower() == '.csv':
            _check_separator(path)
        if path.suffix.lower() == '.parquet':
            with open_table(path) as file:
                check_table(path, file)
                table = file.read()
        else:
            _check_csv(path)
            size = path.stat().st_size + 1  # types of columns are found in the whole file
            table = pa.csv.read_csv(path, pa.csv.ReadOptions(block_size=size))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RecordingError(
            'joint-table-unreadable', f'table {path} cannot be read ({error}): correct it'
        ) from error
    names = [name.strip() for name in table.column_names]
    if '' in names:
        raise RecordingError(
            'joint-table-column-unnamed',
            f'table {path} has no name for column {names.index("") + 1}: name or delete it',
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise RecordingError(
            'joint-table-column-twice',
            f'table {path} has column {", ".join(map(repr, twice))} twice: rename or delete one',
        )
    known = {_known_name(name) for name in names} & set(KNOWN)
    for one in known:
        spelled = [name for name in names if _known_name(name) == one]
        if len(spelled) > 1:
            raise RecordingError(
                'joint-table-column-twice',
                f'table {path} has columns {" and ".join(spelled)}, both are {one}: rename or '
                'delete one',
            )
    return _ordered(path, table.rename_columns(list(map(_known_name, names))))


def _known_name(name: str) -> str:
    """Return the name of a known column in lower case, any other name unchanged."""
    return name.lower() if name.lower() in KNOWN else name


def _ordered(path: Path, table: pa.Table) -> pa.Table:
    if EPISODE in table.column_names and len(pc.unique(table[EPISODE])) > 1:
        raise RecordingError(
            'joint-table-episodes',
            f'table {path} has {len(pc.unique(table[EPISODE]))} episodes in {EPISODE}, must have '
            'one: split it, with a folder for each episode',
        )
    if FRAME not in table.column_names:
        return table
    frames = _floats(table[FRAME])
    order = np.argsort(frames, kind='stable')
    if not np.array_equal(frames[order], np.arange(table.num_rows)):
        raise RecordingError(
            'joint-table-frame-index',
            f'table {path} has {table.num_rows} rows, whose {FRAME} must be 0 to '
            f'{table.num_rows - 1}, each once: rows were lost or repeated; record it again',
        )
    return table.take(pa.array(order))


def _floats(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Return a numeric column, NaN for an empty cell; a column of another type is all NaN."""
    if not _is_numeric(column.type):
        return np.full(len(column), np.nan)
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


class _Reader:
    """Reads the episode of a folder."""

    def __init__(self, path: Path, file: Path, table: pa.Table) -> None:
        self._path, self._file, self._table = path, file, table
        self._columns: dict[str, np.ndarray[Any, Any]] = {
            name: _floats(table[name]) for name in table.column_names
            if _is_numeric(table[name].type)
        }  # fmt: skip

    def recording(self) -> Recording:
        rows = self._table.num_rows
        videos, notes = self._videos()
        stamps, untimed = self._timestamps()
        is_stated = stamps is not None or bool(untimed)  # doubtful timestamps are not replaced
        rate, doubt = (None, '') if is_stated else common_rate(list(videos.values()))
        start = stamps[0] if stamps else SECOND
        times = stamps or (index_times(start, rate, rows) if rate else [0] * rows)
        tracks: dict[str, Track] = {}
        topics: dict[str, str] = {}
        for name, file in videos.items():
            topic = topics[file.name] = f'/{name}/image_raw'
            topics.setdefault(name, topic)
            images: Any = VideoImages(file, np.arange(rows))
            tracks[topic] = ImageTrack(topic, RAW, times, images)
        joints, problem = self._joints()
        numeric = [name for name in self._columns if name not in (TIMESTAMP, FRAME, EPISODE)]
        topics[TABLE] = f'/{TABLE}'
        for topic, names in ((f'/{TABLE}', numeric), ('/joint_states', joints)):
            if names:
                matrix: Any = np.stack([self._columns[name] for name in names], axis=1)
                tracks[topic] = VectorTrack(topic, JOINT_STATE, times, matrix, names=tuple(names))
        source = {
            'topics': topics, 'start': start, 'fps': rate, 'robot': '', 'problem': problem,
            'depth': [], 'stamped': stamps is not None, 'untimed': untimed or doubt,
        }  # fmt: skip
        values = {name: self._table[name].to_pylist() for name in self._table.column_names}
        metadata = {**self._description(), SOURCE: source, COLUMNS: values}
        return Recording(self._path, tracks, metadata, (), notes=tuple(notes))

    def _videos(self) -> tuple[dict[str, Path], list[str]]:
        """Return the video of each colour camera, and notes on other videos."""
        found: dict[str, Path] = {}
        notes = [f'video {name} is left out: {reason}' for name, reason in self._left_out()]
        for file in _files(self._path):
            if file.suffix.lower() not in VIDEOS:
                continue
            name = re.sub(r'\W', '_', file.stem)
            if 'depth' in file.stem.lower() or _is_grey_depth(file):
                notes.append(f'video {file.name} is left out: it is a depth map')
                continue
            if name in found:
                raise RecordingError(
                    'video-folder-camera-twice',
                    f'{self._path} has {found[name].name} and {file.name}, which are both camera '
                    f'{name}: rename one',
                )
            frames = len(index_of(file))
            if frames != self._table.num_rows:
                raise RecordingError(
                    'video-folder-frames',
                    f'video {file} has {frames} frames, and {self._file.name} '
                    f'{self._table.num_rows} rows: no frame can be assigned to a row; record it '
                    'again, or leave it out',
                )
            found[name] = file
        return found, notes

    def _left_out(self) -> list[tuple[str, str]]:
        """Return videos that are no cameras, by their place, and why."""
        videos = (*VIDEOS, *OTHER_VIDEOS)
        found = [
            (file.name, f'it is no {", ".join(VIDEOS)}') for file in _files(self._path)
            if file.suffix.lower() in OTHER_VIDEOS
        ]  # fmt: skip
        below = sorted(one for one in self._path.iterdir() if one.is_dir())
        return found + [
            (f'{folder.name}/{file.name}', 'it is in a subfolder')
            for folder in below if not folder.name.startswith('.')
            for file in _files(folder) if file.suffix.lower() in videos
        ]  # fmt: skip

    def _timestamps(self) -> tuple[list[int] | None, str]:
        """Return the stamps of the rows, ns, or the reason why they have none; '' if absent."""
        clocks = [name for name in self._table.column_names if words(name) & TIME_WORDS]
        if TIMESTAMP not in clocks or len(clocks) > 1:
            named = ' and '.join(clocks)
            return None, (
                f'column {named} may have the times, they must be in {TIMESTAMP} only'
                if clocks else ''
            )  # fmt: skip
        column = self._table[TIMESTAMP]
        if pa.types.is_integer(column.type) and not column.null_count:
            return timestamp_stamps(TIMESTAMP, np.asarray(column.to_numpy()))
        return timestamp_stamps(TIMESTAMP, _floats(column))

    def _joints(self) -> tuple[list[str], str]:
        """Return the columns with joints, and a problem with a remedy if they are not clear."""
        names = [name for name in self._table.column_names if name not in KNOWN]
        ambiguous = [name for name in names if words(name) & NO_POSITION]
        reasons = {name: self._why_no_number(name) for name in names}
        first = next((name for name in names if reasons[name]), '')
        if ambiguous or first:
            numeric = [
                name for name in names
                if name in self._columns and name not in ambiguous and not reasons[name]
            ]  # fmt: skip
            text = (
                f'column {", ".join(ambiguous)} may be no joint position' if ambiguous
                else f'column {first} {reasons[first]}'
            )  # fmt: skip
            remedy = (
                f'name the joints in the map, "joints: [{{feature: {TABLE}, names: '
                f'[{", ".join(numeric[:2])}, ...]}}]"' if numeric
                else 'write each joint in a column of its own, separated by commas in a CSV file'
            )  # fmt: skip
            return [], f'{self._file.name}: {text}: {remedy}'
        if not names:
            return [], f'{self._file.name} has no column with joint positions: leave it out'
        return names, ''

    def _why_no_number(self, name: str) -> str:
        """Return why a column has not a number in each row; '' if it has."""
        if name in self._columns:
            bad = np.flatnonzero(~np.isfinite(self._columns[name]))
            return f'has no number in row {bad[0]}' if bad.size else ''
        values = self._table[name].to_pylist()
        row = next((k for k, value in enumerate(values) if not _is_number(value)), 0)
        return f'has {values[row]!r} in row {row}, no number' if values else 'has no numbers'

    def _description(self) -> dict[str, dict[str, Any]]:
        """Return the task and the outcome, as far as the table has them."""
        columns, rows = self._table.column_names, {}
        texts: list[str] = []
        if TASK_COLUMN in columns:
            values = self._table[TASK_COLUMN].to_pylist()
            texts = [one for one in dict.fromkeys(values) if isinstance(one, str) and one.strip()]
        task = texts[0] if len(texts) == 1 else ''
        found: dict[str, dict[str, Any]] = {
            TASK: {'task': task, 'tasks': texts if len(texts) > 1 else []}
        }
        doubts = []
        for name in (one for one in SUCCESSES if one in columns):
            rows[name], doubt = outcome_of_frames(name, self._table[name].to_pylist())
            doubts += [f'{name}: {doubt}'] if doubt else []
        success, conflict = agreed(rows)
        doubts += [conflict] if conflict else []
        if doubts:
            known = {name: one for name, one in rows.items() if one is not None}
            found[DOUBT] = {'text': '; '.join(doubts), 'known': known}
        elif success is not None:
            found[LABEL] = {'task': task, 'success': success}
        return found


def _is_number(value: object) -> bool:
    try:
        return bool(np.isfinite(float(str(value))))
    except ValueError:
        return False


def _is_grey_depth(path: Path) -> bool:
    """Return whether a video has more than 8 bits of grey."""
    container, stream = open_video(path)
    with container:
        return bool(GREY_DEPTH.match(stream.codec_context.format.name))


def constant_rate(path: Path) -> float | None:
    """
    Return the frame rate of a video if all its frames are evenly spaced, Hz; else None.

    :raises RecordingError: if it cannot be read
    """
    index = index_of(path)
    container, stream = open_video(path)
    with container:
        average = stream.average_rate
    if not average or len(index) < 2:
        return None
    steps = (index.times - index.times[0]) * float(index.unit)
    even = np.arange(len(index)) / float(average)
    tick = max(float(index.unit), 1e-6)
    return float(average) if np.abs(steps - even).max() <= tick else None


def common_rate(paths: Sequence[Path]) -> tuple[float | None, str]:
    """Return the frame rate that all videos have, Hz, or the reason why there is none."""
    rates = {path.name: constant_rate(path) for path in paths}
    uneven = [name for name, rate in rates.items() if rate is None]
    if uneven:
        return None, f'video {uneven[0]} has no constant frame rate'
    if len(set(rates.values())) > 1:
        named = ', '.join(f'{name} {rate:g} Hz' for name, rate in rates.items())
        return None, f'videos have different frame rates: {named}'
    return next(iter(rates.values()), None), ''


def _list_in(path: Path) -> list[Path] | None:
    return [path] if is_video_folder(path) or is_incomplete(path) else None


def _resolve(path: Path) -> EpisodeRef | None:
    known = is_video_folder(path) or is_incomplete(path)
    return EpisodeRef(path, 'video_folder') if known else None


FORMAT: Final = RecordingFormat(
    'folders with videos and a table of joints (*.csv or *.parquet)',
    _list_in, _resolve, lambda ref: read_folder(ref.path), folders_up=FOLDERS_UP,
)  # fmt: skip
