# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Application of a topic map to a recording of another robot.

Cameras get the topics of this package, and all joints are joined in one ``joint_states`` by name,
so that readers of recordings do not depend on the robot. Images are unchanged.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from viva_ros.core.errors import RecordingError
from viva_ros.data.bag.reader import with_definitions
from viva_ros.data.conversion.annotations import from_topic
from viva_ros.data.conversion.raw_episode import camera_topics, mapped_episode
from viva_ros.data.conversion.resample import held, joints_at
from viva_ros.data.conversion.topic_map import TopicMap
from viva_ros.data.episode import Joints
from viva_ros.data.images import SUFFIXES
from viva_ros.data.messages import to_time
from viva_ros.data.recording import Recording, Track, joint_track
from viva_ros.data.segmentation import LABEL, TASK


def apply_map(recording: Recording, topic_map: TopicMap) -> Recording:
    """
    Return a recording with the cameras, joints and labels of a topic map.

    :raises RecordingError, ConfigurationError: if the recording lacks a topic or field
    """
    if not (topic_map.cameras or topic_map.joints):
        return recording
    recording = with_definitions(recording, topic_map.definitions)
    episode = mapped_episode(recording, topic_map)
    tracks: dict[str, Track] = {}
    for camera, track in camera_topics(recording, topic_map).items():
        renamed = f'/{camera}{SUFFIXES[track.type_name]}'
        if topic_map.stamp == 'received':
            track = ReceivedTrack(renamed, track.type_name, track.times, track.data)
        tracks[renamed] = replace(track, topic=renamed)
    joints = join_joints(episode.joints)
    tracks['/joint_states'] = joint_track(
        '/joint_states', joints.stamps, joints.names, joints.positions
    )
    metadata: dict[str, Any] = {TASK: {'task': topic_map.task}, **recording.metadata}
    if topic_map.label_topic:
        label = from_topic(recording, topic_map.label_topic)
        metadata[LABEL] = {
            'task': topic_map.task, 'success': label.success, 'failure': label.failure
        }  # fmt: skip
    return replace(recording, tracks=tracks, metadata=metadata)


def join_joints(groups: tuple[Joints, ...]) -> Joints:
    """Join groups at the stamps of the first; the others hold their last message."""
    if len(groups) == 1:
        return groups[0]
    stamps = groups[0].stamps
    begun = np.all([held(group.stamps, stamps) >= 0 for group in groups], axis=0)
    names = tuple(name for group in groups for name in group.names)
    if not begun.any():
        raise RecordingError(
            'joints-disjoint',
            f'joints {", ".join(names)} have no time in common: correct the topics in the map',
        )
    return Joints(stamps[begun], names, joints_at(groups, stamps[begun]))


@dataclass(frozen=True)
class ReceivedTrack(Track):
    """A topic whose stamps are the receive times."""

    def messages(self) -> Any:
        """Yield receive times, ns, and messages stamped with them."""
        for time, message in super().messages():
            message.header.stamp = to_time(time)
            yield time, message

    def stamps(self) -> list[int]:
        """Return the stamps, ns."""
        return self.times
