# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading what a chaos run has left."""

import json
from pathlib import Path

import numpy as np
from mcap.writer import Writer
from support.recordings import value as published

from benchmarks.chaos.history import Disturbance, RecordedValue
from benchmarks.chaos.recorder import LIVELINESS, PUBLISHERS
from benchmarks.chaos.recording import look_at_files, read, two_monitors
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import header, joint_state, make, schema, serialise

S = 10**9
VALUE, JOINTS, HEADER = 'viva_ros/msg/Value', 'sensor_msgs/msg/JointState', 'std_msgs/msg/Header'


def write(path: Path, rows, nodes) -> Path:
    """Write rows of topic, type, bytes, publisher, and time in s."""
    with path.open('wb') as file:
        writer, channels = Writer(file), {}
        writer.start()
        for topic, kind, cdr, publisher, at in rows:
            if (topic, publisher) not in channels:
                number = writer.register_schema(kind, 'ros2msg', schema(kind).encode())
                metadata = {'publisher': publisher}
                channels[topic, publisher] = writer.register_channel(
                    topic, 'cdr', number, metadata
                )
            writer.add_message(channels[topic, publisher], round(at * S), cdr, round(at * S))
        writer.add_metadata(PUBLISHERS, nodes)
        writer.finish()
    return path


def test_recording_is_read_by_node_and_topic(tmp_path):
    value = serialise(VALUE, published(5 * S, 0.5))
    joints = serialise(JOINTS, joint_state(5 * S, ['a'], np.array([0.1])))
    said = serialise('std_msgs/msg/String', make(
        'std_msgs/msg/String', data=json.dumps({'node': 'monitor', 'alive': False})
    ))  # fmt: skip
    rows = [
        ('/value', VALUE, value, 'aa', 5.1), ('/value', VALUE, value, 'bb', 5.2),
        ('/value', VALUE, value[:20], 'bb', 5.3), ('/joint_states', JOINTS, joints, 'cc', 5.05),
        ('/retry_calls', HEADER, serialise(HEADER, header(6 * S)), 'cc', 6.0),
        (LIVELINESS, 'std_msgs/msg/String', said, '', 7.0),
    ]  # fmt: skip
    nodes = {'aa': 'monitor', 'bb': 'stranger', 'cc': 'source_robot'}
    found = read(write(tmp_path / 'x.mcap', rows, nodes))
    assert [one.node for one in found.values] == ['monitor', 'stranger']
    assert found.values[0].inputs == {'head': 5 * S, 'wrist': 5 * S, 'joint_states': 5 * S}
    assert found.strange == 1, 'the damaged one'
    assert [(one.source, one.stamp) for one in found.inputs] == [('joint_states', 5 * S)]
    assert found.retries == [6.0]
    assert [(one.node, one.alive) for one in found.liveliness] == [('monitor', False)]


def test_two_monitors_speak_while_their_values_interleave():
    def values(publisher, times, node='monitor'):
        return [RecordedValue(at, 0, True, 0.0, node=node, publisher=publisher) for at in times]

    restarted = values('a', [1.0, 2.0]) + values('b', [3.0, 4.0])
    assert list(two_monitors(restarted)) == []
    others = values('a', [1.0, 9.0]) + values('b', [3.0, 4.0], 'stranger')
    assert list(two_monitors(others)) == []
    both = values('a', [1.0, 5.0]) + values('b', [3.0, 9.0])
    assert list(two_monitors(both)) == [Disturbance('second_monitor', 'monitor', 3.0, 5.0)]


def test_half_files_are_found_and_parts_are_not_looked_at(tmp_path):
    with RecordingWriter(tmp_path / 'whole.mcap') as writer:
        for k in range(50):
            writer.write('/value', VALUE, published(k * S, 0.5), k * S)
    content = (tmp_path / 'whole.mcap').read_bytes()
    (tmp_path / 'half.mcap').write_bytes(content[: len(content) // 2])
    (tmp_path / 'bad.mcap').write_bytes(content[:2000] + b'\xff\xff' + content[2002:])
    (tmp_path / '.other.mcap.part').write_bytes(content[:100])
    (tmp_path / 'whole.json').write_text('{}')
    (tmp_path / 'half.json').write_text('{"a"')
    faults = {one.path: bool(one.fault) for one in look_at_files(tmp_path)}
    assert faults == {
        'whole.mcap': False, 'half.mcap': True, 'bad.mcap': True, 'whole.json': False,
        'half.json': True,
    }  # fmt: skip
