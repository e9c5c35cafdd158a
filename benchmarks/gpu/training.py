# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Part 5: training steps of the 5B with the trainer of the package, compared with `viva size`.

LoRA and all weights, with and without gradient checkpointing, in bfloat16. If not all layers fit,
the largest number that fits is trained, and compared with the formulas for that depth.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from viva_ros.model import cost
from viva_ros.model.config import ViVaConfig
from viva_ros.model.cost import TrainingSetup
from viva_ros.model.latents import Goals
from viva_ros.model.noise import Source, uniform
from viva_ros.model.viva import ViVa
from viva_ros.training import checkpointing
from viva_ros.training.distributed import Hardware, Losses, Workers
from viva_ros.training.run import place
from viva_ros.training.trainer import Schedule, TrainStage

from . import networks
from .part import Part, free, run

RANK: Final = 16
STEPS: Final = 3  # the first allocates and chooses kernels
ROOM: Final = 0.88  # share of the free memory that the formula may fill
AIM: Final = 0.15  # of the computed memory


@dataclass(frozen=True)
class Way:
    """One way of training; rank 0 trains all weights."""

    name: str
    rank: int
    checkpointing: bool
    batch: int


WAYS: Final = (
    Way('LoRA, checkpointing', RANK, True, 8), Way('LoRA', RANK, False, 4),
    Way('all weights, checkpointing', 0, True, 4), Way('all weights', 0, False, 2),
)  # fmt: skip


def measure(part: Part) -> None:
    """Measure all rows."""
    for way in WAYS:
        part.row(way.name, lambda way=way: step(part, way), needs=8.0)
        free(part.device)


def step(part: Part, way: Way) -> dict[str, Any]:
    """Train a few steps; return measured and computed memory and time."""
    image_size = next(iter(networks.sizes(part.tiny).values()))
    config = fitting(part, networks.make_config(part.tiny, image_size), way)
    on_gpu = part.device.type == 'cuda'
    before = torch.cuda.memory_allocated() if on_gpu else 0
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        seconds, losses = _train(part, config, way, Path(folder))
    setup = TrainingSetup(rank=way.rank, checkpointing=way.checkpointing)
    computed = cost.training_memory(config, way.batch, setup)
    operations = _operations(config, way)
    found = {
        'layers': config.transformer.num_layers, 'batch': way.batch, 'rank': way.rank,
        'step_s': min(seconds[1:]), 'first_step_s': seconds[0], 'losses': losses,
        'computed_gb': computed.total / 1e9, 'tflop': operations / 1e12,
        'tflops': operations / min(seconds[1:]) / 1e12,
    }  # fmt: skip
    found |= {
        f'computed_s_{name}': cost.step_time(operations / way.batch, way.batch, 1, peak)
        for name, peak in cost.DENSE_BF16.items()
    }
    if on_gpu:
        peak_bytes = torch.cuda.max_memory_allocated() - before
        found |= {
            'peak_gb': peak_bytes / 1e9, 'reserved_gb': torch.cuda.max_memory_reserved() / 1e9,
            'measured_over_computed': peak_bytes / computed.total,
            'meets_aim': abs(peak_bytes / computed.total - 1) <= AIM,
        }  # fmt: skip
    return found


def fitting(part: Part, config: ViVaConfig, way: Way) -> ViVaConfig:
    """Return the configuration with the largest number of layers that fits by the formula."""
    if part.device.type != 'cuda':
        return config
    room = ROOM * torch.cuda.mem_get_info()[0]
    for layers in range(config.transformer.num_layers, 0, -1):
        image_size = config.image_size
        smaller = networks.make_config(part.tiny, image_size, layers)
        setup = TrainingSetup(rank=way.rank, checkpointing=way.checkpointing)
        if cost.training_memory(smaller, way.batch, setup).total <= room:
            return smaller
    raise MemoryError(f'{room / 1e9:.0f} GB hold no layer')


def _operations(config: ViVaConfig, way: Way) -> float:
    name = ('LoRA' if way.rank else 'all weights') + ', checkpointing' * way.checkpointing
    each = cost.training_operations(config)[name] + cost.encoding_operations(config)
    return float(each * way.batch)


def _train(
    part: Part, config: ViVaConfig, way: Way, folder: Path
) -> tuple[list[float], list[float]]:
    """Return the seconds and the losses of some steps."""
    hardware = Hardware(part.device.type, 'bf16', checkpointing=way.checkpointing)
    workers = Workers(hardware)
    kind = torch.bfloat16 if way.rank else torch.float32
    viva = networks.make_viva(config, part.device, kind)
    viva.transformer.requires_grad_(True)
    place(viva, workers)
    if way.checkpointing:
        viva.transformer.enable_gradient_checkpointing()
    if way.rank:
        checkpointing.add(viva.transformer, way.rank)
    schedule = Schedule(STEPS + 1, way.batch, 4e-5, 1, average=0.0, lowest=1.0)
    loss = make_loss(viva)
    stage = TrainStage('viva', viva.transformer, schedule, folder, 0, loss, workers=workers)
    shared, seconds, losses = workers.share(viva.transformer, loss), [], []
    for _ in range(2 if part.tiny else STEPS):
        began = time.perf_counter()
        losses.append(float(stage._train_step(shared)['total'].detach()))  # waits for the device
        if part.device.type == 'cuda':
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return seconds, losses


def make_loss(viva: ViVa) -> Callable[[int, Source], Losses]:
    """Return the loss of the trainer's value stage on random moments, encoding included."""
    config, device = viva.config, viva.device

    def loss(batch: int, source: Source) -> Losses:
        images, joints, task = networks.inputs(config, device, batch)
        with torch.no_grad():
            latents = viva.encode(images)
        latent = uniform((batch,), source, device) * 2 - 1
        goals = Goals(latent, joints, (latent > 0).float())
        return viva.loss(latents, joints, goals, task, source)

    return loss


if __name__ == '__main__':
    raise SystemExit(run(__doc__, measure))
