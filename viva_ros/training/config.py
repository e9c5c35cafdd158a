# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run of training is made of, and how long and fast each of its stages goes."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from viva_ros.core.errors import ConfigurationError
from viva_ros.training.augmentation import AugmentSettings
from viva_ros.training.distributed import Hardware


@dataclass(frozen=True)
class Schedule:
    """
    Length and pace of one stage.

    :param steps: 0 leaves the stage out
    :param batch: samples of one step, of all processes together
    :param average: decay of the averaged weights; 0 keeps none
    :param lowest: share of the learning rate that the cosine ends at; 1 stays at the full rate
    :param save_every: steps between states written
    :param measure_every: steps between held-out figures
    """

    steps: int
    batch: int
    rate: float
    warm_up: int
    average: float = 0.998
    lowest: float = 0.05
    save_every: int = 200
    measure_every: int = 500

    def rate_at(self, step: int) -> float:
        """Give the learning rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        falling = 0.5 * (1 + math.cos(math.pi * done))
        return self.rate * (self.lowest + (1 - self.lowest) * falling)


ONE_EPOCH: Final = -1  # as many steps as draw each moment once on average
SKIPPED: Final = Schedule(0, 1, 1e-3, 1)


@dataclass(frozen=True)
class TrainPlan:
    """
    Schedules of the stages, in order, and of the baseline.

    :param head: in place of ``viva`` where only a head is trained
    """

    vae: Schedule = field(default_factory=lambda: Schedule(1600, 16, 2e-3, 100))
    video: Schedule = field(default_factory=lambda: Schedule(2500, 32, 1e-3, 200))
    viva: Schedule = field(default_factory=lambda: Schedule(5000, 32, 1e-3, 200))
    head: Schedule = field(default_factory=lambda: Schedule(2000, 32, 1e-3, 200))
    proprio: Schedule = field(default_factory=lambda: Schedule(4000, 256, 1e-3, 200))

    def settled(self, moments: int) -> 'TrainPlan':
        """Give the plan for a number of training moments: an epoch gets its length."""
        stages = {name: getattr(self, name) for name in asdict(self)}
        return TrainPlan(**{name: _settled(stage, moments) for name, stage in stages.items()})


#: Fine-tuning as ViVa's authors did it (METHOD, 3): its backbone has seen frames and motion.
FINE_TUNING: Final = TrainPlan(
    vae=SKIPPED,
    video=SKIPPED,
    viva=Schedule(
        ONE_EPOCH, 192, 4e-5, 500, average=0.0, lowest=1.0, save_every=100, measure_every=200
    ),
    proprio=Schedule(4000, 256, 1e-3, 200),
)
PLANS: Final = {'wan2.2-5b': FINE_TUNING, 'wan2.2-tiny': FINE_TUNING}


@dataclass(frozen=True)
class TrainConfig:
    """
    What a run of training is made of; the same twice gives the same weights.

    :param recordings: folders, each split on its own
    :param cameras: to use, in the order of the model's views; none for all
    :param tasks: to learn; none for all
    :param targets: that the model denoises; none for the preset's
    :param backbone: folder of published weights to begin with, instead of the first two stages
    :param embeddings: of the tasks' texts, where the preset reads them
    :param lora: rank of adapters to train instead of the weights; 0 trains the weights
    :param head: train only a head on this many frozen blocks; 0 trains the transformer
    """

    recordings: tuple[Path, ...]
    out: Path
    preset: str
    seed: int
    plan: TrainPlan
    cache: Path
    threads: int = 1
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    cameras: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    backbone: Path | None = None
    embeddings: Path | None = None
    lora: int = 0
    head: int = 0
    hardware: Hardware = field(default_factory=Hardware)

    def __post_init__(self) -> None:
        if min(self.lora, self.head) < 0 or (self.lora and self.head):
            raise ConfigurationError(
                f'lora is {self.lora} and head is {self.head}: one may be above 0, adapters or a '
                'head on a frozen trunk'
            )
        if self.hardware.shard and (self.lora or self.head):
            raise ConfigurationError(
                '--shard is for training all weights: leave it out with --lora or --head'
            )
        if self.backbone is None and not self.plan.vae.steps:
            raise ConfigurationError(
                f'preset {self.preset} has no VAE to begin with: give --backbone DIR, or '
                '--vae-steps above 0'
            )


def plan(
    batch: int | None, lengths: Mapping[str, int | None], preset: str = 'small'
) -> TrainPlan:  # fmt: skip
    """
    Give the plan of a preset with other lengths and batch.

    :param lengths: steps by stage; None for the preset's
    :raises ConfigurationError: if a length is below 0, or the batch below 1
    """
    default, schedules = PLANS.get(preset, TrainPlan()), {}
    for name in asdict(default):
        stage: Schedule = getattr(default, name)
        steps = lengths.get(name)
        stage = replace(stage, batch=stage.batch if batch is None else batch)
        if stage.batch < 1:
            raise ConfigurationError(f'{name} batch is {stage.batch}, must be at least 1')
        if steps is not None:
            if steps < 0:
                raise ConfigurationError(f'{name} steps is {steps}, must be at least 0')
            stage = _with_steps(stage, steps)
        schedules[name] = stage
    return TrainPlan(**schedules)


def _settled(stage: Schedule, moments: int) -> Schedule:
    if stage.steps != ONE_EPOCH:
        return stage
    return _with_steps(stage, -(-moments // stage.batch))


def _with_steps(stage: Schedule, steps: int) -> Schedule:
    """Change the length; the warm-up takes a fifth of it at most."""
    return replace(stage, steps=steps, warm_up=min(stage.warm_up, max(1, steps // 5)))
