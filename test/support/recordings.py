# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small robot, engine and recordings with known values."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Estimate, Image, Observation
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import header, joint_state, jpeg_image, make, to_time
from viva_ros.engine.api import EngineInfo
from viva_ros.sim.scene import encode_jpeg

EPOCH = 1_000_000_000_000  # ns
STEP = 100_000_000  # ns
CAMERAS = ('head', 'wrist')
INFO = EngineInfo(
    CAMERAS, ('worth', 'other'), 1.0, (32, 32), ('tray_lift',), '0123456789abcdef', 'test'
)


#: Values or joints of 6 s, from -0.5 to 0.68.
RISING: Final = [-0.5 + 0.02 * number for number in range(60)]


class WorthEngine:
    """Engine whose value is the position of the joint 'worth', which must be at most 1."""

    def __init__(self) -> None:
        self.info = INFO
        self.pictures: list[tuple[int, ...]] = []
        self.closed = False

    def estimate(self, observation: Observation) -> Estimate:
        self.pictures.append(tuple(int(observation.images[c][0, 0, 0]) for c in CAMERAS))
        worth = observation.proprio['worth']
        if worth > 1.0:
            raise InputError('worth-range', f'worth is {worth}, at most 1 is allowed')
        return Estimate(worth, dict(observation.proprio))

    def close(self) -> None:
        self.closed = True


class ScriptedRobot:
    """
    Robot with 30 control steps; fails from step 20 if set, and can then retry once.

    The way home takes 4 steps, the retry 6.
    """

    def __init__(self, job: Any) -> None:
        self.job, self.steps, self.tries, self.closed = job, 0, 1, False
        self.length, self.home_at = 30, 0

    @property
    def time(self) -> float:
        return self.steps / 50.0

    @property
    def done(self) -> bool:
        return self.steps >= self.length

    @property
    def executing(self) -> bool:
        return self.steps >= self.home_at

    def step(self) -> None:
        self.steps += 1

    def joint_positions(self) -> dict[str, float]:
        return {'worth': self.steps / 100.0, 'other': 0.0}

    def render(self) -> dict[str, Image]:
        return {camera: picture(self.steps) for camera in CAMERAS}

    def truth(self) -> Any:
        fails = self.job.failure != 'none'
        manifest = 0.4 if fails and self.steps >= 20 else None
        return SimpleNamespace(
            time=self.time, task=self.job.task, seed=self.job.seed, failure=self.job.failure,
            phase='lift', attempt=self.tries, progress=self.steps / self.length,
            success=self.done and (not fails or self.tries > 1), failed=manifest is not None,
            inject_time=0.2 if fails else None, visible_time=None, manifest_time=manifest,
        )  # fmt: skip

    def retry(self) -> bool:
        self.tries += 1
        self.home_at, self.length = self.steps + 4, self.steps + 10
        return self.job.seed != 13

    def close(self) -> None:
        self.closed = True


def picture(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)


def write_recording(
    path: Path, worth: list[float], published: Mapping[int, float] | None = None,
    label: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """
    Write inputs at 10 Hz with published values.

    :param worth: positions of the joint 'worth'
    :param published: index of the input to its value; NaN is unknown
    """
    with RecordingWriter(path) as writer:
        for number, position in enumerate(worth):
            stamp = EPOCH + number * STEP
            state = joint_state(stamp, ['other', 'worth'], np.array([0.0, position]))
            writer.write('/joint_states', 'sensor_msgs/msg/JointState', state, stamp)
            for camera in CAMERAS:
                image = jpeg_image(stamp, camera, encode_jpeg(picture(number)))
                topic = f'/{camera}/image_raw/compressed'
                writer.write(topic, 'sensor_msgs/msg/CompressedImage', image, stamp)
            if published and number in published:
                message = value(stamp, published[number])
                writer.write('/value', 'viva_ros/msg/Value', message, stamp + 9)
        if label is not None:
            writer.metadata('viva_episode', label)
    return path


def value(stamp: int, number: float) -> Any:
    known = math.isfinite(number)
    return make(
        'viva_ros/msg/Value', header=header(stamp), status=int(known), value=number,
        reason_kind='' if known else 'stale', reason='' if known else 'head is 0.70 s old',
        task='tray_lift', episode_id='e1', engine='0123456789abcdef', executing=True,
        session_id=7, rate=10.0, latency=0.1, skew=0.0,
        progress=math.nan, success_probability=math.nan,
        input_names=[*CAMERAS, 'joint_states'] if known else [],
        input_stamps=[to_time(stamp)] * 3 if known else [],
        joint_names=[], positions=np.zeros(0), forecast=np.zeros(0), horizon=math.nan,
    )  # fmt: skip


def make_label(success: bool = True, failure: str = 'none', **times: float) -> dict[str, Any]:
    return {
        'task': 'tray_lift', 'success': success, 'failure': failure, 'seed': 1, 'times': times,
    }  # fmt: skip
