# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Timing by device events, CUDA graphs, and peak performance of the device."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from .part import Part, SkipError

WARM_UP: Final = 3
FEWEST: Final = 10  # repetitions, even if the time is over
Work = Callable[[], Any]


def measure(part: Part, work: Work, repetitions: int = 60, seconds: float = 4.0) -> dict[str, Any]:
    """
    Time single synchronized calls, as on a robot.

    :param repetitions: fewer if ``seconds`` are over
    :returns: p50 and p95 of the device's time and of the wall clock, ms; peak memory, GB
    """
    repetitions, fewest = (3, 3) if part.tiny else (repetitions, FEWEST)
    on_gpu = part.device.type == 'cuda'
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(1 if part.tiny else WARM_UP):
        work()
    device, wall, end = [], [], time.monotonic() + seconds
    while len(wall) < repetitions and (len(wall) < fewest or time.monotonic() < end):
        on_device, on_wall = _once(work, on_gpu)
        device.append(on_device)
        wall.append(on_wall)
    found = {
        'p50_ms': float(np.percentile(device, 50)), 'p95_ms': float(np.percentile(device, 95)),
        'wall_p50_ms': float(np.percentile(wall, 50)), 'repetitions': len(wall),
    }  # fmt: skip
    if on_gpu:
        found['peak_gb'] = torch.cuda.max_memory_allocated() / 1e9
    return found


def _once(work: Work, on_gpu: bool) -> tuple[float, float]:
    """Return the device's and the wall clock's time of one call, ms."""
    if not on_gpu:
        began = time.perf_counter()
        work()
        passed = 1e3 * (time.perf_counter() - began)
        return passed, passed
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    began = time.perf_counter()
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end), 1e3 * (time.perf_counter() - began)


class Replay:
    """
    A CUDA graph of a call without arguments.

    :param work: reads tensors at fixed addresses, and returns tensors
    :param priority: of the capture stream; lower numbers have precedence
    :raises SkipError: where there is no CUDA
    """

    def __init__(self, part: Part, work: Work, priority: int = 0) -> None:
        part.need_cuda('a CUDA graph')
        self.stream = torch.cuda.Stream(priority=priority)
        torch.cuda.synchronize()
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                work()
        torch.cuda.synchronize()
        self._graph, self._work = torch.cuda.CUDAGraph(), work
        with torch.cuda.graph(self._graph, stream=self.stream):
            self.outputs = work()
        torch.cuda.synchronize()

    def __call__(self) -> Any:
        """Replay in the current stream; the next replay overwrites the outputs."""
        self._graph.replay()
        return self.outputs


@dataclass(frozen=True)
class Ceilings:
    """
    Measured peak performance of the device.

    :param flops: of a large bfloat16 product of random numbers, operations/s
    :param bandwidth: of a large copy, bytes read and written, per second
    """

    flops: float
    bandwidth: float

    def limit(self, operations: float, weights: float, faster: float = 1.0) -> float:
        """
        Return the lower limit of the time of an estimate, ms.

        :param weights: bytes to read
        :param faster: speed of the arithmetic relative to bfloat16
        """
        return 1e3 * max(operations / (self.flops * faster), weights / self.bandwidth)


def ceilings(part: Part) -> Ceilings:
    """Measure both and write them."""
    side, copied = (256, 1 << 20) if part.tiny else (8192, 1 << 31)
    a, b = (torch.randn(side, side, device=part.device).bfloat16() for _ in range(2))
    product = measure(part, lambda: a @ b, 30, 2.0)['p50_ms']
    source = torch.randint(0, 255, (copied,), dtype=torch.uint8, device=part.device)
    target = torch.empty_like(source)
    copy = measure(part, lambda: target.copy_(source), 30, 2.0)['p50_ms']
    found = Ceilings(2 * side**3 / product * 1e3, 2 * copied / copy * 1e3)
    part.put('ceilings', {
        'bf16_tflops': found.flops / 1e12, 'bandwidth_tb_s': found.bandwidth / 1e12,
        'product_side': side, 'copied_bytes': copied,
    })  # fmt: skip
    return found


def difference(given: Tensor, wanted: Tensor) -> float:
    """Return |given - wanted| / |wanted|; NaN never passes."""
    given, wanted = given.double(), wanted.double()
    return float((given - wanted).norm() / wanted.norm().clamp_min(1e-12))


def unique_graphs() -> int:
    """Return how many graphs torch.compile has made in this process."""
    return int(torch._dynamo.utils.counters['stats']['unique_graphs'])


def compile_blocks(part: Part, blocks: torch.nn.ModuleList) -> None:
    """
    Compile blocks so that equal ones share one compiled function (regional compilation).

    :raises SkipError: where there is no compiler
    """
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    backend = 'inductor' if part.device.type == 'cuda' else 'eager'
    if backend == 'inductor' and torch.cuda.get_device_capability() < (7, 0):
        raise SkipError('torch.compile needs compute capability 7.0')
    for block in blocks:
        block.compile(backend=backend, dynamic=False, fullgraph=True)
