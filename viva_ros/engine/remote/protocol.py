# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The socket between monitors and an engine server, and the greeting of the server.

It is a Unix socket in a folder of the user; each side checks the user of the other. Observations
and estimates are in shared memory (see ``shared_memory``), which the server creates per monitor.
"""

import json
import os
import socket
import stat
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Final

from viva_ros.core.errors import EngineError
from viva_ros.engine.api import EngineInfo

VERSION: Final = 3
NAME: Final = 'engine.sock'
AUTO: Final = 'auto'  # as an address: the default
_CREDENTIALS: Final = struct.Struct('3i')  # pid, uid, gid


def address_of(address: str) -> Path:
    """Return the path of a socket; 'auto' is in the runtime folder of the user."""
    return Path(address).expanduser() if address != AUTO else _runtime_folder() / NAME


def check_folder(folder: Path) -> None:
    """
    Create the folder of a socket, or check the permissions of an existing one.

    :raises EngineError: if other users can write to it, or it belongs to another user
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid():
        raise EngineError(
            'socket-folder-owner',
            f'{folder} belongs to user {status.st_uid}: choose a folder of your own',
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EngineError(
            'socket-folder-writable',
            f"{folder} is writable by other users: run 'chmod go-w {folder}'",
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
        content = json.loads(packet)
        if content['version'] != VERSION:
            raise EngineError(
                'server-version',
                f'the engine server has protocol version {content["version"]}, must be {VERSION}: '
                'install the same version of viva_ros for server and monitor',
            )
        served, fields = content['task'], dict(content['info'])
        lists = {'cameras', 'joint_names', 'image_size', 'tasks'} & set(fields)
        info = EngineInfo(**{**fields, **{name: tuple(fields[name]) for name in lists}})
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            'server-greeting', f'the greeting of the engine server is invalid ({error!r})'
        ) from error
    if served != task:
        raise EngineError(
            'server-task',
            f'the engine server is for task {served!r}, not {task!r}: start one with '
            f"'viva serve --task {task}'",
        )
    return info


def _runtime_folder() -> Path:
    folder = os.environ.get('XDG_RUNTIME_DIR')
    return Path(folder) / 'viva_ros' if folder else Path(f'/tmp/viva_ros-{os.getuid()}')
