# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of a bag as rosbag2 leaves them when its recorder is killed: without metadata.yaml."""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import yaml
from rosbags.rosbag2 import StoragePlugin, Writer

from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import joint_state, jpeg_image, serialise, typestore
from viva_ros.data.recording import Recording

EPOCH = 1_700_000_000_000_000_000  # ns
STEP = 20_000_000  # ns between two joint states
JOINTS = '/joint_states'
CAMERA = '/head/image_raw/compressed'
TYPES = {JOINTS: 'sensor_msgs/msg/JointState', CAMERA: 'sensor_msgs/msg/CompressedImage'}


def payload(topic: str, number: int) -> bytes:
    """Return a message whose stamp and content are those of a step."""
    stamp = EPOCH + number * STEP
    if topic == JOINTS:
        message = joint_state(stamp, ['a', 'b'], np.array([0.001 * number, 0.5]))
    else:
        noise = np.random.default_rng(number).integers(0, 255, 3000, dtype=np.uint8)
        message = jpeg_image(stamp, 'head', noise.tobytes())
    return serialise(TYPES[topic], message)


def write_part(path: Path, numbers: Sequence[int]) -> Path:
    """Write joint states and images of some steps; the suffix selects MCAP or SQLite."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plugin = StoragePlugin.SQLITE3 if path.suffix == '.db3' else StoragePlugin.MCAP
    folder = path.parent / f'.{path.stem}'
    with Writer(folder, version=9, storage_plugin=plugin) as writer:
        topics = {
            name: writer.add_connection(name, kind, typestore=typestore())
            for name, kind in TYPES.items()
        }
        for number in numbers:
            for topic, connection in topics.items():
                writer.write(connection, EPOCH + number * STEP, payload(topic, number))
    (made,) = folder.glob(f'*{path.suffix}')
    made.rename(path)
    shutil.rmtree(folder)
    return path


def write_split(
    folder: Path, count: int = 3, steps: int = 100, suffix: str = '.mcap', stem: str = ''
) -> list[Path]:
    """Write the parts of one bag; the folder has the name of the bag unless ``stem`` differs."""
    name = stem or folder.name
    return [
        write_part(folder / f'{name}_{n}{suffix}', range(n * steps, (n + 1) * steps))
        for n in range(count)
    ]


def reindex(folder: Path, count: int) -> None:
    """Write metadata.yaml of the files in a folder, as "ros2 bag reindex" does."""
    files = sorted(p for p in folder.iterdir() if p.suffix in ('.mcap', '.db3'))
    plugin = 'sqlite3' if files[0].suffix == '.db3' else 'mcap'
    topics = [
        {
            'topic_metadata': {
                'name': name, 'type': kind, 'serialization_format': 'cdr',
                'offered_qos_profiles': '', 'type_description_hash': '',
            },
            'message_count': count,
        }
        for name, kind in TYPES.items()
    ]  # fmt: skip
    about = {
        'version': 8, 'storage_identifier': plugin, 'duration': {'nanoseconds': 1},
        'starting_time': {'nanoseconds_since_epoch': EPOCH},
        'message_count': count * len(TYPES), 'topics_with_message_count': topics,
        'compression_format': '', 'compression_mode': '', 'custom_data': {}, 'ros_distro': '',
        'relative_file_paths': [file.name for file in files], 'files': [],
    }  # fmt: skip
    text = yaml.safe_dump({'rosbag2_bagfile_information': about})
    (folder / 'metadata.yaml').write_text(text)


def write_own(path: Path, numbers: Sequence[int], label: bool = True) -> Path:
    """Write a recording of this package, by default with the label of an episode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with RecordingWriter(path) as writer:
        for number in numbers:
            for topic, kind in TYPES.items():
                writer.write_cdr(topic, kind, payload(topic, number), EPOCH + number * STEP)
        if label:
            writer.metadata('viva_episode', {'task': 'tray_lift', 'success': True, 'times': {}})
    return path


def write_killed(path: Path, stored: int, logged: int, mode: str = 'WAL', first: int = 0) -> Path:
    """
    Write a .db3 file as a killed recorder leaves it: with a log of some more steps.

    :param stored: steps in the database
    :param logged: further steps in the write-ahead log, or in an unfinished transaction
    :param mode: journal mode, WAL or DELETE
    :param first: number of the first step
    """
    draft = write_part(path.parent / '.draft' / path.name, range(first, first + stored))
    with closing(sqlite3.connect(draft, isolation_level=None)) as base:
        base.execute(f'PRAGMA journal_mode = {mode}')
        base.execute('PRAGMA wal_autocheckpoint = 0')
        base.execute('PRAGMA cache_size = 5')  # pages: an unfinished transaction is written, too
        numbers = dict(base.execute('SELECT name, id FROM topics'))
        base.execute('BEGIN')
        for number in range(first + stored, first + stored + logged):
            for topic in TYPES:
                row = (numbers[topic], EPOCH + number * STEP, payload(topic, number))
                base.execute(
                    'INSERT INTO messages(topic_id, timestamp, data) VALUES(?, ?, ?)', row
                )
        if mode == 'WAL':
            base.execute('COMMIT')
        for file in draft.parent.iterdir():
            if not file.name.endswith('-shm'):
                shutil.copyfile(file, path.parent / file.name)
    shutil.rmtree(draft.parent)
    return path


def steps(recording: Recording, topic: str = JOINTS) -> list[int]:
    """Return the numbers of the messages of a topic, by their stamps."""
    return [(stamp - EPOCH) // STEP for stamp in recording.tracks[topic].stamps()]
