# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine protocol: what a robot loads and runs, whatever library is behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation

KINDS = ('auto', 'onnx', 'pytorch')


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
    :param kind: 'onnx' or 'pytorch'
    """

    cameras: tuple[str, ...]
    joint_names: tuple[str, ...]
    horizon: float
    image_size: tuple[int, int]
    tasks: tuple[str, ...]
    fingerprint: str
    kind: str


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
class BatchEngine(Protocol):
    """An engine that takes several observations in one call; ``estimate`` is a batch of one."""

    def estimate_batch(self, observations: Sequence[Observation]) -> list[Estimate]:
        """
        Estimate as ``Engine.estimate`` does.

        :raises InputError: if one of them cannot be used
        :raises EngineError: if inference fails or gives a non-finite number
        """
        ...


def load(path: Path, task: str, kind: str = 'auto') -> Engine:
    """
    Load an engine folder (engine.json beside its weights) after verifying it.

    :param path: the folder
    :param task: one of the engine's tasks
    :param kind: 'auto' (the exported graph where there is one), 'onnx' or 'pytorch'
    :raises EngineError: naming what does not fit and the command that mends it
    """
    if kind not in KINDS:
        raise EngineError(f'engine kind is {kind!r}, must be one of {", ".join(KINDS)}')
    if not path.is_dir():
        raise EngineError(f"{path} is no folder: name an engine's, or make one ('viva export')")
    if kind == 'pytorch' or (kind == 'auto' and not (path / 'engine.json').exists()
                             and (path / 'model.json').exists()):  # fmt: skip
        from viva_ros.runtime.pytorch import PytorchEngine

        return PytorchEngine(path, task)
    from viva_ros.runtime.onnx import OnnxEngine

    return OnnxEngine(path, task)
