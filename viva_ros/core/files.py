# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing files so that a reader never meets half of one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, content: bytes | str) -> None:
    """
    Write a file under a temporary name, fsync it, and rename it.

    :param path: its folder must exist; a file there is replaced
    :param content: text is written as UTF-8
    :raises OSError: if it cannot be written; the temporary file is then gone, the old file whole
    """
    data = content.encode() if isinstance(content, str) else content
    replace_atomically(path, lambda temporary: _write(temporary, data))


def replace_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """
    Have a file written under a temporary name, fsync it, and rename it: for one too large to hold.

    :param path: its folder must exist; a file there is replaced
    :param write: writes the whole file to the path that it is given
    :raises OSError: if it cannot be written; the temporary file is then gone, the old file whole
    """
    handle, name = tempfile.mkstemp(prefix=f'.{path.name}.', suffix='.tmp', dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        _sync(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, name):
            error.filename = str(path)  # the one that is missed, not its temporary name
        raise
    _sync(path.parent)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sync(path: Path) -> None:
    """Make a file, or the renames in a folder, last through a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
