# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Latency of models and engines: in turn, a few estimates each, so that a busy moment hits all.

One thread; from three pictures as decoded, their resize included, to an estimate.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.speed.variants import (  # fmt: skip
    Contestant,
    Networks,
    look,
    make_contestants,
    make_networks,
)
from viva_ros.offline.bench.limit import Peak, count_flops, measure_peak, weight_bytes

BURST: Final = 5  # estimates of one contestant at a time
STOCK: Final = 'viva, stock eager'


def measure(folder: Path, task: str, rounds: int, progress: Callable[[], None]) -> dict[str, Any]:
    """
    Time all contestants.

    :param rounds: in each of which every contestant has its turn
    :param progress: called after each round
    :returns: rows by contestant, the machine's peak, and engines that are not there
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
    """Give the order of each round: the first is another every time."""
    for index in range(rounds):
        start = index % len(contestants)
        yield [*contestants[start:], *contestants[:start]]


def burst(one: Contestant, networks: Networks) -> list[float]:
    """Time some estimates after one that does not count, s."""
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
    """Give the figures of each contestant; 'faster' is against the stock form of ViVa."""
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
