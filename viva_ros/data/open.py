# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Finding and opening recordings of all formats.

A recording has the path of its file or folder. An episode of a LeRobot dataset has the path
DATASET/episode_000012, which is not on disk. ``resolve`` returns what a path refers to.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.regular_file import first_irregular
from viva_ros.data.conversion.mapped_recording import apply_map
from viva_ros.data.episode import load, sidecar
from viva_ros.data.file_signature import foreign_text
from viva_ros.data.formats import FORMATS, EpisodeRef, content_hash
from viva_ros.data.one_recording import one_recording
from viva_ros.data.recording import Recording, recording_name
from viva_ros.robot.topic_map import TopicMap, load_map, map_file


def find(paths: Iterable[Path]) -> list[Path]:
    """
    Return all recordings, in order: files, and the recordings in folders and their subfolders.

    :raises RecordingError: if a folder has no recordings
    """
    found: list[Path] = []
    for path in map(_named, paths):
        _check_given(path)
        here = inside(path) if path.is_dir() else list(_walk(path)) or [path]
        if not here:
            kinds = ' or '.join(one.text for one in FORMATS.values())
            foreign = foreign_text(path)
            raise RecordingError(
                'recordings-missing',
                f'folder {path} has no recordings: no {kinds}' + (foreign and f'; {foreign}'),
            )
        found += here
    return found


def _named(path: Path) -> Path:
    """Return a path with the name of its folder; '.' and '..' name none."""
    return path.resolve() if path.name in ('', '..') else path


def inside(folder: Path) -> list[Path]:
    """Return all recordings in a folder and its subfolders, in order, without hidden ones."""
    return list(_walk(folder)) if folder.is_dir() else []


def _check_given(path: Path) -> None:
    """
    Check a path that a user has named.

    :raises RecordingError: if it is a dataset that cannot be read, or no file and no folder
    """
    if path.is_dir():
        _listed(path)
    _check_kind(path)


def _check_kind(path: Path) -> None:
    """
    Check that a path is no pipe, which could let a reader wait for ever.

    :raises RecordingError: if it is a pipe, socket or device
    """
    if first_irregular([path]):
        raise RecordingError(
            'recording-kind',
            f'{path} is a pipe, socket or device, must be a file or folder: leave it out',
        )


def _listed(path: Path) -> Sequence[Path] | None:
    """
    Return the recordings at a path by the first format that knows it; None if none does.

    :raises RecordingError: if it is a dataset that cannot be read
    """
    with one_recording(path):
        for one in FORMATS.values():
            here = one.list_in(path)
            if here is not None:
                return here
    return None


def _walk(path: Path) -> Iterator[Path]:
    waiting = [path]  # no recursion: folders may be nested deeper than Python calls
    while waiting:
        path = waiting.pop()
        if first_irregular([path]):
            continue
        try:
            here = _listed(path)
            below = sorted(path.iterdir(), reverse=True) if here is None and path.is_dir() else []
        except (RecordingError, OSError):
            here, below = [path], []  # opening it names the reason; the others are read
        yield from here or ()
        waiting += [one for one in below if one.name[0] != '.' and not _leads_up(one)]


def _leads_up(path: Path) -> bool:
    """Return whether a link leads to a folder that contains it, or in a circle."""
    try:
        if not path.is_symlink():
            return False
        target = path.resolve()
    except (OSError, RuntimeError):  # links in a circle, or a folder that may not be entered
        return True
    return target in path.absolute().parents or target in path.parent.resolve().parents


def resolve(path: Path) -> EpisodeRef:
    """
    Return the recording or episode of a path; it need not exist.

    :param path: from ``find``
    """
    for one in FORMATS.values():
        try:
            ref = one.resolve(path)
        except OSError:  # of a folder that cannot be listed; opening it names the reason
            ref = None
        if ref is not None:
            return ref
    return EpisodeRef(path, 'bag')


def open_recording(path: Path) -> Recording:
    """
    Open a recording; a topic map in its folder or above is applied.

    :param path: from ``find``
    :raises RecordingError: if nothing in it can be read
    """
    return open_ref(resolve(path))


def open_ref(ref: EpisodeRef) -> Recording:
    """
    Open the recording of a reference, as ``open_recording`` does.

    :raises RecordingError: if nothing in it can be read
    """
    with one_recording(ref.path):
        recording = _open(ref)
        file = _map_file(ref)
        return apply_map(recording, load_map(file) if file else TopicMap())


def _map_file(ref: EpisodeRef) -> Path | None:
    try:
        return map_file(ref.path, FORMATS[ref.format].folders_up)
    except OSError:  # of a folder that cannot be entered; opening it names the reason
        return None


def common_map(paths: Sequence[Path]) -> Path | None:
    """
    Return the map that is next to all recordings, as for reading them in place; None without one.

    :param paths: from ``find``
    :raises ConfigurationError: if they have different maps, or only some have one
    """
    files = {path: _map_file(resolve(path)) for path in paths}
    for path, file in files.items():
        other, theirs = next(iter(files.items()))
        if file != theirs:
            raise ConfigurationError(
                'maps-several',
                f'{other} has {theirs or "no map"} and {path} has {file or "no map"}: name one '
                'for all with --map, or import them apart',
            )
    return next(iter(files.values()), None)


def open_unmapped(path: Path) -> Recording:
    """
    Open a recording with its own topics, without a topic map.

    :param path: from ``find``
    :raises RecordingError: if nothing in it can be read
    """
    with one_recording(path):
        return _open(resolve(path))


def _open(ref: EpisodeRef) -> Recording:
    if ref.dataset is None:
        _check_kind(ref.path)
    if ref.dataset is None and not ref.path.exists():
        raise RecordingError(
            'recording-missing', f'recording {ref.path} cannot be read (it does not exist)'
        )
    if ref.dataset is None and ref.path.is_dir():
        _listed(ref.path)
    below = inside(ref.path)
    if below and ref.path not in below:
        raise RecordingError(
            'recording-folder',
            f'{ref.path} is a folder of recordings, must be one recording, such as {below[0]}',
        )
    recording = FORMATS[ref.format].open(ref)
    return replace(recording, notes=(*recording.notes, *recording.foreign_notes))


def first_frame(ref: EpisodeRef) -> int:
    """Return the index of a recording's first frame in its dataset; 0 without a dataset."""
    return FORMATS[ref.format].first_frame(ref)


def identity(ref: EpisodeRef) -> list[Any]:
    """
    Return values for JSON that change with the recording, its labels or its topic map.

    They are the path, the size and the content hash of the file of its format, then others.

    :raises RecordingError: if the recording does not exist, or is no file or folder
    """
    with one_recording(ref.path):
        return _identity(ref)


def _identity(ref: EpisodeRef) -> list[Any]:
    path, one = ref.path, FORMATS[ref.format]
    state: list[Any] = []
    own = recording_name(path)
    for name, annotation in sorted(load(sidecar(path)).items()):
        if name == own or name.startswith(f'{own}:'):
            state.append(repr(annotation))
    file = _map_file(ref)
    if file is not None:
        topic_map = load_map(file)
        state.append(topic_map.text)
        if topic_map.definitions is not None and topic_map.definitions.is_dir():
            state.append(content_hash(topic_map.definitions))
    try:
        size, content = os.stat(one.file(ref)).st_size, content_hash(one.file(ref))
        state += one.state(ref)
    except OSError as error:
        raise RecordingError(
            'recording-unreadable', f'recording {path} cannot be read ({error})'
        ) from error
    return [str(path.resolve()), size, content, *state]
