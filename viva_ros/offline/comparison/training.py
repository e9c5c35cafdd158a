# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training one who takes part, into a folder of its own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from torch import nn

from benchmarks.ablation.baseline import Material
from benchmarks.ablation.budget import Budget
from benchmarks.ablation.entries import Entry, chosen
from benchmarks.ablation.train import material
from viva_ros.model import checkpoint
from viva_ros.model.config import ViVaConfig
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa
from viva_ros.training.trainer import Stage

CHECKPOINT: Final = 'checkpoint'


def folder_of(budget: Budget, name: str) -> Path:
    """Give the folder of one who takes part."""
    return budget.out / name


def is_trained(budget: Budget, name: str) -> bool:
    """Tell whether its training is over."""
    return (folder_of(budget, name) / CHECKPOINT / checkpoint.DESCRIPTION).is_file()


def train(budget: Budget, name: str) -> None:
    """Train, unless that is done already; goes on where it was stopped."""
    if is_trained(budget, name):
        return
    (entry,) = chosen([name])
    contender = entry.build(material(budget))
    folder = folder_of(budget, name)
    folder.mkdir(parents=True, exist_ok=True)
    if not entry.resumes:
        (folder / f'{name}.state').unlink(missing_ok=True)
    schedule = budget.schedule(entry)
    Stage(name, contender.learns, schedule, folder, budget.seed + 2, contender.loss).run()
    contender.finish()
    module = contender.module.eval()
    spent = seconds(folder, name, schedule.steps)
    given = material(budget)
    content = {
        'contender': name, 'schedule': asdict(schedule), 'seed': budget.seed, 'seconds': spent,
        'vae_steps': budget.vae_steps, 'video_steps': budget.video_steps,
        'episodes': len(given.learn.labels), 'moments': len(given.learn.images),
        'episode_seeds': seeds_of(given.learn.labels),
    }  # fmt: skip
    write(folder / CHECKPOINT, module, given.config, content)


def seeds_of(labels: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Give the seeds of the episodes, by task; of those that have one."""
    found: dict[str, set[int]] = {}
    for label in labels:
        if label['seed'] is not None:
            found.setdefault(label['task'], set()).add(int(label['seed']))
    return {task: sorted(seeds) for task, seeds in sorted(found.items())}


def write(folder: Path, module: nn.Module, config: ViVaConfig, provenance: dict[str, Any]) -> None:
    """
    Write a checkpoint that can be exported where there are engines of its kind, else weights.

    :param config: of the ViVa that all begin with
    """
    if isinstance(module, ViVa):
        checkpoint.write(folder, module, provenance)
        return
    if isinstance(module, ProprioModel):
        note = {'ranges': module.ranges.to_dict(), 'tasks': list(config.tasks)}
        note |= {'horizon': config.horizon, 'provenance': provenance}
        checkpoint.write_weights(folder, module, {'kind': 'proprio', **note})
        return
    checkpoint.write_weights(folder, module, {'kind': 'contender', 'provenance': provenance})


def open_module(entry: Entry, budget: Budget, shared: Material) -> tuple[nn.Module, str]:
    """Give a trained module and its fingerprint."""
    folder = folder_of(budget, entry.name) / CHECKPOINT
    content = checkpoint.read_description(folder)
    if content['kind'] == 'viva':
        read = checkpoint.read(folder)
        return read.model, read.fingerprint
    built = entry.build(shared).module
    checkpoint.read_weights(folder, built, content['sha256'])
    return built.eval().requires_grad_(False), str(content['sha256'][:16])


def seconds(folder: Path, name: str, steps: int) -> float:
    """Give the time of all steps at the pace noted last, s."""
    rows = [json.loads(line) for line in (folder / 'curve.jsonl').read_text().splitlines()]
    paces = [row['seconds_a_step'] for row in rows if row['stage'] == name]
    return float(paces[-1] * steps) if paces else float('nan')


def step_of(folder: Path) -> int:
    """Give how far a training is, from its curve; 0 before it begins."""
    curve = folder / 'curve.jsonl'
    if not curve.is_file():
        return 0
    lines = curve.read_text(encoding='utf-8').splitlines()
    return int(json.loads(lines[-1])['step']) if lines else 0


def parameters(module: nn.Module) -> int:
    """Count the parameters that an estimate needs: a decoder of images is not among them."""
    unused = ('vae.decoder.', 'vae.post_quant_conv.')
    named = module.named_parameters()
    return sum(p.numel() for name, p in named if not name.startswith(unused))
