# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One episode as recorded, before resampling to one rate.

A topic map defines its cameras and joints; without a map, the conventions of this package do.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from viva_ros.core.errors import RecordingError
from viva_ros.core.synchronization import SyncSettings
from viva_ros.data.conversion.map_sources import (
    SourceReader,
    camera_frames,
    camera_tracks,
    joint_sources,
)
from viva_ros.data.episode import ALWAYS, Annotation, Frames, Joints, Label
from viva_ros.data.joint_groups import JointReadings, groups_of
from viva_ros.data.recording import DATASET_ACTION, JOINT_STATE, LEFT_OUT, SOURCE, Recording, Track
from viva_ros.data.row_times import index_times
from viva_ros.data.segmentation import (
    EpisodeLabels,
    annotation_of,
    cut,
    episodes_of,
    name_of,
    origins_of,
    spans,
    task_of,
    tasks_of,
)
from viva_ros.data.stream_checks import EpisodeStreams
from viva_ros.robot.topic_map import (
    HEADER,
    JointSource,
    TopicMap,
    check_joint_sources,
)

LIVE: Final = SyncSettings()
#: A source of joints of a map, and what it has in a recording.
ReadSource: TypeAlias = tuple[SourceReader, JointReadings]


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
        read = read_sources(recording, joint_sources(topic_map), topic_map)
        return mapped_episodes(recording, topic_map, read)
    is_dataset = SOURCE in recording.metadata
    actions: tuple[Joints, ...] = ()
    action = recording.tracks.get(DATASET_ACTION)
    if is_dataset and action is not None and action.type_name == JOINT_STATE:
        source = SourceReader(recording, JointSource(DATASET_ACTION), topic_map)
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


def mapped_episodes(
    recording: Recording, topic_map: TopicMap, joints_read: Iterable[ReadSource]
) -> list[RawEpisode]:
    """
    Return the episodes of a recording of another robot, one for each id on topic ``episode``.

    Episodes without an image are left out if there are several.

    :param joints_read: from ``read_sources`` with the joint sources of the map
    :raises RecordingError, ConfigurationError: if a topic, a joint or a stamp is missing
    """
    tracks = camera_tracks(recording, topic_map)
    named = {one.topic for one in topic_map.cameras.values()}
    named |= {one.topic for one in (*topic_map.joints, *topic_map.action)}
    left_out = {note: LEFT_OUT.fullmatch(note) for note in recording.notes}
    notes = [note for note, one in left_out.items() if one is None or one[1] not in named]
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
            age = _age(tracks[name][0])
            if not -LIVE.max_future <= age <= LIVE.max_age:
                notes.append(
                    f'stamps of {topic} are {abs(age):.{0 if abs(age) > 10 else 1}f} s '
                    f'{"before" if age > 0 else "after"} their receive times: a live monitor does '
                    'not use such messages, unless the map has "stamp: received"'
                )
    joints, units, remarks = _all_groups(recording.path, joints_read)
    actions, _, _ = _all_groups(
        recording.path, read_sources(recording, topic_map.action, topic_map)
    )
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


def _age(track: Track) -> float:
    """Return the median time from the stamps of a topic to their receipt, s."""
    stamps = np.array(track.stamps(), dtype=np.int64)
    known = stamps > 0
    return float(np.median(np.array(track.times, dtype=np.int64)[known] - stamps[known])) * 1e-9


def read_sources(
    recording: Recording, sources: Sequence[JointSource], topic_map: TopicMap
) -> Iterator[ReadSource]:
    """
    Yield each source with its readings.

    :raises RecordingError, ConfigurationError: if a topic, a joint or a stamp is missing, or if a
        joint of a message is read twice
    """
    taken: list[tuple[str, JointSource]] = []
    for row in sources:
        source = SourceReader(recording, row, topic_map)
        taken.append((source.topic, replace(row, path=source.place)))
        check_joint_sources(recording.path, taken)
        yield source, source.read()


def _all_groups(
    path: Path, read: Iterable[ReadSource]
) -> tuple[tuple[Joints, ...], frozenset[str], list[str]]:
    """Return the groups of all sources, the joints with known units, and notes."""
    groups: list[Joints] = []
    units: set[str] = set()
    notes: list[str] = []
    for source, found in read:
        own = groups_of(found.readings, source.where, source.is_dataset)
        groups += own
        notes += source.notes
        if source.has_known_units:
            units |= {name for group in own for name in group.names}
    check_once(path, groups)
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
