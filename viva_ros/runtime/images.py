# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a camera's picture to the model's: the one resize that training and engines share."""

import cv2
import numpy as np

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Image


def letterbox(image: Image, size: tuple[int, int]) -> Image:
    """
    Fit an image into a size, its proportions kept, black around it.

    :param image: (H, W, 3) uint8
    :param size: (height, width), px
    :returns: (height, width, 3) uint8
    :raises InputError: if the image is of another type or shape
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(f'image is {image.dtype} {image.shape}, must be uint8 (H, W, 3)')
    if image.shape[:2] == size:
        return np.ascontiguousarray(image)
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    shrinks = scale < 1.0
    fitted = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    boxed = np.zeros((*size, 3), dtype=np.uint8)
    boxed[top : top + height, left : left + width] = fitted
    return boxed
