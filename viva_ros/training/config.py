# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a training run, and the schedules of its stages."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import check, required, setting, setting_of, validate
from viva_ros.model.config import FLOW, HORIZON, OBJECTIVES, PRESETS, ViVaConfig
from viva_ros.model.latents import NAMES, VALUE
from viva_ros.training.augmentation import AugmentSettings
from viva_ros.training.distributed import Hardware


@dataclass(frozen=True)
class Schedule:
    """
    Length, batch size and learning rate of one stage.

    :param rate: largest learning rate
    :param warm_up: steps of the linear warm-up
    :param average: decay of the averaged weights; 0: no average
    :param lowest: final share of the learning rate after the cosine; 1: constant rate
    :param save_every: steps between written states
    :param measure_every: steps between metrics on validation recordings
    """

    steps: int = field(metadata=required('Steps of the stage; 0 skips it.', at_least=0))
    batch: int = field(metadata=required('Samples of each step, over all processes.', at_least=1))
    rate: float = field(
        metadata=required('Learning rate of the last stage, after the warm-up.', above=0)
    )
    warm_up: int
    average: float = 0.998
    lowest: float = 0.05
    save_every: int = 200
    measure_every: int = 500

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        falling = 0.5 * (1 + math.cos(math.pi * done))
        return self.rate * (self.lowest + (1 - self.lowest) * falling)


#: Number of steps that draws each moment once on average, at least FEWEST_STEPS; ``settled``
#: replaces it.
ONE_EPOCH: Final = -1
#: The warm-up of 500 steps is then a fifth of the stage, the most that ``_with_steps`` allows.
FEWEST_STEPS: Final = 2500
WARM_UP_SHARE: Final = 5  # a warm-up is at most a fifth of its stage
LORA_RATE: Final = 2e-4  # adapters begin at zero; 1e-4 to 5e-4 are usual
SKIPPED: Final = Schedule(0, 1, 1e-3, 1)


@dataclass(frozen=True)
class TrainPlan:
    """
    Schedules of the stages, in order, and of the baseline.

    :param head: replaces ``viva`` if only a head is trained
    """

    vae: Schedule = setting(
        Schedule(1600, 16, 2e-3, 100),
        'Steps of the stage vae, which trains the VAE on single frames; 0 skips it.',
    )
    video: Schedule = setting(
        Schedule(2500, 32, 1e-3, 200),
        'Steps of the stage video, which trains the transformer on clips; 0 skips it.',
    )
    viva: Schedule = setting(
        Schedule(5000, 32, 1e-3, 200),
        'Steps of the stage viva, which trains the value model; 0 skips it.',
    )
    head: Schedule = setting(
        Schedule(2000, 32, 1e-3, 200),
        'Steps of the stage head, which replaces the stage viva with --head; 0 skips it.',
    )
    proprio: Schedule = setting(
        Schedule(4000, 256, 1e-3, 200),
        'Steps of the stage proprio, which trains the proprioception baseline; 0 skips it.',
    )

    def settled(self, moments: int) -> 'TrainPlan':
        """Return the plan for a number of training moments, with ONE_EPOCH resolved."""
        stages = {name: getattr(self, name) for name in asdict(self)}
        return TrainPlan(**{name: _settled(stage, moments) for name, stage in stages.items()})


#: Fine-tuning of the pretrained backbone with the settings of the ViVa paper.
FINE_TUNING: Final = TrainPlan(
    vae=SKIPPED,
    video=SKIPPED,
    viva=Schedule(
        ONE_EPOCH, 192, 4e-5, 500, average=0.0, lowest=1.0, save_every=100, measure_every=200
    ),
    proprio=Schedule(4000, 256, 1e-3, 200),
)
PLANS: Final = {'wan2.2-5b': FINE_TUNING, 'wan2.2-tiny': FINE_TUNING}
#: Measurements without improvement after which fine-tuning ends: its rate is constant, so what
#: does not improve over 1000 steps rarely does. The rate of the small presets falls to the end,
#: and most of their improvement is there.
PATIENCE: Final = 5


COPIES: Final = 2  # encoded; an epoch of fine-tuning draws each moment once, so it has none


@dataclass(frozen=True)
class TrainConfig:
    """
    A training run; two runs with the same configuration have the same weights.

    :raises ConfigurationError: if a value is out of range, or two exclude each other
    """

    recordings: tuple[Path, ...] = field(
        metadata=required('Folders of recordings; each is split for validation on its own.')
    )
    out: Path = field(
        metadata=required('Folder of the run; an interrupted run continues from its files.')
    )
    preset: str = setting('small', 'Size of the model.', choices=sorted(PRESETS))
    seed: int = setting(0, 'Seed of all random draws.')
    plan: TrainPlan = field(default_factory=TrainPlan)
    cache: Path | None = setting(None, 'Folder of decoded frames; default: OUT/cache.')
    threads: int = setting(1, 'CPU threads.', at_least=1)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    copies: int | None = setting(
        None, 'Augmented copies of all views, encoded once for the last stage, which takes each '
        'batch from one of them or from the views as recorded; 0: augment and encode in each '
        f'step; default: {COPIES}, or 0 with a preset of Wan2.2.', at_least=0,
    )  # fmt: skip
    cameras: tuple[str, ...] = setting(
        (), "Names of the cameras, in the order of the model's views; default: all."
    )
    tasks: tuple[str, ...] = setting((), 'Names of the tasks; default: all.')
    targets: tuple[str, ...] = setting(
        (), f'Targets of the denoising, of {",".join(NAMES)}; default: those of the preset.'
    )
    objective: str | None = setting(
        None, 'How the last stage learns the targets: by flow matching, or by regression from '
        f'zeros in place of noise; default: {FLOW}, or that of --init.', choices=OBJECTIVES,
    )  # fmt: skip
    backbone: Path | None = setting(
        None, 'Folder of pretrained Wan2.2-TI2V weights; replaces the stages vae and video.'
    )
    embeddings: Path | None = setting(
        None, "File of task text embeddings, written by 'viva embed'."
    )
    lora: int = setting(
        0, 'Rank of LoRA adapters, trained on frozen weights; 0: no adapters.', at_least=0
    )
    head: int = setting(
        0, 'Train only a head, on this number of frozen blocks; 0: train the transformer.',
        at_least=0,
    )  # fmt: skip
    horizon: float | None = setting(
        None, f'Horizon of the forecast, s; default: {HORIZON}, or that of --init.', above=0
    )
    init: Path | None = setting(
        None, "Checkpoint of 'viva train' that the last stage starts from; replaces the stages "
        'vae and video.',
    )  # fmt: skip
    patience: int | None = setting(
        None, 'Measurements on validation recordings without improvement after which the last '
        f'stage ends; 0: no limit; default: 0, or {PATIENCE} with a preset of Wan2.2.', at_least=0,
    )  # fmt: skip
    hardware: Hardware = field(default_factory=Hardware)

    def __post_init__(self) -> None:
        validate(self, nested=False)
        if self.init is not None and self.backbone is not None:
            raise ConfigurationError(
                'init-with-backbone',
                f'--init is {self.init} and --backbone is {self.backbone}: only one may be given; '
                'a checkpoint has the weights of its backbone',
            )
        if self.targets and (VALUE not in self.targets or set(self.targets) - set(NAMES)):
            raise ConfigurationError(
                'targets-invalid',
                f'targets is {",".join(self.targets)}, must be of {",".join(NAMES)}, with value',
            )
        if self.lora and self.head:
            raise ConfigurationError(
                'lora-with-head',
                f'lora is {self.lora} and head is {self.head}: only one may be above 0, adapters '
                'or a head on frozen blocks',
            )
        if self.head and self.objective is not None:
            raise ConfigurationError(
                'objective-with-head',
                f'objective is {self.objective} and head is {self.head}: a head predicts the '
                'targets directly, from features of the frozen blocks: leave out --objective, or '
                '--head',
            )
        if self.hardware.shard and (self.lora or self.head):
            raise ConfigurationError(
                'shard-with-frozen-weights',
                '--shard is for training all weights: leave it out with --lora or --head',
            )
        if self.hardware.checkpointing and self.head and not self.has_first_stages:
            raise ConfigurationError(
                'checkpointing-with-head',
                '--checkpointing has no effect on a head, whose frozen blocks keep nothing for a '
                'backward pass: leave it out',
            )
        if self.has_first_stages and not self.plan.vae.steps:
            raise ConfigurationError(
                'vae-missing',
                f'preset {self.preset} has no trained VAE: name weights with --backbone DIR or '
                '--init CHECKPOINT, or set --vae-steps above 0',
            )

    @property
    def has_first_stages(self) -> bool:
        """Whether the run has the stages vae and video."""
        return self.backbone is None and self.init is None

    def config_of(self, blank: ViVaConfig) -> ViVaConfig:
        """Return a configuration with the targets and the objective of the run, if given."""
        return replace(
            blank,
            targets=self.targets or blank.targets,
            objective=self.objective or blank.objective,
        )

    @property
    def copy_count(self) -> int:
        """Return the number of augmented copies of the latents."""
        if self.copies is not None:
            return self.copies
        return 0 if self.backbone is not None or self.preset in PLANS else COPIES

    @property
    def last_stage(self) -> str:
        """Return the name of the stage that trains the value."""
        return 'head' if self.head else 'viva'

    @property
    def patience_count(self) -> int:
        """Return the measurements without improvement after which the last stage ends."""
        if self.patience is not None:
            return self.patience
        return PATIENCE if self.preset in PLANS else 0

    @property
    def cache_folder(self) -> Path:
        """Return the folder of decoded frames."""
        return self.cache or self.out / 'cache'


def plan(
    batch: int | None, lengths: Mapping[str, int | None], preset: str = TrainConfig.preset,
    rate: float | None = None, lora: int = 0,
) -> TrainPlan:  # fmt: skip
    """
    Return the plan of a preset with other lengths, another batch size and another learning rate.

    :param batch: size in all stages; None: as in the preset
    :param lengths: steps by name of the stage; None: as in the preset
    :param rate: of the last stage; None: as in the preset, or LORA_RATE with adapters
    :param lora: rank of adapters
    :raises ConfigurationError: if a length, the batch or the rate is out of range
    """
    default, schedules = PLANS.get(preset, TrainPlan()), {}
    if rate is not None:
        check('learning_rate', rate, setting_of(Schedule, 'rate'))
    if rate is not None or lora:
        default = replace(default, viva=replace(default.viva, rate=rate or LORA_RATE))
    if rate is not None:
        default = replace(default, head=replace(default.head, rate=rate))
    for name in asdict(default):
        stage: Schedule = getattr(default, name)
        steps = lengths.get(name)
        if batch is not None:
            check(f'{name} batch', batch, setting_of(Schedule, 'batch'))
            stage = replace(stage, batch=batch)
        if steps is not None:
            check(f'{name} steps', steps, setting_of(Schedule, 'steps'))
            stage = _with_steps(stage, steps)
        schedules[name] = stage
    return TrainPlan(**schedules)


def check_lengths(run: TrainConfig, lengths: Mapping[str, int | None]) -> None:
    """
    Refuse lengths of stages that a run does not have: they would have no effect.

    :param lengths: steps by name of the stage; None: not given
    :raises ConfigurationError: with the option that replaces the stage, or lacks
    """
    start = '--init' if run.init is not None else '--backbone'
    why = {}
    if not run.has_first_stages:
        for name in ('vae', 'video'):
            why[name] = (
                f'{start} replaces the stage {name}: leave out --{name}-steps, or {start}'
            )  # fmt: skip
    if run.head:
        why['viva'] = '--head replaces the stage viva: set --head-steps instead'
    else:
        why['head'] = 'without --head no head is trained: set --viva-steps, or add --head BLOCKS'
    for name, reason in why.items():
        if lengths.get(name):
            raise ConfigurationError(
                'length-unused', f'--{name}-steps is {lengths[name]}, but {reason}'
            )


def check_unused_options(run: TrainConfig, rate: float | None) -> None:
    """
    Refuse options of the last stage in a run that leaves it out: they would have no effect.

    :param rate: learning rate of the last stage; None: not given
    :raises ConfigurationError: with the option that trains it
    """
    given = {'--learning-rate': rate, '--lora': run.lora, '--patience': run.patience}
    for option, value in given.items():
        if value:
            raise ConfigurationError(
                'option-unused',
                f'{option} is {value:g}, but --{run.last_stage}-steps is 0: leave one of them out',
            )


def _settled(stage: Schedule, moments: int) -> Schedule:
    if stage.steps != ONE_EPOCH:
        return stage
    return _with_steps(stage, max(FEWEST_STEPS, -(-moments // stage.batch)))


def too_short(name: str, stage: Schedule, moments: int, usual: Schedule) -> str:
    """
    Return a warning if a stage is too short for its data or for its warm-up, else ''.

    :param usual: the stage in the plan of the preset
    """
    epoch, fewest = -(-moments // stage.batch), WARM_UP_SHARE * usual.warm_up
    needed = max(epoch, fewest)
    if not stage.steps or stage.steps >= needed:
        return ''
    why = []
    if stage.steps < epoch:
        why.append(f'{stage.batch * stage.steps / moments:.2f} of an epoch')
    if stage.steps < fewest:
        why.append(f'a warm-up of {stage.warm_up} steps instead of {usual.warm_up}')
    return (
        f'stage {name} is short: {stage.steps} steps of {stage.batch} samples for {moments} '
        f'moments, {" and ".join(why)}: set --{name}-steps {needed} or more'
    )


def _with_steps(stage: Schedule, steps: int) -> Schedule:
    """Return a stage of another length; the warm-up is at most a fifth of it."""
    return replace(stage, steps=steps, warm_up=min(stage.warm_up, max(1, steps // WARM_UP_SHARE)))
