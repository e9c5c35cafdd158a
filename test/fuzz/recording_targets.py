# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings of all formats, read as `viva score`, `viva import` and `viva doctor` read them."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import zstandard
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from support.hdf5_episodes import jpeg, named, write_aloha, write_robomimic
from support.lerobot_datasets import KEY, write_lerobot
from support.recordings import make_label, value, write_recording
from support.video_bags import write_video_bag
from support.video_folders import write_video_folder

from fuzz import mutation, table_mutation
from fuzz.outcome_targets import OUTCOMES
from fuzz.target import Target, in_folder, of_file
from viva_ros.core.errors import VivaError
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.conversion.guess import guess
from viva_ros.data.conversion.raw_episode import raw_episodes
from viva_ros.data.messages import header, joint_state, jpeg_image, make, schema, serialise
from viva_ros.data.open import find, open_recording, open_unmapped
from viva_ros.data.recorded_messages import alerts, truth, values
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.video_packets import FFMPEG, FOXGLOVE
from viva_ros.robot.topic_map import NAME as MAP
from viva_ros.robot.topic_map import TopicMap, load_map
from viva_ros.scoring.store import read_scored

IMAGE, JOINTS = 'sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/JointState'
TOPICS: Final = ('/joint_states', '/head/image_raw/compressed')
EPOCH: Final = 1_000_000_000_000  # ns
STEP: Final = 100_000_000  # ns
FEW: Final = 3  # messages of a topic: small inputs are changed in what matters


def read_recordings(path: Path) -> None:
    """Read all recordings of a path by all routes, with the map that is next to them."""
    topic_map = load_map(path.parent / MAP) if (path.parent / MAP).exists() else TopicMap()
    for one in find([path]):
        in_place(open_recording(one))
        imported(open_unmapped(one), topic_map)


def in_place(recording: Recording) -> None:
    """Read episodes with their first and last images, values, alerts and truth."""
    for episode in episodes_of(recording):
        show(frames.images for frames in episode.cameras.values())
        _ = episode.identity, episode.faults
    for read in (values, alerts, truth):
        read(recording)


def imported(recording: Recording, topic_map: TopicMap) -> None:
    """Draft a map, and read the episodes by a map."""
    with suppress(VivaError):
        _ = guess(recording).text
    for episode in raw_episodes(recording, topic_map):
        show(frames.images for frames in episode.cameras.values())


def show(cameras: Iterable[Sequence[object]]) -> None:
    for images in cameras:
        if len(images):
            _ = images[0], images[len(images) - 1]


def mcap_seeds(folder: Path) -> list[bytes]:
    """Return recordings of ours, of rosbag2, compressed, and with video."""
    numbers = [0.1 * k for k in range(FEW)]
    own = write_recording(folder / 'own.mcap', numbers, {1: 0.5, 2: float('nan')}, make_label())
    with RecordingWriter(folder / 'live.mcap') as writer:
        for k in range(FEW):
            for topic, name, cdr in zip(TOPICS, (JOINTS, IMAGE), moment(k), strict=True):
                writer.write_cdr(topic, name, cdr, EPOCH + k * STEP)
            writer.write('/value', 'viva_ros/msg/Value', value(EPOCH + k * STEP, 0.5), EPOCH + k)
            episode = make(
                'viva_ros/msg/Episode', header=header(EPOCH), id=f'e{k}', task='t', executing=True,
                reason='',
            )  # fmt: skip
            writer.write('/episode', 'viva_ros/msg/Episode', episode, EPOCH + k)
    found = [own.read_bytes(), (folder / 'live.mcap').read_bytes()]
    for kind in (CompressionType.ZSTD, CompressionType.LZ4):
        found.append(compressed_mcap(folder / 'small.mcap', kind))
    for kind in (FFMPEG, FOXGLOVE):
        path = write_video_bag(folder / f'{kind.split("/")[0]}', kind, 'h264', range(FEW))
        found.append(next(path.glob('*.mcap')).read_bytes())
    return found


def compressed_mcap(path: Path, kind: CompressionType) -> bytes:
    """Return joints and images in compressed chunks, with checksums and a summary."""
    with path.open('wb') as file:
        writer = McapWriter(file, chunk_size=2000, compression=kind)
        writer.start(profile='ros2', library='x')
        channels = {
            topic: writer.register_channel(
                topic, 'cdr', writer.register_schema(name, 'ros2msg', schema(name).encode())
            )
            for topic, name in zip(TOPICS, (JOINTS, IMAGE), strict=True)
        }
        for k in range(FEW):
            at = EPOCH + k * STEP
            for (_, channel), message in zip(channels.items(), moment(k), strict=True):
                writer.add_message(channel, at, message, at)
        writer.finish()
    return path.read_bytes()


def moment(number: int) -> tuple[bytes, bytes]:
    """Return serialised joints and an image."""
    stamp = EPOCH + number * STEP
    joints = joint_state(stamp, ['a', 'b'], np.array([0.1 * number, 0.5]))
    image = jpeg_image(stamp, 'head', jpeg(number))
    return serialise(JOINTS, joints), serialise(IMAGE, image)


def write_bag(
    folder: Path, plugin: StoragePlugin = StoragePlugin.SQLITE3,
    compression: CompressionMode | None = None,
) -> Path:  # fmt: skip
    """Write a folder of rosbag2 with a fixed file name."""
    store = get_typestore(Stores.ROS2_KILTED)
    writer = Writer(folder / 'bag', version=9, storage_plugin=plugin)
    if compression is not None:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        topics = zip(TOPICS, (JOINTS, IMAGE), strict=True)
        connections = [writer.add_connection(t, kind, typestore=store) for t, kind in topics]
        for k in range(FEW):
            for connection, message in zip(connections, moment(k), strict=True):
                writer.write(connection, EPOCH + k * STEP, message)
    return folder / 'bag'


def packed_database(data: bytes, random: Random) -> bytes:
    """Change a database that is compressed, or the compressed bytes."""
    if random.random() < 0.5:
        return mutation.of_bytes(data, random)
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    found = zstandard.compress(table_mutation.of_database(plain, random))
    return found if random.random() < 0.5 else found + found


def ros1_seeds(folder: Path) -> list[bytes]:
    """Return bags of ROS 1, with and without compression."""
    return [ros1_bag(folder / f'{kind}.bag', kind) for kind in ('', 'BZ2', 'LZ4')]


def ros1_bag(path: Path, compression: str) -> bytes:
    store = get_typestore(Stores.ROS1_NOETIC)
    types, none, writer = store.types, np.empty(0), Ros1Writer(path)
    if compression:
        writer.set_compression(Ros1Writer.CompressionFormat[compression])
    with writer:
        joints = writer.add_connection('/joint_states', JOINTS, typestore=store)
        images = writer.add_connection('/head/image_raw/compressed', IMAGE, typestore=store)
        for k in range(FEW):
            at = EPOCH + k * STEP
            time = types['builtin_interfaces/msg/Time'](at // 10**9, at % 10**9)
            head = types['std_msgs/msg/Header'](k, time, 'x')
            state = types[JOINTS](head, ['a', 'b'], np.array([0.1 * k, 0.5]), none, none)
            picture = types[IMAGE](head, 'jpeg', np.frombuffer(jpeg(k), np.uint8))
            for connection, message in ((joints, state), (images, picture)):
                cdr = store.serialize_ros1(message, connection.msgtype)
                writer.write(connection, at, cdr)
    return path.read_bytes()


def hdf5_seeds(folder: Path) -> list[bytes]:
    """Return episodes of ALOHA and ACT."""
    paths = [write_aloha(folder / f'{form}.hdf5', FEW, form) for form in ('raw', 'jpeg', 'padded')]
    return [path.read_bytes() for path in paths]


def robomimic_seeds(folder: Path) -> list[bytes]:
    """Return a file of robomimic with two episodes."""
    return [write_robomimic(folder / 'x.hdf5', {'demo_0': FEW, 'demo_1': FEW}).read_bytes()]


def read_hdf5(path: Path, joints: str) -> None:
    """Read a file next to a map that names its joints."""
    (path.parent / MAP).write_text(f'source_rate: 10\ntask: fold\n{named(joints)}')
    read_recordings(path)


def old_dataset(folder: Path) -> Path:
    return write_lerobot(folder / 'old', (FEW, FEW), 'v2.1')


def new_dataset(folder: Path) -> Path:
    return write_lerobot(folder / 'new', (FEW, FEW), 'v3.0')


def video_folder(folder: Path, table: str) -> Path:
    return write_video_folder(folder / table.replace('.', '_'), table=table)


def scored_seeds(folder: Path) -> list[bytes]:
    from support.scored_tables import write_scored

    return [write_scored(folder, 'x', [0.1, 0.2, 0.3]).read_bytes()]


def read_table(path: Path) -> None:
    for episode in read_scored(path).episodes:
        _ = episode.name


DATABASE, METADATA = 'bag.db3', 'metadata.yaml'
by_file = partial(write_bag, compression=CompressionMode.FILE)
by_message = partial(write_bag, compression=CompressionMode.MESSAGE)
EPISODE: Final = 'chunk-000/episode_000000'
FILE: Final = 'chunk-000/file-000'
#: Name to builder, file in the folder, mutator and what it is.
FOLDERS: Final = {
    'sqlite3': (write_bag, DATABASE, table_mutation.of_database, 'rosbag2, sqlite3'),
    'rosbag2_metadata': (write_bag, METADATA, mutation.of_text, 'metadata.yaml of rosbag2'),
    'rosbag2_file': (by_file, f'{DATABASE}.zstd', packed_database, 'rosbag2, zstd by file'),
    'rosbag2_file_metadata': (
        by_file, METADATA, mutation.of_text, 'metadata.yaml of rosbag2, zstd by file',
    ),
    'rosbag2_message': (
        by_message, DATABASE, table_mutation.of_database, 'rosbag2, zstd by message',
    ),
    'lerobot_info': (new_dataset, 'meta/info.json', mutation.of_json, 'LeRobot, info.json'),
    'lerobot_v2_info': (old_dataset, 'meta/info.json', mutation.of_json, 'LeRobot v2, info.json'),
    'lerobot_v2_episodes': (
        old_dataset, 'meta/episodes.jsonl', mutation.of_text, 'LeRobot v2, episodes.jsonl',
    ),
    'lerobot_episodes': (
        new_dataset, f'meta/episodes/{FILE}.parquet', table_mutation.of_parquet,
        'LeRobot, table of episodes',
    ),
    'lerobot_tasks': (
        new_dataset, 'meta/tasks.parquet', table_mutation.of_parquet, 'LeRobot, table of tasks',
    ),
    'lerobot_rows': (
        old_dataset, f'data/{EPISODE}.parquet', table_mutation.of_parquet, 'LeRobot, rows',
    ),
    'lerobot_video': (
        old_dataset, f'videos/chunk-000/{KEY}/episode_000000.mp4', mutation.of_bytes,
        'LeRobot, MP4',
    ),
    'folder_csv': (
        partial(video_folder, table='joints.csv'), 'joints.csv', mutation.of_text,
        'folder of videos, CSV of joints',
    ),
    'folder_parquet': (
        partial(video_folder, table='joints.parquet'), 'joints.parquet',
        table_mutation.of_parquet, 'folder of videos, parquet of joints',
    ),
    'folder_video': (
        partial(video_folder, table='joints.csv'), 'top.mp4', mutation.of_bytes,
        'folder of videos, MP4',
    ),
}  # fmt: skip

RECORDINGS: Final = {
    'mcap': Target(
        'MCAP, with and without compression, with video', mcap_seeds,
        of_file('x.mcap', read_recordings), mutation.of_mcap,
    ),
    'ros1': Target('bag of ROS 1', ros1_seeds, of_file('x.bag', read_recordings)),
    'hdf5': Target(
        'HDF5 of ALOHA and ACT', hdf5_seeds,
        of_file('x.hdf5', partial(read_hdf5, joints='observations/qpos')), table_mutation.of_hdf5,
    ),
    'robomimic': Target(
        'HDF5 of robomimic', robomimic_seeds,
        of_file('x.hdf5', partial(read_hdf5, joints='obs/robot0_joint_pos')),
        table_mutation.of_hdf5,
    ),
    'scores': Target(
        'table of viva score', scored_seeds, of_file('x_values.parquet', read_table),
        table_mutation.of_parquet,
    ),
    **{
        name: Target(what, *in_folder(build, file, read_recordings), mutate)
        for name, (build, file, mutate, what) in FOLDERS.items()
    },
    **OUTCOMES,
}  # fmt: skip
