# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A bag of another robot, seen as a recording of ours.

Its cameras get our topics, and its joints become one ``joint_states``, by name; whatever reads
recordings then needs to know nothing of the robot. Pictures stay as they were recorded.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from viva_ros.core.errors import RecordingError
from viva_ros.data.bag.reader import with_definitions
from viva_ros.data.conversion.annotations import from_topic
from viva_ros.data.conversion.raw_episode import camera_topics, mapped
from viva_ros.data.conversion.resample import held, joints_at
from viva_ros.data.conversion.topic_map import Map
from viva_ros.data.episode import Joints
from viva_ros.data.images import SUFFIXES
from viva_ros.data.messages import to_time
from viva_ros.data.recording import Recording, Track, joint_track
from viva_ros.data.segmentation import LABEL, TASK


def as_ours(recording: Recording, how: Map) -> Recording:
    """
    Rename what a map names.

    :raises RecordingError, ConfigurationError: if the recording lacks a topic or field
    """
    if not (how.cameras or how.joints):
        return recording
    recording = with_definitions(recording, how.definitions)
    take = mapped(recording, how)
    tracks: dict[str, Track] = {}
    for camera, track in camera_topics(recording, how).items():
        ours = f'/{camera}{SUFFIXES[track.type_name]}'
        if how.stamp == 'received':
            track = ReceivedTrack(ours, track.type_name, track.times, track.data)
        tracks[ours] = replace(track, topic=ours)
    joints = together(take.joints)
    tracks['/joint_states'] = joint_track(
        '/joint_states', joints.stamps, joints.names, joints.positions
    )
    metadata: dict[str, Any] = {TASK: {'task': how.task}, **recording.metadata}
    if how.label_topic:
        label = from_topic(recording, how.label_topic)
        metadata[LABEL] = {
            'task': how.task, 'success': label.success, 'failure': label.failure
        }  # fmt: skip
    return replace(recording, tracks=tracks, metadata=metadata)


def together(groups: tuple[Joints, ...]) -> Joints:
    """Join groups at the stamps of the first; the others are held from their last message."""
    if len(groups) == 1:
        return groups[0]
    stamps = groups[0].stamps
    begun = np.all([held(group.stamps, stamps) >= 0 for group in groups], axis=0)
    names = tuple(name for group in groups for name in group.names)
    if not begun.any():
        raise RecordingError(f'joints {", ".join(names)} were never there at one time')
    return Joints(stamps[begun], names, joints_at(groups, stamps[begun]))


@dataclass(frozen=True)
class ReceivedTrack(Track):
    """A topic whose messages are stamped by when they were received."""

    def messages(self) -> Any:
        """Yield receive times and messages."""
        for time, message in super().messages():
            message.header.stamp = to_time(time)
            yield time, message

    def stamps(self) -> list[int]:
        """Return the stamps, ns."""
        return self.times
