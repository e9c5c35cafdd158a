# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From an observation to an engine's arrays and back, by name, the same for every library."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError, InputError
from viva_ros.core.joints import match_joints
from viva_ros.core.observation import Estimate, Image, Observation
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.preprocessing import check, letterbox


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
    observations: Sequence[Observation], info: EngineInfo
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """
    Give images (B, V, H, W, 3), fitted to the engine, and joint positions (B, J).

    :raises InputError: as ``arrange`` does
    """
    count, views = len(observations), len(info.cameras)
    images = np.empty((count, views, *info.image_size, 3), dtype=np.uint8)
    proprio = np.empty((count, len(info.joint_names)), dtype=np.float32)
    for row, observation in enumerate(observations):
        given, proprio[row] = arrange(observation, info)
        for view, image in enumerate(given):
            images[row, view] = letterbox(image, info.image_size)
    return images, proprio


def unpack(given: Mapping[str, NDArray[np.floating]], info: EngineInfo) -> list[Estimate]:
    """
    Give the estimates of a batch.

    :param given: value (B,), and perhaps forecast (B, J), progress (B,), success (B,)
    :raises EngineError: if a number is not finite
    """
    columns = [array.tolist() for array in given.values()]
    rows = zip(*columns, strict=True)
    return [_estimate(dict(zip(given, row, strict=True)), info.joint_names) for row in rows]


def _estimate(row: Mapping[str, Any], joint_names: Sequence[str]) -> Estimate:
    for name, found in row.items():
        if not all(map(math.isfinite, found if isinstance(found, list) else [found])):
            raise EngineError(f'engine gave {name} {found}: not finite')
    joints = dict(zip(joint_names, row['forecast'], strict=True)) if 'forecast' in row else {}
    apart = {name: row[name] for name in ('progress', 'success') if name in row}
    return Estimate(row['value'], joints, **apart)
