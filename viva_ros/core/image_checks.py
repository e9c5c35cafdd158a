# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a picture can be what a camera sees: not black, saturated, covered or frozen."""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.observation import Image
from viva_ros.core.settings import setting, validate
from viva_ros.core.windows import seconds


@dataclass(frozen=True)
class PictureSettings:
    """When a picture is not believed."""

    black_below: float = setting(
        16.0, 'A picture whose brightest 1 % are below this is black, of 255.', at_least=0.0
    )
    saturated_above: float = setting(
        240.0, 'A picture whose darkest 1 % are above this is saturated, of 255.', at_most=255.0
    )
    uniform_below: float = setting(
        6.0, 'A picture with less than this between its 1 % and 99 % is covered.', at_least=0.0
    )
    frozen_after: float = setting(1.0, 'Same bytes for this long may be frozen, s.', above=0.0)
    frozen_travel: float = setting(
        0.05, 'It is, if a joint has moved by more than this, rad or m.', above=0.0
    )


def check_picture(image: Image, settings: PictureSettings) -> str | None:
    """
    Look at every fourth pixel both ways.

    :param image: (H, W, 3) uint8
    :returns: why it is not believed, with the measured figure; None if it is
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
    Return what numpy's percentile gives of the pixels, without sorting them.

    :param counts: pixels of each level, (256,)
    """
    upto = np.cumsum(counts)
    place = share * float(upto[-1] - 1)
    low, high = np.searchsorted(upto, [math.floor(place), math.ceil(place)], side='right')
    return float(low + (high - low) * (place - math.floor(place)))


class FrozenPicture:
    """Finds a camera that sends the same bytes with new stamps while the joints move; one each."""

    def __init__(self, settings: PictureSettings) -> None:
        validate(settings)
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the picture, e.g. when time jumps."""
        self._digest: tuple[int, int] | None = None
        self._since = 0
        self._low: dict[str, float] = {}
        self._high: dict[str, float] = {}

    def update(
        self, stamp: int, data: bytes | memoryview, proprio: Mapping[str, float]
    ) -> str | None:
        """
        Compare a frame with the last.

        :param stamp: of the frame, ns
        :param data: its bytes as received
        :param proprio: joint positions at that time, rad or m
        :returns: why the camera is not believed; None if it is
        """
        digest = (len(data), zlib.crc32(data))
        if digest != self._digest or stamp < self._since:
            self._digest, self._since = digest, stamp
            self._low, self._high = dict(proprio), dict(proprio)
            return None
        self._low = {name: min(self._low.get(name, x), x) for name, x in proprio.items()}
        self._high = {name: max(self._high.get(name, x), x) for name, x in proprio.items()}
        travel = max((self._high[name] - self._low[name] for name in proprio), default=0.0)
        age = seconds(stamp, self._since)
        if age <= self._settings.frozen_after or travel <= self._settings.frozen_travel:
            return None
        return f'frozen: same picture for {age:.1f} s while a joint moved by {travel:.2f}'
