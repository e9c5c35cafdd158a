# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Part 4: several observations in one call, and a policy that shares the device.

Batches show whether one server for several robots saves time. The policy runs at 10 Hz and uses
40 % of the device, in another process or in this one; the monitor can lower its priority (in one
process only: between processes the driver shares time) and limit its share of the time.
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np
import torch

from viva_ros.core.child_process import python_child
from viva_ros.model.inference import LeanViVa

from . import networks
from .part import Part, run
from .policy import Policy, figures
from .timing import Replay
from .timing import measure as timed

BATCHES: Final = (1, 2, 4, 8)
SECONDS: Final = 4.0  # of each case
PATIENCE: Final = 60.0  # s; to start a process


@dataclass(frozen=True)
class Case:
    """
    Settings of the monitor that runs with the policy.

    :param every: mean time between estimates, s; 0: without pause
    :param share: limit of its share of the time; 1: no limit
    """

    name: str
    every: float
    share: float = 1.0


CASES: Final = (
    Case('10 Hz', 0.1), Case('without pause', 0.0), Case('without pause, at most 10 %', 0.0, 0.1),
)  # fmt: skip


def measure(part: Part) -> None:
    """Measure all rows."""
    with torch.no_grad():
        torch.manual_seed(0)
        config = networks.make_config(part.tiny, next(iter(networks.sizes(part.tiny).values())))
        lean = networks.make_lean(networks.make_viva(config, part.device, torch.bfloat16))
        batches(part, lean)
        part.row('another process', lambda: other_process(part, lean), needs=20.0)
        for policy_first in (False, True):
            name = 'same process, ' + ('policy first' if policy_first else 'equal priority')
            part.row(name, lambda first=policy_first: same_process(part, lean, first), needs=12.0)


def batches(part: Part, lean: LeanViVa) -> None:
    """Time the graph for several numbers of observations."""
    alone = None
    for count in BATCHES:
        given = networks.inputs(lean.config, part.device, count)

        def work(given: networks.Inputs = given) -> dict[str, Any]:
            call: Callable[[], Any] = lambda: lean(*given)  # noqa: E731
            return timed(part, Replay(part, call) if part.device.type == 'cuda' else call)

        row = part.row(f'batch {count}', work)
        if 'p50_ms' in row:
            alone = alone or row['p50_ms']
            row['cost_of_one'] = row['p50_ms'] / (count * alone)
            row['compared_with'] = 'as many calls of batch 1'
    part.save()


class Monitor:
    """
    Runs estimates during a policy.

    :param priority: of its stream; lower numbers have precedence
    """

    def __init__(self, part: Part, lean: LeanViVa, priority: int = 0) -> None:
        given = networks.inputs(lean.config, part.device)
        self._call: Callable[[], Any] = lambda: lean(*given)
        self._stream = None
        if part.device.type == 'cuda':
            self._call = Replay(part, self._call, priority)
            self._stream = self._call.stream
        self._random = np.random.default_rng(0)

    def run(self, case: Case, stop: threading.Event) -> list[float]:
        """Return the latency of each estimate until ``stop``, s."""
        found: list[float] = []
        while not stop.is_set():
            began = time.perf_counter()
            self._once()
            found.append(time.perf_counter() - began)
            period = case.every * self._random.uniform(0.8, 1.2)  # phases vary
            pause = max(period - found[-1], found[-1] * (1 / case.share - 1))
            if pause > 0:
                stop.wait(pause)
        return found

    def _once(self) -> None:
        if self._stream is None:
            self._call()
            return
        with torch.cuda.stream(self._stream):
            self._call()
        self._stream.synchronize()


def run_together(
    monitor: Monitor, case: Case, policy: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Run the monitor in a thread while the policy runs, and return the latencies of both."""
    stop, found = threading.Event(), []
    thread = threading.Thread(target=lambda: found.extend(monitor.run(case, stop)))
    thread.start()
    try:
        of_policy = policy()
    finally:
        stop.set()
        thread.join()
    return {'policy': of_policy, 'monitor': figures(found)}


def _all_cases(
    part: Part, monitor: Monitor, policy: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Run the policy alone, then with the monitor in each case."""
    alone = policy()
    found: dict[str, Any] = {'policy_alone': alone}
    for case in CASES:
        if part.left < SECONDS + 2:
            found[case.name] = {'skipped': 'no time left'}
            continue
        row = run_together(monitor, case, policy)
        row['policy_p95_rise'] = row['policy']['p95_ms'] / alone['p95_ms'] - 1
        found[case.name] = row
    return found


def other_process(part: Part, lean: LeanViVa) -> dict[str, Any]:
    """Measure with a policy in its own process."""
    seconds = 0.3 if part.tiny else SECONDS
    tiny = ['--tiny'] * part.tiny
    process = subprocess.Popen(
        **python_child('gpu.policy', '--device', part.device.type, *tiny),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    timer = threading.Timer(min(PATIENCE + 6 * SECONDS, max(part.left, 5.0)), process.kill)
    timer.start()
    try:
        assert process.stdin and process.stdout
        ready = _line(process.stdout).split()
        ask, answers = process.stdin, process.stdout

        def policy() -> dict[str, Any]:
            ask.write(f'run {seconds}\n')
            ask.flush()
            return dict(json.loads(_line(answers)))

        found = _all_cases(part, Monitor(part, lean), policy)
        return found | {'policy_alone_calibrated_ms': float(ready[1])}
    finally:
        timer.cancel()
        process.kill()
        process.wait()


def _line(stream: IO[str]) -> str:
    line = stream.readline()
    if not line:
        raise RuntimeError('the policy process has ended')
    return line


def same_process(part: Part, lean: LeanViVa, policy_first: bool) -> dict[str, Any]:
    """Measure with a policy in this process, whose stream may have priority."""
    part.need_cuda('streams with priorities')
    lowest, highest = torch.cuda.Stream.priority_range()
    policy = Policy(part.device, part.tiny, highest if policy_first else lowest)
    monitor = Monitor(part, lean, lowest)
    found = _all_cases(part, monitor, lambda: figures(policy.run(SECONDS)))
    return found | {'priorities': [lowest, highest]}


if __name__ == '__main__':
    raise SystemExit(run(__doc__, measure))
