# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot that recordings are of: names and rates come from the data, never from here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import ConfigurationError
from viva_ros.data.episode import Episode

MOMENT_RATE: Final = 5.0  # Hz: frames nearer than that are nearly the same, and memory is short


@dataclass(frozen=True)
class Robot:
    """
    What a model must know of a robot.

    :param frame_rate: of its first camera, Hz
    :param control_rate: of its joint states, Hz
    """

    cameras: tuple[str, ...]
    joint_names: tuple[str, ...]
    frame_rate: float
    control_rate: float

    @property
    def every(self) -> int:
        """Keep each so many-th frame."""
        return max(1, round(self.frame_rate / MOMENT_RATE))


def robot_of(
    episode: Episode, cameras: Sequence[str] = (), usual: Sequence[str] = ()
) -> Robot:  # fmt: skip
    """
    Read it off an episode.

    :param cameras: to use, in this order; none for all
    :param usual: order of a preset, kept where its cameras are those of the episode; else by name
    :raises ConfigurationError: if the episode lacks one, or has a single frame or joint state
    """
    unknown = [name for name in cameras if name not in episode.cameras]
    if unknown:
        raise ConfigurationError(
            f'cameras is {", ".join(unknown)}, {episode.name} has {", ".join(episode.cameras)}'
        )
    if len(set(cameras)) != len(cameras):
        raise ConfigurationError(f'cameras is {", ".join(cameras)}, must be named once each')
    order = usual if set(usual) == set(episode.cameras) else sorted(episode.cameras)
    chosen = tuple(cameras) or tuple(order)
    frame_rate = _rate(episode.name, chosen[0], episode.cameras[chosen[0]].stamps)
    control_rate = _rate(episode.name, 'joint states', episode.joints.stamps)
    return Robot(chosen, episode.joints.names, frame_rate, control_rate)


def _rate(episode: str, what: str, stamps: NDArray[np.int64]) -> float:
    """Give the median rate of stamps, Hz; to a whole number above 2, where jitter hides more."""
    if len(stamps) < 2:
        raise ConfigurationError(
            f'{episode} has {len(stamps)} of {what}, must have two or more to tell their rate'
        )
    rate = 1e9 / float(np.median(np.diff(stamps)))
    return float(round(rate)) if rate > 2 else rate
