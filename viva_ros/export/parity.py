# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare an engine with PyTorch in float32 on recorded moments.

The engine is loaded and called as on a robot, so the comparison includes pre-processing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError, RecordingError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.engine.manifest import LARGEST_DIFFERENCE
from viva_ros.export.graph import CheckpointSource
from viva_ros.training.dataset import cut

EVERY: Final = 5  # stride of the frames that are compared
LARGEST_SHARE: Final = 0.05  # of a joint's range: limit of the forecast error
Ask = Callable[[Observation, str], Estimate]


@dataclass(frozen=True)
class ParitySample:
    """
    A recorded moment.

    :param images: (V, H, W, 3) uint8; None for a model without cameras
    :param proprio: (J,), rad or m
    """

    images: NDArray[np.uint8] | None
    proprio: NDArray[np.float32]
    task: str

    def observation(self, source: CheckpointSource) -> Observation:
        """Return the sample as an observation of the robot."""
        views = () if self.images is None else self.images
        images = dict(zip(source.cameras, views, strict=True))
        joints = dict(zip(source.ranges.names, self.proprio.tolist(), strict=True))
        return Observation(images, joints, {})

    def feeds(self, source: CheckpointSource) -> dict[str, NDArray[np.generic]]:
        """Return the sample as inputs of a graph, of batch size 1."""
        task = np.array([source.tasks.index(self.task)])
        feeds: dict[str, NDArray[Any]] = {'proprio': self.proprio[None], 'task': task}
        return feeds if self.images is None else {'images': self.images[None], **feeds}


@dataclass(frozen=True)
class Differences:
    """
    Absolute differences from PyTorch in float32; inf if an estimate is not finite.

    :param value: largest difference of the value
    :param value_mean: mean difference of the value
    :param joints: largest difference of the forecast, rad or m; 0 without a forecast
    :param joints_mean: mean difference of the forecast, rad or m
    :param moments: number of moments compared
    :param joints_share: largest difference of the forecast, as a share of the joint's range
    """

    value: float
    value_mean: float
    joints: float
    joints_mean: float
    moments: int
    joints_share: float = 0.0


def take_samples(source: CheckpointSource, paths: Sequence[Path]) -> list[ParitySample]:
    """
    Return every fifth moment of the episodes whose task the model knows.

    :raises RecordingError: if there is no such moment
    """
    samples = [sample for path in paths for sample in _samples(source, path)]
    if not samples:
        raise RecordingError(
            'parity-moments-missing',
            f'no labelled episode of the tasks {", ".join(source.tasks)} to compare the engine '
            'with PyTorch on: name such recordings with --recordings',
        )
    return samples


def _samples(source: CheckpointSource, path: Path) -> list[ParitySample]:
    samples = []
    for episode in episodes_of(open_recording(path)):
        if episode.label is None or episode.label.task not in source.tasks:
            continue
        cameras = source.cameras or tuple(episode.cameras)[:1]
        moments = cut(
            episode, cameras, source.ranges.names, source.image_size, source.horizon, EVERY
        )
        for images, proprio in zip(moments.images, moments.proprio, strict=True):
            seen = images if source.cameras else None
            samples.append(ParitySample(seen, proprio.astype(np.float32), episode.label.task))
    return samples


def expect(
    source: CheckpointSource, samples: Sequence[ParitySample]
) -> list[dict[str, NDArray[np.floating]]]:
    """Return the outputs of the model in float32 for each sample, by name."""
    expected = []
    for sample in samples:
        feeds = {name: torch.from_numpy(a) for name, a in sample.feeds(source).items()}
        with torch.inference_mode():
            given = source.model(**feeds)
        arrays = (tensor.numpy()[0] for tensor in given)
        expected.append(dict(zip(source.outputs, arrays, strict=True)))
    return expected


def compare(
    source: CheckpointSource, samples: Sequence[ParitySample],
    expected: Sequence[dict[str, NDArray[np.floating]]], ask: Ask,
) -> Differences:  # fmt: skip
    """
    Return the differences of an engine from PyTorch.

    :param expected: outputs of the model from ``expect``
    :param ask: returns the estimate of an observation and a task; raises EngineError if not finite
    """
    values, joints = [], []
    for sample, wanted in zip(samples, expected, strict=True):
        try:
            estimate = ask(sample.observation(source), sample.task)
        except EngineError as error:
            if error.code != 'engine-output-not-finite':
                raise
            inf = float('inf')
            return Differences(inf, inf, inf, inf, len(samples), inf)
        values.append(abs(estimate.value - float(wanted['value'])))
        if 'forecast' in wanted:
            given = np.array(list(estimate.forecast.values()))
            joints.append(np.abs(given - wanted['forecast']))
    far = np.array(joints) if joints else np.zeros((1, len(source.ranges.names)))
    span = np.array(source.ranges.high) - np.array(source.ranges.low)
    share = far / np.where(span > 0, span, np.inf)
    return Differences(
        float(np.max(values)), float(np.mean(values)), float(far.max()), float(far.mean()),
        len(samples), float(share.max()),
    )  # fmt: skip


def check(differences: Differences, what: str) -> None:
    """
    Refuse an engine whose differences from PyTorch are above the limits.

    :param what: name of the engine in the error
    :raises EngineError: if a difference is above its limit
    """
    if not differences.value <= LARGEST_DIFFERENCE:
        raise EngineError(
            'parity-value-differs',
            f'{what} differs from PyTorch by {differences.value:.3g} in value, at most '
            f'{LARGEST_DIFFERENCE} is allowed: use another --precision, or another version of '
            'the library',
        )
    if not differences.joints_share <= LARGEST_SHARE:
        raise EngineError(
            'parity-forecast-differs',
            f"{what} differs from PyTorch by {differences.joints_share:.3g} of a joint's range in "
            f'the forecast, at most {LARGEST_SHARE} is allowed: use another --precision, or '
            'another version of the library',
        )
