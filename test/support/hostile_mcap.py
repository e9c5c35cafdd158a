# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MCAP files of several chunks, damaged ones, and what a reading of one has lost or invented."""

import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mcap.opcode import Opcode
from mcap.writer import CompressionType, Writer

from viva_ros.core.errors import RecordingError
from viva_ros.data.bag import writer
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import joint_state, jpeg_image, make, schema, serialise
from viva_ros.data.open import open_unmapped
from viva_ros.data.recording import Recording

EPOCH, STEP = 1_700_000_000_000_000_000, 20_000_000  # ns
LABEL = {'task': 'tray_lift', 'success': True, 'failure': 'none', 'seed': 1, 'times': {}}
KINDS = {
    '/joint_states': 'sensor_msgs/msg/JointState',
    '/head/image_raw/compressed': 'sensor_msgs/msg/CompressedImage',
    '/value': 'std_msgs/msg/Float64',
}


def payload(topic: str, number: int) -> bytes:
    """Return a message of a step; those of '/value' begin late."""
    stamp = EPOCH + number * STEP
    if topic == '/joint_states':
        return serialise(KINDS[topic], joint_state(stamp, ['a', 'b'], np.array([number, 0.5])))
    if topic == '/value':
        return serialise(KINDS[topic], make(KINDS[topic], data=float(number)))
    noise = np.random.default_rng(number).integers(0, 255, 150, dtype=np.uint8)
    return serialise(KINDS[topic], jpeg_image(stamp, 'head', noise.tobytes()))


def messages(steps: int) -> list[tuple[str, int, bytes]]:
    """Return topic, receive time and bytes of all messages; '/value' begins in the middle."""
    return [
        (topic, EPOCH + number * STEP, payload(topic, number))
        for number in range(steps) for topic in KINDS
        if topic != '/value' or number >= steps // 2
    ]  # fmt: skip


def write_own(path: Path, steps: int = 40, chunk: int = 2000) -> Path:
    """Write a recording of this package with small chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, 'CHUNK', chunk)
        with RecordingWriter(path) as recording:
            for topic, time, data in messages(steps):
                recording.write_cdr(topic, KINDS[topic], data, time)
            recording.metadata('viva_episode', LABEL)
    return path


def write_foreign(
    path: Path, compression: CompressionType = CompressionType.ZSTD, steps: int = 40,
    chunk: int = 2000,
) -> Path:  # fmt: skip
    """Write a file of another tool: each schema and channel once, and an attachment."""
    with path.open('wb') as file:
        other = Writer(file, chunk_size=chunk, compression=compression)
        other.start('ros2', 'other')
        channels: dict[str, int] = {}
        for number, (topic, time, data) in enumerate(messages(steps)):
            if topic not in channels:
                kind = KINDS[topic]
                known = other.register_schema(kind, 'ros2msg', schema(kind).encode())
                channels[topic] = other.register_channel(topic, 'cdr', known, {})
            other.add_message(channels[topic], time, data, time)
            if number == steps:
                other.add_attachment(time, time, 'notes', 'text/plain', bytes(300))
        other.finish()
    return path


def chunks(content: bytes) -> list[tuple[int, int]]:
    """Return begin and end of the records of all chunks of an undamaged file."""
    found, at = [], 8
    while at < len(content) - 8:
        kind, length = struct.unpack_from('<BQ', content, at)
        if kind == Opcode.CHUNK:
            found.append((at, at + 9 + length))
        at += 9 + length
    return found


def content_of(recording: Recording) -> Counter[tuple[str, int, bytes]]:
    """Return all messages of a recording."""
    return Counter(
        (topic, time, bytes(data))
        for topic, track in recording.tracks.items()
        for time, data in zip(track.times, track.data, strict=True)
    )


def check_damaged(path: Path, whole: Recording) -> str:
    """
    Read a damaged file; fail if a message is invented, or a loss is not told.

    :returns: 'refused', 'whole' or 'lossy'
    """
    try:
        found = open_unmapped(path)
        content = content_of(found)
    except RecordingError as error:
        assert error.code != 'recording-fault', error
        return 'refused'
    original = content_of(whole)
    invented = content - original
    assert not invented, [(topic, time) for topic, time, _ in invented]
    missing: Counter[str] = Counter()
    for (topic, _, _), count in (original - content).items():
        missing[topic] += count
    if not missing and found.metadata == whole.metadata:
        return 'whole'
    assert found.losses and not found.whole, 'the loss is not told'
    is_uncounted = any('the rest is lost' in one or 'at least' in one for one in found.losses)
    if missing and not is_uncounted:
        unknown = found.lost.get('', 0)
        assert sum(found.lost.values()) >= sum(missing.values()), (found.lost, missing)
        for topic, count in missing.items():
            assert found.lost.get(topic, 0) + unknown >= count, (found.lost, missing)
    return 'lossy'
