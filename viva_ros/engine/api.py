# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine protocol: what a robot loads and runs, whatever library is behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from viva_ros.core.observation import Estimate, Observation


@dataclass(frozen=True)
class EngineInfo:
    """
    What an engine is made for; read from its JSON, compared with the robot's configuration.

    :param cameras: in the order of the model's views; none for a model of joints alone
    :param joint_names: in the order of the model's proprioception
    :param horizon: of the forecast, s
    :param image_size: (height, width) that images are letterboxed to, px
    :param tasks: names of the tasks it was trained on
    :param fingerprint: 16 hex digits that name weights, configuration and exported graph
    :param kind: of its backend
    :param fits: whether pictures are best given as they came: it fits them on its device
    :param library: name and version
    :param device: 'CPU', or the GPU's name
    :param why: how this kind was chosen
    """

    cameras: tuple[str, ...]
    joint_names: tuple[str, ...]
    horizon: float
    image_size: tuple[int, int]
    tasks: tuple[str, ...]
    fingerprint: str
    kind: str
    library: str = field(default='', compare=False)
    device: str = field(default='CPU', compare=False)
    why: str = field(default='', compare=False)
    fits: bool = field(default=False, compare=False)


class Engine(Protocol):
    """Estimates a value; not thread-safe: one worker owns it."""

    info: EngineInfo

    def estimate(self, observation: Observation) -> Estimate:
        """
        Estimate value and forecast.

        :raises InputError: on a missing camera or joint, wrong dtype or shape, non-finite number
        :raises EngineError: if inference fails or gives a non-finite number
        """
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """An engine that another thread can end an estimate of; it may be started again by itself."""

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        ...

    def interrupt(self) -> None:
        """End an estimate that hangs; the engine is of no use after."""
        ...


@runtime_checkable
class BatchEngine(Protocol):
    """An engine that takes several observations in one call; ``estimate`` is a batch of one."""

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """
        Estimate as ``Engine.estimate`` does.

        :raises InputError: if one of them cannot be used
        :raises EngineError: if inference fails or gives a non-finite number
        """
        ...
