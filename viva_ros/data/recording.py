# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A recording: topics with messages, whatever they were read from.

``read`` opens anything that holds episodes: a recording of ours, a bag of another robot with its
map, or one episode of a LeRobot dataset.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viva_ros.core.errors import RecordingError
from viva_ros.core.observation import Image
from viva_ros.data.episode import Episode
from viva_ros.data.messages import Definition, deserialise


@dataclass(frozen=True)
class Track:
    """
    One topic: type, and the messages in the order of the file with receive times, ns.

    :param definition: of the type, as recorded; None where it is known anyway
    """

    topic: str
    type_name: str
    times: list[int] = field(default_factory=list)
    data: Sequence[bytes] = field(default_factory=list)
    definition: Definition | None = None

    def messages(self) -> Iterator[tuple[int, Any]]:
        """Give receive times and messages."""
        for time, cdr in zip(self.times, self.data, strict=True):
            yield time, deserialise(self.type_name, cdr, self.definition)

    def stamps(self) -> list[int]:
        """Give the stamps of messages that begin with a header, in the order of the file, ns."""
        from viva_ros.data.images import stamp_of  # which is made of tracks

        return [stamp_of(head) for head in getattr(self.data, 'heads', self.data)]

    def pictures(self, rows: Sequence[int]) -> Sequence[Image]:
        """Give the pictures of some messages, decoded on access."""
        from viva_ros.data.images import Pictures

        return Pictures(self.type_name, [self.data[row] for row in rows])


@dataclass(frozen=True)
class Recording:
    """
    What a file holds.

    :param tracks: by topic, absolute
    :param metadata: by the name of the record
    :param losses: what could not be read, for a person; empty for a whole file
    :param readable: share that could be read, of what was recorded where that is known, else of
        the bytes that are there, in [0, 1]
    :param whole: False where the end is missing, or something within
    """

    path: Path
    tracks: Mapping[str, Track]
    metadata: Mapping[str, Mapping[str, Any]]
    losses: tuple[str, ...]
    readable: float = 1.0
    whole: bool = True

    def find(self, name: str) -> Track | None:
        """
        Find the topic of a relative name, in whatever namespace.

        :raises RecordingError: if two namespaces have it
        """
        found = [track for topic, track in self.tracks.items() if f'/{topic}'.endswith(f'/{name}')]
        if len(found) > 1:
            topics = ', '.join(track.topic for track in found)
            raise RecordingError(f'{self.path} has {topics}: record one robot to a file')
        return found[0] if found else None

    def messages(self, name: str) -> list[tuple[int, Any]]:
        """Give receive times and messages of a topic; empty if it was not recorded."""
        track = self.find(name)
        return list(track.messages()) if track else []

    def episodes(self) -> list[Episode]:
        """
        Give the episodes with at least one frame of some camera.

        :raises RecordingError: if there are no cameras or no joints
        """
        from viva_ros.data.segmentation import episodes  # which is made of recordings

        return episodes(self)


def read(path: Path) -> Recording:
    """
    Read a recording, as far as it can be read.

    :param path: one of those that ``sources.find`` gives
    :raises RecordingError: if there is no such file, or nothing in it can be read
    """
    from viva_ros.data.open import open_recording  # which makes recordings

    return open_recording(path)
