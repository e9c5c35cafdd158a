# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One episode as recorded, before resampling to one rate.

A topic map defines its cameras and joints; without a map, the conventions of this package do.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.data.episode import ALWAYS, Annotation, Frames, Joints, Label
from viva_ros.data.images import SUFFIXES
from viva_ros.data.joint_groups import JointReadings, groups_of
from viva_ros.data.messages import from_time
from viva_ros.data.recording import JOINT_STATE, SOURCE, Recording, Track
from viva_ros.data.row_times import index_times
from viva_ros.data.segmentation import (
    WHOLE,
    EpisodeLabels,
    Span,
    annotation_of,
    cut,
    episodes_of,
    name_of,
    origins_of,
    spans,
    task_of,
    tasks_of,
)
from viva_ros.data.stream_checks import OTHER_CLOCK, EpisodeStreams
from viva_ros.robot.topic_map import (
    FRAME_INDEX,
    HEADER,
    RECEIVED,
    CameraSource,
    JointSource,
    TopicMap,
    check_camera_sources,
    check_joint_sources,
    numbers,
)

DATASET_ACTION: Final = '/action'
NUMBERS: Final = 'std_msgs/msg/Float64MultiArray'  # type of a feature without element names


@dataclass(frozen=True)
class RawEpisode:
    """
    One episode: streams, each with its own stamps.

    :param joints: in disjoint groups; those of a group always arrive together
    :param action: likewise
    :param annotation: as in ``Episode``
    :param tasks: of an episode with several; empty otherwise
    :param losses: as in ``Recording``
    :param readable: share of the file, in [0, 1]
    :param whole: as in ``Recording``
    :param origins: as in ``Episode``
    :param notes: as in ``Recording``
    :param is_dataset: whether it is an episode of a dataset
    :param known_units: joints whose units are those of ROS, rad or m
    :param span: as in ``Episode``
    """

    name: str
    source: Path
    cameras: Mapping[str, Frames]
    joints: tuple[Joints, ...]
    label: Label | None
    task: str = ''
    action: tuple[Joints, ...] = ()
    annotation: Annotation | None = None
    tasks: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    readable: float = 1.0
    whole: bool = True
    origins: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_dataset: bool = False
    known_units: frozenset[str] = frozenset()
    span: tuple[int, int] = ALWAYS

    @property
    def streams(self) -> EpisodeStreams:
        """Return the streams of the episode."""
        return EpisodeStreams(
            self.cameras, self.joints, self.action, self.is_dataset, self.known_units
        )


def raw_episodes(recording: Recording, topic_map: TopicMap) -> list[RawEpisode]:
    """
    Return the episodes of a recording under a map.

    :raises RecordingError, ConfigurationError: if a topic, a field or a rate is missing
    """
    recording = with_row_times(recording, topic_map)
    found = _episodes(recording, topic_map)
    names = {one.name for one in found}
    absent = [span.id for span in spans(recording) if name_of(recording, span) not in names]
    if not absent:
        return found
    note = f'id {", ".join(absent)} on topic episode has no image: left out'
    return [replace(one, notes=(*one.notes, note)) for one in found]


def _episodes(recording: Recording, topic_map: TopicMap) -> list[RawEpisode]:
    if is_mapped(topic_map):
        return mapped_episodes(recording, topic_map)
    is_dataset = SOURCE in recording.metadata
    actions: tuple[Joints, ...] = ()
    action = recording.tracks.get(DATASET_ACTION)
    if is_dataset and action is not None and action.type_name == JOINT_STATE:
        source = _Source(recording, JointSource(DATASET_ACTION), topic_map)
        actions = groups_of(source.read().readings, source.where, source.is_dataset)
    return [
        RawEpisode(
            one.name, recording.path, one.cameras, one.groups or (one.joints,), one.label,
            task_of(recording) or topic_map.task, actions, one.annotation, tasks_of(recording),
            recording.losses, recording.readable, recording.whole, one.origins,
            (*recording.notes, *one.notes),
            is_dataset, frozenset() if is_dataset else frozenset(one.joints.names), one.span,
        )
        for one in episodes_of(recording)
    ]  # fmt: skip


def is_mapped(topic_map: TopicMap) -> bool:
    """Return whether a map names sources; without, the conventions of this package hold."""
    return bool(topic_map.cameras or topic_map.joints or topic_map.stamp != HEADER)


def with_row_times(recording: Recording, topic_map: TopicMap) -> Recording:
    """
    Return a recording whose rows have stamps: those of its timestamps, else by index and rate.

    The rate is that of the map, else that of the recording. The SOURCE record of a recording whose
    rows have no timestamps has the entry 'stamped': False, and the reason as 'untimed'.

    :raises RecordingError: if it has neither timestamps nor a rate
    """
    source = recording.metadata.get(SOURCE)
    if source is None:
        return recording
    own, notes = source['fps'], recording.notes
    rate = topic_map.source_rate or own
    if own and rate != own:
        text = f'rate of the recording is {own:g} Hz: source_rate {rate:g} Hz of the map is used'
        notes = tuple(dict.fromkeys((*notes, text)))
    metadata = {**recording.metadata, SOURCE: {**source, 'fps': rate}}
    if source.get('stamped', True):
        return replace(recording, metadata=metadata, notes=notes)
    if rate is None:
        reason = f' ({source["untimed"]})' if source.get('untimed') else ''
        names = f'; {source["problem"]}' if source['problem'] and not topic_map.joints else ''
        raise RecordingError(
            'source-rate-missing',
            f'{recording.path} has no timestamps and no rate{reason}: set "source_rate" in the '
            f'map{names}',
        )
    start = int(source['start'])
    tracks = {
        topic: replace(track, times=index_times(start, rate, len(track.times)))
        for topic, track in recording.tracks.items()
    }
    return replace(recording, tracks=tracks, metadata=metadata, notes=notes)


def mapped_episodes(recording: Recording, topic_map: TopicMap) -> list[RawEpisode]:
    """
    Return the episodes of a recording of another robot, one for each id on topic ``episode``.

    Episodes without an image are left out if there are several.

    :raises RecordingError, ConfigurationError: if a topic, a joint or a stamp is missing
    """
    tracks, notes = camera_tracks(recording, topic_map), list(recording.notes)
    cameras = {
        name: camera_frames(recording, track, source, topic_map)
        for name, (track, source) in tracks.items()
    }
    for name, frames in cameras.items():
        topic = tracks[name][0].topic
        if frames.unstamped:
            notes.append(f'{frames.unstamped} messages of {topic} have no stamp: left out')
        if frames.lost:
            notes.append(f'{topic}: {frames.lost}')
        policy = tracks[name][1].stamp or topic_map.stamp
        if policy == HEADER and SOURCE not in recording.metadata and frames.stamps.size:
            age = (int(tracks[name][0].times[0]) - int(frames.stamps[0])) * 1e-9
            if abs(age) > OTHER_CLOCK:
                notes.append(
                    f'stamps of {topic} are {age:.0f} s older than their receive times: a live '
                    'monitor takes such messages for stale, unless the map has "stamp: received"'
                )
    joints, units, remarks = _all_groups(recording, joint_sources(topic_map), topic_map)
    actions, _, _ = _all_groups(recording, topic_map.action, topic_map)
    labels, parts, task = EpisodeLabels(recording), spans(recording), topic_map.task
    whole = RawEpisode(
        recording.name, recording.path, cameras, joints, None, task_of(recording) or task, actions,
        None, tasks_of(recording), recording.losses, recording.readable, recording.whole,
        origins_of(recording), (*notes, *remarks), SOURCE in recording.metadata, units,
    )  # fmt: skip
    found = []
    for span in parts:
        own = cameras if span.id == '' else {
            name: camera_frames(recording, track, source, topic_map, span)
            for name, (track, source) in tracks.items()
        }  # fmt: skip
        starts = [int(frames.stamps[0]) for frames in own.values() if frames.stamps.size]
        if not starts and len(parts) > 1:
            continue
        name = name_of(recording, span)
        annotation = annotation_of(recording.path, name)
        found.append(replace(
            whole, name=name, cameras=own, joints=tuple(cut(group, span) for group in joints),
            action=tuple(cut(group, span) for group in actions), annotation=annotation,
            label=labels.label(span, min(starts, default=0), annotation, task),
            span=(span.begin, span.end),
        ))  # fmt: skip
    return found


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
        raise RecordingError('stamps-missing', unstamped_text(track.topic))
    return frames


def joint_sources(topic_map: TopicMap) -> tuple[JointSource, ...]:
    """Return the sources of joints in a map; joint_states if it names none."""
    return topic_map.joints or (JointSource('/joint_states'),)


def _all_groups(
    recording: Recording, sources: tuple[JointSource, ...], topic_map: TopicMap
) -> tuple[tuple[Joints, ...], frozenset[str], list[str]]:
    """Return the groups of all sources, the joints with known units, and notes."""
    groups: list[Joints] = []
    taken: list[tuple[str, JointSource]] = []
    units: set[str] = set()
    notes: list[str] = []
    for row in sources:
        source = _Source(recording, row, topic_map)
        taken.append((source.topic, row))
        check_joint_sources(recording.path, taken)
        own = groups_of(source.read().readings, source.where, source.is_dataset)
        groups += own
        notes += source.notes
        if source.has_known_units:
            units |= {name for group in own for name in group.names}
    check_once(recording.path, groups)
    return tuple(groups), frozenset(units), notes


def check_once(path: Path, groups: list[Joints]) -> None:
    """
    Check that each joint comes from one source.

    :raises RecordingError: if one comes from two
    """
    counts = Counter(name for group in groups for name in group.names)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise RecordingError(
            'joint-in-two-sources',
            f'{path} has joint {", ".join(twice)} twice: set "prefix" or different "names" in the '
            'map',
        )


def read_joints_of(
    recording: Recording, source: JointSource, topic_map: TopicMap
) -> JointReadings:
    """
    Return the readings of one source in the order of the recording.

    :raises RecordingError, ConfigurationError: if the topic, a joint or a stamp is missing
    """
    return _Source(recording, source, topic_map).read()


class _Source:
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
                raise RecordingError('stamps-missing', unstamped_text(source.topic))
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
        row = numbers(message, source.path or 'data')
        if row.size not in (0, len(source.names)):
            named = f'{len(source.names)} names ({", ".join(source.names.values())})' \
                if source.names else f'no names: set "names" to a list of {row.size}'  # fmt: skip
            raise ConfigurationError(
                'joint-field-size',
                f'field {source.path or "data"!r} of {self.where} has {row.size} numbers, the map '
                f'has {named}',
            )
        return row


def unstamped_text(topic: str) -> str:
    """Return the text on a topic whose messages all lack a stamp."""
    return (
        f'{topic} has messages without a stamp only: set "stamp: received" for this topic in the '
        'map, or set the stamp in its driver'
    )


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
    if track is None:
        raise RecordingError(
            'topic-missing',
            f'{recording.path} lacks topic {topic} ({key} of the map), it has '
            f'{", ".join(sorted(features or recording.tracks))}: correct the map, or leave it out',
        )
    return track
