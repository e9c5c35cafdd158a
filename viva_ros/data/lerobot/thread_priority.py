# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Keep a library from giving its threads real-time priority.

SVT-AV1 sets the calling thread to SCHED_FIFO with the highest priority when it is opened, and all
threads that are started later inherit it: as root, or for a user with a limit of RTPRIO, an import
would then stop every other program of the machine, the watch of a robot included.
"""

import ctypes
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SYS_NICE: Final = 1 << 23  # CAP_SYS_NICE
VERSION: Final = 0x20080522  # of capset(2)


class _Header(ctypes.Structure):
    _fields_ = (('version', ctypes.c_uint32), ('pid', ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (
        ('effective', ctypes.c_uint32), ('permitted', ctypes.c_uint32),
        ('inheritable', ctypes.c_uint32),
    )  # fmt: skip


@contextmanager
def without_real_time() -> Iterator[None]:
    """
    Refuse real-time priority to this thread for the block, and to its new threads for good.

    Those threads lack the capability that root has. The limit of a user counts for the process and
    is restored after the block.

    :raises OSError: if the kernel refuses to give up the capability
    """
    limits = resource.getrlimit(resource.RLIMIT_RTPRIO)
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, limits[1]))
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        header, sets = _Header(VERSION, 0), (_Capabilities * 2)()
        _check(libc.capget(ctypes.byref(header), sets))
        had = sets[0].effective & SYS_NICE
        sets[0].effective &= ~SYS_NICE
        if had:
            _check(libc.capset(ctypes.byref(header), sets))
        try:
            yield
        finally:
            if had:
                sets[0].effective |= SYS_NICE
                _check(libc.capset(ctypes.byref(header), sets))
    finally:
        resource.setrlimit(resource.RLIMIT_RTPRIO, limits)


def _check(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, 'capability CAP_SYS_NICE cannot be given up')
