# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded moments in one small file, for machines without a simulator."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from viva_ros.core.observation import Image, Observation
from viva_ros.engine.api import EngineInfo

FILE: Final = Path(__file__).resolve().parent / 'pack' / 'moments.npz'
CAMERA_SIZE: Final = (128, 128)  # height, width, px


@dataclass(frozen=True)
class Moment:
    """One observation with its task and the outcome of its episode."""

    observation: Observation
    task: str
    success: bool


@dataclass(frozen=True)
class Moments:
    """
    Moments to compare on.

    :param source: 'simulated recordings', or 'noise' where the file is missing
    """

    items: Sequence[Moment]
    source: str


def load(info: EngineInfo, count: int) -> Moments:
    """
    Return up to ``count`` moments, spread evenly over the file; noise where there is no file.

    :param info: cameras, joints and tasks of the engine
    """
    if not FILE.is_file():
        return Moments(_noise(info, count), 'noise')
    with np.load(FILE) as content:
        arrays = {name: content[name] for name in content.files}
    chosen = np.linspace(0, len(arrays['task']) - 1, min(count, len(arrays['task'])))
    return Moments([_read(arrays, int(row)) for row in chosen.round()], 'simulated recordings')


def save(path: Path, moments: Sequence[Moment], quality: int = 95) -> None:
    """Write moments: pictures as JPEG, everything else as arrays."""
    first = moments[0].observation
    pictures = [
        _encode(moment.observation.images[camera], quality)
        for moment in moments for camera in first.images
    ]  # fmt: skip
    joints = [[m.observation.proprio[name] for name in first.proprio] for m in moments]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path, jpeg=np.concatenate(pictures), ends=np.cumsum([len(p) for p in pictures]),
        cameras=np.array(list(first.images)), joint_names=np.array(list(first.proprio)),
        proprio=np.array(joints), task=np.array([m.task for m in moments]),
        success=np.array([m.success for m in moments]),
    )  # fmt: skip


def _encode(image: Image, quality: int) -> np.ndarray:
    done, jpeg = cv2.imencode(
        '.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise ValueError(f'image of shape {image.shape} cannot be encoded')
    return jpeg.flatten()


def _read(arrays: dict[str, np.ndarray], row: int) -> Moment:
    images, count = {}, len(arrays['cameras'])
    for view, camera in enumerate(arrays['cameras'].tolist()):
        place = row * count + view
        begin = int(arrays['ends'][place - 1]) if place else 0
        jpeg = arrays['jpeg'][begin : int(arrays['ends'][place])]
        images[camera] = cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    names, positions = arrays['joint_names'].tolist(), arrays['proprio'][row].tolist()
    observation = Observation(images, dict(zip(names, positions, strict=True)), {'images': 1})
    return Moment(observation, str(arrays['task'][row]), bool(arrays['success'][row]))


def _noise(info: EngineInfo, count: int) -> list[Moment]:
    random, found = np.random.default_rng(0), []
    for row in range(count):
        images = {
            camera: random.integers(0, 256, (*CAMERA_SIZE, 3), dtype=np.uint8)
            for camera in info.cameras
        }
        joints = dict(zip(info.joint_names, random.uniform(-0.5, 0.5, 99).tolist(), strict=False))
        observation = Observation(images, joints, {'images': 1})
        found.append(Moment(observation, info.tasks[row % len(info.tasks)], True))
    return found
