# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a camera adds to a picture: a sensor is never quite still, even before a scene that is."""

import numpy as np

from viva_ros.core.observation import Image


def add_noise(pixels: Image, deviation: float, generator: np.random.Generator) -> Image:
    """
    Give a picture with Gaussian noise.

    :param pixels: (H, W, 3)
    :param deviation: of each number, in steps of 1 / 255; 0 changes nothing
    """
    if deviation == 0.0:
        return pixels
    noise = generator.standard_normal(pixels.shape, dtype=np.float32) * np.float32(deviation)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
