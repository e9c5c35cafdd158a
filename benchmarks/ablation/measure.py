# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each contender makes of every packed recording, kept on disk, and what that costs."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ablation.budget import PARTS, Budget
from benchmarks.ablation.engine import ModuleEngine, estimates
from benchmarks.ablation.entries import chosen
from benchmarks.ablation.packs import Pack, file_of, info_of, load
from benchmarks.ablation.train import MOTION, material
from viva_ros.core.observation import Observation
from viva_ros.model import checkpoint
from viva_ros.model.viva import ViVa
from viva_ros.offline.comparison.training import CHECKPOINT, folder_of, open_module

ROUNDS: Final = 40
STEPS: Final = 5
KEPT: Final = ('value', 'progress', 'success')
WARM: Final = 3


def estimate_all(budget: Budget, name: str) -> None:
    """Estimate all moments of the calibration and test recordings."""
    target = values_file(budget, name)
    weights = folder_of(budget, name) / CHECKPOINT / checkpoint.WEIGHTS
    if target.is_file() and target.stat().st_mtime_ns > weights.stat().st_mtime_ns:
        return
    (entry,) = chosen([name])
    shared = material(budget)
    module, _ = open_module(entry, budget, shared)
    found = {}
    for part in PARTS:
        for path in budget.paths(part):
            seen = load(file_of(budget, path), path)
            given = estimates(module, seen, shared.config.tasks.index(seen.moments.task))
            for output in KEPT:
                if output in given:
                    found[f'{file_of(budget, path).stem}/{output}'] = given[output]
    temporary = target.with_suffix('.part.npz')
    np.savez(temporary, **found)  # type: ignore[arg-type]
    temporary.replace(target)


def values_file(budget: Budget, name: str) -> Path:
    """Give the file of the estimates of one contender."""
    return folder_of(budget, name) / 'values.npz'


def values_of(budget: Budget, name: str) -> dict[str, dict[str, NDArray[np.floating]]]:
    """Read them: by the stem of the file of a pack, then by output."""
    found: dict[str, dict[str, NDArray[np.floating]]] = {}
    with np.load(values_file(budget, name), allow_pickle=False) as content:
        for key in content.files:
            stem, _, output = key.rpartition('/')
            found.setdefault(stem, {})[output] = content[key]
    return found


def latencies(budget: Budget, names: Sequence[str], rounds: int = ROUNDS) -> dict[str, float]:
    """
    Time single estimates, one thread, all contenders in turn; pictures decoded and resized.

    :returns: median of each, s
    """
    torch.set_num_threads(1)
    shared = material(budget)
    path = budget.paths('test')[0]
    seen = load(file_of(budget, path), path)
    base = checkpoint.read(budget.shared / MOTION).model
    engines = {}
    for entry in chosen(names):
        module, mark = open_module(entry, budget, shared)
        info = info_of(base, mark, 'pytorch')
        engines[entry.name] = ModuleEngine(module, info, seen.moments.task)
    times: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(WARM + rounds):
        observation = observe(seen, turn % len(seen.images), base)
        for name, engine in engines.items():
            begin = time.perf_counter()
            engine.estimate(observation)
            times[name].append(time.perf_counter() - begin)
    return {name: float(np.median(spent[WARM:])) for name, spent in times.items()}


def step_times(budget: Budget, names: Sequence[str], rounds: int = STEPS) -> dict[str, float]:
    """
    Time the loss and its gradient for everyone in turn, one thread.

    What training really took depends on what else the machine did meanwhile.

    :returns: median of each, s of processor time a step
    """
    torch.set_num_threads(1)
    shared = material(budget)
    built = {entry.name: (entry.build(shared), budget.schedule(entry)) for entry in chosen(names)}
    generator = torch.Generator().manual_seed(budget.seed)
    times: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(1 + rounds):
        for name, (contender, schedule) in built.items():
            begin = time.process_time()
            contender.loss(schedule.batch, generator)['total'].backward()
            times[name].append(time.process_time() - begin)
    return {name: float(np.median(spent[1:])) for name, spent in times.items()}


def observe(seen: Pack, row: int, model: ViVa) -> Observation:
    """Give one moment of a pack as an observation."""
    config = model.config
    images = dict(zip(config.cameras, seen.images[row], strict=True))
    joints = dict(zip(config.joint_names, map(float, seen.proprio[row]), strict=True))
    return Observation(images, joints, {'joint_states': int(seen.moments.stamps[0])})
