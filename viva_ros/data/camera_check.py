# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checks of the images of a recorded camera, by the limits of the monitor.

A camera is refused if it repeats a picture while joints move, or if none of its images is
plausible: its lens is covered, or it is dead. Of a camera with some implausible images these are
counted: a monitor is unknown at their moments alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.image_checks import FrozenPicture, PictureSettings, check_picture
from viva_ros.core.observation import Image
from viva_ros.data.episode import Frames
from viva_ros.data.images import Pictures
from viva_ros.data.recording import ORIGINS, SOURCE, Recording
from viva_ros.robot.topic_map import ImportLimits

#: First word of a text of ``check_picture`` to the limit that it exceeds.
LIMITS: Final = {
    'black': 'black_below', 'saturated': 'saturated_above', 'covered': 'uniform_below'
}  # fmt: skip


@dataclass(frozen=True)
class PictureRules:
    """
    Limits of the images of a recording.

    :param may_repeat: whether pictures repeat without a fault, as in the rows of a dataset
    """

    settings: PictureSettings
    may_repeat: bool = False


def picture_rules(recording: Recording) -> PictureRules | None:
    """Return the rules of a recording in place; None if it was imported, which checked them."""
    if ORIGINS in recording.metadata:
        return None
    settings = (recording.limits or ImportLimits()).pictures(PictureSettings())
    return PictureRules(settings, SOURCE in recording.metadata)


class CameraCheck:
    """Reads the images of a camera in order, and checks them."""

    def __init__(
        self, camera: str, frames: Frames, names: Sequence[str], positions: NDArray[np.floating],
        rules: PictureRules | None,
    ) -> None:  # fmt: skip
        """
        Start before the first image.

        :param names: of all joints
        :param positions: at each moment at which an image is used, (N, J), rad or m
        :param rules: None for no check
        """
        self._camera, self._stamps, self._rules = camera, frames.stamps, rules
        self._names, self._positions = names, positions
        repeats = rules is None or rules.may_repeat
        self._frozen = FrozenPicture(rules.settings) if rules and not repeats else None
        self._read, self._implausible = 0, 0
        self._first = ('', '')  # place and fault of the first implausible image

    def where(self, row: int) -> str:
        """Return the camera and the stamp of an image, for a text."""
        return f'{self._camera} at stamp {int(self._stamps[row]) * 1e-9:.3f} s'

    def read(self, images: Sequence[Image], row: int, at: int) -> Image:
        """
        Return an image that is not the one before; decoded videos are not compared.

        :param images: of the camera, in any size
        :param at: index of the moment
        :raises RecordingError: if the camera is frozen
        :raises InputError: if it cannot be decoded
        """
        image = self._compared(images, row, at)
        if self._rules is not None:
            self._read += 1
            if fault := check_picture(image, self._rules.settings):
                self._implausible += 1
                if self._implausible == 1:
                    self._first = (self.where(row), fault)
        return image

    def _compared(self, images: Sequence[Image], row: int, at: int) -> Image:
        if self._frozen is None or not isinstance(images, Pictures):
            return images[row]
        content, image = images.read(row)
        proprio = dict(zip(self._names, self._positions[at].tolist(), strict=True))
        fault = self._frozen.update(int(self._stamps[row]), content, proprio)
        if fault is not None:
            raise RecordingError(
                'image-frozen',
                f'{self.where(row)}: {fault}: leave the recording out, or, if the scene is that '
                'still, such as in a simulation without noise, raise "frozen_after" (s) in '
                '"limits" of the map',
            )
        return image

    def finish(self) -> list[str]:
        """
        Return notes on implausible images, after the last one.

        :raises RecordingError: if no image is plausible
        """
        if not self._implausible:
            return []
        first = ': '.join(self._first)
        if self._implausible < self._read:
            count = self._implausible
            return [f'{count} images of {self._camera} are unknown live, the first: {first}']
        limit = LIMITS[self._first[1].partition(':')[0]]
        raise RecordingError(
            'image-implausible',
            f'none of the {self._read} images of {self._camera} is plausible, the first: '
            f'{first}: leave the camera out of the map, or the recording, or, if its images '
            f'are like that in normal use, set "{limit}" in "limits" of the map',
        )
