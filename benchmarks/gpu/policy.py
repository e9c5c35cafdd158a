# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A load like that of a robot policy: about 40 ms of matrix products every 100 ms on the device.

As a process it prints 'ready MS', and for each input line 'run SECONDS' a line of JSON with the
latencies of its periods; it ends when its input is closed.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

PERIOD: Final = 0.1  # s
BUSY: Final = 0.4  # share of the device's time
PARTS: Final = 10  # graphs of one period, as a policy has denoising steps


class Policy:
    """
    The load, calibrated on a device that does nothing else.

    :param priority: of its stream; lower numbers go first
    """

    def __init__(self, device: torch.device, tiny: bool, priority: int = 0) -> None:
        self._on_gpu, side = device.type == 'cuda', 128 if tiny else 4096
        kind = torch.bfloat16 if self._on_gpu else torch.float32
        self._a, self._b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
        self._out = torch.empty_like(self._a)
        self._stream = torch.cuda.Stream(priority=priority) if self._on_gpu else None
        self._count, self._graph = 1, None
        once = min(self._seconds(self._one) for _ in range(10))
        self._count = max(1, round(BUSY * PERIOD / once / PARTS))
        if self._on_gpu:
            with torch.cuda.stream(self._stream):
                self._one()
            torch.cuda.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._one()
        self.alone = min(self._seconds(self._period) for _ in range(3))

    def run(self, seconds: float, stop: threading.Event | None = None) -> list[float]:
        """Return the latency of each period, s, from its tick to its end."""
        found, tick = [], time.perf_counter()
        end = tick + seconds
        while tick < end and not (stop and stop.is_set()):
            time.sleep(max(0.0, tick - time.perf_counter()))
            began = time.perf_counter()
            self._period()
            found.append(time.perf_counter() - began)
            tick = max(tick + PERIOD, time.perf_counter())
        return found

    def _period(self) -> None:
        if self._stream is None or self._graph is None:
            for _ in range(PARTS):
                self._one()
            return
        with torch.cuda.stream(self._stream):
            for _ in range(PARTS):
                self._graph.replay()
        self._stream.synchronize()

    def _one(self) -> None:
        for _ in range(self._count):
            torch.mm(self._a, self._b, out=self._out)

    def _seconds(self, work: Any) -> float:
        self._wait()
        began = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()


def figures(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50 and p95 of latencies, ms."""
    ms = 1e3 * np.array(seconds or [np.nan])
    return {
        'p50_ms': float(np.percentile(ms, 50)), 'p95_ms': float(np.percentile(ms, 95)),
        'count': len(seconds),
    }  # fmt: skip


def main() -> int:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split('\n\n')[0])
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--priority', type=int, default=0)
    parser.add_argument('--tiny', action='store_true')
    args = parser.parse_args()
    policy = Policy(torch.device(args.device), args.tiny, args.priority)
    print(f'ready {1e3 * policy.alone}', flush=True)
    for line in sys.stdin:
        print(json.dumps(figures(policy.run(float(line.split()[1])))), flush=True)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
