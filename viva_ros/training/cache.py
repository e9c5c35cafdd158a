# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Training data on disk: decoded and resized once, then mapped into memory.

Each recording becomes one shard; shards are joined into arrays. Only new recordings are decoded.
A shard keeps the joints at all control steps, so that another horizon needs no decoding.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.console import process_pool
from viva_ros.console.progress import bar
from viva_ros.core.errors import RecordingError
from viva_ros.core.files import replace_atomically, write_atomically
from viva_ros.data.episode import Episode
from viva_ros.data.formats import EpisodeRef
from viva_ros.data.open import identity, open_ref
from viva_ros.data.segmentation import episodes_of
from viva_ros.training.dataset import Data, EpisodeChannels, JointTrack, cut

__all__ = ['Cut', 'Data', 'channels', 'join', 'load', 'write_shard']

IMAGES: Final = 'images'
MOMENTS: Final = ('stamps', 'proprio', 'returned', 'failed')  # one row each moment
TRACK: Final = ('joint_stamps', 'joints')  # one row each control step
FORMAT: Final = 4


@dataclass(frozen=True)
class Cut:
    """How episodes are cut into moments: see ``dataset.cut``."""

    cameras: tuple[str, ...]
    joint_names: tuple[str, ...]
    size: tuple[int, int]
    horizon: float
    every: int

    @property
    def key(self) -> str:
        """Return the settings that shards depend on: all but the horizon."""
        kept = {name: value for name, value in asdict(self).items() if name != 'horizon'}
        return json.dumps({'format': FORMAT, **kept})


def channels(ref: EpisodeRef, folder: Path) -> EpisodeChannels | None:
    """
    Return the channels of the first episode with an outcome, without opening the recording.

    :param folder: of the cache
    :returns: None if the cache has no shard of the recording, unchanged since
    """
    try:
        index = _index(_shard(folder / 'shards', ref), ref)
    except RecordingError:  # raised again when the recording is opened
        return None
    if index is None or json.loads(index['cut'])['format'] != FORMAT or 'channels' not in index:
        return None
    return EpisodeChannels.from_dict(index['channels'])


def load(
    refs: Sequence[EpisodeRef], folder: Path, how: Cut, part: str, processes: int = 1
) -> Data:
    """
    Return the moments of recordings; those in the cache are not decoded again.

    :param folder: of the cache
    :param part: name of the joined file, such as 'train'
    :raises RecordingError: if a recording cannot be read
    """
    shards = folder / 'shards'
    shards.mkdir(parents=True, exist_ok=True)
    todo = [ref for ref in refs if not _is_whole(_shard(shards, ref), ref, how.key)]
    work = partial(_write_shard, shards, how)
    if todo:
        with _map(min(processes, len(todo))) as run:
            with process_pool.uninterrupted():
                done = run(work, todo)
            for _ in bar(done, 'reading recordings', total=len(todo)):
                pass
    return join([_shard(shards, ref) for ref in refs], folder / part, how)


@contextmanager
def _map(processes: int) -> Iterator[Any]:
    if processes <= 1:
        yield map
        return
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    with process_pool.processes(processes, cv2.setNumThreads, 1) as pool:
        yield pool.map


def _shard(shards: Path, ref: EpisodeRef) -> Path:
    """Return the shard of a recording; files of one name in two folders have two shards."""
    digest = hashlib.sha256(str(ref.path.resolve()).encode()).hexdigest()
    return shards / f'{ref.path.stem}-{digest[:8]}'


def _is_whole(shard: Path, ref: EpisodeRef, key: str) -> bool:
    """Return whether a shard is of this recording, unchanged since, and has the same cut."""
    index = _index(shard, ref)
    return index is not None and index['cut'] == key


def _index(shard: Path, ref: EpisodeRef) -> dict[str, Any] | None:
    """Return the index of a whole shard of this recording, unchanged since; else None."""
    path = shard / 'index.json'
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return content if content['source'] == identity(ref) else None


def _write_shard(shards: Path, how: Cut, ref: EpisodeRef) -> None:
    episodes = [episode for episode in episodes_of(open_ref(ref)) if episode.label is not None]
    if not episodes:
        raise RecordingError(
            'recording-outcome-missing',
            f'{ref.path} has no episode with an outcome: label it, or leave it out',
        )
    try:
        write_shard(_shard(shards, ref), episodes, how, identity(ref))
    except RecordingError as error:
        raise type(error)(error.code, f'{ref.path}: {error}') from error
    except OSError as error:
        raise _full(_shard(shards, ref), error) from error


def _full(path: Path, error: OSError) -> RecordingError:
    return RecordingError(
        'cache-write-failed',
        f'{path} cannot be written ({error}): free disk space, and run the same command again; '
        'finished files are kept',
    )


def write_shard(shard: Path, episodes: Sequence[Episode], how: Cut, source: Any) -> None:
    """Cut the labelled episodes of one recording, at least one, and write them; the index last."""
    shard.mkdir(parents=True, exist_ok=True)
    (shard / 'index.json').unlink(missing_ok=True)
    pieces = [cut(e, how.cameras, how.joint_names, how.size, how.horizon, how.every)
              for e in episodes]  # fmt: skip
    for name in (IMAGES, *MOMENTS, *TRACK):
        rows = np.concatenate([getattr(piece, name) for piece in pieces])
        np.save(shard / f'{name}.npy', rows.astype(np.float32) if rows.dtype == float else rows)
    labels = [
        {
            'name': e.name, 'identities': sorted(e.identities), 'count': len(p.stamps),
            'control_steps': len(p.joints), **asdict(e.label),
        }
        for e, p in zip(episodes, pieces, strict=True) if e.label
    ]  # fmt: skip
    first = asdict(EpisodeChannels.of(episodes[0]))
    content = {'source': source, 'cut': how.key, 'labels': labels, 'channels': first}
    write_atomically(shard / 'index.json', json.dumps(content))


def join(shards: Sequence[Path], joined: Path, how: Cut) -> Data:
    """Join the arrays of shards; images into one file, unless it exists already."""
    indices = [json.loads((shard / 'index.json').read_text()) for shard in shards]
    labels = [label for index in indices for label in index['labels']]
    counts = [label['count'] for label in labels]
    rows = {
        name: np.concatenate([np.load(shard / f'{name}.npy') for shard in shards])
        for name in (*MOMENTS, *TRACK)
    }
    ends = np.cumsum([label['control_steps'] for label in labels])[:-1]
    tracks = [
        JointTrack(*pair)
        for pair in zip(*(np.split(rows[name], ends) for name in TRACK), strict=True)
    ]  # fmt: skip
    made_of = json.dumps([how.key, [index['source'] for index in indices]])
    images = _join_images(shards, joined, made_of, sum(counts))
    episode = np.repeat(np.arange(len(labels)), counts)
    now = rows['proprio']
    return Data(
        images, now, now, rows['returned'], rows['failed'], rows['stamps'], episode, labels,
        tracks,
    ).ahead(how.horizon)  # fmt: skip


def _join_images(
    shards: Sequence[Path], joined: Path, made_of: str, count: int
) -> NDArray[np.uint8]:
    path, note = joined.with_suffix('.npy'), joined.with_suffix('.json')
    if not (note.is_file() and path.is_file() and note.read_text(encoding='utf-8') == made_of):
        note.unlink(missing_ok=True)
        try:
            replace_atomically(path, partial(_write_joined, shards, count))
            write_atomically(note, made_of)
        except OSError as error:
            raise _full(path, error) from error
    return np.load(path, mmap_mode='r')


def _write_joined(shards: Sequence[Path], count: int, path: Path) -> None:
    """Write shard by shard: on a full disk, writing to mapped memory would kill the process."""
    first = np.load(shards[0] / 'images.npy', mmap_mode='r')
    header = {'descr': '|u1', 'fortran_order': False, 'shape': (count, *first.shape[1:])}
    with path.open('wb') as file:
        np.lib.format.write_array_header_1_0(file, header)
        for shard in bar(shards, 'joining', total=len(shards)):
            file.write(np.load(shard / 'images.npy').data)
