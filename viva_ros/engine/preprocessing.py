# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fit camera images to the model: the one resize that training and engines share."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import gcd
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError, InputError
from viva_ros.core.letterbox import area_weights, halvings, place
from viva_ros.core.normalize import match_joints
from viva_ros.core.observation import Array, Estimate, Image, Observation
from viva_ros.engine.api import EngineInfo

_row_weights = lru_cache(area_weights)
BLOCK: Final = 16  # px at most: OpenCV is faster for larger blocks


#: The type stubs of OpenCV allow any number for a pixel; uint8 stays uint8.
_resize: Final[Any] = cv2.resize


def letterbox(image: Image, size: tuple[int, int]) -> Image:
    """
    Fit an image into a size, with its aspect ratio and black bars; shrink it by area averages.

    :param image: (H, W, 3) uint8
    :param size: (height, width), px
    :returns: (height, width, 3) uint8
    :raises InputError: if the image has another type or shape
    """
    check(image)
    if image.shape[:2] == size:
        return np.ascontiguousarray(image)
    sent = image.shape[0], image.shape[1]
    top, left, height, width = place(sent, size)
    shrinks = size[0] < image.shape[0] or size[1] < image.shape[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    for _ in range(halvings(sent, (height, width))):
        image = _resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=way)
    if image.shape[:2] == (height, width):
        fitted = image
    elif in_blocks(image.shape[0], height) and in_blocks(image.shape[1], width):
        fitted = shrink(image, (height, width))
    else:
        fitted = _resize(image, (width, height), interpolation=way)
    if fitted.shape[:2] == size:
        return fitted
    boxed = np.zeros((*size, 3), dtype=np.uint8)
    boxed[top : top + height, left : left + width] = fitted
    return boxed


def in_blocks(sent: int, fitted: int) -> bool:
    """Return whether a side can be reduced in small equal blocks, such as 4 pixels to 3."""
    return fitted <= sent <= BLOCK * gcd(sent, fitted)


def shrink(image: Image, size: tuple[int, int]) -> Image:
    """
    Shrink by area averages in equal blocks: as INTER_AREA, in half of its time.

    Results differ by rounding alone, where a mean lies halfway between two levels.

    :param image: (H, W, 3) uint8
    :param size: (height, width), px; ``in_blocks`` must be true for both sides
    :returns: (height, width, 3) uint8
    """
    count = gcd(image.shape[0], size[0])
    lines = image.reshape(count, -1, image.shape[1] * 3).astype(np.float32)
    rows = _row_weights(image.shape[0] // count, size[0] // count) @ lines
    count = gcd(image.shape[1], size[1])
    columns = _column_weights(image.shape[1] // count, size[1] // count)
    mean = rows.reshape(size[0] * count, -1) @ columns
    return np.rint(mean, out=mean).astype(np.uint8).reshape(*size, 3)


@lru_cache
def _column_weights(sent: int, fitted: int) -> NDArray[np.float32]:
    """Return the weights that multiply rows of RGB pixels from the right, (3 sent, 3 fitted)."""
    return np.kron(area_weights(sent, fitted).T, np.eye(3, dtype=np.float32))


def check(image: Image) -> None:
    """
    Check that an array is an RGB image.

    :raises InputError: if the image has another type or shape
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(
            'image-type', f'image is {image.dtype} {image.shape}, must be uint8 (H, W, 3)'
        )


def arrange(observation: Observation, info: EngineInfo) -> tuple[list[Image], Array]:
    """
    Return images and joint positions (J,), rad or m, in the order of the engine.

    Joints are matched by name; the match is skipped if their order is that of the engine.

    :raises InputError: on a missing camera or joint, wrong dtype or shape, non-finite number
    """
    missing = [name for name in info.cameras if name not in observation.images]
    if missing:
        have = ', '.join(observation.images)
        raise InputError(
            'camera-missing', f'camera {", ".join(missing)} is missing; there are {have or "none"}'
        )
    for name in info.cameras:
        try:
            check(observation.images[name])
        except InputError as error:
            raise InputError('image-type', f'camera {name}: {error}') from error
    positions = observation.proprio
    if tuple(positions) != info.joint_names:
        positions = match_joints(positions, info.joint_names)
    joints = np.fromiter(positions.values(), np.float64, len(positions))
    if not np.isfinite(joints).all():
        match_joints(positions, info.joint_names)  # raises an error with the joint
    return [observation.images[name] for name in info.cameras], joints


def pack(
    observations: Sequence[Observation], info: EngineInfo
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """
    Return images (B, V, H, W, 3), fitted to the engine, and joint positions (B, J).

    :raises InputError: as ``arrange`` does
    """
    count, views = len(observations), len(info.cameras)
    images = np.empty((count, views, *info.image_size, 3), dtype=np.uint8)
    proprio = np.empty((count, len(info.joint_names)), dtype=np.float32)
    for row, observation in enumerate(observations):
        ordered, proprio[row] = arrange(observation, info)
        for view, image in enumerate(ordered):
            images[row, view] = letterbox(image, info.image_size)
    return images, proprio


def unpack(outputs: Mapping[str, NDArray[np.floating]], info: EngineInfo) -> list[Estimate]:
    """
    Return the estimates of a batch.

    :param outputs: value (B,); optional forecast (B, J), progress (B,), success (B,)
    :raises EngineError: if a number is not finite
    """
    columns = [array.tolist() for array in outputs.values()]
    rows = zip(*columns, strict=True)
    return [_estimate(dict(zip(outputs, row, strict=True)), info.joint_names) for row in rows]


def _estimate(row: Mapping[str, Any], joint_names: Sequence[str]) -> Estimate:
    for name, found in row.items():
        if not all(map(math.isfinite, found if isinstance(found, list) else [found])):
            raise EngineError(
                'engine-output-not-finite', f'engine output {name} is not finite: {found}'
            )
    joints = dict(zip(joint_names, row['forecast'], strict=True)) if 'forecast' in row else {}
    optional = {name: row[name] for name in ('progress', 'success') if name in row}
    return Estimate(row['value'], joints, **optional)
