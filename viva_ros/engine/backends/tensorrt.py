# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A TensorRT engine: executable code for one GPU and one version of the library.

`tensorrt` and `tensorrt_rtx` have the same interface. GPU and version are compared before the
library reads the file. The driver is queried before the library is imported, as it may crash
without a GPU.
"""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import DeviceError, EngineError
from viva_ros.core.libraries import LIBRARIES, remedy
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.backend import Backend
from viva_ros.engine.backends import cuda
from viva_ros.engine.manifest import (
    EngineFolder,
    Manifest,
    check_kind,
    check_parity,
    check_task,
    info_of,
    read_graph,
)
from viva_ros.engine.preprocessing import pack, unpack

#: No package index has tensorrt: it comes with JetPack or NVIDIA's apt repository.
TENSORRT: Final = "install NVIDIA's TensorRT (JetPack has it; on a PC 'apt install tensorrt')"
LARGEST_BATCH: Final = 8


class TensorrtEngine:
    """
    Runs ``engine.plan``.

    :raises EngineError: if the GPU or the version differs, or a file is missing or changed
    """

    def __init__(
        self, folder: EngineFolder | Path, task: str, kind: str = 'tensorrt'
    ) -> None:  # fmt: skip
        self._kind = kind
        folder = EngineFolder.of(folder)
        manifest = folder.description
        check_kind(folder.path, manifest, kind)
        check_parity(manifest)
        self._task = check_task(manifest.tasks, task)
        content = read_graph(folder)
        found = cuda.probe()
        if found.device is None:
            raise EngineError('engine-needs-gpu', f'{folder.path} is for a GPU: {found.reason}')
        check_gpu(manifest, found.device)
        library = import_library(kind)
        check_version(manifest, kind, library.__version__)
        self._cuda = cuda.open_cuda()
        self._logger = library.Logger(library.Logger.ERROR)
        self._runtime = library.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(content)
        if self._engine is None:
            raise EngineError(
                'tensorrt-plan-invalid',
                f'{folder.path / manifest.file} cannot be loaded: {_again(manifest)}',
            )
        self._library, self._context = library, self._engine.create_execution_context()
        self._buffers: dict[str, tuple[int, NDArray[Any]]] = {}
        self._allocate()
        self.info = info_of(manifest, kind, f'{kind} {library.__version__}', found.device.name)

    def _allocate(self) -> None:
        """Allocate GPU memory and a pinned array for each tensor, for the largest batch."""
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            kind = np.dtype(self._library.nptype(self._engine.get_tensor_dtype(name)))
            shape = (LARGEST_BATCH, *tuple(self._engine.get_tensor_shape(name))[1:])
            pinned = self._cuda.pinned(shape, kind)
            self._buffers[name] = self._cuda.buffer(pinned.nbytes), pinned
            self._context.set_tensor_address(name, self._buffers[name][0])

    def estimate(self, observation: Observation) -> Estimate:
        """See ``Engine``."""
        return self.estimate_batch([observation])[0]

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """See ``BatchEngine``; a batch larger than the engine's runs in several calls."""
        found: list[Estimate] = []
        for start in range(0, len(observations), LARGEST_BATCH):
            part = observations[start : start + LARGEST_BATCH]
            images, proprio = pack(part, self.info)
            task = np.full(len(part), self._task)
            outputs = self._run({'images': images, 'proprio': proprio, 'task': task})
            found += unpack(outputs, self.info)
        return found

    def _run(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        count, gpu = len(feeds['proprio']), self._cuda
        gpu.enter()
        outputs = []
        for name, (address, pinned) in self._buffers.items():
            if name not in feeds:
                outputs.append(name)
                continue
            pinned[:count] = feeds[name]
            self._context.set_input_shape(name, (count, *pinned.shape[1:]))
            gpu.upload(address, pinned[:count])
        if not self._context.execute_async_v3(gpu.stream):
            raise DeviceError('tensorrt-failed', f'{self._kind} failed: CUDA error while it ran')
        for name in outputs:
            gpu.download(self._buffers[name][1][:count], self._buffers[name][0])
        gpu.wait()
        return {name: self._buffers[name][1][:count].copy() for name in outputs}

    def close(self) -> None:
        """Free engine and memory; the engine cannot be used afterwards."""
        self._context = self._engine = self._runtime = None
        self._buffers = {}
        self._cuda.close()


#: The engine of TensorRT for RTX.
TensorrtRtxEngine = partial(TensorrtEngine, kind='tensorrt_rtx')


def check_gpu(manifest: Manifest, device: cuda.Device) -> None:
    """
    Check that the engine is for this GPU.

    :raises EngineError: with both GPUs
    """
    capabilities = list(manifest.gpu.get('capabilities', ()))
    name = str(manifest.gpu.get('name', ''))
    is_other = bool(name) and name != device.name
    if device.capability not in capabilities or is_other:
        have = ' and '.join(f'sm_{text.replace(".", "")}' for text in capabilities) or 'no GPU'
        raise EngineError(
            'engine-gpu',
            f'engine is for {have}{f" ({name})" if name else ""}, this GPU is '
            f'sm_{device.capability.replace(".", "")} ({device.name}): {_again(manifest)}',
        )


def check_version(manifest: Manifest, kind: str, version: str) -> None:
    """
    Check that the installed version of the library has built the engine.

    :raises EngineError: with both versions
    """
    made = manifest.libraries.get(kind)
    if made != version:
        raise EngineError(
            'engine-library-version',
            f'engine was built with {kind} {made}, installed is {version}: {_again(manifest)}, or '
            f'install {kind} {made}',
        )


def import_library(kind: str) -> Any:
    """
    Import the library; call ``cuda.probe`` first, as it may crash without a GPU.

    :raises EngineError: if it is not installed
    """
    try:
        return import_module(kind)
    except ImportError as error:
        install = remedy([kind]) if kind in LIBRARIES else TENSORRT
        raise EngineError(
            'tensorrt-missing', f'{kind} cannot be imported ({error}): {install}'
        ) from error


def _again(manifest: Manifest) -> str:
    return (
        f"run 'viva export FOLDER --engine {manifest.kind} --precision {manifest.precision} "
        "--out DIR --recordings DIR' here"
    )


PRECISIONS: Final = ('float32', 'float16', 'bfloat16', 'int8', 'fp8')
BUILDER: Final = 'viva_ros.export.bundle:compiled_file'
TENSORRT_BACKEND: Final = Backend('tensorrt', TensorrtEngine, PRECISIONS, BUILDER)
RTX_BACKEND: Final = Backend('tensorrt_rtx', TensorrtRtxEngine, PRECISIONS, BUILDER)
