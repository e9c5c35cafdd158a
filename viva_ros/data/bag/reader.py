# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reading rosbag2 bags: a folder with metadata.yaml, or a bare .db3 or .mcap file.

Intact bags are read through ``rosbags.highlevel.AnyReader``. Damaged bags, and bags whose receive
times go back, are read by the salvage readers in the order of the file, with a report of losses.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.data.bag.indexed import NotIntactError, read_intact
from viva_ros.data.bag.salvage import read_mcap, read_sqlite
from viva_ros.data.formats import EpisodeRef, RecordingFormat
from viva_ros.data.messages import Definition
from viva_ros.data.recording import Recording, Track

METADATA: Final = 'metadata.yaml'
SQLITE: Final = '.db3'
FOLDERS_UP: Final = 3  # above the bag, in which a map is searched


def is_bag(path: Path) -> bool:
    """Return whether a path is a rosbag2 bag: a folder with metadata.yaml, or a .db3 file."""
    return (path / METADATA).is_file() if path.is_dir() else path.suffix == SQLITE


def read_bag(path: Path) -> Recording:
    """
    Read a bag, as far as it can be read.

    :raises RecordingError: if nothing in it can be read
    """
    try:
        return read_intact(path)
    except NotIntactError as reason:
        return salvage(path, reason)


def salvage(path: Path, reason: object = '') -> Recording:
    """
    Read a bag in the order of its files, as far as it can be read.

    :param reason: why AnyReader cannot read it
    :raises RecordingError: if nothing in it can be read, or rosbag2 has compressed it
    """
    if not path.is_dir():
        return read_sqlite(path) if path.suffix == SQLITE else read_mcap(path)
    content = _metadata(path)
    names = content.get('relative_file_paths') or []
    files = [path / Path(str(name)).name for name in names]
    if content.get('compression_format') or content.get('compression_mode'):
        raise RecordingError(
            'bag-compressed',
            f'bag {path} has {content.get("compression_format")} compression by '
            f'{content.get("compression_mode")} and is not intact ({reason}): convert it with '
            '"ros2 bag convert" to a bag without compression, or to MCAP with its own compression',
        )
    if not files:
        raise RecordingError(
            'bag-without-files',
            f'bag {path} has no files in {METADATA}: run "ros2 bag reindex {path}"',
        )
    parts, lost = [], []
    for file in files:
        try:
            parts.append(salvage(file))
        except RecordingError as error:
            lost.append(str(error))
    if not parts:
        raise RecordingError('bag-unreadable', '; '.join(lost))
    return _joined(path, parts, lost, int(content.get('message_count') or 0))


def _metadata(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load((path / METADATA).read_text(encoding='utf-8'))
        return dict(content['rosbag2_bagfile_information'])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise RecordingError(
            'bag-metadata',
            f'{path / METADATA} cannot be read ({error!r}): run "ros2 bag reindex {path}"',
        ) from error


def _joined(path: Path, parts: list[Recording], lost: list[str], expected: int) -> Recording:
    """Concatenate the files of a bag."""
    tracks: dict[str, Track] = {}
    metadata: dict[str, Any] = {}
    for part in parts:
        metadata |= part.metadata
        for topic, track in part.tracks.items():
            before = tracks.get(topic)
            if before is not None:
                track = replace(
                    track, times=before.times + track.times, data=_Chain(before.data, track.data)
                )
            tracks[topic] = track
    losses = (*(loss for part in parts for loss in part.losses), *lost)
    readable = min(part.readable for part in parts)
    whole = not lost and all(part.whole for part in parts)
    if not whole and expected:  # the metadata has the number of recorded messages
        readable = sum(len(track.times) for track in tracks.values()) / expected
    return Recording(path, tracks, metadata, losses, readable, whole)


class _Chain(Sequence[bytes]):
    """Concatenation of two sequences."""

    def __init__(self, first: Sequence[bytes], second: Sequence[bytes]) -> None:
        self._first, self._second = first, second

    @property
    def heads(self) -> list[bytes]:
        """Return the beginning of each."""
        parts = (self._first, self._second)
        return [head for part in parts for head in getattr(part, 'heads', part)]

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        split = len(self._first)
        return self._first[index] if index < split else self._second[index - split]


LINE: Final = '=' * 80


def with_definitions(recording: Recording, folder: Path | None) -> Recording:
    """
    Return a recording with the type definitions of a folder for topics that have none.

    :param folder: with PACKAGE/msg/TYPE.msg; None returns the recording unchanged
    :raises ConfigurationError: if the folder has no definitions, or one cannot be read
    """
    if folder is None:
        return recording
    texts = _texts(folder)
    tracks = {
        topic: replace(track, definition=_definition(track.type_name, texts))
        if track.type_name in texts and not (track.definition and track.definition.text)
        else track
        for topic, track in recording.tracks.items()
    }
    return replace(recording, tracks=tracks)


def _definition(type_name: str, texts: dict[str, str]) -> Definition:
    """Return the definition of a type, followed by all others, as in a recording."""
    others = [
        f'{LINE}\nMSG: {name.replace("/msg/", "/")}\n{text}'
        for name, text in texts.items() if name != type_name
    ]  # fmt: skip
    return Definition('ros2msg', '\n'.join([texts[type_name], *others]))


def _texts(folder: Path) -> dict[str, str]:
    try:
        found = {
            f'{path.parent.parent.name}/msg/{path.stem}': path.read_text(encoding='utf-8')
            for path in sorted(folder.glob('**/msg/*.msg'))
        }
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            'definitions-unreadable', f'definitions in {folder} cannot be read ({error})'
        ) from error
    if not found:
        raise ConfigurationError(
            'definitions-missing',
            f'definitions is {folder}, which has no PACKAGE/msg/TYPE.msg: correct it in the map',
        )
    return found


def _list_in(path: Path) -> list[Path] | None:
    recording = is_bag(path) or (path.suffix == '.mcap' and path.is_file())
    return [path] if recording else None


def _resolve(path: Path) -> EpisodeRef | None:
    return EpisodeRef(path, 'bag') if _list_in(path) else None


FORMAT: Final = RecordingFormat(
    '*.mcap files or bags (*.db3, or a folder with metadata.yaml)',
    _list_in, _resolve, lambda ref: read_bag(ref.path), folders_up=FOLDERS_UP,
)  # fmt: skip
