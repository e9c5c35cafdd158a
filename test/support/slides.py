# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes of a square that moves with a joint and turns red after a failure."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from viva_ros.core.normalize import JointRanges
from viva_ros.core.observation import Image
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.episode import Episode, Frames, Joints, Label
from viva_ros.data.messages import joint_state, jpeg_image
from viva_ros.model.config import preset
from viva_ros.model.viva import ViVa
from viva_ros.sim.scene import encode_jpeg
from viva_ros.training import cache
from viva_ros.training.cache import Cut, Data

CAMERAS = ('head', 'left_wrist', 'right_wrist')
JOINTS = ('left_waist', 'left_gripper', 'right_waist')
BEGIN = 1_000_000_000  # ns
FRAME, JOINT = 100_000_000, 20_000_000  # ns: 10 Hz and 50 Hz
CUT = Cut(CAMERAS, JOINTS, (32, 32), 1.0, 2)


def picture(at: float, red: bool, size: int = 40) -> Image:
    image = np.full((size, size, 3), 60, dtype=np.uint8)
    left = round(at * (size - 12))
    image[14:26, left : left + 12] = (200, 40, 20) if red else (20, 200, 40)
    return image


def slide_episode(seed: int, frames: int = 12, success: bool | None = None) -> Episode:
    """Return an episode; a failure happens half-way and is visible to the cameras only."""
    success = seed % 3 != 0 if success is None else success
    stamps = np.arange(frames, dtype=np.int64) * FRAME
    images = [picture(k / frames, not success and k >= frames // 2) for k in range(frames)]
    joint_stamps = np.arange((frames - 1) * 5 + 1, dtype=np.int64) * JOINT
    ramp = joint_stamps / joint_stamps[-1]
    positions = np.stack([ramp, 1 - ramp, np.sin(3 * ramp)], axis=1)
    label = Label('slide', success, 'none' if success else 'turns_red', seed)
    cameras = {name: Frames(stamps, images) for name in CAMERAS}
    return Episode(f'episode_{seed:06d}', cameras, Joints(joint_stamps, JOINTS, positions), label)


def write_slide(folder: Path, episode: Episode) -> Path:
    """Write an episode as a recording that begins at BEGIN: a stamp of 0 is none."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{episode.name}.mcap'
    with RecordingWriter(path) as writer:
        for stamp, row in zip(
            BEGIN + episode.joints.stamps, episode.joints.positions, strict=True
        ):
            state = joint_state(int(stamp), list(JOINTS), row)
            writer.write('/joint_states', 'sensor_msgs/msg/JointState', state, int(stamp))
        for camera, frames in episode.cameras.items():
            for stamp, image in zip(BEGIN + frames.stamps, frames.images, strict=True):
                message = jpeg_image(int(stamp), camera, encode_jpeg(image))
                topic = f'/{camera}/image_raw/compressed'
                writer.write(topic, 'sensor_msgs/msg/CompressedImage', message, int(stamp))
        if episode.label is not None:
            writer.metadata('viva_episode', asdict(episode.label))
    return path


def write_shards(shards: Sequence[Path], seeds: Sequence[int]) -> Data:
    """Return the training data of slide episodes."""
    for seed, shard in zip(seeds, shards, strict=True):
        cache.write_shard(shard, [slide_episode(seed)], CUT, [str(seed)])
    return cache.join(shards, CUT)


def make_tiny_viva() -> ViVa:
    torch.manual_seed(0)
    config = preset('tiny', CAMERAS, JOINTS, ('slide',))
    return ViVa(config, JointRanges(JOINTS, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
