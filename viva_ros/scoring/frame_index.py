# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Index of the episodes and frames of a recording, numbered as in a LeRobot dataset.

Frames are those of the engine's first camera, as in training: step t = frame + 1 of T.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.data.episode import Episode, Label
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import spans

Stamps = NDArray[np.int64]
Span = tuple[float, float]
BEGIN: Final = 'correction_begin'
END: Final = 'correction_end'


@dataclass(frozen=True)
class Timeline:
    """
    Frame stamps and annotations of one episode.

    :param number: index of the episode in the recording or dataset
    :param id: id announced while recording; empty if none was announced
    :param first: index of the first frame in the recording or dataset
    :param stamps: stamps of the frames, (T,) ns, ascending
    :param control_rate: rate of the joint states, Hz; NaN if unknown
    :param corrections: intervals of human control, s since the first frame
    :param identities: content identities, see ``Episode.identities``; empty if unknown
    """

    number: int
    id: str
    first: int
    stamps: Stamps
    control_rate: float
    label: Label | None
    corrections: tuple[Span, ...]
    identities: frozenset[str] = frozenset()

    def seconds(self, stamp: float) -> float:
        """Return a stamp as the time since the first frame, s."""
        return round(float(stamp - self.stamps[0]) * 1e-9, 9)


def timelines(
    recording: Recording, episodes: Sequence[Episode] | None, cameras: Sequence[str],
    topic: str = '', number: int = 0, first: int = 0,
) -> list[Timeline]:  # fmt: skip
    """
    Return a timeline for each episode that has frames, in order.

    :param episodes: episodes of the recording; None if it lacks joints or cameras
    :param cameras: cameras of the engine; the first recorded one defines the frames
    :param topic: std_msgs/Bool topic, true during human control; empty for none
    :param number: index of the first episode in the dataset
    :param first: index of its first frame in the dataset
    """
    controlled = human_control(recording, topic) if topic else []
    found = []
    for name, stamps, episode in _frames(recording, episodes, cameras):
        label = episode.label if episode else None
        begin = int(stamps[0])
        corrected = [((a - begin) * 1e-9, (b - begin) * 1e-9) for a, b in controlled]
        duration = (int(stamps[-1]) - begin) * 1e-9
        inside = [(max(a, 0.0), min(b, duration)) for a, b in corrected if b > 0 and a <= duration]
        found.append(Timeline(
            number, name, first, stamps, _rate(episode.joints.stamps) if episode else math.nan,
            label, (*inside, *labelled_corrections(label, duration)),
            episode.identities if episode else frozenset(),
        ))  # fmt: skip
        number, first = number + 1, first + len(stamps)
    return found


def _frames(
    recording: Recording, episodes: Sequence[Episode] | None, cameras: Sequence[str]
) -> list[tuple[str, Stamps, Episode | None]]:
    """Return id, frame stamps and episode; the episode is None if joints are missing."""
    if episodes is None:
        tracks = recording.cameras
        camera = _frame_camera(cameras, list(tracks))
        if camera is None:
            return []
        parts = [(s.id, tracks[camera].frames(s.begin, s.end).stamps) for s in spans(recording)]
        return [(name, stamps, None) for name, stamps in parts if stamps.size]
    found: list[tuple[str, Stamps, Episode | None]] = []
    for episode in episodes:
        camera = _frame_camera(cameras, [c for c, f in episode.cameras.items() if f.stamps.size])
        if camera is not None:
            name = episode.name.partition(':')[2]
            found.append((name, episode.cameras[camera].stamps, episode))
    return found


def _frame_camera(preferred: Sequence[str], recorded: Sequence[str]) -> str | None:
    return next((c for c in preferred if c in recorded), min(recorded, default=None))


def _rate(stamps: Stamps) -> float:
    return 1e9 / float(np.median(np.diff(stamps))) if len(stamps) > 1 else math.nan


def human_control(recording: Recording, topic: str) -> list[tuple[int, int]]:
    """
    Return the intervals in which a std_msgs/Bool topic was true, ns.

    :raises RecordingError: if the topic has another type
    """
    track = recording.find(topic.lstrip('/'))
    if track is not None and track.type_name != 'std_msgs/msg/Bool':
        raise RecordingError(
            'corrections-topic-type',
            f'{recording.path}: topic {topic} is a {track.type_name}, must be std_msgs/msg/Bool',
        )
    found: list[tuple[int, int]] = []
    begin, time = None, 0
    for time, message in recording.messages(topic.lstrip('/')):
        if message.data and begin is None:
            begin = time
        elif not message.data and begin is not None:
            found.append((begin, time))
            begin = None
    return found if begin is None else [*found, (begin, max(time, 1 << 62))]


def labelled_corrections(label: Label | None, duration: float) -> list[Span]:
    """Return the intervals of the times correction_begin* and correction_end* of a label, s."""
    times = label.times if label else {}
    return sorted(
        (at, times.get(END + name.removeprefix(BEGIN), duration))
        for name, at in times.items() if name.startswith(BEGIN)
    )  # fmt: skip


def place(stamp: int, id_: str, episodes: Sequence[Timeline]) -> tuple[Timeline | None, int]:
    """
    Return the episode of a value and the index of the newest frame at its stamp.

    :param id_: id of the episode; empty if unknown
    :returns: frame -1 before the first frame; (None, -1) without episodes
    """
    named = [one for one in episodes if id_ and one.id == id_]
    started = [one for one in episodes if one.stamps[0] <= stamp]
    if not episodes:
        return None, -1
    one = (named or started[-1:] or episodes[:1])[0]
    return one, int(np.searchsorted(one.stamps, stamp, side='right')) - 1
