# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The socket between monitors and an engine server, and the greeting of the server.

It is a Unix socket in a folder of the user; each side checks the user of the other. Observations
and estimates are in shared memory (see ``shared_memory``), which the server creates per monitor.
"""

import errno
import json
import os
import socket
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from shlex import quote
from typing import Any, Final

from viva_ros.core.errors import EngineError, UntrustedError
from viva_ros.core.json_text import check_members, flag, members, names, number, parse_object, text
from viva_ros.core.trusted_files import OpenFolder
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.manifest_schema import HORIZON, image_size

VERSION: Final = 3
NAME: Final = 'engine.sock'
AUTO: Final = 'auto'  # as an address: the default
ELSEWHERE: Final = "use a socket in a folder of your own, such as '~/.viva_ros/engine.sock'"
ANOTHER: Final = 'install the same version of viva_ros for server and monitor'
#: Fields of the description of an engine, and their checks.
INFO: Final[Mapping[str, Callable[[str, object], Any]]] = {
    'cameras': names, 'joint_names': names, 'tasks': names, 'image_size': image_size,
    'horizon': lambda name, value: number(name, value, HORIZON), 'fingerprint': text,
    'kind': text, 'library': text, 'device': text, 'why': text, 'fits': flag,
}  # fmt: skip
_CREDENTIALS: Final = struct.Struct('3i')  # pid, uid, gid


def address_of(address: str) -> Path:
    """Return the path of a socket; 'auto' is in the runtime folder of the user."""
    return Path(address).expanduser() if address != AUTO else _runtime_folder() / NAME


class SocketPlace:
    """
    A socket's name in a folder that was opened once; it is never a file of another type.

    :param create: whether to create the folder if it is missing
    :raises OSError: if the folder is missing or cannot be used
    :raises UntrustedError: if another user can write or exchange the folder
    """

    def __init__(self, address: Path, create: bool = False) -> None:
        self.address, parent = address, address.parent
        if create:
            try:
                parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:  # a file, or a link to nothing
                raise UntrustedError(
                    'socket-folder-unusable',
                    f'{parent} cannot be the folder of a socket ({error.strerror}): {ELSEWHERE}',
                ) from error
        self._folder = OpenFolder(parent)
        try:
            self._check_folder(parent)
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> str:
        """Return the path of the socket through the open folder, of any length."""
        return f'/proc/self/fd/{self._folder.descriptor}/{self.address.name}'

    def status(self) -> os.stat_result | None:
        """Return the status of what has the name now; None without."""
        try:
            return os.stat(
                self.address.name, dir_fd=self._folder.descriptor, follow_symlinks=False
            )
        except FileNotFoundError:
            return None

    def check(self) -> None:
        """
        Check that what has the name is a socket of this user.

        :raises FileNotFoundError: if there is nothing
        :raises UntrustedError: if it is something else
        """
        status = self.status()
        if status is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not stat.S_ISSOCK(status.st_mode):
            raise UntrustedError(
                'address-not-socket',
                f'{self.address} is no socket, and is not deleted: {ELSEWHERE}',
            )
        if status.st_uid != os.getuid():
            raise UntrustedError(
                'address-owner',
                f'{self.address} belongs to user {status.st_uid}, must be yours ({os.getuid()}): '
                f'{ELSEWHERE}',
            )

    def unlink(self, own: os.stat_result) -> None:
        """Delete the socket if it is still this one."""
        status = self.status()
        if status is not None and (status.st_dev, status.st_ino) == (own.st_dev, own.st_ino):
            os.unlink(self.address.name, dir_fd=self._folder.descriptor)

    def close(self) -> None:
        """Close the folder."""
        self._folder.close()

    def _check_folder(self, folder: Path) -> None:
        status = os.fstat(self._folder.descriptor)
        if status.st_uid != os.getuid():
            raise UntrustedError(
                'socket-folder-owner',
                f'{folder} belongs to user {status.st_uid}, must be yours ({os.getuid()}): '
                f'{ELSEWHERE}',
            )
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UntrustedError(
                'socket-folder-writable',
                f"{folder} is writable by other users: run 'chmod go-w {quote(str(folder))}', or "
                f'{ELSEWHERE}',
            )


def is_same_user(connection: socket.socket) -> bool:
    """Return whether the process at the other end belongs to this user."""
    return _peer(connection)[1] == os.getuid()


def process_of(connection: socket.socket) -> int:
    """Return the id of the process at the other end; 0 if it is in another container."""
    return _peer(connection)[0]


def _peer(connection: socket.socket) -> tuple[int, int]:
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(packed)
    return int(process), int(user)


def open_socket() -> socket.socket:
    """Return a socket on which a packet arrives whole or not at all."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def greeting(info: EngineInfo, task: str) -> bytes:
    """Return the packet that a server sends to each new connection."""
    return json.dumps({'version': VERSION, 'task': task, 'info': asdict(info)}).encode()


def from_greeting(packet: bytes, task: str) -> EngineInfo:
    """
    Parse the greeting of a server.

    :raises EngineError: if the server has another protocol version, or serves another task
    """
    try:
        content = parse_object(packet)
        if content['version'] != VERSION:
            raise EngineError(
                'server-version',
                f'the engine server has protocol version {content["version"]!r}, must be '
                f'{VERSION}: {ANOTHER}',
            )
        served, info = text('task', content['task']), _read_info(content['info'])
    except (ValueError, KeyError) as error:
        raise EngineError(
            'server-greeting', f'the greeting of the engine server is invalid ({error}): {ANOTHER}'
        ) from error
    if served != task:
        raise EngineError(
            'server-task',
            f'the engine server is for task {served!r}, not {task!r}: start one with '
            f"'viva serve --task {task}'",
        )
    return info


def _read_info(value: object) -> EngineInfo:
    """
    Read the description of an engine; types and ranges are exact.

    :raises ValueError: with the field, its value and what is allowed
    """
    content = members('info', value)
    check_members('info', content, {one.name for one in fields(EngineInfo)})
    return EngineInfo(**{name: read(f'info.{name}', content[name]) for name, read in INFO.items()})


def _runtime_folder() -> Path:
    folder = os.environ.get('XDG_RUNTIME_DIR')
    return Path(folder) / 'viva_ros' if folder else Path(f'/tmp/viva_ros-{os.getuid()}')
