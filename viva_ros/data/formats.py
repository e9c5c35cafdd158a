# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recording formats: each module finds, resolves and opens recordings of one format."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from viva_ros.core.registry import Registry
from viva_ros.core.regular_file import check_regular
from viva_ros.data.recording import Recording


@dataclass(frozen=True)
class EpisodeRef:
    """
    The recording or episode of a path, resolved once.

    :param path: unchanged; it need not exist on disk, such as DATASET/episode_000012
    :param format: name in FORMATS
    :param dataset: folder of the dataset; None for a single recording
    :param index: of the episode in the dataset
    """

    path: Path
    format: str
    dataset: Path | None = None
    index: int = 0


def first_frame(ref: EpisodeRef) -> int:
    """Return 0, the first frame of a single recording."""
    return 0


def no_state(ref: EpisodeRef) -> list[Any]:
    """Return no state besides the content of the file, see ``RecordingFormat.state``."""
    return []


WHOLE: Final = 8 << 20  # bytes
BLOCK: Final = 64 << 10  # bytes
BLOCKS: Final = 64  # evenly spaced, with the first and the last
INDEX: Final = '.db3-shm'  # index of a write-ahead log, which any reader of it may write


def content_hash(path: Path) -> str:
    """
    Return a hash that changes with the content of a file, or with the files in a folder.

    For a file above WHOLE bytes, BLOCKS blocks and the modification time stand for the content.

    :raises OSError: if it cannot be read
    """
    if path.is_dir():
        files = sorted(one for one in path.rglob('*') if one.is_file() and one.suffix != INDEX)
        each = [f'{one.relative_to(path)} {content_hash(one)}' for one in files]
        return hashlib.sha256('\n'.join(each).encode()).hexdigest()[:16]
    check_regular(path)
    stat = os.stat(path)
    return _file_hash(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1 << 16)
def _file_hash(path: Path, size: int, modified: int) -> str:
    with path.open('rb') as file:
        if size <= WHOLE:
            return hashlib.sha256(file.read()).hexdigest()[:16]
        found = hashlib.sha256(f'{size} {modified}'.encode())
        for k in range(BLOCKS):
            file.seek((size - BLOCK) * k // (BLOCKS - 1))
            found.update(file.read(BLOCK))
    return found.hexdigest()[:16]


@dataclass(frozen=True)
class RecordingFormat:
    """
    A format of recordings.

    :param text: files of the format, for error texts
    :param list_in: returns the recordings at a path or in it; None if it has another format
    :param resolve: returns the reference of one recording; None if it has another format
    :param open: reads a recording; raises RecordingError
    :param file: returns the file or folder whose content changes with the recording
    :param state: returns further values that change with the recording, for JSON
    :param first_frame: returns the index of the first frame in the dataset
    :param folders_up: folders above the recording in which a topic map is searched; None if no
        map applies
    """

    text: str
    list_in: Callable[[Path], Sequence[Path] | None]
    resolve: Callable[[Path], EpisodeRef | None]
    open: Callable[[EpisodeRef], Recording]
    file: Callable[[EpisodeRef], Path] = lambda ref: ref.path
    state: Callable[[EpisodeRef], list[Any]] = no_state
    first_frame: Callable[[EpisodeRef], int] = first_frame
    folders_up: int | None = None


#: By name, in the order in which they are tried. A file of no other format is read as MCAP: the
#: file of a killed recorder has another suffix.
FORMATS: Final[Registry[RecordingFormat]] = Registry(
    'recording format',
    'viva_ros.recording_formats',
    {
        'lerobot': 'viva_ros.data.lerobot.reader:FORMAT',
        'hdf5': 'viva_ros.data.hdf5.reader:FORMAT',
        'bag': 'viva_ros.data.bag.reader:FORMAT',
        'video_folder': 'viva_ros.data.video_folder:FORMAT',
    },
)
