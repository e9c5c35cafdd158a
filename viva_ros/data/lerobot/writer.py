# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Writing a LeRobot dataset, v3.0: staged episodes are joined into few files.

Positions are float32, as in LeRobot. Times start at 0 in each episode; 'viva/start_stamp' is the
stamp of its first frame, ns.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from viva_ros.core.files import write_atomically
from viva_ros.data.episode import Label
from viva_ros.data.lerobot import layout, stats
from viva_ros.data.lerobot.layout import Shape
from viva_ros.data.lerobot.video import join

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class StagedEpisode:
    """
    One imported episode before the dataset is assembled.

    :param source: path of its recording
    :param start: stamp of the first frame, ns
    :param length: number of frames, N
    :param vectors: feature to a .npy file, (N, D) float32
    :param videos: camera to a video of N frames
    :param pictures: camera to the statistics of its images
    :param origins: as in ``Episode``
    """

    name: str
    source: str
    label: Label
    start: int
    length: int
    vectors: Mapping[str, Path]
    videos: Mapping[str, Path]
    pictures: Mapping[str, Mapping[str, Any]]
    origins: tuple[str, ...] = ()


def assemble(folder: Path, episodes: Sequence[StagedEpisode], shape: Shape, robot: str) -> None:
    """
    Write the files of a dataset into a folder.

    :param folder: must not exist
    :param episodes: at least one
    :raises OSError: if it cannot be written
    """
    tasks = list(dict.fromkeys(one.label.task for one in episodes))
    rows: list[dict[str, Any]] = [_own_columns(n, one) for n, one in enumerate(episodes)]
    described = _data(folder, episodes, shape, tasks, rows)
    for camera in shape.sizes:
        _videos(folder, episodes, shape, camera, rows)
        parts = [_arrays(one.pictures[camera]) for one in episodes]
        _add_statistics(f'{layout.IMAGES}{camera}', parts, rows, described)
    _episodes(folder, rows)
    write_table(layout.tasks_table(tasks), folder / layout.TASKS)
    frames = sum(one.length for one in episodes)
    summary = layout.info(shape, robot, len(episodes), frames, len(tasks))
    write_atomically(folder / layout.STATS, json.dumps(described, indent=1))
    write_atomically(folder / layout.INFO, json.dumps(summary, indent=1))


def _own_columns(number: int, one: StagedEpisode) -> dict[str, Any]:
    label = one.label
    marks = [[mark.kind, mark.time, mark.text] for mark in label.marks]
    return {
        'episode_index': number, 'tasks': [label.task], 'length': one.length,
        layout.SUCCESS: label.success, layout.NAME: one.name, layout.SOURCE: one.source,
        layout.START: one.start, layout.FAILURE: label.failure, layout.SEED: label.seed,
        layout.TIMES: json.dumps(dict(label.times)), layout.MARKS: json.dumps(marks),
        layout.IDENTITIES: json.dumps(one.origins),
        'meta/episodes/chunk_index': 0, 'meta/episodes/file_index': 0,
    }  # fmt: skip


def _data(
    folder: Path, episodes: Sequence[StagedEpisode], shape: Shape, tasks: Sequence[str],
    rows: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Write the vectors, one row group per episode; return their statistics, extend the rows."""
    schema, parts = layout.data_schema(shape), []
    number, size, start = 0, 0, 0
    writer: pq.ParquetWriter | None = None
    for one, row in zip(episodes, rows, strict=True):
        columns = _columns(one, row['episode_index'], start, tasks, shape.fps)
        table = _table(columns, schema)
        if writer is not None and size + table.nbytes > layout.DATA_LIMIT * MEGABYTE:
            writer.close()
            writer, size, number = None, 0, number + 1
        if writer is None:
            path = folder / layout.DATA.format(**layout.place(number))
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = pq.ParquetWriter(path, schema, compression='snappy')
        writer.write_table(table)
        size += table.nbytes
        row |= {f'data/{key}': value for key, value in layout.place(number).items()}
        row |= {'dataset_from_index': start, 'dataset_to_index': start + one.length}
        start += one.length
        parts.append({key: stats.of_rows(column) for key, column in columns.items()})
    if writer is not None:
        writer.close()
    described: dict[str, Any] = {}
    for key in parts[0]:
        _add_statistics(key, [part[key] for part in parts], rows, described)
    return described


def _columns(
    one: StagedEpisode, number: int, start: int, tasks: Sequence[str], fps: int
) -> dict[str, np.ndarray[Any, Any]]:
    steps = np.arange(one.length, dtype=np.int64)
    found = {key: np.load(path) for key, path in one.vectors.items()}
    return {
        **found, 'timestamp': (steps / fps).astype(np.float32), 'frame_index': steps,
        'episode_index': np.full(one.length, number), 'index': start + steps,
        'task_index': np.full(one.length, tasks.index(one.label.task)),
    }  # fmt: skip


def _table(columns: Mapping[str, np.ndarray[Any, Any]], schema: pa.Schema) -> pa.Table:
    arrays = []
    for field in schema:
        rows = columns[field.name]
        if pa.types.is_fixed_size_list(field.type):
            flat = pa.array(rows.astype(np.float32).ravel())
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, field.type.list_size))
        else:
            arrays.append(pa.array(rows.ravel(), field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _videos(
    folder: Path, episodes: Sequence[StagedEpisode], shape: Shape, camera: str,
    rows: list[dict[str, Any]],
) -> None:  # fmt: skip
    """Join the videos of one camera into files below the limit; extend the rows."""
    key = f'{layout.IMAGES}{camera}'
    for number, file in enumerate(_full_files(episodes, camera)):
        path = folder / layout.VIDEO.format(video_key=key, **layout.place(number))
        path.parent.mkdir(parents=True, exist_ok=True)
        before = 0
        for at in file:
            length = episodes[at].length
            rows[at] |= {f'videos/{key}/{n}': v for n, v in layout.place(number).items()}
            rows[at][f'videos/{key}/from_timestamp'] = before / shape.fps
            rows[at][f'videos/{key}/to_timestamp'] = (before + length) / shape.fps
            before += length
        parts = [episodes[at].videos[camera] for at in file]
        join(parts, [episodes[at].length for at in file], path, shape.fps)


def _full_files(episodes: Sequence[StagedEpisode], camera: str) -> list[list[int]]:
    files: list[list[int]] = []
    size = 0
    for at, one in enumerate(episodes):
        added = one.videos[camera].stat().st_size
        if not files or size + added > layout.VIDEO_LIMIT * MEGABYTE:
            files.append([])
            size = 0
        files[-1].append(at)
        size += added
    return files


def _add_statistics(
    key: str, parts: Sequence[stats.Statistics], rows: list[dict[str, Any]],
    described: dict[str, Any],
) -> None:  # fmt: skip
    for row, part in zip(rows, parts, strict=True):
        row |= {f'stats/{key}/{name}': value.tolist() for name, value in part.items()}
    described[key] = {name: v.tolist() for name, v in stats.aggregate(parts).items()}


def _arrays(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(value) for name, value in content.items()}


def _episodes(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = {}
    for name in rows[0]:
        kind = layout.EXTRA_COLUMNS.get(name)
        columns[name] = pa.array([row[name] for row in rows], kind)
    write_table(pa.table(columns), folder / layout.EPISODES.format(**layout.place(0)))


def write_table(table: pa.Table, path: Path) -> None:
    """Write a parquet file; create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression='snappy')
