# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Exclusive locks of files among processes.

The kernel frees a ``flock`` when its process ends. On file systems without it (Lustre without
``-o flock``, NFS without a lock daemon, some of FUSE) a second file holds the lock: it is created
exclusively, names its process, and is taken over when that process has ended.
"""

import errno
import fcntl
import json
import os
import socket
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from viva_ros.core.json_reader import read_json

#: Answers of ``flock`` that a file system has no locks.
NO_FLOCK: Final = frozenset({
    errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL
})  # fmt: skip
#: Answers that another process has the lock; EACCES is that of CIFS.
HELD: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES})
SUFFIX: Final = '.owner'  # of the second file
ATTEMPTS: Final = 3  # to create it, while other processes end
OWNER_LIMIT: Final = 1 << 16  # bytes of it; others can write it


class ExclusiveLock:
    """The lock of an open file; ``release`` frees it, closing the file does so only for flock."""

    def __init__(self, file: IO[Any], path: Path) -> None:
        """
        Lock a file, without waiting.

        :param file: open for writing; it must stay open as long as the lock is held
        :param path: of the file
        :raises BlockingIOError: if another process holds the lock
        :raises OSError: if the lock cannot be taken, or it is not known whether its owner runs
        """
        self._file = file
        self._owner: Path | None = None
        self._text = ''
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD:
                text = 'another process holds the lock'
                raise BlockingIOError(errno.EAGAIN, text, str(path)) from error
            if error.errno not in NO_FLOCK:
                raise
            self._take(path.with_name(path.name + SUFFIX))

    def release(self) -> None:
        """Delete the second file if there is one, and it is still that of this lock."""
        if self._owner is not None:
            with suppress(OSError):
                if self._owner.read_text(encoding='utf-8') == self._text:
                    self._owner.unlink()
            self._owner = None

    def _take(self, owner: Path) -> None:
        text = json.dumps(_describe())
        for _ in range(ATTEMPTS):
            try:
                file = open(owner, 'x', encoding='utf-8')  # noqa: SIM115, closed below
            except FileExistsError:
                _clear(owner)
                continue
            self._owner, self._text = owner, text
            try:
                with file:
                    file.write(text)
            except OSError:  # a full disk: a file without a name would hold the lock
                owner.unlink(missing_ok=True)
                raise
            return
        raise BlockingIOError(errno.EAGAIN, 'other processes take the lock', str(owner))


def _describe() -> dict[str, Any]:
    """Return the description of this process; the last entry makes it unique."""
    return {**_machine(), 'pid': os.getpid(), 'begin': _begin_of(os.getpid()),
            'lock': uuid.uuid4().hex}  # fmt: skip


def _machine() -> dict[str, str]:
    """
    Return what two processes have in common if one can see whether the other runs.

    The name of a host is not enough: containers have namespaces of process ids, and several robots
    may have one name.
    """
    boot = Path('/proc/sys/kernel/random/boot_id')
    return {
        'host': socket.gethostname(),
        'boot': boot.read_text().strip() if boot.is_file() else '',
        'namespace': os.readlink('/proc/self/ns/pid')
        if Path('/proc/self/ns/pid').exists()
        else '',
    }


def _begin_of(pid: int) -> str:
    """Return the start time of a process in clock ticks; '' if it is not known or has ended."""
    try:
        text = Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return ''
    fields = text.rpartition(')')[2].split()  # the name of the program may have spaces
    return '' if fields[0] in 'ZX' else fields[19]


def _runs(pid: int, begin: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return _begin_of(pid) == begin


def _clear(owner: Path) -> None:
    """
    Delete the file of a process of this machine that has ended.

    One process at a time does so: else the second would delete the new file of the first.

    :raises BlockingIOError: if the process runs
    :raises OSError: if it is not known whether it runs, or another process clears the file
    """
    guard = owner.with_name(owner.name + '.clear')
    try:
        guard.open('x').close()
    except FileExistsError as error:
        text = 'another process takes the lock: try again; if none does, delete this file'
        raise OSError(errno.ENOLCK, text, str(guard)) from error
    try:
        with suppress(FileNotFoundError):  # freed meanwhile
            _check_ended(owner)
            owner.unlink()
    finally:
        guard.unlink(missing_ok=True)


def _check_ended(owner: Path) -> None:
    try:
        found = read_json(owner, OWNER_LIMIT)
        where = {name: str(found[name]) for name in _machine()}
        pid, begin = int(found['pid']), str(found['begin'])
    except (ValueError, KeyError, TypeError):
        where, pid, begin = {'host': 'unknown'}, 0, ''
    process = f'process {pid} of host {where["host"]} holds the lock'
    if where != _machine():
        text = f'{process}, and it is not known whether it runs: if not, delete this file'
        raise OSError(errno.ENOLCK, text, str(owner))
    if _runs(pid, begin):
        raise BlockingIOError(errno.EAGAIN, process, str(owner))
