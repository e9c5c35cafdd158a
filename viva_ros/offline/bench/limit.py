# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How fast an estimate could be on this processor: its arithmetic, or the bytes of its weights.

Both peaks are measured here, on one thread, in the same run: no figure of a data sheet.
"""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.variants import inputs
from viva_ros.engine.api import EngineInfo

SIDE: Final = 768  # of the matrices that arithmetic is measured with
COPIED: Final = 64 << 20  # bytes
TRIES: Final = 5


@dataclass(frozen=True)
class Peak:
    """
    What one thread can do.

    :param flops: float32 operations per second, a multiplication and an addition being two
    :param bandwidth: bytes read per second
    """

    flops: float
    bandwidth: float

    def limit(self, flops: int, weights: int) -> float:
        """
        Give the least time of an estimate, s.

        :param flops: of the network
        :param weights: bytes that have to be read
        """
        return max(flops / self.flops, weights / self.bandwidth)


def measure_peak() -> Peak:
    """Measure both, the best of some tries."""
    random = np.random.default_rng(0)
    a, b = (torch.from_numpy(random.random((SIDE, SIDE), dtype=np.float32)) for _ in range(2))
    block = np.ones(COPIED // 8)
    fastest = min(_seconds(lambda: a @ b) for _ in range(TRIES))
    read = min(_seconds(block.sum) for _ in range(TRIES))
    return Peak(2 * SIDE**3 / fastest, COPIED / read)


def count_flops(module: nn.Module, info: EngineInfo) -> int:
    """Count the operations of one estimate."""
    given = inputs(info)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:  # fused kernels go uncounted
        module(*given)
    return int(counter.get_total_flops())


def weight_bytes(module: nn.Module) -> int:
    """Give the bytes of a module's parameters and constants."""
    held = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def _seconds(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began
