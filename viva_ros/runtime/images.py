# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a camera's picture to the model's: the one resize that training and engines share."""

import cv2
import numpy as np

from viva_ros.core.errors import InputError
from viva_ros.core.letterbox import halvings, place
from viva_ros.core.observation import Image


def letterbox(image: Image, size: tuple[int, int]) -> Image:
    """
    Fit an image into a size, its proportions kept, black around it; means over areas, by halves.

    :param image: (H, W, 3) uint8
    :param size: (height, width), px
    :returns: (height, width, 3) uint8
    :raises InputError: if the image is of another type or shape
    """
    check(image)
    if image.shape[:2] == size:
        return np.ascontiguousarray(image)
    sent = image.shape[0], image.shape[1]
    top, left, height, width = place(sent, size)
    shrinks = size[0] < image.shape[0] or size[1] < image.shape[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    for _ in range(halvings(sent, (height, width))):
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=way)
    fitted = cv2.resize(image, (width, height), interpolation=way)
    boxed = np.zeros((*size, 3), dtype=np.uint8)
    boxed[top : top + height, left : left + width] = fitted
    return boxed


def check(image: Image) -> None:
    """
    Refuse what is no picture.

    :raises InputError: if the image is of another type or shape
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(f'image is {image.dtype} {image.shape}, must be uint8 (H, W, 3)')
