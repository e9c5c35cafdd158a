# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Training data on disk: decoded and resized once, then mapped into memory.

Each recording becomes one shard; shards are joined into arrays. Recordings may be added: only
theirs are made anew.
"""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.data.episode import Episode
from viva_ros.data.recording import read
from viva_ros.offline.moments import cut
from viva_ros.offline.progress import bar

ARRAYS = ('images', 'stamps', 'proprio', 'future', 'returned')


@dataclass(frozen=True)
class Cut:
    """How episodes are cut: see ``moments.cut``."""

    cameras: tuple[str, ...]
    joint_names: tuple[str, ...]
    size: tuple[int, int]
    horizon: float
    every: int


@dataclass(frozen=True)
class Data:
    """
    All moments of some recordings, in order of episode and time.

    :param images: (N, V, H, W, 3) uint8, on disk
    :param proprio: (N, J), rad or m
    :param future: (N, J), rad or m
    :param returned: G, (N,)
    :param stamps: (N,) int64, ns
    :param episode: index of the episode of each moment, (N,)
    :param labels: of each episode: name, task, success, failure, seed, times
    """

    images: NDArray[np.uint8]
    proprio: NDArray[np.float32]
    future: NDArray[np.float32]
    returned: NDArray[np.float32]
    stamps: NDArray[np.int64]
    episode: NDArray[np.int64]
    labels: list[dict[str, Any]]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Of all episodes, each once."""
        return tuple(sorted({label['task'] for label in self.labels}))

    def task_index(self, tasks: Sequence[str]) -> NDArray[np.int64]:
        """Give the place of each moment's task in ``tasks``, (N,)."""
        places = np.array([tasks.index(label['task']) for label in self.labels], dtype=np.int64)
        return places[self.episode]


def load(paths: Sequence[Path], folder: Path, how: Cut, part: str, processes: int = 1) -> Data:
    """
    Give the moments of recordings, from the cache as far as they are in it.

    :param folder: of the cache
    :param part: name of the joined file, such as 'train'
    :raises RecordingError: if a recording cannot be read
    """
    shards = folder / 'shards'
    shards.mkdir(parents=True, exist_ok=True)
    key = json.dumps(asdict(how))
    todo = [path for path in paths if not _is_whole(_shard(shards, path), path, key)]
    work = partial(_write_shard, shards, how)
    with _map(processes) as run:
        for _ in bar(run(work, todo), 'reading recordings', total=len(todo)):
            pass
    return join([_shard(shards, path) for path in paths], folder / part, key)


@contextmanager
def _map(processes: int) -> Iterator[Any]:
    if processes <= 1:
        yield map
        return
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    with ProcessPoolExecutor(processes, get_context('spawn')) as pool:
        yield pool.map


def _shard(shards: Path, path: Path) -> Path:
    return shards / path.stem


def _is_whole(shard: Path, path: Path, key: str) -> bool:
    """Tell whether a shard is of this file, as it is now, and cut as asked for."""
    index = shard / 'index.json'
    if not index.is_file():
        return False
    content = json.loads(index.read_text(encoding='utf-8'))
    return bool(content['source'] == _source(path) and content['cut'] == key)


def _source(path: Path) -> list[Any]:
    try:
        return [str(path.resolve()), path.stat().st_size]
    except OSError as error:
        raise RecordingError(f'recording {path} cannot be read ({error})') from error


def _write_shard(shards: Path, how: Cut, path: Path) -> None:
    episodes = [episode for episode in read(path).episodes() if episode.label is not None]
    write_shard(_shard(shards, path), episodes, how, _source(path))


def write_shard(shard: Path, episodes: Sequence[Episode], how: Cut, source: Any) -> None:
    """Cut the labelled episodes of one recording and write them; the index last."""
    shard.mkdir(parents=True, exist_ok=True)
    pieces = [cut(e, how.cameras, how.joint_names, how.size, how.horizon, how.every)
              for e in episodes]  # fmt: skip
    if not pieces:
        raise RecordingError(f'{source} has no episode with an outcome: leave it out')
    for name in ARRAYS:
        np.save(shard / f'{name}.npy', np.concatenate([getattr(piece, name) for piece in pieces]))
    labels = [{'name': e.name, 'count': len(piece.stamps), **asdict(e.label)}
              for e, piece in zip(episodes, pieces, strict=True) if e.label]  # fmt: skip
    content = {'source': source, 'cut': json.dumps(asdict(how)), 'labels': labels}
    write_atomically(shard / 'index.json', json.dumps(content))


def join(shards: Sequence[Path], joined: Path, key: str) -> Data:
    """Join the shards' arrays; images into one file, unless it is there already."""
    indices = [json.loads((shard / 'index.json').read_text()) for shard in shards]
    labels = [label for index in indices for label in index['labels']]
    counts = [label['count'] for label in labels]
    small = {
        name: np.concatenate([np.load(shard / f'{name}.npy') for shard in shards])
        for name in ARRAYS if name != 'images'
    }  # fmt: skip
    made_of = json.dumps([key, [index['source'] for index in indices]])
    images = _join_images(shards, joined, made_of, sum(counts))
    return Data(
        images, small['proprio'].astype(np.float32), small['future'].astype(np.float32),
        small['returned'].astype(np.float32), small['stamps'],
        np.repeat(np.arange(len(labels)), counts), labels,
    )  # fmt: skip


def _join_images(
    shards: Sequence[Path], joined: Path, made_of: str, count: int
) -> NDArray[np.uint8]:
    path, note = joined.with_suffix('.npy'), joined.with_suffix('.json')
    if not (note.is_file() and path.is_file() and note.read_text(encoding='utf-8') == made_of):
        note.unlink(missing_ok=True)
        first = np.load(shards[0] / 'images.npy', mmap_mode='r')
        out = np.lib.format.open_memmap(path, 'w+', np.uint8, (count, *first.shape[1:]))
        at = 0
        for shard in bar(shards, 'joining', total=len(shards)):
            piece = np.load(shard / 'images.npy')
            out[at : at + len(piece)] = piece
            at += len(piece)
        out.flush()
        write_atomically(note, made_of)
    return np.load(path, mmap_mode='r')
