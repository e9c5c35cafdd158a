# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Where monitors and an engine server meet, and how they greet each other.

A Unix socket in a folder of the user's own; either side looks who the other is. What is asked and
answered lies in memory that both share (see ``wire``), one for each monitor; the server makes it.
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

VERSION: Final = 2
NAME: Final = 'engine.sock'
AUTO: Final = 'auto'  # as an address: the default one
_CREDENTIALS: Final = struct.Struct('3i')  # pid, uid, gid


def address_of(given: str) -> Path:
    """Return the path of a socket; 'auto' is the user's own."""
    return Path(given).expanduser() if given != AUTO else _own_folder() / NAME


def check_folder(folder: Path) -> None:
    """
    Make the folder of a socket, or refuse it.

    :raises EngineError: if others may write there, or it is another user's
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.stat()
    if about.st_uid != os.getuid():
        raise EngineError(f'{folder} belongs to user {about.st_uid}: name a folder of your own')
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EngineError(f"{folder} may be written by others: run 'chmod go-w {folder}'")


def is_same_user(connection: socket.socket) -> bool:
    """Return whether the process at the other end is this user's."""
    given = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(given)[1] == os.getuid())


def open_socket() -> socket.socket:
    """Return a socket on which a packet comes whole or not at all."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def greeting(info: EngineInfo, task: str) -> bytes:
    """Return what a server says to who connects."""
    return json.dumps({'version': VERSION, 'task': task, 'info': asdict(info)}).encode()


def from_greeting(packet: bytes, task: str) -> EngineInfo:
    """
    Read what a server says.

    :raises EngineError: if it is of another version, or serves another task
    """
    try:
        content = json.loads(packet)
        version, served, info = content['version'], content['task'], dict(content['info'])
        lists = {'cameras', 'joint_names', 'image_size', 'tasks'} & set(info)
        made = EngineInfo(**{**info, **{name: tuple(info[name]) for name in lists}})
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f'the engine server is of another version ({error!r})') from error
    if version != VERSION:
        raise EngineError(f'the engine server speaks version {version}, must be {VERSION}')
    if served != task:
        raise EngineError(
            f'the engine server is for task {served!r}, not {task!r}: start one with '
            f"'viva serve --task {task}'"
        )
    return made


def _own_folder() -> Path:
    given = os.environ.get('XDG_RUNTIME_DIR')
    return Path(given) / 'viva_ros' if given else Path(f'/tmp/viva_ros-{os.getuid()}')
