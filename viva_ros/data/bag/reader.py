# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reading bags: a folder with metadata.yaml or the parts of one bag, or a bare file.

Intact bags are read through ``rosbags.rosbag2.Reader``. Damaged bags, and bags whose receive
times go back, are read by the salvage readers in the order of the file, with a report of losses.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.input_limits import DEFINITION_LIMIT
from viva_ros.core.regular_file import first_irregular, read_limited
from viva_ros.data.bag.database import JOURNAL, WAL, log_of
from viva_ros.data.bag.indexed import NotIntactError, read_intact
from viva_ros.data.bag.mcap_records import MAGIC
from viva_ros.data.bag.mcap_salvage import read_mcap
from viva_ros.data.bag.metadata import METADATA, check_files, listed_files, read_metadata
from viva_ros.data.bag.ros1 import ACTIVE, has_no_messages, read_ros1
from viva_ros.data.bag.salvage import is_empty, read_sqlite, two_types
from viva_ros.data.bag.split import STORAGE, check_parts, check_single, is_split_bag
from viva_ros.data.file_signature import description, is_packed_recording
from viva_ros.data.formats import EpisodeRef, RecordingFormat, content_hash
from viva_ros.data.messages import Definition
from viva_ros.data.recording import Recording, Track

SQLITE: Final = '.db3'
FOLDERS_UP: Final = 3  # above the bag, in which a map is searched


def is_bag(path: Path) -> bool:
    """Return whether a path is a bag: a .db3 or .bag file, a folder of parts or with metadata."""
    if not path.is_dir():
        return path.suffix == SQLITE or is_ros1(path)
    return (path / METADATA).is_file() or is_split_bag(path)


def read_bag(path: Path) -> Recording:
    """
    Read a bag, as far as it can be read.

    :raises RecordingError: if nothing in it can be read, or the path is a part of a bag
    """
    if not path.is_dir():
        check_single(path)
        _check_listed(path)
        return _read(path)
    if (path / METADATA).is_file():
        return _as_listed(path, _read(path))
    return _joined(path, *_read_files(check_parts(path), _read))


def is_ros1(path: Path) -> bool:
    """Return whether a path has the name of a ROS 1 bag, finished or not."""
    return path.name.removesuffix(ACTIVE).endswith('.bag')


MAGICS: Final = {SQLITE: b'SQLite format 3\0', '.bag': b'#ROSBAG V2.0\n'}  # others: MCAP


def _check_format(path: Path) -> None:
    """
    Name the format of a file that is not what its name says.

    :raises RecordingError: if it has another format, or is empty
    """
    if not path.is_file() or path.name.endswith(ACTIVE):  # named by the reader
        return
    if path.name == METADATA:
        raise RecordingError(
            'bag-metadata-given', f'{path} describes bag {path.parent}: name the folder'
        )
    if path.stat().st_size and log_of(path, WAL).is_file():  # it may have the first page
        return
    magic = MAGICS.get(path.suffix, MAGIC)
    try:
        with path.open('rb') as file:
            other = '' if file.read(len(magic)) == magic else description(path)
    except OSError:  # named by the reader
        return
    if other:
        raise RecordingError('recording-format', f'recording {path} {other}')


def _read(path: Path) -> Recording:
    _check_format(path)
    if irregular := first_irregular(path.iterdir() if path.is_dir() else [path]):
        raise RecordingError(
            'bag-kind', f'bag {path}: {irregular} is a pipe, socket or device: leave it out'
        )
    if path.is_dir():
        check_files(path)
    if is_ros1(path):
        return read_ros1(path)
    try:
        return read_intact(path)
    except NotIntactError as reason:
        return salvage(path, reason)


def salvage(path: Path, reason: object = '') -> Recording:
    """
    Read a bag in the order of its files, as far as it can be read.

    :param reason: why it is not intact
    :raises RecordingError: if nothing in it can be read, or rosbag2 has compressed it
    """
    if not path.is_dir():
        _check_format(path)
        if is_ros1(path):
            return read_ros1(path)
        return read_sqlite(path) if path.suffix == SQLITE else read_mcap(path)
    if not (path / METADATA).is_file():
        return _joined(path, *_read_files(check_parts(path), salvage))
    content = read_metadata(path)
    if content.get('compression_format') or content.get('compression_mode'):
        raise RecordingError(
            'bag-compressed',
            f'bag {path} has {content.get("compression_format")} compression by '
            f'{content.get("compression_mode")} and is not intact ({reason}): convert it with '
            '"ros2 bag convert" to a bag without compression, or to MCAP with its own compression',
        )
    files = listed_files(path, content)
    if not files:
        raise RecordingError(
            'bag-without-files',
            f'bag {path} has no files in {METADATA}: run "ros2 bag reindex {path}"',
        )
    expected = content.get('message_count') or 0
    return _joined(path, *_read_files(files, salvage), expected)


def _check_listed(path: Path) -> None:
    """
    Refuse a file that metadata.yaml in its folder lists with others.

    :raises RecordingError: if it does
    """
    if not (path.parent / METADATA).is_file():
        return
    files = listed_files(path.parent, read_metadata(path.parent))
    if len(files) > 1 and path.name in [one.name for one in files]:
        raise RecordingError(
            'bag-listed',
            f'{path} is one of {len(files)} files of bag {path.parent}: name the folder',
        )


def _as_listed(path: Path, recording: Recording) -> Recording:
    """Return a recording with the losses of a folder that differs from its metadata.yaml."""
    content, losses = read_metadata(path), list(recording.losses)
    files = listed_files(path, content)
    names = {one.name for one in files} | {one.stem for one in files if one.suffix == '.zstd'}
    more = [one.name for one in sorted(path.iterdir())
            if one.suffix in STORAGE and one.name not in names]  # fmt: skip
    if more:
        losses.append(
            f'{METADATA} does not list {", ".join(more)}: run "ros2 bag reindex {path}", or move '
            'them to another folder if they do not belong to the bag'
        )
    missing = [one.name for one in files if not one.exists()]
    if missing:
        losses.append(
            f'{METADATA} lists {", ".join(missing)}, not there: fetch them, or run "ros2 bag '
            f'reindex {path}" to go on without'
        )
    count = sum(len(track.times) for track in recording.tracks.values())
    expected = content.get('message_count')
    if isinstance(expected, int) and expected != count and not recording.losses:
        losses.append(
            f'there are {count} messages, {METADATA} counts {expected}: run "ros2 bag reindex '
            f'{path}" if all files are there'
        )
    whole = recording.whole and len(losses) == len(recording.losses)
    readable = recording.readable
    if isinstance(expected, int) and count < expected:
        readable = min(readable, count / expected)
    return replace(recording, losses=tuple(losses), whole=whole, readable=readable)


def _read_files(
    files: Sequence[Path], read: Callable[[Path], Recording]
) -> tuple[list[Recording], dict[Path, str]]:
    """
    Read the files of a bag; an intact file without messages is left out.

    :returns: those that can be read, and the reasons for which others cannot be
    :raises RecordingError: if none can be read
    """
    parts: list[Recording] = []
    lost: dict[Path, str] = {}
    for file in files:
        if has_no_messages(file) if is_ros1(file) else is_empty(file):
            continue
        try:
            parts.append(read(file))
        except RecordingError as error:
            lost[file] = str(error)
    if not parts:
        reasons = '; '.join(lost.values()) or 'it has no messages'
        raise RecordingError('bag-unreadable', f'bag {files[0].parent}: {reasons}')
    return parts, lost


def _joined(
    path: Path, parts: Sequence[Recording], lost: Mapping[Path, str], expected: int = 0
) -> Recording:
    """
    Concatenate the files of a bag.

    :param expected: number of recorded messages; 0 if it is not known
    """
    tracks: dict[str, list[Track]] = {}
    metadata: dict[str, Any] = {}
    for part in parts:
        metadata |= part.metadata
        for topic, track in part.tracks.items():
            tracks.setdefault(topic, []).append(track)
    joined = {topic: _chained(path, found) for topic, found in tracks.items()}
    missed: Counter[str] = Counter()
    for part in parts:
        missed.update(part.lost)
    losses = (*(loss for part in parts for loss in part.losses), *lost.values())
    whole = not lost and all(part.whole for part in parts)
    readable = min(part.readable for part in parts)
    if not whole and expected:  # the metadata has the number of recorded messages
        readable = min(1.0, sum(len(track.times) for track in joined.values()) / expected)
    elif lost:
        sizes = [part.path.stat().st_size for part in parts]
        read = sum(part.readable * size for part, size in zip(parts, sizes, strict=True))
        readable = read / (sum(sizes) + sum(_size(file) for file in lost))
    return Recording(path, joined, metadata, losses, readable, whole, lost=dict(missed))


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _chained(path: Path, tracks: Sequence[Track]) -> Track:
    """Concatenate the parts of a topic."""
    types = sorted({track.type_name for track in tracks})
    if len(types) > 1:
        raise two_types(path, tracks[0].topic, types)
    times = [time for track in tracks for time in track.times]
    definition = next((track.definition for track in tracks if track.definition), None)
    return replace(
        tracks[0],
        times=times,
        data=_Chain([track.data for track in tracks]),
        definition=definition,
    )


class _Chain(Sequence[bytes]):
    """Concatenation of sequences."""

    def __init__(self, parts: Sequence[Sequence[bytes]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(len(part) for part in parts))

    @property
    def heads(self) -> list[bytes]:
        """Return the beginning of each."""
        return [head for part in self._parts for head in getattr(part, 'heads', part)]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        number = bisect_right(self._ends, index)
        before = self._ends[number - 1] if number else 0
        return self._parts[number][index - before]


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
            f'{path.parent.parent.name}/msg/{path.stem}': read_limited(
                path, DEFINITION_LIMIT
            ).decode()
            for path in sorted(folder.glob('**/msg/*.msg'))
        }
    except (OSError, ValueError) as error:
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
    is_mcap = path.suffix == '.mcap' and path.is_file()
    return [path] if is_bag(path) or is_mcap or is_packed_recording(path) else None


def _resolve(path: Path) -> EpisodeRef | None:
    return EpisodeRef(path, 'bag') if _list_in(path) else None


def _state(ref: EpisodeRef) -> list[Any]:
    """Return the hashes of the logs of a database; those in a folder are hashed with it."""
    logs = [log_of(ref.path, suffix) for suffix in (WAL, JOURNAL)]
    return [f'{log.name} {content_hash(log)}' for log in logs if log.is_file()]


FORMAT: Final = RecordingFormat(
    '*.mcap files or bags (*.db3, *.bag, or a folder with metadata.yaml)',
    _list_in, _resolve, lambda ref: read_bag(ref.path), state=_state, folders_up=FOLDERS_UP,
)  # fmt: skip
