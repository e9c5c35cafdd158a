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
from viva_ros.data.mcap_file import read_mcap
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
            raise RecordingError(f'folder {path} has no *.mcap files, nor other {KINDS}')
        found += here
    return found


def inside(folder: Path) -> list[Path]:
    """Give all recordings in a folder and those below it, in order; hidden ones are left out."""
    return list(_walk(folder)) if folder.is_dir() else []


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith('.'):
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.suffix == '.mcap':
            yield path


def open_recording(path: Path) -> Recording:
    """
    Open one of those that ``find`` gives.

    :raises RecordingError: if nothing in it can be read
    """
    return read_mcap(path)


def identity(path: Path) -> list[Any]:
    """
    Give what changes when a recording does, to be compared and written as JSON.

    :raises RecordingError: if it is not there
    """
    try:
        return [str(path.resolve()), os.stat(path).st_size]
    except OSError as error:
        raise RecordingError(f'recording {path} cannot be read ({error})') from error
