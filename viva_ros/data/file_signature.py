# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Formats of files by their first bytes, and how recordings of other formats can be read."""

import os
import re
import shlex
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from viva_ros.core.regular_file import first_irregular, open_regular

#: Suffixes of recordings of this package's formats, and of compressed files.
RECORDINGS: Final = ('.mcap', '.db3', '.bag')
PACKED: Final = ('.zstd', '.zst', '.gz', '.bz2', '.xz', '.lz4')
DATA: Final = ('.mp4', '.parquet')  # suffixes whose empty files are named, too
LENGTH: Final = 512  # bytes that are read
MOST: Final = 5  # files named in an error
SEARCHED: Final = 1000  # files of a folder


@dataclass(frozen=True)
class FileSignature:
    """
    The first bytes of a file format.

    :param name: of the format, such as 'an HDF5 file'
    :param magic: any of these
    :param remedy: to read it as a recording; {path} is its quoted path, {target} the path without
        its last suffix, {folder} its folder
    :param offset: of the bytes
    """

    name: str
    magic: tuple[bytes, ...]
    remedy: str
    offset: int = 0


UNPACK: Final = 'unpack it: '
DATASET: Final = (
    'name the folder of its LeRobot dataset, which has meta/info.json, or put the videos of an '
    'episode in a folder with one table of joints'
)
CONVERT: Final = 'convert it to a LeRobot dataset'
SIGNATURES: Final = (
    FileSignature('an MCAP file', (b'\x89MCAP0\r\n',), 'rename it to *.mcap'),
    FileSignature('an SQLite database', (b'SQLite format 3\0',), 'rename it to *.db3'),
    FileSignature('a ROS 1 bag', (b'#ROSBAG V2.0\n',), 'rename it to *.bag'),
    FileSignature(
        'a write-ahead log of SQLite', (b'\x37\x7f\x06\x82', b'\x37\x7f\x06\x83'),
        'name its database, *.db3, which must be in the same folder',
    ),
    FileSignature(
        'a rollback journal of SQLite', (b'\xd9\xd5\x05\xf9\x20\xa1\x63\xd7',),
        'name its database, *.db3, which must be in the same folder',
    ),
    FileSignature(
        'a ROS 1 bag of an old version', (b'#ROSBAG V1', b'#ROSRECORD'),
        'run "rosbag fix {path} {target}" of ROS 1',
    ),
    FileSignature(
        'compressed with zstd', (b'\x28\xb5\x2f\xfd',), 'run "zstd -d --rm {path} -o {target}"'
    ),
    FileSignature('compressed with gzip', (b'\x1f\x8b',), 'run "gzip -dc {path} > {target}"'),
    FileSignature('compressed with bzip2', (b'BZh',), 'run "bzip2 -dc {path} > {target}"'),
    FileSignature('compressed with xz', (b'\xfd7zXZ\0',), 'run "xz -dc {path} > {target}"'),
    FileSignature(
        'compressed with lz4', (b'\x04\x22\x4d\x18',), 'run "lz4 -dc {path} > {target}"'
    ),
    FileSignature(
        'a ZIP archive', (b'PK\x03\x04', b'PK\x05\x06'), f'{UNPACK}"unzip {{path}}"'
    ),
    FileSignature('a 7z archive', (b'7z\xbc\xaf\x27\x1c',), f'{UNPACK}"7z x {{path}}"'),
    FileSignature('a tar archive', (b'ustar',), f'{UNPACK}"tar -xf {{path}}"', 257),
    FileSignature(
        'a Git LFS pointer without its content', (b'version https://git-lfs',),
        'run "git lfs pull" in {folder}',
    ),
    FileSignature('a Parquet file', (b'PAR1',), DATASET),
    FileSignature('an MP4 video', (b'ftyp',), DATASET, 4),
    FileSignature('a Matroska or WebM video', (b'\x1a\x45\xdf\xa3',), CONVERT),
    FileSignature('a NumPy array', (b'\x93NUMPY',), CONVERT),
    FileSignature(
        'a web page', (b'<!DOCTYPE html', b'<!doctype html', b'<html'), 'download the file again'
    ),
)  # fmt: skip


@dataclass(frozen=True)
class NamedFormat:
    """
    A format of several files that is known by the name of one.

    :param script: of ``examples/``, which converts the folder of the file
    """

    pattern: re.Pattern[str]
    name: str
    script: str

    def remedy(self, folder: Path) -> str:
        """Return how the folder can be read."""
        out = folder.with_name(f'{folder.name}.converted.hdf5')
        return (
            f'run "python3 examples/{self.script} {shlex.quote(str(folder))} '
            f'{shlex.quote(str(out))}" of viva_ros, and import {out} with a map'
        )


NAMED: Final = (
    NamedFormat(re.compile(r'.*\.tfrecord(-\d+-of-\d+)?'), 'an RLDS dataset', 'rlds_to_hdf5.py'),
    NamedFormat(re.compile(r'\.zgroup|\.zarray|zarr\.json'), 'a Zarr store', 'zarr_to_hdf5.py'),
)


def named_format(path: Path) -> NamedFormat | None:
    """Return the format of a file by its name; None if it is not known."""
    return next((one for one in NAMED if one.pattern.fullmatch(path.name)), None)


def signature_of(path: Path) -> FileSignature | None:
    """
    Return the format of a file by its first bytes; None if it is not known.

    :raises OSError: if it cannot be read
    """
    with open_regular(path) as file:
        head = file.read(LENGTH)
    for one in SIGNATURES:
        if any(head.startswith(magic, one.offset) for magic in one.magic):
            return one
    return None


def description(path: Path) -> str:
    """
    Return the format of a file and a remedy, such as 'is an HDF5 file: ...'.

    :returns: '' if the format is not known
    :raises OSError: if it cannot be read
    """
    if path.stat().st_size == 0:
        return 'is empty (0 bytes): the recorder was killed, or the disk was full; leave it out'
    if is_blank(path):
        return (
            f'has only zero bytes ({path.stat().st_size}): the power failed before they were '
            'written; leave it out'
        )
    found, named = signature_of(path), named_format(path)
    if found is None:
        folder = path.absolute().parent
        return '' if named is None else f'is part of {named.name}: {named.remedy(folder)}'
    target = path.with_suffix('')
    if target.suffix not in RECORDINGS:
        target = path.with_name(f'{path.name}.unpacked')
    places = {'path': path, 'target': target, 'folder': path.parent}
    quoted = {name: shlex.quote(str(place)) for name, place in places.items()}
    return f'is {found.name}: {found.remedy.format(**quoted)}'


def content_fault(path: Path) -> str:
    """
    Return a description of a file of a dataset that holds something else; '' if that is not known.

    :raises OSError: if it cannot be read
    """
    found = signature_of(path)
    return '' if found is not None and found.remedy == DATASET else description(path)


def is_blank(path: Path) -> bool:
    """Return whether the beginning and the end of a file are zero bytes, as after a power cut."""
    with open_regular(path) as file:
        first = file.read(LENGTH)
        file.seek(-min(len(first), LENGTH), 2)
        return not (first + file.read()).strip(b'\0')


def is_packed_recording(path: Path) -> bool:
    """
    Return whether a file has the name of a compressed recording, such as run_0.mcap.zstd.

    A file whose decompressed copy is in the same folder is left out.
    """
    return (
        path.suffix in PACKED and path.with_suffix('').suffix in RECORDINGS
        and path.is_file() and not path.with_suffix('').exists()
    )  # fmt: skip


def foreign_text(folder: Path) -> str:
    """Return descriptions of the first files in a folder that are no recordings; '' for none."""
    found: list[str] = []
    stores: list[Path] = []
    paths = (
        Path(place) / name for place, _, names in os.walk(folder) for name in sorted(names)
        if not first_irregular([Path(place) / name])
    )  # fmt: skip
    for path in islice(paths, SEARCHED):
        if any(path.is_relative_to(store) for store in stores):
            continue
        named = named_format(path)
        if text := _foreign(path):
            found.append(f'{path} {text}')
        elif named is not None:
            stores.append(path.parent)
            found.append(f'{path.parent} is {named.name}: {named.remedy(path.parent)}')
        if len(found) == MOST:
            return '; '.join([*found, '...'])
    return '; '.join(found)


def _foreign(path: Path) -> str:
    try:
        is_known = path.suffix in DATA or signature_of(path) is not None
        return description(path) if is_known else ''
    except OSError as error:
        return f'cannot be read ({error})'
