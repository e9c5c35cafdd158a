# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A TensorRT-RTX engine whose inputs and outputs are tensors of PyTorch on the GPU.

As a command it builds one operation and runs it, in a separate process, because it may
crash on a GPU that the library does not support.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from onnx import TensorProto, helper
from torch import Tensor

from viva_ros.core.child_process import python_child
from viva_ros.engine.backends.tensorrt import import_library
from viva_ros.export import tensorrt as tensorrt_export

NUMBERS: Final = (-1.0, 2.0, -3.0, 4.0)
LONGEST: Final = 60.0  # s, time limit of one operation


def make_logger(library: Any) -> Any:
    """Return a logger that keeps warnings and errors in its list ``lines``, and prints nothing."""

    class Logger(library.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= library.ILogger.Severity.WARNING:
                self.lines.append(message)

    return Logger()


class PlanRunner:
    """
    Runs an engine in the current stream, on inputs at fixed addresses.

    :param content: the built engine
    :param inputs: by name; of float32, int64 or uint8
    :param graph: compile kernels for these shapes at once, and let the library capture a CUDA
        graph; else the library's defaults, as ``TensorrtRtxEngine`` has them
    :raises RuntimeError: with the library's reason, if the engine cannot be loaded or run
    """

    def __init__(
        self, library: Any, content: bytes, inputs: Mapping[str, Tensor], graph: bool = False
    ) -> None:
        self._logger, self._inputs = make_logger(library), inputs
        try:
            self._runtime = library.Runtime(self._logger)
        except TypeError as error:  # the bindings raise it for a null pointer
            raise RuntimeError(f'no engine can be loaded: {self._reason()}') from error
        self._engine = self._runtime.deserialize_cuda_engine(content)
        if self._engine is None:
            raise RuntimeError(f'the engine cannot be loaded: {self._reason()}')
        config = self._engine.create_runtime_config()
        if graph:
            kernels = library.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = kernels.EAGER
            config.cuda_graph_strategy = library.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        self._context = self._engine.create_execution_context(config)
        if self._context is None:
            raise RuntimeError(f'the engine has no context: {self._reason()}')
        self.outputs = self._bind(library)

    def _bind(self, library: Any) -> dict[str, Tensor]:
        """Set shapes and addresses, and return the outputs by name."""
        device = next(iter(self._inputs.values())).device
        outputs = {}
        for name, tensor in self._inputs.items():
            self._context.set_input_shape(name, tuple(tensor.shape))
            self._context.set_tensor_address(name, tensor.data_ptr())
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            if name in self._inputs:
                continue
            kind = np.zeros(0, library.nptype(self._engine.get_tensor_dtype(name)))
            shape = tuple(self._context.get_tensor_shape(name))
            outputs[name] = torch.empty(shape, dtype=torch.from_numpy(kind).dtype, device=device)
            self._context.set_tensor_address(name, outputs[name].data_ptr())
        return outputs

    def __call__(self) -> dict[str, Tensor]:
        """Run; the next run overwrites the outputs."""
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise RuntimeError(f'the engine failed: {self._reason()}')
        return self.outputs

    def _reason(self) -> str:
        return '; '.join(self._logger.lines[-3:]) or 'the library gives no reason'

    @property
    def memory(self) -> int:
        """Return the bytes of device memory that the engine's activations take."""
        return int(self._engine.device_memory_size_v2)


def one_operation(capabilities: Sequence[str], run: bool) -> dict[str, Any]:
    """
    Build an engine of one operation, then load and run it on the GPU.

    :param capabilities: of the GPUs that it is built for; none: the GPU of this machine
    :param run: run the engine; otherwise it is only built
    """
    shape = ['batch', len(NUMBERS)]
    tensors = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ('x', 'y')]
    proto = helper.make_model(
        helper.make_graph([helper.make_node('Relu', ['x'], ['y'])], 'one', *zip(tensors)),
        opset_imports=[helper.make_opsetid('', tensorrt_export.OPSET)], ir_version=10,
    )  # fmt: skip
    began = time.monotonic()
    built = tensorrt_export.build(proto.SerializeToString(), tensorrt_export.RTX, capabilities)
    found: dict[str, Any] = {
        'build_s': time.monotonic() - began, 'plan_mb': len(built.content) / 1e6,
    }  # fmt: skip
    if not run:
        return found
    given, began = torch.tensor([NUMBERS], device='cuda'), time.monotonic()
    runner = PlanRunner(import_library(tensorrt_export.RTX), built.content, {'x': given})
    result = runner()['y']
    torch.cuda.synchronize()
    found['load_and_run_s'] = time.monotonic() - began
    return found | {'right': bool(torch.equal(result, given.clamp_min(0)))}


def in_own_process(capabilities: Sequence[str], run: bool) -> dict[str, Any]:
    """
    Call ``one_operation`` in a separate process.

    :raises RuntimeError: with exit code and last output of a failed process
    """
    done = subprocess.run(
        **python_child('gpu.tensorrt_plan', *capabilities, *['--run'] * run),
        capture_output=True, text=True, timeout=LONGEST, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f'exit code {done.returncode}: {done.stderr.strip()[-400:]}')
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Build one operation, and run it.')
    parser.add_argument('capabilities', nargs='*', help='Compute capabilities to build for')
    parser.add_argument('--run', action='store_true', help='Run the engine on the GPU')
    given = parser.parse_args()
    print(json.dumps(one_operation(given.capabilities, given.run)))
