# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Process that loads one engine or eager model, estimates once, and prints time and memory."""

import json
import sys
import time
from pathlib import Path

from benchmarks.speed.many_robots import look
from viva_ros.core.observation import Estimate
from viva_ros.engine.factory import load
from viva_ros.engine.usage import peak_mib


def main(folder: str, task: str, what: str) -> None:
    """
    Print the figures as JSON.

    :param what: engine kind, or 'MODEL, TREATMENT' of an eager model
    """
    began = time.monotonic()
    if ', ' in what:
        estimate_eagerly(Path(folder), task, *what.split(', '))
    else:
        engine = load(Path(folder), task, what)
        engine.estimate(look(engine.info))
    figures = {
        'first_estimate_s': time.monotonic() - began, 'torch': 'torch' in sys.modules,
        'memory_mib': peak_mib(),
    }  # fmt: skip
    print(json.dumps(figures))


def estimate_eagerly(folder: Path, task: str, model: str, treatment: str) -> Estimate:
    """Estimate by PyTorch, operation by operation."""
    from benchmarks.speed import variants  # torch, which engines do without

    networks = variants.make_networks(folder, (model,))
    stock, lean = networks.modules[model]
    module = stock if treatment == 'stock eager' else lean
    info = networks.info
    return variants.eager(module, info, info.tasks.index(task))(look(info))


if __name__ == '__main__':
    main(*sys.argv[1:4])
