# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run of training is made of, and how long and fast each of its stages goes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from viva_ros.core.errors import ConfigurationError
from viva_ros.offline.augment import AugmentSettings
from viva_ros.offline.trainer import Schedule


@dataclass(frozen=True)
class Plan:
    """Schedules of the stages, in order, and of the baseline."""

    vae: Schedule = field(default_factory=lambda: Schedule(1600, 16, 2e-3, 100))
    video: Schedule = field(default_factory=lambda: Schedule(2500, 32, 1e-3, 200))
    viva: Schedule = field(default_factory=lambda: Schedule(5000, 32, 1e-3, 200))
    proprio: Schedule = field(default_factory=lambda: Schedule(4000, 256, 1e-3, 200))


@dataclass(frozen=True)
class Run:
    """
    What a run of training is made of; the same twice gives the same weights.

    :param recordings: folders, each split on its own
    :param cameras: to use, in the order of the model's views; none for all, by name
    :param tasks: to learn; none for all
    """

    recordings: tuple[Path, ...]
    out: Path
    preset: str
    seed: int
    plan: Plan
    cache: Path
    threads: int = 1
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    cameras: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()


def plan(batch: int | None, lengths: Mapping[str, int]) -> Plan:
    """
    Give the default plan with other lengths and batch.

    :raises ConfigurationError: if a number is below 1
    """
    schedules = {}
    for name, default in asdict(Plan()).items():
        changed = {**default, 'steps': lengths[name], 'batch': batch or default['batch']}
        for key in ('steps', 'batch'):
            if changed[key] < 1:
                raise ConfigurationError(f'{name} {key} is {changed[key]}, must be at least 1')
        changed['warm_up'] = min(changed['warm_up'], max(1, changed['steps'] // 5))
        schedules[name] = Schedule(**changed)
    return Plan(**schedules)
