# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA memory and a stream by pycuda, which JetPack's users have."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from viva_ros.core.errors import EngineError
from viva_ros.engine.backends.cuda import Device


class PyCuda:
    """
    See ``cuda.Cuda``.

    :raises EngineError: if there is no GPU
    """

    def __init__(self) -> None:
        try:
            import pycuda.driver as driver

            driver.init()
            handle = driver.Device(0)
        except Exception as error:  # its own errors, or an ImportError without a driver
            raise EngineError(
                f'no GPU can be used ({error}): look with nvidia-smi, install the NVIDIA driver, '
                'or take an engine for the CPU'
            ) from error
        self._driver = driver
        major, minor = handle.compute_capability()
        version = driver.get_driver_version()
        self.device = Device(
            handle.name(), f'{major}.{minor}', handle.total_memory(),
            f'{version // 1000}.{version % 1000 // 10}',
        )  # fmt: skip
        self._context = handle.retain_primary_context()
        self._context.push()
        self._stream = driver.Stream()
        self.stream = int(self._stream.handle)
        self._buffers: list[Any] = []

    def enter(self) -> None:
        """See ``cuda.Cuda``."""
        if self._driver.Context.get_current() is None:
            self._context.push()

    def buffer(self, size: int) -> int:
        """See ``cuda.Cuda``."""
        self._buffers.append(self._driver.mem_alloc(size))
        return int(self._buffers[-1])

    def pinned(self, shape: Sequence[int], kind: DTypeLike) -> NDArray[Any]:
        """See ``cuda.Cuda``."""
        return np.asarray(self._driver.pagelocked_empty(tuple(shape), kind))

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """See ``cuda.Cuda``."""
        self._driver.memcpy_htod_async(address, array, self._stream)

    def download(self, array: NDArray[Any], address: int) -> None:
        """See ``cuda.Cuda``."""
        self._driver.memcpy_dtoh_async(array, address, self._stream)

    def wait(self) -> None:
        """See ``cuda.Cuda``."""
        self._stream.synchronize()

    def close(self) -> None:
        """See ``cuda.Cuda``."""
        for address in self._buffers:
            address.free()
        self._buffers = []
        self._context.pop()
