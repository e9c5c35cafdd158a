# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Everything that holds episodes, under one name each.

A recording of ours and a bag are named by their path; an episode of a LeRobot dataset by a path
that is not on disk, DATASET/episode_000012.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import RecordingError
from viva_ros.data.bag.reader import is_bag, read_bag
from viva_ros.data.conversion.mapped_recording import as_ours
from viva_ros.data.conversion.topic_map import map_for
from viva_ros.data.episode import load, sidecar
from viva_ros.data.lerobot.layout import INFO
from viva_ros.data.lerobot.reader import episode_paths, is_dataset, number_of, read_episode
from viva_ros.data.recording import Recording

KINDS: Final = '*.mcap files, bags (*.db3, or a folder with metadata.yaml) or LeRobot datasets'


def find(paths: Iterable[Path]) -> list[Path]:
    """
    Give all recordings: files as they are, folders by what is in them and below, in order.

    :raises RecordingError: if a folder has nothing
    """
    found: list[Path] = []
    for path in paths:
        here = inside(path) if path.is_dir() else [path]
        if not here:
            raise RecordingError(f'folder {path} has no recordings: no {KINDS}')
        found += here
    return found


def inside(folder: Path) -> list[Path]:
    """Give all recordings in a folder and those below it, in order; hidden ones are left out."""
    return list(_walk(folder)) if folder.is_dir() else []


def _walk(path: Path) -> Iterator[Path]:
    if is_bag(path) or (path.suffix == '.mcap' and path.is_file()):
        yield path
    elif is_dataset(path):
        yield from episode_paths(path)
    elif path.is_dir():
        for below in sorted(path.iterdir()):
            if not below.name.startswith('.'):
                yield from _walk(below)


def open_recording(path: Path) -> Recording:
    """
    Open one of those that ``find`` gives; a bag that has a map beside it is seen as one of ours.

    :raises RecordingError: if nothing in it can be read
    """
    recording = open_as_it_is(path)
    how = map_for(path) if number_of(path) is None else None
    return recording if how is None else as_ours(recording, how)


def open_as_it_is(path: Path) -> Recording:
    """
    Open one of those that ``find`` gives, with the names that it has.

    :raises RecordingError: if nothing in it can be read
    """
    if number_of(path) is not None:
        return read_episode(path)
    if not path.exists():
        raise RecordingError(f'recording {path} cannot be read (it is not there)')
    return read_bag(path)


def identity(path: Path) -> list[Any]:
    """
    Give what changes when a recording does, to be compared and written as JSON.

    :raises RecordingError: if it is not there
    """
    beside: list[Any] = []
    for name, verdict in sorted(load(sidecar(path)).items()):
        if name == path.stem or name.startswith(f'{path.stem}:'):
            beside.append(repr(verdict))
    how = map_for(path)
    if how is not None:
        beside.append(how.text)
    number = number_of(path)
    looked_at = path if number is None else path.parent / INFO
    try:
        size = os.stat(looked_at).st_size
        if number is not None or looked_at.is_dir():
            beside.append(os.stat(looked_at).st_mtime_ns)
    except OSError as error:
        raise RecordingError(f'recording {path} cannot be read ({error})') from error
    return [str(path.resolve()), size, *beside]
