# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of inference engines, the same for all backends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from viva_ros.core.observation import Estimate, Observation


@dataclass(frozen=True)
class EngineInfo:
    """
    Description of an engine, from its JSON; compared with the robot's configuration.

    :param cameras: in the order of the model's views; empty for a model of joints alone
    :param joint_names: in the order of the model's proprioception
    :param horizon: of the forecast, s
    :param image_size: (height, width) that images are letterboxed to, px
    :param tasks: names of the tasks of its training
    :param fingerprint: 16 hex digits that identify weights, configuration and exported graph
    :param kind: of its backend
    :param library: name and version
    :param device: 'CPU', or the GPU's name
    :param why: reason for the choice of this kind
    :param fits: whether the engine letterboxes images on its device and takes them in any size
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
    """Estimates a value; not thread-safe, so one worker owns it."""

    info: EngineInfo

    def estimate(self, observation: Observation) -> Estimate:
        """
        Estimate value and forecast.

        :raises InputError: on a missing camera or joint, wrong dtype or shape, non-finite number
        :raises EngineError: if inference fails or returns a non-finite number
        """
        ...

    def close(self) -> None:
        """Free its memory."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """An engine whose estimates another thread can end; it may restart itself."""

    @property
    def restarts(self) -> int:
        """Return the number of restarts."""
        ...

    def interrupt(self) -> None:
        """End an estimate that hangs; the engine cannot be used afterwards."""
        ...


@runtime_checkable
class BatchEngine(Protocol):
    """An engine that estimates from several observations in one call."""

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """
        Estimate as ``Engine.estimate`` for each observation.

        :raises InputError: if an observation cannot be used
        :raises EngineError: if inference fails or returns a non-finite number
        """
        ...
