# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plausibility of camera images: neither black, saturated, covered nor frozen."""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.joint_states import step_between
from viva_ros.core.observation import Image
from viva_ros.core.settings import setting, validate
from viva_ros.core.windows import seconds


@dataclass(frozen=True)
class PictureSettings:
    """Limits of plausible images."""

    black_below: float = setting(
        16.0, 'An image is black if its brightest 1 % are below this, of 255.', at_least=0.0
    )
    saturated_above: float = setting(
        240.0, 'An image is saturated if its darkest 1 % are above this, of 255.', at_most=255.0
    )
    uniform_below: float = setting(
        6.0,
        'A lens is covered if the 1 % and 99 % percentiles differ by less, of 255.',
        at_least=0.0,
    )
    frozen_after: float = setting(
        1.0, 'Time of identical images after which a camera may be frozen, s.', above=0.0
    )
    frozen_joint_motion: float = setting(
        0.05, 'The camera is frozen if a joint moved by more in that time, rad or m.', above=0.0
    )


def check_picture(image: Image, settings: PictureSettings) -> str | None:
    """
    Check every fourth row and column of an image.

    :param image: (H, W, 3) uint8
    :returns: what is wrong, with the measured value; None if the image is plausible
    """
    counts = np.bincount(image[::4, ::4].reshape(-1), minlength=256)
    dark, bright = _percentile(counts, 0.01), _percentile(counts, 0.99)
    if bright < settings.black_below:
        return f'black: brightest 1 % at {bright:.0f} of 255, at least {settings.black_below:g}'
    if dark > settings.saturated_above:
        return f'saturated: darkest 1 % at {dark:.0f} of 255, at most {settings.saturated_above:g}'
    if bright - dark < settings.uniform_below:
        return f'covered: contrast {bright - dark:.0f} of 255, at least {settings.uniform_below:g}'
    return None


def _percentile(counts: NDArray[np.intp], share: float) -> float:
    """
    Return a percentile of the pixels, as numpy does, without sorting them.

    :param counts: number of pixels of each level, (256,)
    """
    upto = np.cumsum(counts)
    place = share * float(upto[-1] - 1)
    low, high = np.searchsorted(upto, [math.floor(place), math.ceil(place)], side='right')
    return float(low + (high - low) * (place - math.floor(place)))


class FrozenPicture:
    """Detects a camera that repeats the same bytes with new stamps while joints move."""

    def __init__(self, settings: PictureSettings) -> None:
        validate(settings)
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the last image, e.g. when time jumps."""
        self._digest: tuple[int, int] | None = None
        self._since = 0
        self._first: dict[str, float] = {}
        self._low: dict[str, float] = {}  # motion from the first position
        self._high: dict[str, float] = {}

    def update(
        self, stamp: int, data: bytes | memoryview, proprio: Mapping[str, float]
    ) -> str | None:
        """
        Compare a frame with the previous one.

        :param stamp: of the frame, ns
        :param data: its bytes as received
        :param proprio: joint positions at that time, rad or m
        :returns: what is wrong, with the measured values; None if the camera works
        """
        digest = (len(data), zlib.crc32(data))
        if digest != self._digest or stamp < self._since:
            self._digest, self._since = digest, stamp
            self._first, self._low, self._high = dict(proprio), {}, {}
            return None
        for name, position in proprio.items():  # a full turn of a joint is no motion
            moved = float(step_between(self._first.setdefault(name, position), position))
            self._low[name] = min(self._low.get(name, 0.0), moved)
            self._high[name] = max(self._high.get(name, 0.0), moved)
        travel = max((self._high[name] - self._low[name] for name in proprio), default=0.0)
        age = seconds(stamp, self._since)
        if age <= self._settings.frozen_after or travel <= self._settings.frozen_joint_motion:
            return None
        return f'frozen: same picture for {age:.1f} s while a joint moved by {travel:.2f}'
