# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Atomic writes: a reader never sees a partial file."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


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
            error.filename = str(path)  # the target, not its temporary name
        raise
    _sync(path.parent)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sync(path: Path) -> None:
    """Flush a file, or the renames in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
