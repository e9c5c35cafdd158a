# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Latency of models and engines, in turn, so that load of the machine affects all alike.

One thread; from three decoded images, resize included, to an estimate.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.processes import BenchError, environment
from benchmarks.speed.variants import (
    Contestant,
    Networks,
    inputs,
    look,
    make_contestants,
    make_networks,
)
from viva_ros.core.child_process import python_child
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.backend import kinds

SIDE: Final = 768  # of the matrices of the arithmetic test
COPIED: Final = 64 << 20  # bytes
TRIES: Final = 5


@dataclass(frozen=True)
class Peak:
    """
    Peak performance of one thread.

    :param flops: float32 operations per second; a multiply-add counts as two
    :param bandwidth: bytes read per second
    """

    flops: float
    bandwidth: float

    def limit(self, flops: int, weights: int) -> float:
        """
        Return the lower limit of the time of an estimate, s.

        :param flops: operations of the network
        :param weights: bytes to read
        """
        return max(flops / self.flops, weights / self.bandwidth)


def measure_peak() -> Peak:
    """Measure arithmetic and bandwidth, the best of several tries."""
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
    """Return the bytes of the parameters and constants of a module."""
    held = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def _seconds(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


EAGER: Final = (
    'viva, stock eager', 'viva, lean eager', 'value only, lean eager', 'classifier, stock eager',
)  # fmt: skip


def measure_start(folder: Path, task: str, rounds: int) -> list[dict[str, Any]]:
    """
    Load each engine that starts here, and each of EAGER, several times in turn.

    :returns: a row for each: median time from load to the first estimate, s, and peak memory
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in (*kinds()[1:], *EAGER):
        try:
            found[kind] = [_once(folder, task, kind)]
        except BenchError:
            if kind in EAGER:
                raise
    for _ in range(rounds - 1):
        for kind in found:
            found[kind].append(_once(folder, task, kind))
    return [
        {
            'kind': kind,
            'torch': runs[0]['torch'],
            'first_estimate_s': float(np.median([run['first_estimate_s'] for run in runs])),
            'memory_mib': max(run['memory_mib'] for run in runs),
        }
        for kind, runs in found.items()
    ]


def _once(folder: Path, task: str, kind: str) -> dict[str, Any]:
    module = 'benchmarks.speed.first_estimate'
    done = subprocess.run(
        **python_child(module, folder, task, kind, env=environment()), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(
            'bench-engine-start', f'{kind} does not start: {done.stderr[-500:].strip()}'
        )
    return dict(json.loads(done.stdout))


BURST: Final = 5  # estimates of one contestant at a time
STOCK: Final = 'viva, stock eager'


def measure(folder: Path, task: str, rounds: int, progress: Callable[[], None]) -> dict[str, Any]:
    """
    Time all variants.

    :param rounds: number of rounds; each variant has one turn in a round
    :param progress: called after each round
    :returns: rows by variant, peak of the machine, and missing engines
    """
    torch.set_num_threads(1)
    networks = make_networks(folder)
    contestants, missing = make_contestants(networks, folder, task)
    times: dict[str, list[float]] = {one.name: [] for one in contestants}
    peaks: list[Peak] = []
    for turn in interleaved(contestants, rounds):
        for one in turn:
            times[one.name] += burst(one, networks)
        peaks.append(measure_peak())
        progress()
    peak = Peak(max(p.flops for p in peaks), max(p.bandwidth for p in peaks))
    return {
        'rows': rows(contestants, times, networks, peak), 'missing': missing,
        'peak_gflops': peak.flops * 1e-9, 'peak_gbytes': peak.bandwidth * 1e-9,
    }  # fmt: skip


def interleaved(contestants: Sequence[Contestant], rounds: int) -> Iterator[list[Contestant]]:
    """Yield the order of each round, with a rotating start."""
    for index in range(rounds):
        start = index % len(contestants)
        yield [*contestants[start:], *contestants[:start]]


def burst(one: Contestant, networks: Networks) -> list[float]:
    """Return the times of some estimates after a warm-up estimate, s."""
    observation = look(networks.info)
    one.run(observation)
    seconds = []
    for _ in range(BURST):
        began = time.perf_counter()
        one.run(observation)
        seconds.append(time.perf_counter() - began)
    return seconds


def rows(
    contestants: Sequence[Contestant], times: dict[str, list[float]], networks: Networks,
    peak: Peak,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the figures of each variant; 'faster' is relative to the stock form of ViVa."""
    stock = float(np.median(times[STOCK]))
    made = []
    for one in contestants:
        as_stock, as_lean = networks.modules[one.model]
        module = as_stock if one.treatment == 'stock eager' else as_lean
        p50, p95, p99 = (float(x) for x in np.percentile(times[one.name], (50, 95, 99)))
        limit = peak.limit(count_flops(as_lean, networks.info), weight_bytes(as_lean))
        made.append({
            'name': one.name, 'model': one.model, 'treatment': one.treatment,
            'p50_ms': 1e3 * p50, 'p95_ms': 1e3 * p95, 'p99_ms': 1e3 * p99,
            'per_second': 1.0 / p50, 'faster': stock / p50, 'estimates': len(times[one.name]),
            'gflop': count_flops(module, networks.info) * 1e-9, 'limit_ms': 1e3 * limit,
            'share_of_limit': limit / p50,
        })  # fmt: skip
    return made
