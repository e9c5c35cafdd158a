# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs and outputs of the model: the types that every layer shares."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Array = NDArray[np.float64]

SECOND: Final = 1_000_000_000  # ns


@dataclass(frozen=True)
class Observation:
    """
    One synchronised set of inputs.

    :param images: camera name to RGB image, (H, W, 3) uint8, any size
    :param proprio: joint name to position, rad or m
    :param stamps: input name (each camera, and 'joint_states') to stamp, ns
    """

    images: Mapping[str, Image]
    proprio: Mapping[str, float]
    stamps: Mapping[str, int]

    @property
    def stamp(self) -> int:
        """Stamp of the newest input used, ns."""
        return max(self.stamps.values())

    @property
    def skew(self) -> float:
        """Newest minus oldest input stamp, s."""
        return (self.stamp - min(self.stamps.values())) * 1e-9


@dataclass(frozen=True)
class Estimate:
    """
    The output of an engine for one observation.

    :param value: V = 1 - G, in [-1, 1]; rises towards success; above 0 success is expected
    :param forecast: joint name to position predicted one horizon ahead, rad or m; empty if the
        engine predicts none
    :param progress: of a successful episode at this point, in [0, 1]; NaN if the engine does not
        separate progress from risk
    :param success: probability that the episode ends in success, in [0, 1]; NaN likewise
    """

    value: float
    forecast: Mapping[str, float]
    progress: float = math.nan
    success: float = math.nan


@dataclass(frozen=True)
class Unknown:
    """
    A missing value with its reason: neither OK nor a drop of the value.

    :param kind: one word, e.g. 'missing', 'stale', 'skew', 'input', 'engine', 'paused'
    :param reason: message for a person: the thing, its value, what is allowed, the remedy
    """

    kind: str
    reason: str
