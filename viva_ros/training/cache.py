# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Training data on disk: decoded and resized once, then mapped into memory.

Each recording becomes one shard; only new recordings are decoded. The images stay in the shards
and are read on access. A shard keeps the joints at all control steps, so that another horizon
needs no decoding.
"""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.console.process_pool import mapping
from viva_ros.console.progress import bar
from viva_ros.core.errors import InputError, RecordingError, VivaError
from viva_ros.core.files import write_atomically
from viva_ros.data.camera_check import PictureRules, picture_rules
from viva_ros.data.episode import Episode
from viva_ros.data.formats import EpisodeRef
from viva_ros.data.one_recording import one_recording
from viva_ros.data.open import identity, open_ref
from viva_ros.data.recording import recording_name
from viva_ros.data.segmentation import check_limits, episodes_of
from viva_ros.training.dataset import Data, EpisodeChannels, EpisodeLength, JointTrack, cut

__all__ = ['Cut', 'Data', 'FileRows', 'channels', 'join', 'lengths', 'load', 'write_shard']

IMAGES: Final = 'images'
MOMENTS: Final = ('stamps', 'proprio', 'returned', 'failed')  # one row each moment
TRACK: Final = ('joint_stamps', 'joints')  # one row each control step
FORMAT: Final = 6
DISK: Final = 'cache-write-failed'


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


def lengths(ref: EpisodeRef, folder: Path) -> list[EpisodeLength] | None:
    """
    Return the lengths of the episodes of a recording in the cache, without opening it.

    :param folder: of the cache
    :returns: None if the cache has no shard of the recording, unchanged since
    """
    shard = _shard(folder / 'shards', ref)
    try:
        index = _index(shard, ref)
    except RecordingError:  # raised again when the recording is opened
        return None
    if index is None:
        return None
    stamps, found, begin = FileRows([shard / 'joint_stamps.npy']), [], 0
    for label in index['labels']:
        end = begin + label['control_steps']
        first, last = stamps[[begin, end - 1]]
        seconds = 1e-9 * float(last - first)
        found.append(EpisodeLength.labelled(label, label['count'], seconds))
        begin = end
    return found


def load(refs: Sequence[EpisodeRef], folder: Path, how: Cut, processes: int = 1) -> Data:
    """
    Return the moments of recordings; those in the cache are not decoded again.

    :param folder: of the cache
    A fault in a recording does not stop the others: they are in the cache when it is refused.

    :raises RecordingError: if recordings cannot be read, naming each
    """
    shards = folder / 'shards'
    shards.mkdir(parents=True, exist_ok=True)
    todo = [ref for ref in refs if not _is_whole(_shard(shards, ref), ref, how.key)]
    work = partial(_try_shard, shards, how)
    refused: list[VivaError] = []
    if todo:
        with mapping(min(processes, len(todo)), cv2.setNumThreads, 1) as run:
            for error in bar(run(work, todo), 'reading recordings', total=len(todo)):
                refused += [error] if error else []
    check_all(refused, len(refs))
    _delete_joined(folder)
    return join([_shard(shards, ref) for ref in refs], how)


def image_bytes(ref: EpisodeRef, folder: Path) -> int:
    """Return the bytes of a recording's images in the cache; 0 if it changed, or is not there."""
    path = _shard(folder / 'shards', ref) / 'images.npy'
    return path.stat().st_size if path.is_file() and lengths(ref, folder) is not None else 0


def _shard(shards: Path, ref: EpisodeRef) -> Path:
    """Return the shard of a recording; files of one name in two folders have two shards."""
    digest = hashlib.sha256(str(ref.path.resolve()).encode()).hexdigest()
    return shards / f'{recording_name(ref.path)}-{digest[:8]}'


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


def _try_shard(shards: Path, how: Cut, ref: EpisodeRef) -> VivaError | None:
    """Write the shard of a recording; return why the recording is refused, None if it is not."""
    try:
        with one_recording(ref.path):
            _write_shard(shards, how, ref)
    except (InputError, RecordingError) as error:
        if error.code == DISK:  # all recordings share it
            raise
        return error.fresh()
    return None


def check_all(refused: Sequence[VivaError], count: int) -> None:
    """
    Check that no recording is refused.

    :param count: number of recordings
    :raises RecordingError: naming each, with its reason
    """
    if len(refused) == 1:
        raise refused[0]
    if refused:
        raise RecordingError(
            'cache-recordings-refused',
            f'{len(refused)} of {count} recordings cannot be used: leave these out or correct '
            'them, and run the command again: '
            f'{"; ".join(map(str, refused))}',
        )


def _write_shard(shards: Path, how: Cut, ref: EpisodeRef) -> None:
    recording = open_ref(ref)
    episodes = [episode for episode in episodes_of(recording) if episode.label is not None]
    if not episodes:
        raise RecordingError(
            'recording-outcome-missing',
            f'{ref.path} has no episode with an outcome: label it, or leave it out',
        )
    check_limits(ref.path, episodes)
    try:
        rules = picture_rules(recording)
        write_shard(_shard(shards, ref), episodes, how, identity(ref), rules)
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


def write_shard(
    shard: Path, episodes: Sequence[Episode], how: Cut, source: Any,
    rules: PictureRules | None = None,
) -> None:  # fmt: skip
    """
    Cut the labelled episodes of one recording, at least one, and write them; the index last.

    :param rules: see ``dataset.cut``
    """
    shard.mkdir(parents=True, exist_ok=True)
    (shard / 'index.json').unlink(missing_ok=True)
    pieces = [cut(e, how.cameras, how.joint_names, how.size, how.horizon, how.every,
                  rules)
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


def join(shards: Sequence[Path], how: Cut) -> Data:
    """Join the arrays of shards; the images stay on disk."""
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
    images: Any = FileRows([shard / f'{IMAGES}.npy' for shard in shards])
    episode = np.repeat(np.arange(len(labels)), counts)
    now = rows['proprio']
    return Data(
        images, now, now, rows['returned'], rows['failed'], rows['stamps'], episode, labels,
        tracks,
    ).ahead(how.horizon)  # fmt: skip


class FileRows:
    """
    Rows of arrays in several files, one after the other, read on access.

    No file stays open: a set of recordings has more files than a process may open, and a mapped
    file counts as open.

    :param paths: of .npy files, whose arrays differ in the number of rows only
    :raises RecordingError: if a file is not such an array
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        headers = [_header(path) for path in paths]
        (row, self.dtype), *others = {(shape[1:], dtype) for shape, dtype, _ in headers}
        if others:
            raise _damaged(self._paths[-1], 'has rows of another shape')
        self._begins = [begin for _, _, begin in headers]
        self._ends = np.cumsum([shape[0] for shape, _, _ in headers])
        self.shape = (int(self._ends[-1]), *row)
        self._size = math.prod(row) * self.dtype.itemsize  # bytes of a row

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        rows = np.arange(len(self))[key]
        return self._read(rows.reshape(-1)).reshape(*rows.shape, *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:] if dtype is None else self[:].astype(dtype)

    def _read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Read rows; those that follow each other in a file, at once."""
        out = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype)
        files = np.searchsorted(self._ends, rows, side='right')
        cuts = np.flatnonzero((np.diff(files) != 0) | (np.diff(rows) != 1)) + 1
        begins = [0, *cuts.tolist()] if len(rows) else []
        ends = [*cuts.tolist(), len(rows)]
        flat, now, handle = out.view(np.uint8).reshape(len(rows), self._size), -1, -1
        try:
            for begin, end in zip(begins, ends, strict=False):
                if files[begin] != now:
                    handle = self._open(files[begin], handle)
                    now = files[begin]
                first = int(rows[begin] - (self._ends[now - 1] if now else 0))
                self._fill(handle, now, flat[begin:end].data.cast('B'), first)
        finally:
            if handle >= 0:
                os.close(handle)
        return out

    def _open(self, index: int, before: int) -> int:
        if before >= 0:
            os.close(before)
        return os.open(self._paths[index], os.O_RDONLY)

    def _fill(self, handle: int, index: int, part: memoryview, first: int) -> None:
        at = self._begins[index] + first * self._size
        while part:
            count = os.preadv(handle, [part], at)
            if not count:
                raise _damaged(self._paths[index], 'is shorter than its header says')
            part, at = part[count:], at + count


def _header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape, kind and first byte of the array in a .npy file."""
    try:
        with path.open('rb') as file:
            np.lib.format.read_magic(file)
            shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file)
            if in_columns:
                raise ValueError('its order is that of Fortran')
            return shape, dtype, file.tell()
    except (OSError, ValueError) as error:
        raise _damaged(path, f'cannot be read ({error})') from error


def _damaged(path: Path, what: str) -> RecordingError:
    return RecordingError(
        'cache-shard-damaged', f'{path} {what}: delete {path.parent}, and run the command again'
    )


def _delete_joined(folder: Path) -> None:
    """Delete second copies of the images, which earlier versions wrote beside the shards."""
    for note in folder.glob('*.json'):
        images = note.with_suffix('.npy')
        if images.is_file() and note.read_text(encoding='utf-8').startswith('["{\\"format\\"'):
            images.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
