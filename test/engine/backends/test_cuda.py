# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA memory and streams with a fake driver in the memory of this process."""

import ctypes
import enum
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.errors import raises

from viva_ros.core.errors import DeviceError, EngineError
from viva_ros.engine.backends import cuda


class Status(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100


class FakeDriver:
    """The driver of an Orin; its memory is in this process."""

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


def test_device_is_read_from_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeDriver())
    assert cuda.probe().device == cuda.Device('Orin', '8.7', 64 << 30, '12.6')


def test_probe_without_gpu_returns_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeDriver(cuInit=Status.CUDA_ERROR_NO_DEVICE))
    found = cuda.probe()
    assert found.device is None
    assert 'CUDA error 100 (CUDA_ERROR_NO_DEVICE) in cuInit' in found.reason
    assert 'install the NVIDIA driver' in found.reason
    with raises('gpu-missing', 'CUDA_ERROR_NO_DEVICE', 'nvidia-smi', of=EngineError):
        cuda.open_cuda()


def test_missing_cuda_library_names_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'cuda.bindings', None)
    monkeypatch.setattr(cuda, 'find_spec', lambda name: None)
    reason = cuda.probe().reason
    assert 'pip install' in reason and (
        'viva_ros[tensorrt]' in reason or 'cuda-bindings' in reason
    )
    with raises('cuda-library-missing', 'pip install', of=EngineError):
        cuda.open_cuda()


def test_upload_download_and_close_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_failed_allocation_is_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeDriver(cuMemAlloc=Status.CUDA_ERROR_OUT_OF_MEMORY))
    gpu = cuda.open_cuda()
    with raises('cuda-call', 'CUDA_ERROR_OUT_OF_MEMORY', 'cuMemAlloc', of=DeviceError):
        gpu.buffer(8)
