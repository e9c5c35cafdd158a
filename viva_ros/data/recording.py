# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording of any format: topics with messages."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import RecordingError
from viva_ros.core.foreign_text import shown
from viva_ros.core.observation import Array, Image
from viva_ros.data.episode import ALWAYS, Frames
from viva_ros.data.images import SUFFIXES, Pictures
from viva_ros.data.messages import Definition, deserialise, joint_state, serialise, stamp_of
from viva_ros.data.stamps import INDEX_REMEDY, Stamps, ordered
from viva_ros.data.video_packets import RecordedFrame, VideoMessages, VideoPictures, as_video
from viva_ros.engine.image_decoding import AS_DECLARED, ImageOptions
from viva_ros.robot.topic_map import ImportLimits

JOINT_STATE: Final = 'sensor_msgs/msg/JointState'
NUMBERS: Final = 'std_msgs/msg/Float64MultiArray'  # type of a feature without element names
DATASET_ACTION: Final = '/action'
OWN: Final = 'viva_ros/msg/'
#: Topics of this package with their types.
OWN_TOPICS: Final = {
    'joint_states': JOINT_STATE, 'value': f'{OWN}Value', 'alert': f'{OWN}Alert',
    'ground_truth': f'{OWN}GroundTruth', 'episode': f'{OWN}Episode',
}  # fmt: skip
SOURCE: Final = 'viva_data_set'  # metadata record of a dataset: topics, rate, robot
COLUMNS: Final = 'viva_columns'  # metadata record: column of a dataset to its value
ORIGINS: Final = 'viva_origins'  # metadata record with the identities of the imported episode
DOUBT: Final = 'viva_outcome_doubt'  # metadata record: why recorded outcomes are not clear
#: Note of a reader on a part of a dataset that is no topic.
LEFT_OUT: Final = re.compile(r'(?:feature|dataset|video) (\S.*?) is left out: (.*)')


def recording_name(path: Path) -> str:
    """Return the name of a recording: that of its folder, or of its file without the suffix."""
    return path.name if path.is_dir() else path.stem


@dataclass(frozen=True)
class Track:
    """
    One topic: its type, and its messages in the order of the file.

    :param times: of receipt, ns
    :param definition: of the type, as recorded; None for a type that needs none
    :param options: overrides of what its image messages say
    """

    topic: str
    type_name: str
    times: list[int] = field(default_factory=list)
    data: Sequence[bytes] = field(default_factory=list)
    definition: Definition | None = None
    options: ImageOptions = AS_DECLARED

    def __post_init__(self) -> None:
        """Let a topic with video packets decode them."""
        object.__setattr__(self, 'data', as_video(self.type_name, self.data, self.definition))

    @property
    def is_video(self) -> bool:
        """Whether its messages are video packets."""
        return isinstance(self.data, VideoMessages)

    def messages(self) -> Iterator[tuple[int, Any]]:
        """Yield receive times and messages."""
        for time, cdr in zip(self.times, self.data, strict=True):
            yield time, deserialise(self.type_name, cdr, self.definition)

    def stamps(self) -> list[int]:
        """Return the stamps of messages that begin with a header, in the order of the file, ns."""
        return [stamp_of(head) for head in getattr(self.data, 'heads', self.data)]

    def inputs(self) -> Iterator[tuple[int, Any]]:
        """Yield receive times and the inputs of a camera, whose images are read on access."""
        stamps = self.stamps()
        if not isinstance(self.data, VideoMessages):
            for row, (time, stamp) in enumerate(zip(self.times, stamps, strict=True)):
                yield time, RecordedMessage(stamp, row, self)
            return
        index = self.data.packets(stamps)
        pictures = VideoPictures(self.data, index, sorted(index.starts), self.options)
        for row, (time, stamp) in enumerate(zip(self.times, stamps, strict=True)):
            if row in index.starts or row in index.faults:
                yield time, RecordedFrame(stamp, row, str(index.faults.get(row, '')), pictures)

    def pictures(self, rows: Sequence[int]) -> Sequence[Image]:
        """
        Return the images of some messages, read and decoded on access.

        :raises InputError: if one is a video packet without an image
        """
        if not isinstance(self.data, VideoMessages):
            return Pictures(self.type_name, self.data, options=self.options, rows=rows)
        index = self.data.packets(self.stamps())
        if fault := next((index.faults[row] for row in rows if row in index.faults), None):
            raise fault
        return VideoPictures(self.data, index, rows, self.options)

    def frames(self, begin: int, end: int) -> Frames:
        """Return the frames with stamps in [begin, end), ns; ascending, each stamp once."""
        return self.frames_of(self.stamps(), begin, end)

    def frames_of(
        self, stamps: Sequence[int], begin: int = ALWAYS[0], end: int = ALWAYS[1]
    ) -> Frames:
        """
        Return the frames with stamps in [begin, end), as ``frames`` does.

        :param stamps: of all messages in the order of the file, ns
        """
        recorded = [(row, at) for row, at in enumerate(stamps) if begin <= at < end]
        if not isinstance(self.data, VideoMessages):
            one = ordered([at for _, at in recorded])
            images = self.pictures([recorded[k][0] for k in one.rows])
            return Frames(one.stamps, images, one.backwards, one.unstamped, one.repeated)
        index = self.data.packets(stamps)
        lost = index.lost_text([row for row, _ in recorded])
        shown = [(row, at) for row, at in recorded if row in index.starts]
        one = ordered([at for _, at in shown])  # parameters may have the stamp of an image
        images = VideoPictures(self.data, index, [shown[k][0] for k in one.rows], self.options)
        return Frames(one.stamps, images, one.backwards, one.unstamped, one.repeated, lost)


@dataclass(frozen=True)
class RecordedMessage:
    """
    An image message of a recording as an input of a monitor.

    :param stamp: ns
    """

    stamp: int
    row: int
    track: Track

    def read(self) -> Any:
        """Return the message, from the file unless it is small."""
        track = self.track
        return deserialise(track.type_name, track.data[self.row], track.definition)


def joint_track(topic: str, stamps: Stamps, names: Sequence[str], positions: Array) -> Track:
    """Return joint states as a topic; positions (N, J), rad or m."""
    data = [
        serialise(JOINT_STATE, joint_state(int(stamp), names, np.ascontiguousarray(row)))
        for stamp, row in zip(stamps, positions, strict=True)
    ]
    return Track(topic, JOINT_STATE, stamps.tolist(), data)


@dataclass(frozen=True)
class Recording:
    """
    The content of a recording.

    :param tracks: by absolute topic
    :param metadata: by name of the record
    :param losses: texts that describe the unreadable parts; empty for an intact file
    :param readable: share that can be read, in [0, 1]: of the recorded messages if their number is
        known, else of the bytes of the file
    :param whole: False if the end or a part is missing
    :param notes: texts on what was left out without a loss, such as a depth camera
    :param reasons: episode to its ``Episode.reasons`` by the limits of a map
    :param limits: of its map; None without one
    :param lost: topic to the number of its messages that are known to be lost; '' for those of no
        known topic
    """

    path: Path
    tracks: Mapping[str, Track]
    metadata: Mapping[str, Mapping[str, Any]]
    losses: tuple[str, ...]
    readable: float = 1.0
    whole: bool = True
    notes: tuple[str, ...] = ()
    reasons: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    limits: ImportLimits | None = None
    lost: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the recording in its folder."""
        return recording_name(self.path)

    @property
    def left_out(self) -> dict[str, str]:
        """Features, datasets and videos of a dataset that are no topics, with the reasons."""
        found = [LEFT_OUT.fullmatch(note) for note in self.notes]
        return {one[1]: one[2] for one in found if one is not None}

    def unstamped_text(self, topic: str) -> str:
        """Return the text on a topic whose messages all lack a stamp."""
        if SOURCE in self.metadata:
            return f'{topic} of {self.path} has timestamps that are no seconds: {INDEX_REMEDY}'
        return (
            f'{topic} has messages without a stamp only: set "stamp: received" for this topic in '
            'the map, or set the stamp in its driver'
        )

    def find(self, name: str) -> Track | None:
        """
        Return the topic with a relative name, in any namespace; None if there is none.

        A topic with a name of this package and a foreign type is not the one.

        :raises RecordingError: if several namespaces have it
        """
        found = [
            track for topic, track in self.tracks.items()
            if f'/{topic}'.endswith(f'/{name}') and self._is_own(name, track.type_name)
        ]  # fmt: skip
        if len(found) > 1:
            topics = ', '.join(track.topic for track in found)
            raise RecordingError(
                'topic-ambiguous',
                f'{self.path} has {topics}: name its sources in a map, or record one robot per '
                'file',
            )
        return found[0] if found else None

    def _is_own(self, name: str, kind: str) -> bool:
        """Return whether a type is that of a topic of this package, if the name is one's."""
        earlier = name == 'episode' and kind == 'std_msgs/msg/String'
        return earlier or name not in OWN_TOPICS or kind == OWN_TOPICS[name]

    @property
    def foreign_notes(self) -> tuple[str, ...]:
        """Texts on topics that have a name of this package, but not its type."""
        return tuple(
            f'topic {shown(topic)} has the type {shown(track.type_name)}, not {kind}: it is not '
            'read'
            for topic, track in sorted(self.tracks.items())
            for name, kind in OWN_TOPICS.items()
            if f'/{topic}'.endswith(f'/{name}') and not self._is_own(name, track.type_name)
        )

    def messages(self, name: str) -> list[tuple[int, Any]]:
        """Return receive times, ns, and messages of a topic; empty if it was not recorded."""
        track = self.find(name)
        return list(track.messages()) if track else []

    @cached_property
    def cameras(self) -> Mapping[str, Track]:
        """
        Return the image topic of each camera; of several forms the first in SUFFIXES.

        :raises RecordingError: if several namespaces have the same camera
        """
        found: dict[str, Track] = {}
        rank = {kind: place for place, kind in enumerate(SUFFIXES)}
        for track in self.tracks.values():
            suffix = SUFFIXES.get(track.type_name)
            if suffix is None or not track.topic.endswith(suffix):
                continue
            camera = track.topic.removesuffix(suffix).rpartition('/')[2]
            other = found.get(camera)
            if other is not None and other.type_name == track.type_name:
                raise RecordingError(
                    'camera-ambiguous',
                    f'{self.path} has {other.topic} and {track.topic}: name its cameras in '
                    'a map, or record one robot per file',
                )
            if other is None or rank[track.type_name] < rank[other.type_name]:
                found[camera] = track
        return dict(sorted(found.items()))
