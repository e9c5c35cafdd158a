# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Open files of others: regular files only, without waiting, up to a size.

This module is for data, such as recordings: links are followed, and the owner does not matter.
Files that decide, such as engines, are opened by ``trusted_files`` with the same flags and kinds.
"""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

from viva_ros.core.input_limits import TEXT_LIMIT

#: Kinds of file that are no data; reading one may wait for ever.
KINDS: Final = {
    stat.S_IFIFO: 'a named pipe (FIFO)', stat.S_IFSOCK: 'a socket', stat.S_IFCHR: 'a device',
    stat.S_IFBLK: 'a block device', stat.S_IFDIR: 'a folder', stat.S_IFLNK: 'a link',
}  # fmt: skip
#: Flags to open a file whose kind is checked then: a pipe or a device is opened without waiting.
OPEN_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class FileKindError(OSError):
    """A file is a pipe, a socket or a device: reading it could wait for ever."""


def irregular_kind(mode: int) -> str:
    """Return what a file is that is no regular one, such as 'a socket'; '' for a regular file."""
    return '' if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), 'no file')


def check_regular(path: Path) -> None:
    """
    Refuse what is neither a regular file nor a link to one; nothing is opened.

    :raises FileKindError: if it is a folder, pipe, socket or device
    :raises OSError: if it does not exist, or its links form a circle
    """
    _check_mode(path, os.stat(path).st_mode)


def open_regular(path: Path) -> BinaryIO:
    """
    Open a regular file for reading; a pipe, socket or device is refused without waiting.

    :raises FileKindError: as ``check_regular``; the file that was opened is checked
    :raises OSError: if it cannot be opened
    """
    check_regular(path)
    handle = os.open(path, OPEN_FLAGS)
    try:
        _check_mode(path, os.fstat(handle).st_mode)  # it may have been replaced
        return os.fdopen(handle, 'rb')
    except BaseException:
        os.close(handle)
        raise


def read_limited(path: Path, limit: int = TEXT_LIMIT) -> bytes:
    """
    Return the content of a regular file.

    :param limit: bytes
    :raises ValueError: if it is larger
    :raises OSError: as ``open_regular``
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, limit) + 1)  # the size is allocated at once
    if max(size, len(content)) > limit:
        raise ValueError(f'it has more than {limit} bytes')
    return content


def first_irregular(paths: Iterable[Path]) -> Path | None:
    """Return the first of some paths that is a pipe, socket or device; None for none."""
    for path in paths:
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return path
    return None


def _check_mode(path: Path, mode: int) -> None:
    if kind := irregular_kind(mode):
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise FileKindError(number, f'it is {kind}, must be a regular file', str(path))
