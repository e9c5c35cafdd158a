# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes of a coloured square that moves with a joint; where it ends, the outcome shows."""

import numpy as np

from viva_ros.data.episode import Episode, Frames, Joints, Label

CAMERAS = ('head', 'left_wrist', 'right_wrist')
JOINTS = ('left_waist', 'left_gripper', 'right_waist')
FRAME, JOINT = 100_000_000, 20_000_000  # ns: 10 Hz and 50 Hz


def picture(at: float, success: bool, size: int = 40) -> np.ndarray:
    image = np.full((size, size, 3), 60, dtype=np.uint8)
    left = round(at * (size - 12))
    image[14:26, left : left + 12] = (20, 200, 40) if success else (200, 40, 20)
    return image


def episode(seed: int, frames: int = 20, success: bool | None = None) -> Episode:
    rng = np.random.default_rng(seed)
    well = bool(rng.random() < 0.6) if success is None else success
    stamps = np.arange(frames, dtype=np.int64) * FRAME
    # The square turns red half way if the episode fails: only the camera knows.
    images = [picture(k / frames, well or k < frames // 2) for k in range(frames)]
    joint_stamps = np.arange((frames - 1) * 5 + 1, dtype=np.int64) * JOINT
    ramp = joint_stamps / joint_stamps[-1]
    positions = np.stack([ramp, 1 - ramp, np.sin(3 * ramp)], axis=1)
    label = Label('slide', well, 'none' if well else 'turns_red', seed)
    cameras = {name: Frames(stamps, images) for name in CAMERAS}
    return Episode(f'episode_{seed:06d}', cameras, Joints(joint_stamps, JOINTS, positions), label)
