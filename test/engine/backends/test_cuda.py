# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory and streams against a driver that is none; the real one is asked where there is one."""

import ctypes
import enum
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from viva_ros.core.errors import DeviceError, EngineError
from viva_ros.engine.backends import cuda


class Status(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100


class FakeDriver:
    """An Orin whose memory is this process's."""

    CUdevice_attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR='major',
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR='minor',
    )

    def __init__(self, **refuses: Status) -> None:
        self.refuses, self.calls, self.memory = refuses, [], {}

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name)
            status = self.refuses.get(name, Status.CUDA_SUCCESS)
            if status:
                return status, None
            if name.startswith('cuMemcpy'):
                target, source, size, _ = arguments
                ctypes.memmove(target, source, size)
                return (status,)
            return status, self.answer(name, *arguments)

        return call

    def answer(self, name: str, *arguments: Any) -> Any:
        if name in ('cuMemAlloc', 'cuMemHostAlloc'):
            block = ctypes.create_string_buffer(arguments[0])
            self.memory[ctypes.addressof(block)] = block
            return ctypes.addressof(block)
        if name == 'cuDeviceGetAttribute':
            return {'major': 8, 'minor': 7}[arguments[0]]
        known = {'cuDeviceGetName': b'Orin\0\0', 'cuDriverGetVersion': 12060, 'cuStreamCreate': 7,
                 'cuDeviceTotalMem': 64 << 30}  # fmt: skip
        return known.get(name)


def install(monkeypatch: pytest.MonkeyPatch, driver: Any) -> None:
    package, bindings = ModuleType('cuda'), ModuleType('cuda.bindings')
    bindings.driver = driver  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'cuda', package)
    monkeypatch.setitem(sys.modules, 'cuda.bindings', bindings)
    monkeypatch.setattr(cuda, 'find_spec', lambda name: None)  # no pycuda


def test_what_the_driver_says_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeDriver())
    assert cuda.probe().device == cuda.Device('Orin', '8.7', 64 << 30, '12.6')


def test_without_a_gpu_there_is_a_reason_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeDriver(cuInit=Status.CUDA_ERROR_NO_DEVICE))
    found = cuda.probe()
    assert found.device is None
    assert 'CUDA error 100 (CUDA_ERROR_NO_DEVICE) in cuInit' in found.reason
    assert 'install the NVIDIA driver' in found.reason


def test_without_a_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'cuda.bindings', None)
    monkeypatch.setattr(cuda, 'find_spec', lambda name: None)
    reason = cuda.probe().reason
    assert 'pip install' in reason and (
        'viva_ros[tensorrt]' in reason or 'cuda-bindings' in reason
    )
    with pytest.raises(EngineError, match='the GPU cannot be reached'):
        cuda.open_cuda()


def test_what_is_uploaded_comes_back_and_all_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FakeDriver()
    install(monkeypatch, driver)
    gpu = cuda.open_cuda()
    given, back = gpu.pinned((2, 3), np.float32), gpu.pinned((2, 3), np.float32)
    given[:] = [[1, 2, 3], [4, 5, 6]]
    address = gpu.buffer(given.nbytes)
    gpu.upload(address, given)
    gpu.download(back[:1], address)
    gpu.wait()
    assert back[0].tolist() == [1, 2, 3]
    assert gpu.stream == 7
    gpu.close()
    freed = [name for name in driver.calls if 'Free' in name or 'Destroy' in name]
    assert sorted(freed) == ['cuMemFree', 'cuMemFreeHost', 'cuMemFreeHost', 'cuStreamDestroy']
    assert driver.calls[-1] == 'cuDevicePrimaryCtxRelease'


def test_memory_that_is_not_there_is_the_device_s_error(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeDriver(cuMemAlloc=Status.CUDA_ERROR_OUT_OF_MEMORY))
    with pytest.raises(DeviceError, match=r'CUDA_ERROR_OUT_OF_MEMORY\) in cuMemAlloc'):
        cuda.open_cuda().buffer(8)
