# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What monitors and an engine server say to each other, and where they meet.

A Unix socket in a folder of the user's own; either side looks who the other is. One request is
the pictures as the engine takes them, then the joint positions; answers are lines of JSON.
"""

import json
import os
import socket
import stat
import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.runtime.engine import EngineInfo
from viva_ros.runtime.tensors import pack

VERSION: Final = 1
NAME: Final = 'engine.sock'
AUTO: Final = 'auto'  # as an address: the default one
_CREDENTIALS: Final = struct.Struct('3i')  # pid, uid, gid


def address_of(given: str) -> Path:
    """Give the path of a socket; 'auto' is the user's own."""
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
    """Say whether the process at the other end is this user's."""
    given = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(given)[1] == os.getuid())


def request_size(info: EngineInfo) -> int:
    """Give the bytes of a request."""
    height, width = info.image_size
    return 3 * len(info.cameras) * height * width + 4 * len(info.joint_names)


def to_request(observation: Observation, info: EngineInfo) -> bytes:
    """
    Give a request.

    :raises InputError: as ``pack`` does
    """
    images, proprio = pack(observation, info)
    return images.tobytes() + proprio.tobytes()


def from_request(data: bytes | bytearray, info: EngineInfo) -> Observation:
    """Give the observation of a request of the right size."""
    shape = (len(info.cameras), *info.image_size, 3)
    split = len(data) - 4 * len(info.joint_names)
    images: NDArray[np.uint8] = np.frombuffer(data, np.uint8, split).reshape(shape)
    proprio = np.frombuffer(data, np.float32, offset=split)
    return Observation(
        dict(zip(info.cameras, images, strict=True)),
        dict(zip(info.joint_names, map(float, proprio), strict=True)), {},
    )  # fmt: skip


def to_line(content: Mapping[str, Any]) -> bytes:
    """Give one line of JSON."""
    return json.dumps(content).encode() + b'\n'


def greeting(info: EngineInfo, task: str) -> bytes:
    """Give what a server says to who connects."""
    return to_line({'version': VERSION, 'task': task, 'info': asdict(info)})


def from_greeting(line: bytes, task: str) -> EngineInfo:
    """
    Read what a server says.

    :raises EngineError: if it is of another version, or serves another task
    """
    try:
        content = json.loads(line)
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


def to_answer(estimate: Estimate) -> bytes:
    """Give an answer."""
    return to_line(asdict(estimate))


def from_answer(line: bytes) -> Estimate:
    """
    Read an answer.

    :raises EngineError: if it is that of a failure
    """
    content = json.loads(line)
    if 'error' in content:
        raise EngineError(str(content['error']))
    return Estimate(**content)


def _own_folder() -> Path:
    given = os.environ.get('XDG_RUNTIME_DIR')
    return Path(given) / 'viva_ros' if given else Path(f'/tmp/viva_ros-{os.getuid()}')
