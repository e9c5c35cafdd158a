# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HDF5 episodes as the recorders of other robots write them: row k shows the number k."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np

from support.lerobot_datasets import NAMES, number_of, numbered, state_of

ROWS = 12


def jpeg(number: int, is_exchanged: bool = False) -> bytes:
    """
    Return an image that shows a number, as JPEG.

    :param is_exchanged: whether red and blue are exchanged in the file, as ACT saves it
    """
    image = numbered(number)
    image[:4] = (200, 30, 30)
    return cv2.imencode('.jpg', image if is_exchanged else image[..., ::-1])[1].tobytes()


def raw_images(rows: int, first: int = 0) -> np.ndarray:
    """Return images (rows, 48, 80, 3), RGB, with a red edge."""
    images = np.stack([numbered(first + k) for k in range(rows)])
    images[:, :4] = (200, 30, 30)
    return images


def put_jpeg(group: Any, name: str, contents: Sequence[bytes]) -> Any:
    """Write files as a dataset of variable lengths."""
    dataset = group.create_dataset(name, (len(contents),), dtype=h5py.vlen_dtype(np.uint8))
    for row, content in enumerate(contents):
        dataset[row] = np.frombuffer(content, dtype=np.uint8)
    return dataset


def put_padded(file: Any, name: str, contents: Sequence[bytes]) -> None:
    """Write files padded with zeros, and their lengths, as ACT does with compress=True."""
    longest = max(map(len, contents))
    rows = [np.frombuffer(one.ljust(longest, b'\0'), dtype=np.uint8) for one in contents]
    file.create_dataset(name, data=np.stack(rows))
    file.create_dataset('compress_len', data=np.array([[len(one) for one in contents]], float))


def states(rows: int, first: int = 0) -> np.ndarray:
    """Return joint positions (rows, 4)."""
    return np.array([state_of(first + k) for k in range(rows)])


def write_aloha(
    path: Path, rows: int = ROWS, form: str = 'raw', attributes: Mapping[str, Any] | None = None,
    names: Sequence[str] | None = None, datasets: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """
    Write an episode of ALOHA.

    :param form: 'raw', 'jpeg' (variable lengths), or 'padded'
    :param attributes: of the file
    :param names: of the joints, as an attribute; None for none, as ALOHA writes it
    :param datasets: further datasets, or others instead of the own ones
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    contents: dict[str, Any] = {
        'observations/qpos': states(rows), 'observations/qvel': np.zeros((rows, 4)),
        'action': states(rows) + 0.5, **(datasets or {}),
    }  # fmt: skip
    with h5py.File(path, 'w') as file:
        file.attrs['sim'] = False
        file.attrs.update(attributes or {})
        for key, values in contents.items():
            file.create_dataset(key, data=values)
        if names is not None:
            file['observations/qpos'].attrs['names'] = list(names)
        key = 'observations/images/top'
        if form == 'raw':
            file.create_dataset(key, data=raw_images(rows), chunks=(1, 48, 80, 3))
        elif form == 'jpeg':
            put_jpeg(file, key, [jpeg(k) for k in range(rows)])
        else:
            put_padded(file, key, [jpeg(k) for k in range(rows)])
    return path


def write_cobot_magic(path: Path) -> Path:
    """Write an episode of Cobot Magic: with depth and the motion of the base."""
    depth = np.full((ROWS, 48, 80), 700, dtype=np.uint16)
    return write_aloha(path, datasets={
        'observations/images_depth/top': depth, 'base_action': np.zeros((ROWS, 2)),
        'observations/effort': np.zeros((ROWS, 4)),
    })  # fmt: skip


def write_robomind(path: Path, state: str = 'puppet/joint_position') -> Path:
    """Write an episode of RoboMIND: JPEG, depth as bytes, and a task in words."""
    with h5py.File(path, 'w') as file:
        put_jpeg(file, 'observations/rgb_images/camera_top', [jpeg(k) for k in range(ROWS)])
        put_jpeg(file, 'observations/depth_images/camera_top', [b'\x89PNG'] * ROWS)
        file.create_dataset(state, data=states(ROWS))
        file.create_dataset('master/joint_position', data=states(ROWS) + 0.5)
        file.create_dataset('language_raw', data=[b'fold the towel'])
    return path


def write_robomimic(path: Path, lengths: Mapping[str, int], frequency: int | None = 20) -> Path:
    """
    Write a dataset of robomimic: the numbers go on from one episode to the next.

    :param lengths: name of an episode, such as demo_0, to its rows
    :param frequency: control_freq of the environment, Hz; None for none
    """
    first = 0
    with h5py.File(path, 'w') as file:
        data = file.create_group('data')
        known = {} if frequency is None else {'control_freq': frequency}
        data.attrs['env_args'] = json.dumps({'env_name': 'Lift', 'env_kwargs': known})
        for name, rows in lengths.items():
            demo = data.create_group(name)
            demo.attrs['num_samples'] = rows
            demo.create_dataset('obs/agentview_image', data=raw_images(rows, first))
            demo.create_dataset('next_obs/agentview_image', data=raw_images(rows, first + 1))
            demo.create_dataset('obs/agentview_depth', data=np.zeros((rows, 48, 80, 1), 'f4'))
            demo.create_dataset('obs/robot0_joint_pos', data=states(rows, first))
            demo.create_dataset('obs/joint_states', data=states(rows, first))
            demo.create_dataset('actions', data=np.zeros((rows, 7)))
            demo.create_dataset('rewards', data=np.r_[np.zeros(rows - 1), 1.0])
            demo.create_dataset('dones', data=np.r_[np.zeros(rows - 1, int), 1])
            first += rows
    return path


def named(key: str, rest: str = '') -> str:
    """Return a map that names the joints of a dataset."""
    return f'joints: [{{path: {key}, names: [{", ".join(NAMES)}]}}]\n{rest}'


def numbers_of(images: Sequence[np.ndarray]) -> list[int]:
    """Return the numbers that images show; worker processes import it."""
    return [number_of(image) for image in images]


def keep_open(path: Path, opened: Any, finish: Any) -> None:
    """Have a file open for writing until an event, as a recorder in another process does."""
    with h5py.File(path, 'a') as file:
        file.flush()
        opened.set()
        finish.wait(120.0)
