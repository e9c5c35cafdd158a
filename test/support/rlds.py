# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small RLDS dataset, written without TensorFlow: row k shows the number k."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from support.hdf5_episodes import jpeg, states

NAME = 'drawer-train.tfrecord-00000-of-00001'


def varint(value: int) -> bytes:
    found = b''
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def message(number: int, content: bytes) -> bytes:
    """Return a field of a protobuf message, with its length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def feature(values: Any) -> bytes:
    """Return a tf.train.Feature: bytes, floats or integers."""
    if isinstance(values, list) and isinstance(values[0], bytes):
        return message(1, b''.join(message(1, one) for one in values))
    numbers = np.asarray(values)
    if numbers.dtype.kind == 'f':
        return message(2, message(1, numbers.astype('<f4').tobytes()))
    packed = b''.join(varint(int(one) & 0xFFFFFFFFFFFFFFFF) for one in numbers.ravel())
    return message(3, message(1, packed))


def record(features: Mapping[str, Any]) -> bytes:
    """Return a record of a TFRecord file with a tf.train.Example."""
    entries = [message(1, message(1, key.encode()) + message(2, feature(values)))
               for key, values in features.items()]  # fmt: skip
    content = message(1, b''.join(entries))
    length = struct.pack('<Q', len(content))
    return length + checksum(length) + content + checksum(content)


def checksum(content: bytes) -> bytes:
    """Return the masked CRC-32C, bit by bit."""
    found = 0xFFFFFFFF
    for byte in content:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 if found & 1 else 0)
    found ^= 0xFFFFFFFF
    return struct.pack('<I', ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def write_rlds(folder: Path, lengths: Sequence[int], without: str = '') -> Path:
    """
    Write a dataset with a camera, a placeholder, a state of four numbers, and a task in words.

    :param without: feature that the last step of each episode lacks
    """
    folder.mkdir(parents=True)

    def tensor(kind: str, *shape: int) -> dict[str, Any]:
        sizes = {'dimensions': [str(one) for one in shape]} if shape else {}
        return {'tensor': {'shape': sizes, 'dtype': kind, 'encoding': 'none'}}

    def nested(**features: Any) -> dict[str, Any]:
        return {'featuresDict': {'features': features}}

    image = {'image': {'shape': {'dimensions': ['48', '80', '3']}, 'dtype': 'uint8'}}
    observation = nested(image_0=image, image_1=image, state=tensor('float32', 4))
    steps = nested(
        observation=observation, reward=tensor('float32'), is_last=tensor('bool'),
        language_instruction={'text': {}}, offset=tensor('int32'),
    )  # fmt: skip
    about = nested(has_image_0=tensor('bool'), file_path={'text': {}})
    described = nested(steps={'sequence': {'feature': steps}}, episode_metadata=about)
    (folder / 'features.json').write_text(json.dumps(described))
    first, content = 0, b''
    for rows in lengths:
        found = {
            'steps/observation/image_0': [jpeg(first + k) for k in range(rows)],
            'steps/observation/image_1': [jpeg(0)] * rows,
            'steps/observation/state': states(rows, first),
            'steps/reward': np.r_[np.zeros(rows - 1), 1.0], 'steps/offset': np.full(rows, -3),
            'steps/is_last': np.r_[np.zeros(rows - 1, int), 1],
            'steps/language_instruction': [b'open the drawer'] * rows,
            'episode_metadata/has_image_0': [1], 'episode_metadata/file_path': [b'/raw/1'],
        }  # fmt: skip
        if without:
            found[without] = found[without][:-1]
        content += record(found)
        first += rows
    (folder / NAME).write_bytes(content)
    return folder
