# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Find and open whatever holds episodes.

A recording or a bag is named by its path; an episode of a LeRobot dataset by a path that is not
on disk, DATASET/episode_000012. ``resolve`` says once what a path names.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from viva_ros.core.errors import RecordingError
from viva_ros.data.conversion.mapped_recording import as_ours
from viva_ros.data.conversion.topic_map import map_for
from viva_ros.data.episode import load, sidecar
from viva_ros.data.formats import FORMATS, EpisodeRef
from viva_ros.data.recording import Recording


def find(paths: Iterable[Path]) -> list[Path]:
    """
    List all recordings: files as they are, folders by what is in them and below, in order.

    :raises RecordingError: if a folder has nothing
    """
    found: list[Path] = []
    for path in paths:
        here = inside(path) if path.is_dir() else [path]
        if not here:
            kinds = ' or '.join(one.text for one in FORMATS.values())
            raise RecordingError(f'folder {path} has no recordings: no {kinds}')
        found += here
    return found


def inside(folder: Path) -> list[Path]:
    """List all recordings in a folder and those below it, in order, without hidden ones."""
    return list(_walk(folder)) if folder.is_dir() else []


def _walk(path: Path) -> Iterator[Path]:
    for one in FORMATS.values():
        here = one.list_in(path)
        if here is not None:
            yield from here
            return
    if path.is_dir():
        for below in sorted(path.iterdir()):
            if not below.name.startswith('.'):
                yield from _walk(below)


def resolve(path: Path) -> EpisodeRef:
    """
    Return what a path names; whether it is there shows when it is opened.

    :param path: one of those that ``find`` lists
    """
    for one in FORMATS.values():
        ref = one.resolve(path)
        if ref is not None:
            return ref
    return EpisodeRef(path, 'bag')


def open_recording(path: Path) -> Recording:
    """
    Open a recording; a bag that has a topic map beside it is read through the map.

    :param path: one of those that ``find`` lists
    :raises RecordingError: if nothing in it can be read
    """
    return open_ref(resolve(path))


def open_ref(ref: EpisodeRef) -> Recording:
    """
    Open what ``resolve`` returned, as ``open_recording`` does.

    :raises RecordingError: if nothing in it can be read
    """
    recording = _open(ref)
    how = map_for(ref.path) if FORMATS[ref.format].has_map else None
    return recording if how is None else as_ours(recording, how)


def open_as_it_is(path: Path) -> Recording:
    """
    Open a recording with the names that it has.

    :param path: one of those that ``find`` lists
    :raises RecordingError: if nothing in it can be read
    """
    return _open(resolve(path))


def _open(ref: EpisodeRef) -> Recording:
    if ref.dataset is None and not ref.path.exists():
        raise RecordingError(f'recording {ref.path} cannot be read (it is not there)')
    return FORMATS[ref.format].open(ref)


def first_frame(ref: EpisodeRef) -> int:
    """Return the index of a recording's first frame in its dataset, 0 without one."""
    return FORMATS[ref.format].first_frame(ref)


def identity(ref: EpisodeRef) -> list[Any]:
    """
    Return what changes when a recording does, to be compared and written as JSON.

    :raises RecordingError: if it is not there
    """
    path, one = ref.path, FORMATS[ref.format]
    beside: list[Any] = []
    for name, verdict in sorted(load(sidecar(path)).items()):
        if name == path.stem or name.startswith(f'{path.stem}:'):
            beside.append(repr(verdict))
    how = map_for(path)
    if how is not None:
        beside.append(how.text)
    try:
        size = os.stat(one.file(ref)).st_size
        beside += one.state(ref)
    except OSError as error:
        raise RecordingError(f'recording {path} cannot be read ({error})') from error
    return [str(path.resolve()), size, *beside]
