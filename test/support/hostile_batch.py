# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of recordings, some of which no command can read."""

from pathlib import Path
from typing import Final

from support.recordings import RISING, make_label, write_recording
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import make
from viva_ros.data.open import open_recording
from viva_ros.robot.topic_map import NAME

#: Recordings of ``write_hostile`` that are refused, with a word of the reason.
REFUSED: Final = {
    'cut.mcap': 'no readable messages', 'empty.mcap': 'empty.mcap', 'noise.db3': 'noise.db3',
    'hiss.bag': 'hiss.bag', 'hum.hdf5': 'hum.hdf5', 'clips': 'utf-8',
    'tracks': 'joints.parquet', 'set': '64 levels', 'mapped/one.mcap': NAME,
    'labelled/one.mcap': 'labels.json',
}  # fmt: skip


def write_foreign_types(path: Path) -> Path:
    """Write a good recording with topics of other types under names of this package."""
    others = {
        '/alert': ('std_msgs/msg/Bool', {'data': True}),
        '/value': ('std_msgs/msg/Float32', {'data': 1.0}),
        '/ground_truth': ('std_msgs/msg/String', {'data': 'x'}),
        '/left/joint_states': ('std_msgs/msg/Float64', {'data': 1.0}),
    }  # fmt: skip
    write_recording(path, [0.01 * k for k in range(20)], label=make_label())
    known = open_recording(path)
    with RecordingWriter(path) as writer:
        for topic, track in known.tracks.items():
            for time, data in zip(track.times, list(track.data), strict=True):
                writer.write_cdr(topic, track.type_name, data, time)
        for topic, (kind, fields) in others.items():
            writer.write(topic, kind, make(kind, **fields), known.tracks['/joint_states'].times[0])
        writer.metadata('viva_episode', make_label())
    return path


def write_hostile(folder: Path) -> None:
    """Write the recordings of ``REFUSED``."""
    good = write_recording(folder / 'cut.mcap', RISING[:3], label=make_label()).read_bytes()
    (folder / 'cut.mcap').write_bytes(good[:60])
    (folder / 'empty.mcap').touch()
    for name in ('noise.db3', 'hiss.bag', 'hum.hdf5'):
        (folder / name).write_bytes(bytes(range(256)) * 4)
    for name, table in (('clips', 'joints.csv'), ('tracks', 'joints.parquet')):
        (folder / name).mkdir()
        (folder / name / 'head.mp4').write_bytes(b'noise')
        (folder / name / table).write_bytes(b'\x00\xff;,"\n' * 9)
    (folder / 'set/meta').mkdir(parents=True)
    (folder / 'set/meta/info.json').write_text('[' * 100_000)
    for name, side, text in (('mapped', NAME, 'a: ['), ('labelled', 'labels.json', '{"one": 3}')):
        (folder / name).mkdir()
        (folder / name / 'one.mcap').write_bytes(good)
        (folder / name / side).write_text(text)
