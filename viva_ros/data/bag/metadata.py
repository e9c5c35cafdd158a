# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The metadata.yaml of rosbag2, read under the limits of ``robot.yaml_reader``."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import RecordingError
from viva_ros.core.foreign_text import shown
from viva_ros.robot.yaml_reader import read_yaml

METADATA: Final = 'metadata.yaml'
CONTENT: Final = 'rosbag2_bagfile_information'  # the one entry of the file


def read_metadata(path: Path) -> dict[str, Any]:
    """
    Return what metadata.yaml of a bag says.

    :raises RecordingError: if it cannot be read
    """
    try:
        content, _ = read_yaml(path / METADATA, is_written=True)
        return _checked(dict(content[CONTENT]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(
            'bag-metadata',
            f'{path / METADATA} cannot be read ({error!r}): run "ros2 bag reindex {path}"',
        ) from error


def _checked(content: dict[str, Any]) -> dict[str, Any]:
    """
    Return metadata whose values are what rosbag2 writes.

    :raises ValueError: if a value that is read here has another type
    """
    count, files = content.get('message_count'), content.get('relative_file_paths')
    if count is not None and (type(count) is not int or count < 0):
        raise ValueError(f'message_count is {shown(repr(count), 40)}, must be a whole number')
    if files is not None and not (
        isinstance(files, list) and all(isinstance(one, str) and one for one in files)
    ):
        raise ValueError(
            f'relative_file_paths is {shown(repr(files), 80)}, must be a list of names'
        )
    for name in ('compression_mode', 'compression_format'):
        if not isinstance(content.get(name, ''), str | None):
            raise ValueError(f'{name} is {shown(repr(content[name]), 40)}, must be a text')
    return content


def listed_files(path: Path, content: Mapping[str, Any]) -> list[Path]:
    """Return the files of a bag as its metadata.yaml lists them."""
    return [path / Path(name).name for name in content.get('relative_file_paths') or []]


def check_files(path: Path) -> None:
    """
    Refuse a bag whose metadata.yaml lists files of other folders, or a file twice.

    :raises RecordingError: if it does
    """
    content = read_metadata(path)
    for name in content.get('relative_file_paths') or []:
        if Path(name).is_absolute() or '..' in Path(name).parts:
            raise RecordingError(
                'bag-file-outside',
                f'{path / METADATA} lists {shown(name)}, which is not in the folder of the bag: '
                f'run "ros2 bag reindex {path}"',
            )
    counts = Counter(one.name for one in listed_files(path, content))
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise RecordingError(
            'bag-file-twice',
            f'{path / METADATA} lists {shown(twice[0])} more than once: run "ros2 bag reindex '
            f'{path}"',
        )


def compression_of(content: Mapping[str, Any]) -> str:
    """Return the compression of a bag by its metadata: 'file', 'message', or '' for none."""
    mode = str(content.get('compression_mode') or '').lower()
    return '' if mode == 'none' else mode
