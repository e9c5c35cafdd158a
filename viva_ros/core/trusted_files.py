# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Files that no other user can write or exchange, opened once.

A folder is opened component by component from the root, each through the descriptor of the one
before, and each is checked; files are opened through the descriptor of the folder. What was
checked is therefore what is read: a name that is exchanged meanwhile changes nothing.

This module is for files that decide, such as engines: a link is refused, and so is a file that
another user can write. Data of others are opened by ``regular_file``.
"""

import errno
import hashlib
import os
import shlex
import stat
import weakref
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Final

from viva_ros.core.errors import UntrustedError
from viva_ros.core.regular_file import OPEN_FLAGS, irregular_kind

ROOT: Final = 0
LINKS: Final = 40  # symbolic links in a path, as in Linux
_CHUNK: Final = 1 << 24  # bytes
_STEP: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = OPEN_FLAGS | os.O_NOFOLLOW


def writers(status: os.stat_result) -> str:
    """Return which other users can write a file: 'all users', 'its group', or '' for none."""
    if status.st_mode & stat.S_IWOTH:
        return 'all users'
    # The private group of a user has the number of the user.
    own = status.st_gid in (ROOT, os.geteuid())
    return 'its group' if status.st_mode & stat.S_IWGRP and not own else ''


def check_status(place: str, status: os.stat_result) -> None:
    """
    Check that a file, folder or link belongs to this user or root, and no other can write it.

    In a sticky folder such as /tmp, other users cannot exchange the user's files.

    :raises UntrustedError: with the file and the command that fixes it
    """
    name = shlex.quote(place)
    is_sticky = stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX)
    by = '' if stat.S_ISLNK(status.st_mode) or is_sticky else writers(status)
    if by == 'all users':
        raise UntrustedError(
            'file-world-writable', f"{place} is writable by all users: run 'chmod o-w {name}'"
        )
    if by:
        raise UntrustedError(
            'file-group-writable', f"{place} is writable by its group: run 'chmod g-w {name}'"
        )
    if status.st_uid not in (ROOT, os.geteuid()):
        link = ' -h' if stat.S_ISLNK(status.st_mode) else ''
        raise UntrustedError(
            'file-owner',
            f'{place} belongs to user {status.st_uid}, must be yours ({os.geteuid()}) or '
            f"root's: check its origin, then run 'sudo chown{link} {os.geteuid()} {name}'",
        )


class OpenFile:
    """A regular file that was opened once; ``sha256`` is that of the bytes that were read."""

    def __init__(self, descriptor: int, place: Path) -> None:
        """Take over a descriptor."""
        self._descriptor, self.place = descriptor, place
        self._close = weakref.finalize(self, os.close, descriptor)
        self._sha256 = ''
        self._status = os.fstat(descriptor)

    @property
    def size(self) -> int:
        """Return the bytes of the file when it was opened."""
        return self._status.st_size

    @property
    def path(self) -> Path:
        """Return a path of this very file, whatever its name has become; while it is open."""
        return Path(f'/proc/self/fd/{self._descriptor}')

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the content, in hex digits; it is computed once."""
        if not self._sha256:
            digest, offset = hashlib.sha256(), 0
            while chunk := os.pread(self._descriptor, _CHUNK, offset):
                digest.update(chunk)
                offset += len(chunk)
            self._sha256 = digest.hexdigest()
        return self._sha256

    def read(self, largest: int) -> bytes:
        """
        Return the content; ``sha256`` is that of these bytes then.

        :param largest: size, bytes
        :raises UntrustedError: if the file is larger
        """
        if self.size > largest:
            raise UntrustedError(
                'file-too-large',
                f'{self.place} has {self.size} bytes, must have at most {largest}: fetch it again',
            )
        parts, offset = [], 0
        while offset < self.size:
            part = os.pread(self._descriptor, min(_CHUNK, self.size - offset), offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
        content = b''.join(parts)
        self._sha256 = hashlib.sha256(content).hexdigest()
        return content

    def check_unchanged(self) -> None:
        """
        Check that nobody wrote into the file since it was opened, for readers of ``path``.

        :raises UntrustedError: if its size or time of modification differs
        """
        now = os.fstat(self._descriptor)
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise UntrustedError(
                'file-changed',
                f'{self.place} was changed while it was read: wait until it is complete, and '
                'load it again',
            )

    def close(self) -> None:
        """Close it."""
        self._close()


class OpenFolder:
    """
    A folder that was opened once, with its files.

    :param is_trusted: whether folder, ancestors and files must be safe from other users
    :raises FileNotFoundError: if it does not exist
    :raises NotADirectoryError: if it, or an ancestor, is no folder
    :raises UntrustedError: if other users can write or exchange it, with the remedy
    """

    def __init__(self, path: Path, *, is_trusted: bool = True) -> None:
        self.path, self._is_trusted = path, is_trusted
        self.descriptor = _walk(path) if is_trusted else os.open(
            path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        )  # fmt: skip
        self._close = weakref.finalize(self, os.close, self.descriptor)

    def names(self) -> list[str]:
        """Return the names of all entries, in order."""
        return sorted(os.listdir(self.descriptor))

    def has(self, name: str) -> bool:
        """Return whether there is an entry of any type with a name."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def open(self, name: str) -> OpenFile:
        """
        Open a regular file.

        :raises OSError: if it is missing or cannot be read
        :raises UntrustedError: if it is no regular file here, or other users can write it
        """
        place = self.path / name
        if PurePosixPath(name).name != name or name in ('', '.', '..') or '\0' in name:
            raise UntrustedError(
                'file-outside-folder',
                f'{name!r} is no file name in {self.path}: fetch the folder again',
            )
        try:
            descriptor = os.open(name, _FILE, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket
                mode = stat.S_IFLNK if error.errno == errno.ELOOP else stat.S_IFSOCK
                raise _irregular(place, mode) from None
            error.filename = str(place)
            raise
        file = OpenFile(descriptor, place)
        status = os.fstat(descriptor)
        if irregular_kind(status.st_mode):
            raise _irregular(place, status.st_mode)
        if self._is_trusted:
            check_status(str(place), status)
        return file

    def close(self) -> None:
        """Close it."""
        self._close()


def _irregular(place: Path, mode: int) -> UntrustedError:
    folder = shlex.quote(str(place.parent))
    remedy = (
        f"copy the folder with its targets by 'cp -rL {folder} NEW', and use NEW"
        if stat.S_ISLNK(mode) else 'remove it, and fetch the folder again'
    )  # fmt: skip
    return UntrustedError(
        'file-not-regular',
        f'{place} is {irregular_kind(mode)}, must be a regular file: {remedy}',
    )


def _walk(path: Path) -> int:
    """Open a folder, checking each component of its path, also of the targets of links."""
    rest = list(reversed(path.absolute().parts))
    place, current, links = '', None, 0
    with ExitStack() as opened:
        try:
            while rest:
                name = rest.pop()
                place = os.path.normpath(os.path.join(place, name))  # '/' begins again
                following = os.open(name, _STEP, dir_fd=current)
                opened.callback(os.close, following)
                status = os.fstat(following)
                check_status(place, status)
                if not stat.S_ISLNK(status.st_mode):
                    current = following
                    continue
                if (links := links + 1) > LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                rest += reversed(PurePosixPath(os.readlink('', dir_fd=following)).parts)
                place = os.path.dirname(place)
            return os.open('.', os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=current)
        except OSError as error:
            error.filename = str(path)
            raise
