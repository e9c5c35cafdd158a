# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refusal of recorded cameras that repeat a picture while joints move, as the monitor does."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.image_checks import FrozenPicture, PictureSettings
from viva_ros.core.observation import Image
from viva_ros.data.episode import Frames
from viva_ros.data.images import Pictures
from viva_ros.data.recording import SOURCE, Recording
from viva_ros.robot.topic_map import ImportLimits


def picture_limits(recording: Recording) -> PictureSettings | None:
    """Return the limits of the images of a recording; None for a dataset, which has none."""
    if SOURCE in recording.metadata:
        return None
    return (recording.limits or ImportLimits()).pictures(PictureSettings())


class FrozenCamera:
    """Reads the images of a camera in order, and refuses one that is frozen."""

    def __init__(
        self, camera: str, frames: Frames, names: Sequence[str], positions: NDArray[np.floating],
        settings: PictureSettings | None,
    ) -> None:  # fmt: skip
        """
        Start before the first image.

        :param names: of all joints
        :param positions: at each moment at which an image is used, (N, J), rad or m
        :param settings: None for rows of a dataset, which repeat pictures without a fault
        """
        self._camera, self._stamps = camera, frames.stamps
        self._names, self._positions = names, positions
        self._check = FrozenPicture(settings) if settings is not None else None

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
        if self._check is None or not isinstance(images, Pictures):
            return images[row]
        content, image = images.read(row)
        proprio = dict(zip(self._names, self._positions[at].tolist(), strict=True))
        fault = self._check.update(int(self._stamps[row]), content, proprio)
        if fault is not None:
            raise RecordingError(
                'image-frozen',
                f'{self.where(row)}: {fault}: leave the recording out, or, if the scene is that '
                'still, such as in a simulation without noise, raise "frozen_after" (s) in '
                '"limits" of the map',
            )
        return image
