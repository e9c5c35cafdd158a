# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes with large pictures, in all formats: noise, which no format compresses."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from support.video_streams import Encoder
from viva_ros.data.lerobot.video import encode
from viva_ros.data.messages import header, joint_state, make, schema, serialise, typestore
from viva_ros.data.video_packets import FFMPEG

SIZE = (240, 320)
FPS = 20
EPOCH = 1_700_000_000_000_000_000  # ns
NAMES = ['left_j1', 'right_j1']
TOPIC = '/top/image_raw'
IMAGE, JOINTS = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/JointState'
MAP = f"""\
rate: 2
task: fold
cameras: {{top: {TOPIC}}}
joints: [{{topic: /joint_states}}]
limits: {{min_readable: 0.5, max_skew: 0.6}}
"""
NO_TOPICS = 'rate: 2\ntask: fold\nlimits: {max_skew: 0.6}\n'


def picture(number: int) -> np.ndarray:
    """Return noise, (240, 320, 3)."""
    return np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def messages(count: int, is_ros1: bool = False) -> Iterator[tuple[str, str, int, Any]]:
    """Yield topic, type, stamp, ns, and message of raw images and joints."""
    types = get_typestore(Stores.ROS1_NOETIC if is_ros1 else Stores.ROS2_HUMBLE).types
    first = [0] if is_ros1 else []  # sequence number
    none = np.empty(0)
    for k in range(count):
        stamp = EPOCH + k * 10**9 // FPS
        time = types['builtin_interfaces/msg/Time'](stamp // 10**9, stamp % 10**9)
        header = types['std_msgs/msg/Header'](*first, time, 'x')
        yield TOPIC, IMAGE, stamp, types[IMAGE](
            header, *SIZE, 'rgb8', 0, 3 * SIZE[1], picture(k).ravel()
        )  # fmt: skip
        positions = np.full(2, k * 1e-3)
        yield '/joint_states', JOINTS, stamp, types[JOINTS](header, NAMES, positions, none, none)


def write_sqlite(path: Path, count: int) -> None:
    """Write a folder of rosbag2 with a database."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        topics: dict[str, Any] = {}
        for topic, kind, stamp, message in messages(count):
            if topic not in topics:
                topics[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(topics[topic], stamp, bytes(store.serialize_cdr(message, kind)))


def write_mcap(path: Path, count: int, use_chunking: bool) -> None:
    """Write an MCAP file with zstd chunks of 1 MB, or without chunks."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    with path.open('wb') as file:
        writer = McapWriter(
            file, use_chunking=use_chunking, compression=CompressionType.ZSTD
        )  # fmt: skip
        writer.start(profile='ros2')
        topics: dict[str, int] = {}
        for topic, kind, stamp, message in messages(count):
            if topic not in topics:
                number = writer.register_schema(kind, 'ros2msg', schema(kind).encode())
                topics[topic] = writer.register_channel(topic, 'cdr', number)
            cdr = bytes(store.serialize_cdr(message, kind))
            writer.add_message(topics[topic], stamp, cdr, stamp)
        writer.finish()


def write_torn(path: Path, count: int) -> None:
    """Write an MCAP file without its end."""
    write_mcap(path, count, True)
    with path.open('r+b') as file:
        file.truncate(path.stat().st_size * 9 // 10)


def write_ros1(path: Path, count: int) -> None:
    """Write a ROS 1 bag."""
    store = get_typestore(Stores.ROS1_NOETIC)
    with Ros1Writer(path) as writer:
        topics: dict[str, Any] = {}
        for topic, kind, stamp, message in messages(count, True):
            if topic not in topics:
                topics[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(topics[topic], stamp, bytes(store.serialize_ros1(message, kind)))


def write_hdf5(path: Path, count: int) -> None:
    """Write a file in the layout of ALOHA, with raw images."""
    with h5py.File(path, 'w') as file:
        file.attrs['fps'] = FPS
        rows = np.tile(np.arange(count)[:, None] * 1e-3, (1, 2))
        file.create_dataset('observations/qpos', data=rows).attrs['names'] = NAMES
        images = file.create_dataset('observations/images/top', (count, *SIZE, 3), np.uint8)
        for k in range(count):
            images[k] = picture(k)


def write_image_dataset(root: Path, count: int) -> None:
    """Write a LeRobot dataset, v2.1, with PNG files in one row group, 8 in each data page."""
    key = 'observation.images.top'
    data = 'data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet'
    cells = [{'bytes': cv2.imencode('.png', picture(k))[1].tobytes()} for k in range(count)]
    columns = {
        'timestamp': pa.array((np.arange(count) / FPS).astype(np.float32)),
        'frame_index': pa.array(range(count)), 'episode_index': pa.array([0] * count),
        'index': pa.array(range(count)), 'task_index': pa.array([0] * count),
        'observation.state': pa.array([[k * 1e-3] * 2 for k in range(count)]),
        key: pa.array(cells, pa.struct([('bytes', pa.binary())])),
    }  # fmt: skip
    path = root / data.format(episode_chunk=0, episode_index=0)
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), path, write_batch_size=8)
    (root / 'meta').mkdir()
    row = {'episode_index': 0, 'tasks': ['fold'], 'length': count}
    (root / 'meta/episodes.jsonl').write_text(json.dumps(row) + '\n')
    (root / 'meta/tasks.jsonl').write_text('{"task_index": 0, "task": "fold"}\n')
    features = {
        key: {'dtype': 'image', 'shape': [*SIZE, 3], 'names': ['height', 'width', 'channel']},
        'observation.state': {'dtype': 'float32', 'shape': [2], 'names': NAMES},
    }  # fmt: skip
    (root / 'meta/info.json').write_text(json.dumps({
        'codebase_version': 'v2.1', 'robot_type': 'duo', 'total_episodes': 1, 'fps': FPS,
        'total_frames': count, 'chunks_size': 1000, 'data_path': data, 'features': features,
    }))  # fmt: skip


def write_packets(path: Path, count: int) -> None:
    """Write a bag with a topic of H.264 packets, a key frame every 8."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        video = writer.add_connection(TOPIC, FFMPEG, typestore=typestore())
        states = writer.add_connection('/joint_states', JOINTS, typestore=typestore())
        encoder = Encoder('h264', SIZE)
        for k in range(count):
            stamp = EPOCH + k * 10**9 // FPS
            packet = np.frombuffer(encoder.packet(picture(k)), np.uint8)
            message = make(
                FFMPEG, header=header(stamp), width=SIZE[1], height=SIZE[0], encoding='h264',
                pts=k, flags=0, is_bigendian=False, data=packet,
            )  # fmt: skip
            writer.write(video, stamp, serialise(FFMPEG, message))
            state = joint_state(stamp, NAMES, np.full(2, k * 1e-3))
            writer.write(states, stamp, serialise(JOINTS, state))


def write_folder(path: Path, count: int) -> None:
    """Write a folder with a video and a table of joints."""
    path.mkdir()
    columns = {
        'timestamp': np.arange(count) / FPS,
        **dict.fromkeys(NAMES, np.arange(count) * 1e-3),
    }
    pq.write_table(pa.table(columns), path / 'joints.parquet')
    encode(path / 'top.mp4', map(picture, range(count)), FPS)


#: Format to the suffix of its files, the writer and the map of an import.
STREAMS: dict[str, tuple[str, Callable[[Path, int], None], str]] = {
    'sqlite': ('', write_sqlite, MAP),
    'chunks': ('.mcap', lambda path, n: write_mcap(path, n, True), MAP),
    'no_chunks': ('.mcap', lambda path, n: write_mcap(path, n, False), MAP),
    'torn': ('.mcap', write_torn, MAP),
    'ros1': ('.bag', write_ros1, MAP),
    'hdf5': ('.hdf5', write_hdf5, NO_TOPICS),
    'video_packets': ('', write_packets, MAP),
    'video_folder': ('', write_folder, NO_TOPICS),
    'lerobot_images': ('', write_image_dataset, NO_TOPICS),
}
