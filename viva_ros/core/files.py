# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Atomic writes: a reader never sees a partial file."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from viva_ros.core.regular_file import check_regular

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: Answers that a file system cannot do this: CIFS, vboxsf, some of FUSE.
NOT_SUPPORTED: Final = frozenset({
    errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF
})  # fmt: skip
DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def write_atomically(path: Path, content: bytes | str) -> None:
    """
    Write a file under a temporary name, fsync it, and rename it.

    :param path: its folder must exist; a file there is replaced
    :param content: text is written as UTF-8
    :raises OSError: if the write fails; the temporary file is deleted, the old file unchanged
    """
    data = content.encode() if isinstance(content, str) else content
    replace_atomically(path, lambda temporary: _write(temporary, data))


def replace_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """
    Write a file under a temporary name with a callback, fsync it, and rename it.

    :param path: its folder must exist; a file there is replaced
    :param write: writes the whole file to the path of its argument
    :raises OSError: if the write fails; the temporary file is deleted, the old file unchanged
    """
    if path.exists():
        check_regular(path)  # not /dev/null, which would become a file
    try:
        handle, name = tempfile.mkstemp(prefix=f'.{path.name}.', suffix='.tmp', dir=path.parent)
    except OSError as error:
        error.filename = str(path)
        raise
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        sync(temporary)
        _set_mode(temporary)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, name):
            error.filename = str(path)  # the target, not its temporary name
        raise
    sync(path.parent)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _set_mode(path: Path) -> None:
    """Let other users read a file, where the file system has modes."""
    try:
        path.chmod(0o644)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED | {errno.EPERM}:
            raise


def sync(path: Path) -> None:
    """
    Flush a file, or the renames in a folder, to the disk.

    Some file systems cannot flush a folder. This is no error: the content of the files is on the
    disk. Lost is the guarantee that a rename is: after a power failure the old file may be there.

    :raises OSError: if it cannot be flushed
    """
    is_folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if not (is_folder and error.errno in NOT_SUPPORTED):
            error.filename = error.filename or str(path)
            raise


def remedy(error: OSError) -> str:
    """Return what an operator can do about an error of a file system."""
    if error.errno in FULL:
        return 'free disk space and run the same command again'
    if error.errno in DENIED:
        return 'choose another folder, or make this one writable'
    return 'check the disk or its network connection, or choose a folder on another disk'
