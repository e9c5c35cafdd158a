# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parts of split bags: NAME_0.mcap, NAME_1.mcap, ... in a folder NAME.

A recorder lists the parts in metadata.yaml when it ends. Without that file, a folder is one bag if
its parts have its name, their numbers have no hole, and their times follow each other.
"""

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, pairwise
from pathlib import Path
from typing import BinaryIO, Final

from mcap.opcode import Opcode

from viva_ros.core.errors import RecordingError
from viva_ros.core.regular_file import open_regular
from viva_ros.data.bag.database import WAL, StoredBag, log_of, open_database
from viva_ros.data.bag.mcap_records import MAGIC, read_summary
from viva_ros.data.bag.metadata import METADATA
from viva_ros.data.bag.ros1 import ACTIVE, ros1_times
from viva_ros.data.file_signature import PACKED, description, is_packed_recording
from viva_ros.data.segmentation import LABEL

STORAGE: Final = ('.mcap', '.db3', '.bag')
#: Between the end of a part and the beginning of the next, ns. A recorder opens the next part
#: within milliseconds, and a robot publishes its joints at least ten times a second. A recorder
#: that is started again needs longer than this to find the topics.
PAUSE: Final = 1_000_000_000
#: By which a part may begin before the end of the one before, ns: a recorder takes the topics in
#: any order, so that the receive times of two topics are not ordered.
OVERLAP: Final = 100_000_000
PACKED_OR_ACTIVE: Final = '|'.join(map(re.escape, (*PACKED, ACTIVE)))
NAME: Final = re.compile(rf'(.+)_(\d+)(\.mcap|\.db3|\.bag)({PACKED_OR_ACTIVE})?')
OWN_NAMES: Final = (
    'if they are recordings of their own, rename the files so that their names do not end in '
    '_NUMBER'
)


@dataclass(frozen=True)
class PartName:
    """
    The name of a file that may be a part of a bag.

    :param stem: name of the bag
    :param packed: suffix of a compressed or unfinished file, '' for none
    """

    path: Path
    stem: str
    number: int
    digits: int
    suffix: str
    packed: str


@dataclass(frozen=True)
class PartSpan:
    """
    The times of a file.

    :param begin: first receive time, ns
    :param end: last receive time, ns
    :param is_episode: whether this package recorded it; it does not split recordings
    """

    begin: int
    end: int
    is_episode: bool = False


def part_name(path: Path) -> PartName | None:
    """Return the parts of a file name; None if it is not NAME_NUMBER with a suffix of a bag."""
    found = NAME.fullmatch(path.name)
    if found is None:
        return None
    stem, digits, suffix, packed = found.groups()
    return PartName(path, stem, int(digits), len(digits), suffix, packed or '')


def named_parts(folder: Path) -> list[PartName]:
    """Return the files of a folder that have its name and a number, in the order of numbers."""
    names = {folder.absolute().name, folder.resolve().name}
    try:
        listed = os.listdir(folder)
    except OSError:  # not a folder, or not readable
        return []
    begins = tuple(f'{name}_' for name in names)
    found = [part_name(folder / name) for name in listed if name.startswith(begins)]
    parts = [one for one in found if one is not None and one.stem in names]
    parts = [one for one in parts if one.packed in ('', ACTIVE) or is_packed_recording(one.path)]
    return sorted(parts, key=lambda one: (one.number, one.path.name))


def is_split_bag(folder: Path) -> bool:
    """Return whether a folder without metadata.yaml has parts of one bag."""
    if not folder.is_dir() or (folder / METADATA).is_file():
        return False
    return not all(one.packed == '' and _is_episode(one.path) for one in named_parts(folder))


def _is_episode(path: Path) -> bool:
    span = part_span(path)
    return span is not None and span.is_episode


def check_parts(folder: Path) -> list[Path]:
    """
    Return the files of a bag without metadata.yaml, in order.

    :raises RecordingError: if a part is missing or compressed, the times do not follow each other,
        or the folder has other recordings
    """
    parts = named_parts(folder)
    _check_names(folder, parts)
    _check_numbers(folder, parts)
    paths = [one.path for one in parts]
    spans = {path: span for path in paths if (span := part_span(path)) is not None}
    for before, path in pairwise(paths):
        if before in spans and path in spans and not follows(spans[before], spans[path]):
            raise RecordingError(
                'bag-parts-apart',
                f'bag {folder} has no {METADATA}, and {path.name} begins '
                f'{_apart(spans[before], spans[path])} the end of {before.name}, at most '
                f'{PAUSE * 1e-9:g} s after it is allowed: {OWN_NAMES}{_reindex(folder, path)}',
            )
    return paths


def _check_names(folder: Path, parts: Sequence[PartName]) -> None:
    packed = [one.path for one in parts if is_packed_recording(one.path)]
    if packed:
        raise RecordingError(
            'bag-parts-compressed',
            f'bag {folder} has no {METADATA}, and {len(packed)} of its parts are compressed: '
            f'{packed[0]} {description(packed[0])}, likewise the others',
        )
    known = {one.path for one in parts}
    others = [
        path for path in sorted(folder.rglob('*'))
        if path.suffix in STORAGE and path not in known and not _is_hidden(path, folder)
    ]  # fmt: skip
    suffixes = sorted({one.suffix for one in parts})
    if others or len(suffixes) > 1:
        name = others[0] if others else next(p.path for p in parts if p.suffix != suffixes[0])
        raise RecordingError(
            'bag-parts-mixed',
            f'bag {folder} has no {METADATA}, and {name} is not one of its parts '
            f'{parts[0].path.name} ...: move it to another folder',
        )


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(name.startswith('.') for name in path.relative_to(folder).parts)


def _check_numbers(folder: Path, parts: Sequence[PartName]) -> None:
    counts = Counter(one.number for one in parts)
    last = max(counts)
    lacking = last + 1 - len(counts)  # the number in a name may have hundreds of digits
    twice = [one.path.name for one in parts if counts[one.number] > 1]
    if twice:
        raise RecordingError(
            'bag-parts-twice',
            f'bag {folder} has no {METADATA}, and {", ".join(twice)} have one number: move all '
            'but one to another folder',
        )
    if lacking:
        first, missing = parts[0], next(number for number in count() if number not in counts)
        name = f'{first.stem}_{str(missing).zfill(first.digits)}{first.suffix}'
        raise RecordingError(
            'bag-parts-missing',
            f'bag {folder} has no {METADATA}, and of its parts 0 to {last} it lacks '
            f'{lacking}, such as {name}: fetch it; {OWN_NAMES}{_reindex(folder, first.path)}',
        )


def _reindex(folder: Path, part: Path) -> str:
    """Return the command that makes one bag of the parts that are there; '' for ROS 1."""
    if part.suffix not in ('.mcap', '.db3'):
        return ''
    return f'; if these files are one bag, run "ros2 bag reindex {folder}"'


def check_single(path: Path) -> None:
    """
    Refuse a file that is a part of a bag.

    Only the files with the numbers before and after it are opened, each once in a process.

    :raises RecordingError: if it is one
    """
    one = part_name(path)
    if one is None:
        return
    folder = path.parent
    if one.stem in (folder.absolute().name, folder.resolve().name):
        if not _is_episode(path) and len(named_parts(folder)) > 1:
            raise RecordingError(
                'bag-part', f'{path} is a part of bag {folder}: name the folder; {OWN_NAMES}'
            )
        return
    for before, after in _neighbours(one):
        first, second = part_span(before), part_span(after)
        if first is None or second is None or first.is_episode or second.is_episode:
            continue
        if follows(first, second):
            raise RecordingError(
                'bag-part-loose',
                f'{after} begins {_apart(first, second)} the end of {before.name}, as parts of '
                f'one bag do: move {one.stem}_*{one.suffix} into a folder called {one.stem}; '
                f'{OWN_NAMES}',
            )


def _neighbours(one: PartName) -> Iterator[tuple[Path, Path]]:
    """Yield the pairs of a file with those of the numbers before and after it."""
    for number in (one.number - 1, one.number + 1):
        names = {str(number).zfill(one.digits), str(number)} if number >= 0 else set()
        for digits in sorted(names):
            other = one.path.with_name(f'{one.stem}_{digits}{one.suffix}')
            if other.is_file():
                yield (other, one.path) if number < one.number else (one.path, other)


def follows(before: PartSpan, after: PartSpan) -> bool:
    """Return whether a part begins when the one before has ended."""
    is_later = after.begin >= before.begin and after.end >= before.end
    return is_later and -OVERLAP <= after.begin - before.end <= PAUSE


def _apart(before: PartSpan, after: PartSpan) -> str:
    step = (after.begin - before.end) * 1e-9
    return f'{abs(step):.3f} s {"after" if step >= 0 else "before"}'


def part_span(path: Path) -> PartSpan | None:
    """Return the times of a file, without reading all of it; None without a readable message."""
    try:
        stats = [one.stat() for one in (path, log_of(path, WAL)) if one == path or one.is_file()]
    except OSError:
        return None
    return _span(path, *(value for one in stats for value in (one.st_size, one.st_mtime_ns)))


@lru_cache(maxsize=1 << 16)
def _span(path: Path, size: int, *state: int) -> PartSpan | None:
    try:
        if path.suffix == '.bag':
            times = ros1_times(path)
            return times and PartSpan(*times)
        return _sqlite_span(path) if path.suffix == '.db3' else _mcap_span(path, size)
    except Exception:  # of a damaged file; reading it reports the damage
        return None


def _sqlite_span(path: Path) -> PartSpan | None:
    stored = StoredBag(path)
    with closing(open_database(stored.path)) as base:
        begin, end = base.execute('SELECT min(timestamp), max(timestamp) FROM messages').fetchone()
    return None if begin is None else PartSpan(int(begin), int(end))


def _mcap_span(path: Path, size: int) -> PartSpan | None:
    with open_regular(path) as file:
        summary = read_summary(file)
        if summary is None or summary.counts is None:
            return _scanned_span(file, size)
    return summary.span and PartSpan(*summary.span, LABEL in summary.metadata_names)


def _scanned_span(file: BinaryIO, size: int) -> PartSpan | None:
    """Return the times in the heads of the chunks and messages of a file without an index."""
    times: list[int] = []
    is_episode, place = False, len(MAGIC)
    while place + 9 <= size:
        file.seek(place)
        opcode, length = struct.unpack('<BQ', file.read(9))
        place += 9 + length
        if place > size or opcode == Opcode.DATA_END:
            break
        if opcode == Opcode.CHUNK:
            times += [time for time in struct.unpack('<QQ', file.read(16)) if time]
        elif opcode == Opcode.MESSAGE:
            times.append(struct.unpack('<HIQ', file.read(14))[2])
        elif opcode == Opcode.METADATA:
            (count,) = struct.unpack('<I', file.read(4))
            is_episode |= file.read(count) == LABEL.encode()
    return PartSpan(min(times), max(times), is_episode) if times else None
