# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata of recorded topics for rosbag2: QoS and type hash of the publishers."""

import pytest
import yaml
from mcap.reader import make_reader
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from support.ros import wait

from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import type_hash
from viva_ros.msg import Alert, Value
from viva_ros.nodes import qos
from viva_ros.nodes.topic_recorder import Recorder, Topic, channel_metadata, qos_text

TIMES = ('deadline', 'lifespan', 'liveliness_lease_duration')
INFINITE = {'sec': 9223372036, 'nsec': 854775807}  # RMW_DURATION_INFINITE of rmw/time.h
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def decoded(text: str) -> list[dict[str, object]]:
    """
    Parse profiles as rosbag2 does.

    Jazzy (rosbag2_storage/src/rosbag2_storage/qos.cpp, 0.26.5) reads all policies as numbers if
    'history' is a number from 0 to 3; Humble and Iron always do.
    """
    profiles = yaml.safe_load(text)
    assert isinstance(profiles, list)
    for profile in profiles:
        assert type(profile['history']) is int and 0 <= profile['history'] <= 3
        HistoryPolicy(profile['history'])
        profile['reliability'] = ReliabilityPolicy(profile['reliability'])
        profile['durability'] = DurabilityPolicy(profile['durability'])
        profile['liveliness'] = LivelinessPolicy(profile['liveliness'])
        for name in TIMES:
            assert 0 <= profile[name]['sec'] < 2**64 and 0 <= profile[name]['nsec'] < 10**9
        assert profile['avoid_ros_namespace_conventions'] is False
    return profiles


def played(text: str) -> tuple[ReliabilityPolicy, DurabilityPolicy]:
    """Return the QoS of 'ros2 bag play': the recorded one if all are equal, else the default."""
    first, *others = decoded(text) if text else [{}]
    compared = ('reliability', 'durability', 'liveliness', 'deadline', 'liveliness_lease_duration')
    if not first or any(first[name] != other[name] for other in others for name in compared):
        return ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE
    return first['reliability'], first['durability']


@pytest.fixture
def record(processes, listener, tmp_path):
    """Return a function that records topics until each has a message; returns the file."""

    def run(publishers, topics):
        path = tmp_path / 'r.mcap'
        with RecordingWriter(path) as writer:
            recorder = Recorder(listener, topics, writer)

            def every_topic() -> bool:
                for publisher, message in publishers:
                    publisher.publish(message)
                return all(recorder.counts.values())

            wait(every_topic, 'a message of each topic')
            recorder.stop()
        return path

    return run


def channels(path):
    with path.open('rb') as file:
        summary = make_reader(file).get_summary()
    return {channel.topic: channel.metadata for channel in summary.channels.values()}


def test_recorded_topics_are_played_with_their_publishers_qos(
    record, processes, listener, tmp_path
):
    processes.start('fake_source.py', tmp_path, 'head')
    path = record(
        [
            (listener.create_publisher(Alert, 'alert', qos.LATCHED), Alert()),
            (listener.create_publisher(Value, 'value', qos.RELIABLE), Value()),
            (listener.create_publisher(Header, 'beat', qos.HEARTBEAT), Header()),
        ],
        [
            Topic('alert', Alert, qos.LATCHED_READER), Topic('value', Value, qos.RELIABLE),
            Topic('beat', Header, qos.JOINTS),
            Topic('head/image_raw', Image, qos_profile_sensor_data),
        ],
    )  # fmt: skip
    found = channels(path)
    offers = {topic: metadata['offered_qos_profiles'] for topic, metadata in found.items()}
    reliable, best_effort = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
    volatile = DurabilityPolicy.VOLATILE
    assert {topic: played(text) for topic, text in offers.items()} == {
        '/alert': (reliable, DurabilityPolicy.TRANSIENT_LOCAL),
        '/value': (reliable, volatile),
        '/beat': (reliable, volatile),
        '/head/image_raw': (best_effort, volatile),
    }
    (beat,) = decoded(offers['/beat'])
    assert beat['liveliness'] == LivelinessPolicy.MANUAL_BY_TOPIC
    assert beat['liveliness_lease_duration'] == {'sec': 1, 'nsec': 0}
    assert beat['deadline'] == INFINITE
    # Hashes from DDS equal those of the definitions in the file.
    assert found['/alert']['topic_type_hash'] == type_hash('viva_ros/msg/Alert')
    assert found['/head/image_raw']['topic_type_hash'] == type_hash('sensor_msgs/msg/Image')
    with Reader(path) as reader:
        read = {one.topic: one.ext.offered_qos_profiles for one in reader.connections}
    (alert,) = read['/alert']
    assert (alert.durability, alert.reliability) == (
        QosDurability.TRANSIENT_LOCAL, QosReliability.RELIABLE,
    )  # fmt: skip


def test_metadata_has_qos_of_each_publisher(record, listener):
    publishers = [
        (listener.create_publisher(Value, 'value', profile), Value())
        for profile in (qos.RELIABLE, BEST_EFFORT)
    ]
    wait(lambda: len(listener.get_publishers_info_by_topic('/value')) == 2, 'both publishers')
    path = record(publishers, [Topic('value', Value, BEST_EFFORT)])
    text = channels(path)['/value']['offered_qos_profiles']
    kinds = {profile['reliability'] for profile in decoded(text)}
    assert kinds == {ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT}
    assert played(text) == (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)


def test_topic_without_publisher_has_no_metadata(listener):
    assert channel_metadata(listener, '/nowhere', 'viva_ros/msg/Value') == {}


def test_publisher_of_other_type_has_no_metadata(listener):
    listener.create_publisher(String, 'value', qos.RELIABLE)
    wait(lambda: listener.count_publishers('/value'), 'the publisher')
    assert channel_metadata(listener, '/value', 'viva_ros/msg/Value') == {}


def test_qos_policies_are_written_as_numbers():
    lines = qos_text(qos.LATCHED).splitlines()
    # rmw/types.h: keep last 1, reliable 1, transient local 1, volatile 2, best effort 2.
    assert lines[:4] == ['- history: 1', '  depth: 1', '  reliability: 1', '  durability: 1']
    assert '  reliability: 2' in qos_text(BEST_EFFORT).splitlines()
    assert '  durability: 2' in qos_text(BEST_EFFORT).splitlines()
