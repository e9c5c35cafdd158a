# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Segmentation of a recording into labelled episodes.

A recording of `viva record` is one episode, with its label in the metadata. A live recording is
split by the ids on ``episode``; the ground truth of a simulation, if recorded, is its label.
"""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import RecordingError
from viva_ros.core.foreign_text import shown
from viva_ros.core.outcome import WORDS, outcome
from viva_ros.data.episode import (
    ALWAYS,
    ATTEMPT_TIME,
    RETRY_TIME,
    Annotation,
    Episode,
    Frames,
    Joints,
    Label,
    Mark,
    judged,
    load,
    sidecar,
)
from viva_ros.data.joint_groups import JointReadings, groups_of, joined
from viva_ros.data.messages import from_time
from viva_ros.data.recorded_messages import (
    TruthMessage,
    ValueMessage,
    alerts,
    runs,
    stamp_of_event,
    truth,
    values,
)
from viva_ros.data.recording import ORIGINS, SOURCE, Recording, recording_name
from viva_ros.data.stream_checks import EpisodeStreams, check_streams
from viva_ros.robot import topic_map
from viva_ros.robot.topic_map import ImportLimits

LABEL: Final = 'viva_episode'  # name of the metadata record
TASK: Final = 'viva_task'  # metadata record with a task and no outcome
TIMES: Final = ('inject', 'visible', 'manifest')
RECORDED: Final = ('.mcap', '.db3', '.bag', '.hdf5', '.h5')  # suffixes of files with recordings


@dataclass(frozen=True)
class Span:
    """Stamps [begin, end) of one episode, ns; id is empty if none was published."""

    id: str
    begin: int
    end: int


WHOLE: Final = Span('', *ALWAYS)


def spans(recording: Recording) -> list[Span]:
    """
    Return the spans of the published ids, in order; without ids, one unlimited span.

    :raises RecordingError: if an id is published again after another one, or after its end
    """
    found: dict[str, Span] = {}
    before = ''
    for time, message in recording.messages('episode'):
        name = getattr(message, 'id', None)
        name = message.data if name is None else name  # a String in earlier versions
        if name == before:  # transient local: a late subscriber receives it again
            continue
        before = name
        if name in found:
            raise RecordingError(
                'episode-id-reused',
                f'{recording.path} has the id {name!r} twice on topic episode, with another or an '
                'end between: its episodes cannot be separated; split the recording before the '
                'second, or give each episode its own id',
            )
        if found:
            last = list(found.values())[-1]
            found[last.id] = Span(last.id, last.begin, min(last.end, time))
        if name:
            found[name] = Span(name, time, ALWAYS[1])
    return list(found.values()) or [WHOLE]


def name_of(recording: Recording, span: Span) -> str:
    """Return the name of an episode: that of the recording, with the id if it has one."""
    return recording.name + (f':{span.id}' if span.id else '')


class EpisodeLabels:
    """The labels that a recording has for its episodes."""

    def __init__(self, recording: Recording) -> None:
        self._stored, self._task = stored_label(recording), task_of(recording)
        self._moments, self._published = truth(recording), values(recording)
        self._accepted = [
            event.stamp for event in alerts(recording) if event.kind == 'retry_accepted'
        ]

    def label(
        self, span: Span, first: int, annotation: Annotation | None, task: str = ''
    ) -> Label | None:
        """
        Return the label of an episode; None if the recording has none.

        :param first: stamp of its first frame, ns
        :param task: used if neither the recording nor a label has one
        """
        label = self._stored or true_label(within(self._moments, span), first)
        label = judged(label, annotation, self._task or task)
        return with_attempts(label, self._published, self._accepted, span, first)


def episodes_of(recording: Recording) -> list[Episode]:
    """
    Return the episodes that have an image.

    :raises RecordingError: if the recording has no cameras or no joints
    """
    return list(_episodes(recording))


def _episodes(recording: Recording) -> Iterator[Episode]:
    tracks = recording.cameras
    labels = EpisodeLabels(recording)
    groups, left_out = read_joints(recording)
    origins = origins_of(recording)
    if not tracks:
        topics = ', '.join(recording.tracks)
        causes = [
            f'{name}: {text}' for name, text in recording.left_out.items()
            if 'no names' not in text
        ]  # fmt: skip
        others = f' ({"; ".join(causes[:3])})' if causes else ''
        raise RecordingError(
            'cameras-missing',
            f'{recording.path} has no topic <camera>/image_raw or .../compressed, but {topics}'
            f'{others}: name its cameras in a {topic_map.NAME} in its folder',
        )
    for span in spans(recording):
        name = name_of(recording, span)
        cameras = {c: track.frames(span.begin, span.end) for c, track in tracks.items()}
        stamps = [int(camera.stamps[0]) for camera in cameras.values() if camera.stamps.size]
        if stamps:
            annotation = annotation_of(recording.path, name)
            label = labels.label(span, min(stamps), annotation)
            own = tuple(cut(group, span) for group in groups)
            reasons = recording.reasons.get(name) or _reasons(recording, cameras, own)
            yield Episode(
                name, cameras, joined(own, recording.path), label, origins, own, annotation,
                reasons, (span.begin, span.end), (*left_out, *_left_out(cameras)),
            )  # fmt: skip
        elif any(camera.unstamped for camera in cameras.values()):
            raise RecordingError(
                'frames-unstamped',
                f'{recording.path} has images without a stamp only: set "stamp: received" in a '
                'map, or set the stamp in the driver',
            )


def _left_out(cameras: Mapping[str, Frames]) -> tuple[str, ...]:
    """Return notes on the messages of cameras that are left out."""
    unstamped = [
        f'{one.unstamped} messages of {name} have no stamp: left out'
        for name, one in cameras.items() if one.unstamped
    ]  # fmt: skip
    return (*unstamped, *(f'{name}: {one.lost}' for name, one in cameras.items() if one.lost))


def _reasons(
    recording: Recording, cameras: Mapping[str, Frames], groups: tuple[Joints, ...]
) -> tuple[tuple[str, str], ...]:
    """Return the code and text of each reason for which an import would refuse an episode."""
    is_dataset = SOURCE in recording.metadata
    names = frozenset(name for group in groups for name in group.names)
    streams = EpisodeStreams(cameras, groups, (), is_dataset, frozenset() if is_dataset else names)
    limits = recording.limits or ImportLimits()
    return check_streams(streams, streams.frame_times, limits).reasons


def check_limits(path: Path, episodes: Sequence[Episode]) -> None:
    """
    Refuse episodes beyond the limits, which an import would refuse.

    :raises RecordingError: with the first reason
    """
    for episode in episodes:
        if episode.faults:
            raise RecordingError(
                'episode-beyond-limits',
                f'{path}: {episode.faults[0]}; leave the recording out, or correct its limits in '
                f'{topic_map.NAME}',
            )


def annotation_of(recording: Path, name: str) -> Annotation | None:
    """
    Return the annotation of an episode in ``labels.json``; None without one.

    :param name: of the episode
    :raises RecordingError: if several recordings in the folder have its name
    """
    found = load(sidecar(recording)).get(name)
    if found is not None:
        check_name_is_unique(recording)
    return found


def check_name_is_unique(recording: Path) -> None:
    """
    Check that no other recording in its folder has the name of a recording.

    :raises RecordingError: if one has it: a label could not be assigned
    """
    name = recording_name(recording)
    for other in sorted(recording.parent.glob(f'{glob.escape(name)}*')):
        same = recording_name(other) == name and (other.is_dir() or other.suffix in RECORDED)
        if other.name != recording.name and same:
            raise RecordingError(
                'recording-same-name',
                f'{recording} and {other.name} have the same name {name!r} for labels: rename one',
            )


def task_of(recording: Recording) -> str:
    """Return the task in the metadata, which a dataset has even without an outcome; else ''."""
    return str(recording.metadata.get(TASK, {}).get('task', ''))


def tasks_of(recording: Recording) -> tuple[str, ...]:
    """Return the tasks of an episode of a dataset with several; empty otherwise."""
    return tuple(map(str, recording.metadata.get(TASK, {}).get('tasks', ())))


def origins_of(recording: Recording) -> tuple[str, ...]:
    """Return the content identities of the episode that a recording was imported from."""
    return tuple(map(str, recording.metadata.get(ORIGINS, {}).get('identities', ())))


def within(moments: Sequence[TruthMessage], span: Span) -> list[TruthMessage]:
    """
    Return the ground truth of one episode.

    The simulation may start shortly before or after the id is published: of several runs in the
    span, the longest is returned.
    """
    inside = [m for m in moments if span.begin <= m.stamp < span.end]
    return max(runs(inside), key=len, default=[])


def stored_label(recording: Recording) -> Label | None:
    """
    Return the label in the metadata; None if there is none.

    :raises RecordingError: if it is incomplete or damaged
    """
    content: Mapping[str, Any] | None = recording.metadata.get(LABEL)
    if content is None:
        return None
    if missing := [name for name in ('task', 'success') if name not in content]:
        raise RecordingError(
            'label-incomplete',
            f'{recording.path} has a label without {" and ".join(missing)}: record it again',
        )
    success = outcome(content['success'])
    if success is None:
        raise RecordingError(
            'label-outcome',
            f'{recording.path} has the outcome {content["success"]!r} in its label, must be one '
            f'of {WORDS.text}: run "viva label"',
        )
    try:
        return _label(content, success)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(
            'label-unreadable',
            f'{recording.path} has a label that cannot be read ({error!r}): record it again',
        ) from error


def _label(content: Mapping[str, Any], success: bool) -> Label:
    """
    Return a label from its content in metadata.

    :raises ValueError: if a value has another type than it is written with
    :raises TypeError: as above
    """
    task, failure, seed = content['task'], content.get('failure'), content.get('seed')
    times, marks = dict(content.get('times', {})), []
    for kind, at, name in content.get('marks', ()):
        if not (isinstance(kind, str) and isinstance(name, str) and _is_time(at)):
            raise ValueError(f'mark {shown(repr([kind, at, name]), 80)} is no text, time and text')
        marks.append(Mark(kind, float(at), name))
    if not isinstance(task, str) or not isinstance(failure, str | None):
        raise ValueError(f'task {shown(repr(task), 40)} or failure {shown(repr(failure), 40)}')
    if seed is not None and type(seed) is not int:
        raise ValueError(f'seed {shown(repr(seed), 40)} is no whole number')
    if wrong := [name for name, at in times.items() if not _is_time(at)]:
        raise ValueError(f'time {shown(wrong[0], 40)} is {shown(repr(times[wrong[0]]), 40)}')
    return Label(task, success, failure, seed, times, tuple(marks))


def _is_time(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and bool(np.isfinite(value))


def true_label(moments: list[TruthMessage], first: int) -> Label | None:
    """
    Return the label from the ground truth; None if the episode did not end.

    :param first: stamp of the first frame, ns; the times of the label start there
    """
    if not moments or not any(moment.done for moment in moments):
        return None
    last = moments[-1]
    times = {name: (stamp_of_event(moments, name) - first) * 1e-9 for name in TIMES}
    known = {name: at for name, at in times.items() if np.isfinite(at)}
    return Label(last.task, last.success, last.failure, last.seed, known)


def with_attempts(
    label: Label | None, published: Sequence[ValueMessage], accepted: Sequence[int], span: Span,
    first: int,
) -> Label | None:  # fmt: skip
    """
    Return a label with the times of the last retry, by the ``executing`` of published values.

    A pause in the execution is a way home if the robot accepted a retry in it, or in the
    execution before it. Another pause, such as a protective stop, changes nothing. Times that the
    label has are kept.

    :param accepted: stamps of the alerts 'retry_accepted', ns
    :param first: stamp of the first frame, ns
    """
    if label is None or ATTEMPT_TIME in label.times:
        return label
    inside = [one for one in published if span.begin <= one.stamp < span.end]
    begins = [
        now.stamp for before, now in pairwise(inside) if now.executing and not before.executing
    ]
    ends = [now.stamp for before, now in pairwise(inside) if before.executing > now.executing]
    for begin in reversed(begins):
        earlier = [end for end in ends if end < begin]
        if not earlier:  # it waits before the first attempt
            break
        since = max((one for one in begins if one < begin), default=span.begin)
        if any(since <= stamp <= begin for stamp in accepted):
            times = {RETRY_TIME: earlier[-1] - first, ATTEMPT_TIME: begin - first}
            seconds = {name: at * 1e-9 for name, at in times.items()}
            return replace(label, times={**label.times, **seconds})
    return label


def read_joints(recording: Recording) -> tuple[tuple[Joints, ...], tuple[str, ...]]:
    """
    Return all joint states, merged by name, in disjoint groups, and notes on what is left out.

    :raises RecordingError: if there are none, or a message has a joint twice
    """
    track = recording.find('joint_states')
    where = f'{recording.path}: {track.topic if track else "joint_states"}'
    found, unstamped = JointReadings(where), 0
    for time, message in track.messages() if track else ():
        stamp = from_time(message.header.stamp)
        unstamped += stamp <= 0
        if stamp > 0:
            found.add(time, stamp, message.name, message.position)
    groups = groups_of(found.readings, where, SOURCE in recording.metadata)
    if not groups:
        problem = recording.metadata.get(SOURCE, {}).get('problem')
        if problem:
            raise RecordingError('dataset-state', f'{recording.path}: {problem}')
        if track and unstamped:
            raise RecordingError('joint-states-unstamped', recording.unstamped_text(track.topic))
        unusable = f' that can be used ({"; ".join(found.notes)})' if found.notes else ''
        raise RecordingError(
            'joint-states-missing',
            f'{recording.path} has no messages{unusable} on joint_states',
        )
    notes = (f'{unstamped} messages of joint_states have no stamp: left out',) if unstamped else ()
    return groups, (*notes, *found.notes)


def cut(joints: Joints, span: Span) -> Joints:
    """Return the joint states with stamps in a span."""
    kept = (joints.stamps >= span.begin) & (joints.stamps < span.end)
    return replace(joints, stamps=joints.stamps[kept], positions=joints.positions[kept])
