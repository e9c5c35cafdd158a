# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Observations and estimates between two processes: arrays in shared memory, few bytes on a socket.

The memory has no name (memfd), so nothing is left of it when a process is killed. Nothing is
pickled: who can write to the other end can give wrong numbers, but run nothing.
"""

import fcntl
import json
import math
import mmap
import os
import socket
import struct
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import EngineError, InputError, VivaError
from viva_ros.core.observation import Estimate, Image, Observation
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.preprocessing import arrange, letterbox

REPLY: Final = struct.Struct('<QB')  # number of the request, what came of it; then a text
DONE, BAD_INPUT, FAILED = range(3)
REQUEST: Final = struct.Struct('<Q')
LONGEST: Final = 1 << 16  # bytes of one packet
LARGEST: Final = 3 * 1920 * 1200  # bytes of a picture that is handed over as it came


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected ends; a packet comes whole or not at all."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def share(connection: socket.socket, info: EngineInfo) -> 'ObservationMemory':
    """Make memory for an engine, and send it to the other end, who cannot take it away again."""
    descriptor = os.memfd_create('viva_engine', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, sum(_sizes(info)))
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)  # that would be SIGBUS
        socket.send_fds(connection, [b'memory'], [descriptor])
        return ObservationMemory(descriptor, info)
    finally:
        os.close(descriptor)


def take(connection: socket.socket, info: EngineInfo) -> 'ObservationMemory':
    """
    Return the memory that the other end has made.

    :raises EOFError: if there is no other end any more
    """
    descriptors = socket.recv_fds(connection, LONGEST, 1)[1]
    if not descriptors:
        raise EOFError('the other end was closed')
    try:
        return ObservationMemory(descriptors[0], info)
    finally:
        os.close(descriptors[0])


def reply(number: int, status: int = DONE, text: str = '') -> bytes:
    """Return what answers a request: what came of it, and why."""
    return REPLY.pack(number, status) + text.encode()[: LONGEST // 2]


def read_reply(packet: bytes) -> tuple[int, str]:
    """Return what came of a request, and why."""
    _, status = REPLY.unpack_from(packet)
    return status, packet[REPLY.size :].decode(errors='replace')


def check_done(status: int, text: str) -> None:
    """
    Raise what the other side failed with.

    :raises InputError: as ``Engine.estimate``
    :raises EngineError: likewise
    """
    if status == BAD_INPUT:
        raise InputError(text)
    if status == FAILED:
        raise EngineError(text)


def failure(error: Exception) -> tuple[int, str]:
    """Return what came of a request that an engine failed at, whatever its library raised."""
    if isinstance(error, InputError):
        return BAD_INPUT, str(error)
    return FAILED, str(error) if isinstance(error, VivaError) else f'engine failed: {error!r}'


def info_text(info: EngineInfo) -> str:
    """Return what an engine is made for as text."""
    return json.dumps(asdict(info))


def info_from(text: str) -> EngineInfo:
    """Read what ``info_text`` wrote."""
    content: dict[str, Any] = json.loads(text)
    lists = {name: tuple(content[name]) for name in ('cameras', 'joint_names', 'tasks')}
    height, width = content['image_size']
    return EngineInfo(**{**content, **lists, 'image_size': (height, width)})


class ObservationMemory:
    """
    One observation and its estimate in shared memory; the socket tells whose turn it is.

    Joints are float64, and pictures fitted to the engine unless it fits them itself, so that an
    engine on the other side sees to the bit what it would have seen here.
    """

    def __init__(self, descriptor: int, info: EngineInfo) -> None:
        """Map the memory; the descriptor can be closed after."""
        self._info = info
        self._map = mmap.mmap(descriptor, sum(_sizes(info)))
        shapes, pictures, joints, answer = _sizes(info)
        cameras, before = len(info.cameras), shapes + pictures
        self._shapes = np.frombuffer(self._map, np.int64, 2 * cameras).reshape(-1, 2)
        rooms = np.frombuffer(self._map, np.uint8, cameras * _room(info), shapes)
        self._rooms = rooms.reshape(cameras, _room(info))
        self._joints = np.frombuffer(self._map, np.float64, joints // 8, before)
        self._answer = np.frombuffer(self._map, np.float64, answer // 8, before + joints)

    def put(self, observation: Observation) -> None:
        """
        Write an observation.

        :raises InputError: on a missing camera or joint, wrong dtype or shape, non-finite number
        """
        images, self._joints[:] = arrange(observation, self._info)
        for view, image in enumerate(images):
            if not self._info.fits or image.size > LARGEST:
                image = letterbox(image, self._info.image_size)
            self._shapes[view] = image.shape[:2]
            self._rooms[view, : image.size].reshape(image.shape)[:] = image

    def observation(self) -> Observation:
        """
        Read it; its stamps stay behind, no engine looks at them.

        :raises InputError: if the other end tells a size that cannot be
        """
        images = {name: self._picture(view) for view, name in enumerate(self._info.cameras)}
        joints = dict(zip(self._info.joint_names, self._joints.tolist(), strict=True))
        return Observation(images, joints, {})

    def _picture(self, view: int) -> Image:
        height, width = self._info.image_size
        if self._info.fits:
            height, width = self._shapes[view].tolist()
        size = 3 * height * width
        if min(height, width) < 1 or size > self._rooms.shape[1]:
            raise InputError(f'picture is told to be {width} x {height} pixels')
        return self._rooms[view, :size].reshape(height, width, 3)

    def answer(self, estimate: Estimate) -> None:
        """Write an estimate."""
        forecast = [estimate.forecast.get(name, math.nan) for name in self._info.joint_names]
        head = [estimate.value, estimate.progress, estimate.success, bool(estimate.forecast)]
        self._answer[:] = [*head, *forecast]

    def estimate(self) -> Estimate:
        """Read it."""
        value, progress, success, has_forecast, *forecast = self._answer.tolist()
        names = self._info.joint_names if has_forecast else ()
        joints = dict(zip(names, forecast, strict=False))  # no names: no forecast
        return Estimate(value, joints, progress, success)


def _room(info: EngineInfo) -> int:
    """Return the bytes kept for a picture; memory that is never written to costs nothing."""
    fitted = 3 * math.prod(info.image_size)
    return max(LARGEST, fitted) if info.fits else fitted


def _sizes(info: EngineInfo) -> tuple[int, int, int, int]:
    """Return the bytes of shapes, pictures (rounded up to 8), joints and answer."""
    cameras, joints = len(info.cameras), len(info.joint_names)
    return 16 * cameras, -(-cameras * _room(info) // 8) * 8, 8 * joints, 8 * (4 + joints)
