# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras and joints of a recording, as the sources of a map name them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.data.episode import Frames
from viva_ros.data.images import SUFFIXES
from viva_ros.data.joint_groups import JointReadings
from viva_ros.data.messages import from_time
from viva_ros.data.recording import JOINT_STATE, NUMBERS, SOURCE, Recording, Track
from viva_ros.data.row_times import index_times
from viva_ros.data.segmentation import WHOLE, Span
from viva_ros.robot.field_path import numbers
from viva_ros.robot.topic_map import (
    FRAME_INDEX,
    HEADER,
    RECEIVED,
    CameraSource,
    JointSource,
    TopicMap,
    check_camera_sources,
)


def camera_frames(
    recording: Recording, track: Track, source: CameraSource, topic_map: TopicMap,
    span: Span = WHOLE,
) -> Frames:  # fmt: skip
    """
    Return the frames of a camera of a map; messages without a stamp are left out.

    :raises RecordingError: if no message has a stamp
    """
    stamps = stamps_of(recording, track, source.stamp or topic_map.stamp)
    frames = replace(track, options=source.options).frames_of(stamps, span.begin, span.end)
    if not frames.stamps.size and frames.unstamped:
        raise RecordingError('stamps-missing', recording.unstamped_text(track.topic))
    return frames


def joint_sources(topic_map: TopicMap) -> tuple[JointSource, ...]:
    """Return the sources of joints in a map; joint_states if it names none."""
    return topic_map.joints or (JointSource('/joint_states'),)


def read_joints_of(
    recording: Recording, source: JointSource, topic_map: TopicMap
) -> JointReadings:
    """
    Return the readings of one source in the order of the recording.

    :raises RecordingError, ConfigurationError: if the topic, a joint or a stamp is missing
    """
    return SourceReader(recording, source, topic_map).read()


class SourceReader:
    """Reads the joints of one source of a map."""

    def __init__(self, recording: Recording, source: JointSource, topic_map: TopicMap) -> None:
        self._recording, self._source = recording, source
        self._track = find_track(recording, source.topic, 'joints')
        self._policy = source.stamp or topic_map.stamp
        self._by_name = self._track.type_name == JOINT_STATE and not source.path
        self.where = f'{recording.path}: {source.topic}'
        self.notes: list[str] = []

    @property
    def topic(self) -> str:
        """Topic as the recording names it."""
        return self._track.topic

    @property
    def place(self) -> str:
        """Path of the numbers in a message; '' for joints by their names."""
        return '' if self._by_name else self._source.path or 'data'

    @property
    def is_dataset(self) -> bool:
        """Whether it is a feature of a dataset."""
        return SOURCE in self._recording.metadata

    @property
    def has_known_units(self) -> bool:
        """Whether the units of the joints are those of ROS."""
        return self._track.type_name == JOINT_STATE and SOURCE not in self._recording.metadata

    def read(self) -> JointReadings:
        """Return the readings; messages without a stamp are left out."""
        by_name = self._source.names if self._by_name else {}
        found = JointReadings(self.where, by_name, self._source.prefix)
        stamps = self._stamps()
        count = unstamped = unnamed = 0
        fault: ConfigurationError | None = None
        for row, (time, message) in enumerate(self._track.messages()):
            count += 1
            stamp = stamps[row] if stamps is not None else self._header_stamp(message)
            time = stamp if self._policy == FRAME_INDEX else time
            if stamp <= 0:
                unstamped += 1
            elif self._by_name:
                unnamed = max(unnamed, 0 if len(message.name) else len(message.position))
                found.add(time, stamp, message.name, message.position)
            else:
                names = list(self._source.names.values())
                try:
                    values = self._by_place(message)
                except ConfigurationError as error:
                    fault = fault or error
                    found.left_out[f'field {self._source.path!r} cannot be read'] += 1
                    continue
                found.add(time, stamp, names, values)
        if fault is not None and not found.readings:
            raise fault
        self._check(found, count, unstamped, unnamed)
        if unstamped:
            text = f'{unstamped} messages of {self._source.topic} have no stamp: left out'
            self.notes.append(text)
        self.notes += found.notes
        return found

    def _check(self, found: JointReadings, count: int, unstamped: int, unnamed: int) -> None:
        source = self._source
        if count == unstamped:
            if unstamped:
                raise RecordingError(
                    'stamps-missing', self._recording.unstamped_text(source.topic)
                )
            raise RecordingError(
                'topic-empty',
                f'{self._recording.path} has no messages on {source.topic}: leave it out',
            )
        missing = [name for name in source.names if name not in found.seen] if self._by_name \
            else []  # fmt: skip
        if not found.seen and not found.readings and unnamed:
            raise RecordingError(
                'joint-names-missing',
                f'{self.where} has {unnamed} positions without joint names: name them by their '
                f'place in the map, "field: position[0:{unnamed}]" with {unnamed} names',
            )
        if not found.seen and found.left_out:
            raise RecordingError(
                'joint-positions',
                f'{self.where} has no message that can be used ({", ".join(found.left_out)}): '
                'correct its driver, or name another topic in the map',
            )
        if missing or not found.readings:
            raise RecordingError(
                'joint-missing',
                f'{self.where} lacks joint {", ".join(missing) or "positions"}, it has '
                f'{", ".join(found.seen) or "none"}: correct the names in the map',
            )

    def _stamps(self) -> list[int] | None:
        """Return the stamps of the messages; None if each has them in its header."""
        if self._policy == RECEIVED:
            return list(self._track.times)
        if self._policy == FRAME_INDEX:
            return index_stamps(self._recording, self._track)
        return None

    def _header_stamp(self, message: Any) -> int:
        if not hasattr(message, 'header'):
            raise ConfigurationError(
                'header-missing',
                f'{self._source.topic} of {self._track.type_name} has no header, so no stamp: set '
                '"stamp: received" for this topic in the map',
            )
        return from_time(message.header.stamp)

    def _by_place(self, message: Any) -> Any:
        source, kind = self._source, self._track.type_name
        if not source.path and kind != NUMBERS:
            raise ConfigurationError(
                'joint-field-unset',
                f'{self.where} is a {kind}, no JointState: set its "field" in the map',
            )
        row = numbers(message, self.place)
        if row.size not in (0, len(source.names)):
            named = f'{len(source.names)} names ({", ".join(source.names.values())})' \
                if source.names else f'no names: set "names" to a list of {row.size}'  # fmt: skip
            raise ConfigurationError(
                'joint-field-size',
                f'field {self.place!r} of {self.where} has {row.size} numbers, the map '
                f'has {named}',
            )
        return row


def stamps_of(recording: Recording, track: Track, policy: str) -> list[int]:
    """
    Return the stamps of the messages of a topic with a header, in the order of the recording, ns.

    :param policy: as in ``TopicMap.stamp``
    """
    if policy == RECEIVED:
        return list(track.times)
    if policy == FRAME_INDEX:
        return index_stamps(recording, track)
    return track.stamps()


def index_stamps(recording: Recording, track: Track) -> list[int]:
    """
    Return the stamps of the rows of a dataset by their index and its rate, ns.

    :raises ConfigurationError: if the recording is no episode of a dataset, or has no rate
    """
    source = recording.metadata.get(SOURCE)
    if source is None:
        raise ConfigurationError(
            'stamp-policy',
            f'{recording.path} is no dataset: stamp must be {HEADER} or {RECEIVED} in its map',
        )
    if source['fps'] is None:
        raise ConfigurationError(
            'frame-index-rate',
            f'{recording.path} has no rate for "stamp: {FRAME_INDEX}": set "source_rate" in the '
            'map',
        )
    return index_times(int(source['start']), float(source['fps']), len(track.times))


def camera_tracks(
    recording: Recording, topic_map: TopicMap
) -> Mapping[str, tuple[Track, CameraSource]]:
    """
    Return the topic of each camera of a map, with its description.

    :raises RecordingError, ConfigurationError: if a topic is missing, or has no images
    """
    if not topic_map.cameras:
        return {
            name: (track, CameraSource(track.topic)) for name, track in recording.cameras.items()
        }
    found: dict[str, tuple[Track, CameraSource]] = {}
    for name, source in topic_map.cameras.items():
        track = find_track(recording, source.topic, f'cameras.{name}')
        if track.type_name not in SUFFIXES:
            raise ConfigurationError(
                'camera-type',
                f'{recording.path}: camera {name} is {source.topic} of {track.type_name}, must be '
                f'{" or ".join(SUFFIXES)}',
            )
        if source.options.encoding and (SOURCE in recording.metadata or track.is_video):
            raise ConfigurationError(
                'camera-encoding',
                f'{recording.path}: camera {name} has "encoding" in the map, which is for '
                'messages with images: leave it out, or set "color_order"',
            )
        found[name] = track, source
    check_camera_sources(recording.path, {n: track.topic for n, (track, _) in found.items()})
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
    if track is None and topic in recording.metadata.get(SOURCE, {}).get('depth', ()):
        raise ConfigurationError(
            'camera-depth',
            f'{recording.path}: feature {topic} ({key} of the map) is a depth map: name a colour '
            'camera',
        )
    if track is None and topic in recording.left_out:
        raise RecordingError(
            'topic-left-out',
            f'{recording.path}: {topic} ({key} of the map) cannot be read: '
            f'{recording.left_out[topic]}; convert it, or leave it out of the map',
        )
    if track is None:
        raise RecordingError(
            'topic-missing',
            f'{recording.path} lacks topic {topic} ({key} of the map), it has '
            f'{", ".join(sorted(features or recording.tracks))}: correct the map, or leave it out',
        )
    return track
