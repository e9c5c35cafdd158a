# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One episode as recorded, before resampling to one rate.

A topic map defines its cameras and joints; without a map, the conventions of this package do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.data.conversion.topic_map import JointSource, TopicMap, numbers
from viva_ros.data.episode import Frames, Joints, Label, Stamps, judged, load, sidecar
from viva_ros.data.images import COMPRESSED, RAW
from viva_ros.data.messages import from_time
from viva_ros.data.recording import JOINT_STATE, Recording, Track
from viva_ros.data.segmentation import episodes_of, origins_of, stored_label, task_of

SOURCE: Final = 'viva_data_set'  # metadata record: feature of the dataset to its topic
DATASET_ACTION: Final = '/action'


@dataclass(frozen=True)
class RawEpisode:
    """
    One episode: streams, each with its own stamps.

    :param joints: of each topic with joints
    :param action: of each topic with actions
    :param backwards: stream to the largest step back of its stamps, s
    :param losses: as in ``Recording``
    :param readable: share of the file, in [0, 1]
    :param whole: as in ``Recording``
    :param origins: as in ``Episode``
    """

    name: str
    source: Path
    cameras: Mapping[str, Frames]
    joints: tuple[Joints, ...]
    label: Label | None
    task: str = ''
    action: tuple[Joints, ...] = ()
    backwards: Mapping[str, float] = field(default_factory=dict)
    losses: tuple[str, ...] = ()
    readable: float = 1.0
    whole: bool = True
    origins: tuple[str, ...] = ()

    @property
    def streams(self) -> dict[str, Stamps]:
        """Stamps of each stream of the episode, ns."""
        streams = {name: frames.stamps for name, frames in self.cameras.items()}
        for group in (*self.joints, *self.action):
            key = f'joints of {group.names[0]}' if group.names else 'joints'
            streams[key] = group.stamps
        return streams


def raw_episodes(recording: Recording, topic_map: TopicMap) -> list[RawEpisode]:
    """
    Return the episodes of a recording under a map.

    :raises RecordingError, ConfigurationError: if a topic or field is missing
    """
    if topic_map.cameras or topic_map.joints:
        return [mapped_episode(recording, topic_map)]
    actions: tuple[Joints, ...] = ()
    if DATASET_ACTION in recording.tracks and SOURCE in recording.metadata:
        actions = (_joints(recording, JointSource(DATASET_ACTION, '', {}), topic_map, {}),)
    return [
        RawEpisode(
            one.name, recording.path, one.cameras, (one.joints,), one.label,
            task_of(recording) or topic_map.task, actions, {}, recording.losses,
            recording.readable, recording.whole, one.origins,
        )
        for one in episodes_of(recording)
    ]  # fmt: skip


def mapped_episode(recording: Recording, topic_map: TopicMap) -> RawEpisode:
    """Return the only episode of a recording of another robot."""
    backwards: dict[str, float] = {}
    cameras = {}
    for name, track in camera_topics(recording, topic_map).items():
        stamps, rows = _order(_stamps(track, topic_map.stamp), name, backwards)
        cameras[name] = Frames(stamps, track.pictures(rows))
    joints = topic_map.joints or (JointSource('/joint_states', '', {}),)
    groups = [_joints(recording, source, topic_map, backwards) for source in joints]
    actions = [_joints(recording, source, topic_map, backwards) for source in topic_map.action]
    name, task = recording.path.stem, task_of(recording) or topic_map.task
    annotation = load(sidecar(recording.path)).get(name)
    label = judged(stored_label(recording), annotation, task)
    return RawEpisode(
        name, recording.path, cameras, tuple(groups), label, task, tuple(actions), backwards,
        recording.losses, recording.readable, recording.whole, origins_of(recording),
    )  # fmt: skip


def camera_topics(recording: Recording, topic_map: TopicMap) -> Mapping[str, Track]:
    """
    Return the topic of each camera of a map.

    :raises RecordingError, ConfigurationError: if a topic is missing, or has no images
    """
    if not topic_map.cameras:
        return recording.cameras
    found = {}
    for name, topic in topic_map.cameras.items():
        track = find_track(recording, topic, f'cameras.{name}')
        if track.type_name not in (COMPRESSED, RAW):
            raise ConfigurationError(
                'camera-type',
                f'{recording.path}: camera {name} is {topic} of {track.type_name}, must be '
                f'{RAW} or {COMPRESSED}',
            )
        found[name] = track
    return found


def find_track(recording: Recording, topic: str, key: str) -> Track:
    """
    Return the track of a topic in the map, or of a feature of a dataset.

    :param key: of the map, for the error text
    :raises RecordingError: if the recording lacks it
    """
    features: Mapping[str, str] = recording.metadata.get(SOURCE, {}).get('topics', {})
    name = features.get(topic, topic)
    track = recording.tracks.get(name) or recording.tracks.get(f'/{name}')
    if track is None:
        raise RecordingError(
            'topic-missing',
            f'{recording.path} lacks topic {topic} ({key} of the map), it has '
            f'{", ".join(sorted(features or recording.tracks))}: correct the map, or leave it out',
        )
    return track


def _stamps(track: Track, source: str) -> list[int]:
    if source == 'received':
        return list(track.times)
    stamps = track.stamps()
    if any(stamp <= 0 for stamp in stamps):
        raise RecordingError(
            'stamp-missing',
            f'{track.topic} has messages without a stamp: set "stamp: received" in the map, or '
            'set the stamp in its driver',
        )
    return stamps


def _order(
    recorded: Sequence[int], name: str, backwards: dict[str, float]
) -> tuple[Stamps, list[int]]:
    """Return ascending stamps, each once, and their rows; set the largest step back."""
    raw = np.asarray(recorded, dtype=np.int64)
    if raw.size:
        back = float((np.maximum.accumulate(raw) - raw).max()) * 1e-9
        backwards[name] = max(back, backwards.get(name, 0.0))
    stamps, rows = np.unique(raw, return_index=True)
    return stamps, rows.tolist()


def _joints(
    recording: Recording, source: JointSource, topic_map: TopicMap, backwards: dict[str, float]
) -> Joints:
    track = find_track(recording, source.topic, 'joints')
    names, stamps, rows = tuple(source.names.values()), [], []
    for time, message in track.messages():
        if track.type_name == JOINT_STATE and not source.path:
            names, row = _by_name(recording.path, source, message, names)
        else:
            row = _by_place(recording.path, source, message, track.type_name)
        rows.append(row)
        stamps.append(_stamp(time, message, topic_map.stamp, track))
    if not rows:
        raise RecordingError(
            'topic-empty', f'{recording.path} has no messages on {source.topic}: leave it out'
        )
    ordered, kept = _order(stamps, f'joints of {names[0]}', backwards)
    return Joints(ordered, names, np.array([rows[i] for i in kept], dtype=np.float64))


def _stamp(time: int, message: Any, source: str, track: Track) -> int:
    if source == 'received':
        return time
    if not hasattr(message, 'header'):
        raise ConfigurationError(
            'header-missing',
            f'{track.topic} of {track.type_name} has no header, so no stamp: set "stamp: '
            'received" in the map',
        )
    stamp = from_time(message.header.stamp)
    if stamp <= 0:
        raise RecordingError(
            'stamp-missing',
            f'{track.topic} has messages without a stamp: set "stamp: received" in the map',
        )
    return stamp


def _by_name(
    path: Path, source: JointSource, message: Any, names: tuple[str, ...]
) -> tuple[tuple[str, ...], list[float]]:
    """Return positions of a JointState by name; without names, those of the first message."""
    positions = dict(zip(message.name, message.position.tolist(), strict=False))
    recorded = tuple(source.names) or names or tuple(message.name)
    missing = [name for name in recorded if name not in positions]
    if missing or not recorded:
        raise RecordingError(
            'joint-missing',
            f'{path}: {source.topic} lacks joint {", ".join(missing) or "names"}, it has '
            f'{", ".join(positions)}: correct the names in the map',
        )
    renamed = tuple(source.names.values()) or recorded
    return renamed, [positions[name] for name in recorded]


def _by_place(path: Path, source: JointSource, message: Any, type_name: str) -> list[float]:
    if not source.path:
        raise ConfigurationError(
            'joint-field-unset',
            f'{path}: {source.topic} is a {type_name}, no JointState: set its "field" in the map',
        )
    row = numbers(message, source.path)
    if row.size != len(source.names):
        raise ConfigurationError(
            'joint-field-size',
            f'{path}: field {source.path!r} of {source.topic} has {row.size} numbers, the map '
            f'has {len(source.names)} names ({", ".join(source.names.values())})',
        )
    return [float(number) for number in row]
