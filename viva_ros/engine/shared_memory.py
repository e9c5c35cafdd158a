# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Observations and estimates between two processes: arrays in shared memory, few bytes on a socket.

The memory has no name (memfd), so a killed process leaves none behind. Nothing is pickled: a
process that writes to the other end can send wrong numbers, but run no code.
"""

import fcntl
import json
import math
import mmap
import os
import select
import socket
import struct
import time
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import (
    CalibrationError,
    ConfigurationError,
    DeviceError,
    EngineError,
    InputError,
    RecordingError,
    VivaError,
)
from viva_ros.core.observation import Estimate, Image, Observation
from viva_ros.core.progress_watch import ProgressWatch
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.preprocessing import arrange, letterbox
from viva_ros.engine.usage import process_usage

REPLY: Final = struct.Struct('<QB')  # number of the request, status; then a text
DONE, FAILED = range(2)
REQUEST: Final = struct.Struct('<Q')
MAX_PACKET: Final = 1 << 16  # bytes
MAX_IMAGE: Final = 3 * 1920 * 1200  # bytes; larger images are fitted before they are copied
#: Classes that cross the socket, by name.
ERRORS: Final[dict[str, type[VivaError]]] = {
    kind.__name__: kind
    for kind in (
        VivaError, ConfigurationError, EngineError, DeviceError, InputError, RecordingError,
        CalibrationError,
    )
}  # fmt: skip


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets; a packet arrives whole or not at all."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def share(connection: socket.socket, info: EngineInfo) -> 'ObservationMemory':
    """Create memory for an engine and send it to the other process, which cannot shrink it."""
    descriptor = os.memfd_create('viva_engine', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, sum(_sizes(info)))
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)  # else SIGBUS
        socket.send_fds(connection, [b'memory'], [descriptor])
        return ObservationMemory(descriptor, info)
    finally:
        os.close(descriptor)


def attach(connection: socket.socket, info: EngineInfo) -> 'ObservationMemory':
    """
    Map the memory that the other process has created.

    :raises EOFError: if the other process has closed its socket
    """
    descriptors = socket.recv_fds(connection, MAX_PACKET, 1)[1]
    if not descriptors:
        raise EOFError('the other process has closed its socket')
    try:
        return ObservationMemory(descriptors[0], info)
    finally:
        os.close(descriptors[0])


def is_readable(connection: socket.socket, timeout: float) -> bool:
    """Return whether a packet, or the end of the other process, arrives within the timeout, s."""
    try:
        return bool(select.select([connection], [], [], timeout)[0])
    except (OSError, ValueError):  # closed by another thread
        return True


def await_packet(connection: socket.socket, process_id: int, watch: ProgressWatch) -> str:
    """
    Wait for a packet, or the end of the other process, while that process makes progress.

    :param process_id: of the other process
    :returns: '' if there is one; why the other process is given up otherwise
    """
    while not is_readable(connection, watch.limits.period):
        fault = watch.update(time.monotonic(), process_usage(process_id))
        if fault and not is_readable(connection, 0.0):
            return fault
    return ''


def reply(number: int, status: int = DONE, text: str = '') -> bytes:
    """Return the packet that answers a request."""
    return REPLY.pack(number, status) + text.encode()[: MAX_PACKET // 2]


def read_reply(packet: bytes) -> tuple[int, str]:
    """Return status and text of a reply."""
    _, status = REPLY.unpack_from(packet)
    return status, packet[REPLY.size :].decode(errors='replace')


def check_done(status: int, text: str) -> None:
    """
    Raise the error that the other process has sent, with its class and code.

    :raises InputError: as ``Engine.estimate``
    :raises EngineError: likewise
    """
    if status != DONE:
        name, _, rest = text.partition(' ')
        code, _, message = rest.partition(' ')
        raise ERRORS.get(name, EngineError)(code, message)


def failure(error: Exception) -> tuple[int, str]:
    """
    Return status and text that report an error; the text is ``CLASS CODE TEXT``.

    :param error: one that is not a VivaError is reported as an EngineError
    """
    if not isinstance(error, VivaError):
        error = EngineError('engine-failed', f'engine failed: {error!r}')
    name = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in ERRORS)
    return FAILED, f'{name} {error.code} {error.text}'


def info_text(info: EngineInfo) -> str:
    """Return the description of an engine as JSON."""
    return json.dumps(asdict(info))


def info_from(text: str) -> EngineInfo:
    """Parse the text of ``info_text``."""
    content: dict[str, Any] = json.loads(text)
    lists = {name: tuple(content[name]) for name in ('cameras', 'joint_names', 'tasks')}
    height, width = content['image_size']
    return EngineInfo(**{**content, **lists, 'image_size': (height, width)})


class ObservationMemory:
    """
    One observation and its estimate in shared memory; packets on the socket alternate access.

    Joints are float64. Images are fitted to the engine unless it fits them itself. So the engine
    in the other process computes with the same bits as in this one.
    """

    def __init__(self, descriptor: int, info: EngineInfo) -> None:
        """Map the memory; the descriptor can be closed afterwards."""
        self._info = info
        self._map = mmap.mmap(descriptor, sum(_sizes(info)))
        shapes, images, joints, answer = _sizes(info)
        cameras, before = len(info.cameras), shapes + images
        self._shapes = np.frombuffer(self._map, np.int64, 2 * cameras).reshape(-1, 2)
        slots = np.frombuffer(self._map, np.uint8, cameras * _slot_size(info), shapes)
        self._slots = slots.reshape(cameras, _slot_size(info))
        self._joints = np.frombuffer(self._map, np.float64, joints // 8, before)
        self._answer = np.frombuffer(self._map, np.float64, answer // 8, before + joints)

    def put(self, observation: Observation) -> None:
        """
        Write an observation.

        :raises InputError: on a missing camera or joint, wrong dtype or shape, non-finite number
        """
        images, self._joints[:] = arrange(observation, self._info)
        for view, image in enumerate(images):
            if not self._info.fits or image.size > MAX_IMAGE:
                image = letterbox(image, self._info.image_size)
            self._shapes[view] = image.shape[:2]
            self._slots[view, : image.size].reshape(image.shape)[:] = image

    def observation(self) -> Observation:
        """
        Read the observation; stamps are not transferred, as no engine uses them.

        :raises InputError: if the size of an image does not fit its memory
        """
        images = {name: self._image(view) for view, name in enumerate(self._info.cameras)}
        joints = dict(zip(self._info.joint_names, self._joints.tolist(), strict=True))
        return Observation(images, joints, {})

    def _image(self, view: int) -> Image:
        height, width = self._info.image_size
        if self._info.fits:
            height, width = self._shapes[view].tolist()
        size = 3 * height * width
        if min(height, width) < 1 or size > self._slots.shape[1]:
            raise InputError(
                'shared-image-size',
                f'shared image is {width} x {height} pixels, must be at least 1 x 1 and at most '
                f'{self._slots.shape[1]} bytes',
            )
        return self._slots[view, :size].reshape(height, width, 3)

    def answer(self, estimate: Estimate) -> None:
        """Write an estimate."""
        forecast = [estimate.forecast.get(name, math.nan) for name in self._info.joint_names]
        head = [estimate.value, estimate.progress, estimate.success, bool(estimate.forecast)]
        self._answer[:] = [*head, *forecast]

    def estimate(self) -> Estimate:
        """Read the estimate."""
        value, progress, success, has_forecast, *forecast = self._answer.tolist()
        names = self._info.joint_names if has_forecast else ()
        joints = dict(zip(names, forecast, strict=False))  # no names: no forecast
        return Estimate(value, joints, progress, success)


def _slot_size(info: EngineInfo) -> int:
    """Return the bytes reserved for an image; pages that are never written take no memory."""
    fitted = 3 * math.prod(info.image_size)
    return max(MAX_IMAGE, fitted) if info.fits else fitted


def _sizes(info: EngineInfo) -> tuple[int, int, int, int]:
    """Return the bytes of shapes, images (rounded up to 8), joints and estimate."""
    cameras, joints = len(info.cameras), len(info.joint_names)
    return 16 * cameras, -(-cameras * _slot_size(info) // 8) * 8, 8 * joints, 8 * (4 + joints)
