# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Application of a topic map to a recording of another robot.

Cameras get the topics of this package, and all joint states are put in one ``joint_states``, each
with its own stamp, so that readers of recordings do not depend on the robot. Images are unchanged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from viva_ros.core.errors import RecordingError
from viva_ros.core.outcome import agreed
from viva_ros.data.bag.reader import with_definitions
from viva_ros.data.conversion.annotations import place_of, rule_label
from viva_ros.data.conversion.map_sources import (
    camera_tracks,
    joint_sources,
    stamps_of,
)
from viva_ros.data.conversion.raw_episode import (
    RawEpisode,
    is_mapped,
    mapped_episodes,
    read_sources,
    with_row_times,
)
from viva_ros.data.conversion.resample import frame_times, measure
from viva_ros.data.episode import ALWAYS
from viva_ros.data.images import SUFFIXES
from viva_ros.data.joint_groups import JointReading
from viva_ros.data.messages import joint_state, serialise, to_time
from viva_ros.data.recording import DOUBT, JOINT_STATE, OWN, Recording, Track
from viva_ros.data.segmentation import LABEL, TASK, spans, stored_label, task_of
from viva_ros.robot.topic_map import HEADER, ImportLimits, TopicMap

JOINT_TOPIC = '/joint_states'


def apply_map(recording: Recording, topic_map: TopicMap) -> Recording:
    """
    Return a recording with the cameras, joints and labels of a topic map.

    Its ``reasons`` are those for which an import would refuse it.

    :raises RecordingError, ConfigurationError: if the recording lacks a topic, a field or a rate
    """
    recording = with_row_times(recording, topic_map)
    if not is_mapped(topic_map):
        limits = topic_map.limits if topic_map.text else None
        return replace(recording, metadata=_described(recording, topic_map), limits=limits)
    recording = with_definitions(recording, topic_map.definitions)
    cameras = camera_tracks(recording, topic_map)
    joints_read = list(read_sources(recording, joint_sources(topic_map), topic_map))
    episodes = mapped_episodes(recording, topic_map, joints_read)
    announced = recording.find('episode')
    tracks: dict[str, Track] = {
        topic: track for topic, track in recording.tracks.items()
        if track.type_name.startswith(OWN) or track is announced
    }  # fmt: skip
    for camera, (track, source) in cameras.items():
        topic = f'/{camera}{SUFFIXES[track.type_name]}'
        policy = source.stamp or topic_map.stamp
        if policy != HEADER:
            track = _restamped(track, stamps_of(recording, track, policy))
        tracks[topic] = replace(track, topic=topic, options=source.options)
    tracks[JOINT_TOPIC] = _joint_track([
        reading for _, found in joints_read for reading in found.readings
    ])  # fmt: skip
    metadata = _described(recording, topic_map)
    reasons = {one.name: _reasons(one, recording, topic_map) for one in episodes}
    notes = tuple(dict.fromkeys(note for one in episodes for note in one.notes))
    return replace(
        recording, tracks=tracks, metadata=metadata, notes=notes, reasons=reasons,
        limits=_live_limits(episodes, topic_map.limits),
    )  # fmt: skip


def _reasons(
    episode: RawEpisode, recording: Recording, topic_map: TopicMap
) -> tuple[tuple[str, str], ...]:
    """Return the code and text of each reason for which an import would refuse an episode."""
    at = frame_times(episode, recording, topic_map)
    found = measure(episode, at, topic_map.limits)
    return tuple(zip(found.codes, found.refused, strict=True))


def _described(recording: Recording, topic_map: TopicMap) -> dict[str, Any]:
    """Return the metadata of a recording with the outcome and the task by a map."""
    found = {**recording.metadata, **_label(recording, topic_map)}
    if topic_map.task and not task_of(recording):
        found[TASK] = {**found.get(TASK, {}), 'task': topic_map.task}
    if found.get(LABEL, {}).get('task') == '':
        found[LABEL] = {**found[LABEL], 'task': topic_map.task}
    return found


def _label(recording: Recording, topic_map: TopicMap) -> dict[str, Any]:
    """Return the metadata records of the outcome by the rule of a map."""
    if topic_map.label.topic:
        _check_one_episode(recording, topic_map.label.topic)
    roots = [topic_map.folder] if topic_map.folder else []
    found = rule_label(recording, topic_map.label, place_of(recording.path, roots), ALWAYS)
    if found is None:
        return {}
    own = stored_label(recording)
    _, conflict = agreed({
        'the source in the map': found.success, 'its label': own.success if own else None,
        **recording.metadata.get(DOUBT, {}).get('known', {}),
    })  # fmt: skip
    if conflict:
        raise RecordingError(
            'label-conflict', f'{recording.path}: {conflict}: correct "label" in the map'
        )
    stored = dict(recording.metadata.get(LABEL, {}))
    task = stored.get('task') or task_of(recording) or topic_map.task
    label = {
        **stored, 'task': task, 'success': found.success,
        'failure': found.failure or stored.get('failure'),
    }  # fmt: skip
    return {LABEL: label, DOUBT: {}}


def _check_one_episode(recording: Recording, topic: str) -> None:
    """
    Check that a recording whose outcome is on a topic has one episode.

    :raises RecordingError: if topic ``episode`` announces several
    """
    ids = [span.id for span in spans(recording)]
    if len(ids) > 1:
        raise RecordingError(
            'episodes-several',
            f'{recording.path} has {len(ids)} episodes on topic episode ({", ".join(ids[:3])}), '
            f'whose outcomes on {topic} cannot be separated in place: use "viva import", which '
            'has one for each, or label them with "viva label" and leave "label" out of the map',
        )


def _live_limits(episodes: Sequence[RawEpisode], limits: ImportLimits) -> ImportLimits:
    """Return the limits for a replay: joints without known units have no speed limit."""
    names = {
        name for one in episodes for group in one.joints
        for name in group.names if name not in one.known_units
    }  # fmt: skip
    free = dict.fromkeys(names, math.inf) if limits.max_joint_speed is None else {}
    return replace(limits, joint_speeds={**free, **limits.joint_speeds})


def _joint_track(readings: list[JointReading]) -> Track:
    """Return readings as joint states, in order of receipt."""
    readings = sorted(readings, key=lambda one: one.received)
    data = [
        serialise(JOINT_STATE, joint_state(one.stamp, one.names, one.positions))
        for one in readings
    ]
    return Track(JOINT_TOPIC, JOINT_STATE, [one.received for one in readings], data)


def _restamped(track: Track, stamps: list[int]) -> Track:
    if type(track) is not Track:  # of a dataset: its times are its stamps
        return replace(track, times=stamps)
    return RestampedTrack(
        track.topic, track.type_name, track.times, track.data, track.definition, new=stamps
    )


@dataclass(frozen=True)
class RestampedTrack(Track):
    """
    A topic with other stamps than in its messages.

    :param new: stamps, ns
    """

    new: tuple[int, ...] | list[int] = ()

    def messages(self) -> Any:
        """Yield receive times, ns, and messages with the other stamps."""
        for stamp, (time, message) in zip(self.new, super().messages(), strict=True):
            message.header.stamp = to_time(stamp)
            yield time, message

    def stamps(self) -> list[int]:
        """Return the stamps, ns."""
        return list(self.new)
