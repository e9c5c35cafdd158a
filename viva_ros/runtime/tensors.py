# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From an observation to an engine's arrays and back, by name, the same for every library."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError, InputError
from viva_ros.core.joints import match_joints
from viva_ros.core.observation import Estimate, Image, Observation
from viva_ros.runtime.engine import EngineInfo
from viva_ros.runtime.images import check, letterbox


def arrange(observation: Observation, info: EngineInfo) -> tuple[list[Image], NDArray[np.float32]]:
    """
    Give images as they are and joint positions (J,), in the engine's order.

    :raises InputError: on a missing camera or joint, wrong dtype or shape, non-finite number
    """
    missing = [name for name in info.cameras if name not in observation.images]
    if missing:
        have = ', '.join(observation.images)
        raise InputError(f'camera {", ".join(missing)} is missing; there are {have or "none"}')
    for name in info.cameras:
        try:
            check(observation.images[name])
        except InputError as error:
            raise InputError(f'camera {name}: {error}') from error
    joints = match_joints(observation.proprio, info.joint_names)
    images = [observation.images[name] for name in info.cameras]
    return images, np.array(list(joints.values()), dtype=np.float32)


def pack(
    observation: Observation, info: EngineInfo
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Give images (V, H, W, 3), fitted to the engine, and joint positions, as ``arrange`` does."""
    given, joints = arrange(observation, info)
    images = np.empty((len(given), *info.image_size, 3), dtype=np.uint8)
    for view, image in enumerate(given):
        images[view] = letterbox(image, info.image_size)
    return images, joints


def pack_batch(
    observations: Sequence[Observation], info: EngineInfo
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Give images (B, V, H, W, 3) and joint positions (B, J), as ``pack`` does."""
    packed = [pack(observation, info) for observation in observations]
    return np.stack([images for images, _ in packed]), np.stack([joints for _, joints in packed])


def unpack_batch(
    given: Mapping[str, NDArray[np.floating]], info: EngineInfo, count: int
) -> list[Estimate]:
    """
    Give the estimates of a batch, as ``unpack`` does.

    :param given: as there, but (B,) and (B, J)
    """
    rows = ({name: array[row : row + 1] for name, array in given.items()} for row in range(count))
    return [unpack(row, info) for row in rows]


def unpack(given: Mapping[str, NDArray[np.floating]], info: EngineInfo) -> Estimate:
    """
    Give the estimate of a batch of one.

    :param given: value (1,), and perhaps forecast (1, J), progress (1,), success (1,)
    :raises EngineError: if a number is not finite
    """
    for name, array in given.items():
        if not np.isfinite(array).all():
            raise EngineError(f'engine gave {name} {array[0]}: not finite')
    forecast = given['forecast'][0] if 'forecast' in given else ()
    names = info.joint_names if 'forecast' in given else ()
    apart = {name: float(given[name][0]) for name in ('progress', 'success') if name in given}
    joints = dict(zip(names, map(float, forecast), strict=True))
    return Estimate(float(given['value'][0]), joints, **apart)
