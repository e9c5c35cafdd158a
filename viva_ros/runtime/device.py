# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
When the device under an engine fails: out of memory, or an error that stays for good.

One try is made after everything was freed. If that fails too, the process has to end and be
started again: an engine is never moved to another device in silence.
"""

import gc
from collections.abc import Callable
from typing import Final, Protocol, TypeVar, runtime_checkable

from viva_ros.core.errors import DeviceError

#: What the libraries say, in lower case; their error classes have no base in common.
SIGNS: Final = (
    'out of memory', 'outofmemory', 'cuda error', 'cuda failure', 'cudaerror', 'cudnn_status',
    'cublas_status', 'device-side assert', 'failed to allocate memory',
)  # fmt: skip

Result = TypeVar('Result')


@runtime_checkable
class Freeable(Protocol):
    """An engine that can give back memory that it keeps for later."""

    def free(self) -> None:
        """Free what can be made again."""
        ...


def is_of_device(error: BaseException) -> bool:
    """Say whether an error, or one that led to it, is the device's."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DeviceError | MemoryError):
            return True
        if any(sign in str(seen).lower() for sign in SIGNS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def with_one_more_try(act: Callable[[], Result], engine: object) -> Result:
    """
    Act; free the engine's memory and act again if the device fails.

    :raises DeviceError: if it fails again
    """
    try:
        return act()
    except Exception as error:
        if not is_of_device(error):
            raise
    gc.collect()
    try:
        if isinstance(engine, Freeable):
            engine.free()
        return act()
    except Exception as error:
        if not is_of_device(error):
            raise
        raise DeviceError(
            f'device failed twice, memory freed between: {error}; this process ends to be '
            'started again: close what else uses the device, or use a smaller engine'
        ) from error
