# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
CUDA memory and a stream, through pycuda if it is installed, else cuda-bindings.

Some runtimes can be imported but crash without a GPU: ``probe`` queries the driver first.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from viva_ros.core.errors import DeviceError, EngineError
from viva_ros.core.libraries import remedy


@dataclass(frozen=True)
class Device:
    """
    A GPU.

    :param capability: compute capability, such as '8.7'
    :param memory: total, bytes
    :param driver: CUDA version of the driver, such as '13.0'
    """

    name: str
    capability: str
    memory: int
    driver: str


@dataclass(frozen=True)
class Probe:
    """The first GPU, or the reason why there is none."""

    device: Device | None
    reason: str = ''


class Cuda(Protocol):
    """The functions that an engine needs; for one thread at a time."""

    device: Device
    stream: int

    def buffer(self, size: int) -> int:
        """Allocate memory on the GPU, in bytes; return its address."""
        ...

    def pinned(self, shape: Sequence[int], kind: DTypeLike) -> NDArray[Any]:
        """Return an array in pinned memory, which the GPU copies directly."""
        ...

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copy a pinned array to the GPU, asynchronously in the stream."""
        ...

    def download(self, array: NDArray[Any], address: int) -> None:
        """Copy to a pinned array, asynchronously in the stream."""
        ...

    def enter(self) -> None:
        """Make the calling thread use this device."""
        ...

    def wait(self) -> None:
        """Wait for the stream."""
        ...

    def close(self) -> None:
        """Free all memory and the stream."""
        ...


def probe() -> Probe:
    """Query the driver for its first GPU; errors become the reason."""
    try:
        return Probe(_open_driver().device)
    except EngineError as error:
        return Probe(None, str(error))


def open_cuda() -> Cuda:
    """
    Open the first GPU.

    :raises EngineError: if there is no GPU, or neither pycuda nor cuda-bindings
    """
    if find_spec('pycuda') is not None:
        return PyCuda()
    return BindingsCuda(_open_driver())


class _Driver:
    """The functions of the driver; their status codes become errors."""

    def __init__(self, module: Any) -> None:
        self._module = module
        try:
            self.call('cuInit', 0)
            self.handle = self.call('cuDeviceGet', 0)
        except Exception as error:  # also if the library of the driver is missing
            raise EngineError(
                'gpu-missing',
                f'no GPU can be used ({error}): check nvidia-smi, install the NVIDIA driver, '
                'or use an engine for the CPU',
            ) from error
        kinds = module.CUdevice_attribute
        major, minor = (
            self.call('cuDeviceGetAttribute', kind, self.handle)
            for kind in (kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                         kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
        )  # fmt: skip
        name = self.call('cuDeviceGetName', 128, self.handle).split(b'\0')[0].decode()
        version = int(self.call('cuDriverGetVersion'))
        self.device = Device(
            name, f'{major}.{minor}', int(self.call('cuDeviceTotalMem', self.handle)),
            f'{version // 1000}.{version % 1000 // 10}',
        )  # fmt: skip

    def call(self, name: str, *arguments: Any) -> Any:
        """
        Call a function of the driver.

        :raises DeviceError: with its name and status
        """
        status, *results = getattr(self._module, name)(*arguments)
        if int(status) != 0:
            raise DeviceError('cuda-call', f'CUDA error {int(status)} ({status.name}) in {name}')
        return results[0] if len(results) == 1 else results


def _open_driver() -> _Driver:
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise EngineError(
            'cuda-library-missing',
            f'the GPU cannot be used ({error}): install pycuda, or {remedy(["cuda"])}',
        ) from error
    return _Driver(driver)


class BindingsCuda:
    """See ``Cuda``; through cuda-bindings."""

    def __init__(self, driver: _Driver) -> None:
        self._driver, self.device = driver, driver.device
        self._context = driver.call('cuDevicePrimaryCtxRetain', driver.handle)
        self.enter()
        self._stream = driver.call('cuStreamCreate', 1)  # CU_STREAM_NON_BLOCKING
        self.stream = int(self._stream)
        self._buffers: list[Any] = []
        self._pinned: list[Any] = []

    def enter(self) -> None:
        """See ``Cuda``."""
        self._driver.call('cuCtxSetCurrent', self._context)

    def buffer(self, size: int) -> int:
        """See ``Cuda``."""
        self._buffers.append(self._driver.call('cuMemAlloc', size))
        return int(self._buffers[-1])

    def pinned(self, shape: Sequence[int], kind: DTypeLike) -> NDArray[Any]:
        """See ``Cuda``."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        address = int(self._driver.call('cuMemHostAlloc', size, 0))
        self._pinned.append(address)
        memory: Any = (ctypes.c_byte * size).from_address(address)
        return np.frombuffer(memory, dtype=kind).reshape(tuple(shape))

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """See ``Cuda``."""
        source = array.ctypes.data
        self._driver.call('cuMemcpyHtoDAsync', address, source, array.nbytes, self._stream)

    def download(self, array: NDArray[Any], address: int) -> None:
        """See ``Cuda``."""
        target = array.ctypes.data
        self._driver.call('cuMemcpyDtoHAsync', target, address, array.nbytes, self._stream)

    def wait(self) -> None:
        """See ``Cuda``."""
        self._driver.call('cuStreamSynchronize', self._stream)

    def close(self) -> None:
        """See ``Cuda``."""
        self.enter()
        for address in self._buffers:
            self._driver.call('cuMemFree', address)
        for address in self._pinned:
            self._driver.call('cuMemFreeHost', address)
        self._buffers, self._pinned = [], []
        self._driver.call('cuStreamDestroy', self._stream)
        self._driver.call('cuDevicePrimaryCtxRelease', self._driver.handle)


class PyCuda:
    """
    See ``Cuda``; through pycuda.

    :raises EngineError: if there is no GPU
    """

    def __init__(self) -> None:
        try:
            import pycuda.driver as driver

            driver.init()
            handle = driver.Device(0)
        except Exception as error:  # errors of pycuda, or an ImportError without a driver
            raise EngineError(
                'gpu-missing',
                f'no GPU can be used ({error}): check nvidia-smi, install the NVIDIA driver, '
                'or use an engine for the CPU',
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
        """See ``Cuda``."""
        if self._driver.Context.get_current() is None:
            self._context.push()

    def buffer(self, size: int) -> int:
        """See ``Cuda``."""
        self._buffers.append(self._driver.mem_alloc(size))
        return int(self._buffers[-1])

    def pinned(self, shape: Sequence[int], kind: DTypeLike) -> NDArray[Any]:
        """See ``Cuda``."""
        return np.asarray(self._driver.pagelocked_empty(tuple(shape), kind))

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """See ``Cuda``."""
        self._driver.memcpy_htod_async(address, array, self._stream)

    def download(self, array: NDArray[Any], address: int) -> None:
        """See ``Cuda``."""
        self._driver.memcpy_dtoh_async(array, address, self._stream)

    def wait(self) -> None:
        """See ``Cuda``."""
        self._stream.synchronize()

    def close(self) -> None:
        """See ``Cuda``."""
        for address in self._buffers:
            address.free()
        self._buffers = []
        self._context.pop()
