# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode as recorded: camera frames and joint states by stamp, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.observation import Image


@dataclass(frozen=True)
class Mark:
    """
    Something that a person saw happen.

    :param kind: 'milestone', or 'error'
    :param time: s since the first frame
    """

    kind: str
    time: float
    text: str = ''


@dataclass(frozen=True)
class Label:
    """
    The outcome, and what evaluation may know about it.

    :param success: of the whole episode
    :param failure: injected failure or variation, 'none' if nominal; None where nobody knows
    :param times: seconds since the first frame of 'inject', 'visible', 'manifest' and other events
    :param marks: in order of time
    """

    task: str
    success: bool
    failure: str | None = None
    seed: int | None = None
    times: Mapping[str, float] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Frames:
    """One camera: stamps (N,) int64 ns, ascending, and the N images, decoded on access."""

    stamps: NDArray[np.int64]
    images: Sequence[Image]


@dataclass(frozen=True)
class Joints:
    """Joint states: stamps (N,) int64 ns, ascending; positions (N, len(names)), rad or m."""

    stamps: NDArray[np.int64]
    names: tuple[str, ...]
    positions: NDArray[np.float64]


@dataclass(frozen=True)
class Episode:
    """One episode of one recording; label is None where none was given."""

    name: str
    cameras: Mapping[str, Frames]
    joints: Joints
    label: Label | None
