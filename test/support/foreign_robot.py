# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A robot other than the simulated one, recorded in SQLite files of rosbag2.

It has two arms with six joints, two grippers in a custom message, and JPEG images at 15 Hz. It
lifts a block; in a failure the block falls half-way.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from viva_ros.data.lerobot.layout import INDEX_COLUMNS
from viva_ros.data.lerobot.stats import of_rows
from viva_ros.data.lerobot.video import encode
from viva_ros.data.lerobot.writer import write_table

EPOCH = 1_700_000_000_000_000_000  # ns
GRIPPERS = """std_msgs/Header header
acme_msgs/Gripper left
acme_msgs/Gripper[2] spare
acme_msgs/Gripper right
================================================================================
MSG: acme_msgs/Gripper
float32[] opening
uint8 state
"""
ARMS = [f'{side}_axis_{n}' for side in ('west', 'east') for n in range(1, 7)]
MAP = """\
rate: 15
robot: acme_duo
task: lift_block
cameras:
  top: /acme/top/image/compressed
  side: /acme/side/image/compressed
joints:
  - topic: /acme/axes
    names: {{{names}}}
  - topic: /acme/grippers
    field: msg.left.opening[0:1]
    names: [west_gripper]
  - topic: /acme/grippers
    field: msg.right.opening[0:1]
    names: [east_gripper]
limits: {{max_gap: 0.5, max_skew: 0.2}}
label: {{topic: /acme/outcome}}
""".format(names=', '.join(f'{name}: arm_{name}' for name in ARMS))

CAMERAS = ('top', 'side')


class Scene:
    """Joints and images at a share of an episode, 0 to 1."""

    def __init__(self, seed: int, success: bool, size: tuple[int, int]) -> None:
        rng = np.random.default_rng(seed)
        self._place, self._phases = rng.uniform(0.35, 0.65), rng.uniform(0.0, 6.0, len(ARMS))
        self._success, self._size = success, size

    def joints(self, share: float) -> np.ndarray:
        return 0.8 * np.sin(2.0 * share + self._phases) + 0.3 * share

    def picture(self, camera: int, share: float) -> np.ndarray:
        height, width = self._size
        image = np.full((height, width, 3), (70, 60 + 30 * camera, 50), dtype=np.uint8)
        image[: height // 2] = 110
        lifted = share if self._success or share < 0.5 else max(0.0, 1.0 - 2.0 * (share - 0.25))
        x, gripper = int(self._place * width), int((0.8 - 0.6 * share) * height)
        block = int((0.85 - 0.6 * lifted) * height)
        cv2.rectangle(image, (x - 8, block), (x + 8, block + 8), (30, 40, 220), -1)
        cv2.rectangle(image, (x - 12, gripper - 6), (x + 12, gripper - 2), (230, 230, 230), -1)
        return image


def write_bag(
    path: Path, seed: int = 0, success: bool = True, seconds: float = 4.0,
    cameras: tuple[str, ...] = CAMERAS, size: tuple[int, int] = (64, 80), rate: float = 15.0,
    outcome: str | None = 'std_msgs/msg/Bool', change: Mapping[str, Any] | None = None,
    plugin: StoragePlugin = StoragePlugin.SQLITE3,
) -> Path:  # fmt: skip
    """
    Write a bag.

    :param outcome: type of the outcome message; None for no outcome
    :param change: faults: 'silent' (camera, from, to, s), 'resized' and 'torn' (camera, from s),
        'nan' (joint, at s), 'raw' (camera)
    """
    change = change or {}
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg(GRIPPERS, 'acme_msgs/msg/Grippers'))
    types, scene = store.types, Scene(seed, success, size)

    def header(stamp: int) -> Any:
        time = types['builtin_interfaces/msg/Time'](stamp // 10**9, stamp % 10**9)
        return types['std_msgs/msg/Header'](time, 'acme')

    with Writer(path, version=9, storage_plugin=plugin) as writer:
        raw = change.get('raw')

        def connect(topic: str, kind: str) -> Any:
            return writer.add_connection(topic, kind, typestore=store)

        image, compressed = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
        views = {
            camera: connect(f'/acme/{camera}/image', image) if camera == raw
            else connect(f'/acme/{camera}/image/compressed', compressed) for camera in cameras
        }  # fmt: skip
        axes = connect('/acme/axes', 'sensor_msgs/msg/JointState')
        grippers = connect('/acme/grippers', 'acme_msgs/msg/Grippers')
        verdict = connect('/acme/outcome', outcome) if outcome else None

        waiting: list[tuple[int, int, Any, bytes]] = []

        def write(connection: Any, stamp: int, message: Any) -> None:
            cdr = bytes(store.serialize_cdr(message, connection.msgtype))
            waiting.append((stamp + 3_000_000, len(waiting), connection, cdr))

        none = np.empty(0)
        for number in range(int(seconds * 50) + 1):
            stamp, share = EPOCH + number * 20_000_000, number / 50 / seconds
            positions = scene.joints(share)
            if 'nan' in change and abs(number / 50 - change['nan'][1]) < 0.009:
                positions[ARMS.index(change['nan'][0])] = np.nan
            state = types['sensor_msgs/msg/JointState'](header(stamp), ARMS, positions, none, none)
            write(axes, stamp, state)
            hand = types['acme_msgs/msg/Gripper']
            opening = hand(np.array([1.0 - share], np.float32), 1)
            spare = [hand(np.array([], np.float32), 0)] * 2
            later = header(stamp + 500_000)
            both = types['acme_msgs/msg/Grippers'](later, opening, spare, opening)
            write(grippers, stamp + 500_000, both)
        for number in range(int(seconds * rate) + 1):
            at = number / rate
            for view, camera in enumerate(cameras):
                silent = change.get('silent')
                if silent and silent[0] == camera and silent[1] < at < silent[2]:
                    continue
                stamp = EPOCH + round(at * 1e9) + 2_000_000 * view
                picture = scene.picture(view, at / seconds)
                resized = change.get('resized')
                if resized and resized[0] == camera and at >= resized[1]:
                    picture = cv2.resize(picture, None, fx=0.5, fy=0.5)
                bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
                if camera == raw:
                    height, width = bgr.shape[:2]
                    message = types[image](
                        header(stamp), height, width, 'bgr8', 0, 3 * width, bgr.reshape(-1)
                    )
                else:
                    jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].reshape(-1)
                    torn = change.get('torn')
                    if torn and torn[0] == camera and at >= torn[1]:
                        jpeg = jpeg[: len(jpeg) // 2]
                    message = types[compressed](header(stamp), 'jpeg', jpeg)
                write(views[camera], stamp, message)
        if verdict is not None:
            word = 'success' if success else 'fail: fell'
            data = success if outcome.endswith('Bool') else word
            write(verdict, EPOCH + round(seconds * 1e9), types[outcome](data))
        for received, _, connection, cdr in sorted(waiting, key=lambda one: one[:2]):
            writer.write(connection, received, cdr)
    return path


def moving(number: int) -> np.ndarray:
    """Return an image with a bright bar whose left edge is at 2 * number."""
    image = np.full((48, 96, 3), 40, dtype=np.uint8)
    image[10:30, 2 * number : 2 * number + 12] = (220, 180, 160)
    return image


def write_old_lerobot_dataset(root: Path, lengths: tuple[int, ...] = (20, 25)) -> Path:
    """Write a LeRobot dataset of v2.1, with one file for each episode."""
    names = ['left_waist', 'left_grip', 'right_waist']
    features: dict[str, Any] = {
        'observation.state': {'dtype': 'float32', 'shape': [3], 'names': {'motors': names}},
        'action': {'dtype': 'float32', 'shape': [3], 'names': {'motors': names}},
        'observation.images.cam_high': {
            'dtype': 'video', 'shape': [48, 96, 3], 'names': ['height', 'width', 'channels'],
            'video_info': {'video.fps': 10.0, 'video.codec': 'h264', 'has_audio': False},
        },
        'next.success': {'dtype': 'bool', 'shape': [1], 'names': None},
    }  # fmt: skip
    for key, kind in INDEX_COLUMNS.items():
        features[key] = {'dtype': kind, 'shape': [1], 'names': None}
    rows, described, before = [], [], 0
    for number, length in enumerate(lengths):
        steps = np.arange(length)
        state = np.stack([steps * 0.1, -steps * 0.2, steps * 0.0 + number], axis=1)
        columns = {
            'observation.state': pa.array(state.astype(np.float32).tolist()),
            'action': pa.array((state + 1).astype(np.float32).tolist()),
            'next.success': pa.array((steps == length - 1) & (number == 0)),
            'timestamp': pa.array((steps / 10).astype(np.float32)),
            'frame_index': pa.array(steps), 'episode_index': pa.array(steps * 0 + number),
            'index': pa.array(steps + before), 'task_index': pa.array(steps * 0),
        }  # fmt: skip
        write_table(pa.table(columns), root / f'data/chunk-000/episode_{number:06d}.parquet')
        folder = root / 'videos/chunk-000/observation.images.cam_high'
        folder.mkdir(parents=True, exist_ok=True)
        encode(folder / f'episode_{number:06d}.mp4', map(moving, range(length)), 10)
        rows.append({'episode_index': number, 'tasks': ['open the jar'], 'length': length})
        one = {name: v.tolist() for name, v in of_rows(state).items()}
        described.append({'episode_index': number, 'stats': {'observation.state': one}})
        before += length
    info = {
        'codebase_version': 'v2.1', 'robot_type': 'aloha', 'total_episodes': len(lengths),
        'total_frames': before, 'total_tasks': 1, 'total_videos': len(lengths), 'total_chunks': 1,
        'chunks_size': 1000, 'fps': 10, 'splits': {'train': f'0:{len(lengths)}'},
        'data_path': 'data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet',
        'video_path':
            'videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4',
        'features': features,
    }  # fmt: skip
    (root / 'meta').mkdir()
    (root / 'meta/info.json').write_text(json.dumps(info))
    for name, lines in (
        ('episodes', rows), ('episodes_stats', described),
        ('tasks', [{'task_index': 0, 'task': 'open the jar'}]),
    ):  # fmt: skip
        text = ''.join(json.dumps(line) + '\n' for line in lines)
        (root / f'meta/{name}.jsonl').write_text(text)
    return root
