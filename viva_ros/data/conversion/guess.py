# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Draft of a robot file from a recording, for a person to check.

Cameras are the topics whose first image can be decoded; joints are those of joint states with
names. A topic that is left out is named with the reason.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

import numpy as np

from viva_ros.core.errors import InputError, RecordingError
from viva_ros.core.outcome import likely_columns
from viva_ros.data.images import COMPRESSED, RAW
from viva_ros.data.recording import COLUMNS, JOINT_STATE, SOURCE, Recording, Track

IMAGES: Final = (COMPRESSED, RAW)
#: Parts of an image topic that do not name its camera.
COMMON: Final = frozenset((
    'compressed', 'raw', 'image', 'image_raw', 'image_rect', 'image_rect_raw', 'image_color',
    'image_rect_color', 'color', 'rgb', 'camera', 'left_image', 'images', 'observation',
))  # fmt: skip
#: Parts of a topic with commands, not measured positions.
COMMANDS: Final = frozenset((
    'command', 'commands', 'cmd', 'desired', 'target', 'leader', 'master', 'action', 'goal',
))  # fmt: skip
OUTCOMES: Final = ('std_msgs/msg/Bool', 'std_msgs/msg/String')
MOST_RATE: Final = 30  # Hz, of the dataset


@dataclass(frozen=True)
class TopicDraft:
    """
    One topic in the draft.

    :param use: 'camera NAME', 'joints', 'label', or why it is left out
    :param rate: Hz; 0 if unknown
    """

    topic: str
    kind: str
    rate: float
    use: str


@dataclass
class RobotDraft:
    """
    A draft of a robot file.

    :param rows: all topics that were looked at
    """

    cameras: dict[str, str] = field(default_factory=dict)
    joints: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    label: str = ''
    rate: int = 0
    rows: list[TopicDraft] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the content of the file."""
        lines = [f'rate: {self.rate}  # Hz of the dataset']
        lines += ['cameras:'] if self.cameras else []
        lines += [f'  {name}: {{{topic}}}' for name, topic in self.cameras.items()]
        lines += ['joints:'] if self.joints else []
        for topic, prefix, names in self.joints:
            extra = f', prefix: {prefix}' if prefix else ''
            lines.append(f'  - {{{topic}{extra}}}  # {", ".join(names)}')
        lines += [f'label: {{{self.label}}}'] if self.label else [
            '# label: {topic: ...}  # or --success, --failure, --labels FILE.csv, viva label'
        ]  # fmt: skip
        return '\n'.join([*lines, '# task: ...', ''])


def guess(recording: Recording) -> RobotDraft:
    """
    Return a draft of the description of the robot of a recording.

    :raises RecordingError: if no camera or no joints were found
    """
    draft = RobotDraft()
    source = recording.metadata.get(SOURCE)
    key = 'topic' if source is None else 'feature'
    shown = {topic: name for name, topic in (source or {}).get('topics', {}).items()}
    rates = _cameras(recording, draft, key, shown)
    _joints(recording, draft, key, shown)
    _label(recording, draft)
    if not draft.cameras or not draft.joints:
        lacks = 'cameras' if not draft.cameras else 'joint states with names'
        found = '; '.join(f'{row.topic}: {row.use}' for row in draft.rows) or 'no such topic'
        raise RecordingError('guess-empty', f'{recording.path} has no {lacks} ({found})')
    draft.rate = max(1, min([MOST_RATE, *(round(rate) for rate in rates if rate > 0.5)]))
    return draft


def _cameras(
    recording: Recording, draft: RobotDraft, key: str, shown: Mapping[str, str]
) -> list[float]:
    """Add the cameras; return their rates, Hz."""
    tracks = [one for one in recording.tracks.values() if one.type_name in IMAGES]
    compressed = {one.topic for one in tracks if one.type_name == COMPRESSED}
    names = camera_names([one.topic for one in tracks])
    rates = []
    for track in tracks:
        rate, topic = _rate(track), shown.get(track.topic, track.topic)
        reason = _image_problem(track)
        if f'{track.topic}/compressed' in compressed:
            reason = f'left out: {track.topic}/compressed has the same images'
        use = reason or f'camera {names[track.topic]}'
        draft.rows.append(TopicDraft(topic, track.type_name, rate, use))
        if not reason:
            draft.cameras[names[track.topic]] = f'{key}: {topic}'
            rates.append(rate)
    return rates


def camera_names(topics: Sequence[str]) -> dict[str, str]:
    """Return a name for each topic: the last part that differs from those of the others."""
    parts = {
        topic: [part for part in PurePosixPath(topic).parts if part != '/' and part not in COMMON]
        or [part for part in PurePosixPath(topic).parts if part != '/']
        for topic in topics
    }  # fmt: skip
    for count in range(1, 9):
        names = {topic: re.sub(r'\W', '_', '_'.join(own[-count:])) for topic, own in parts.items()}
        bases = {topic: topic.removesuffix('/compressed') for topic in topics}
        if len(set(names.values())) == len(set(bases.values())):
            break
    return {topic: name if name.isidentifier() else f'camera_{name}'
            for topic, name in names.items()}  # fmt: skip


def _image_problem(track: Track) -> str:
    """Return why a topic is no camera; '' if its first image can be decoded."""
    if not track.times:
        return 'left out: no messages'
    try:
        _ = track.pictures([0])[0]
    except (InputError, RecordingError) as error:
        return f'left out: {error}'
    return ''


def _joints(recording: Recording, draft: RobotDraft, key: str, shown: Mapping[str, str]) -> None:
    found: dict[str, tuple[str, ...]] = {}
    for track in recording.tracks.values():
        if track.type_name != JOINT_STATE:
            continue
        names = dict.fromkeys(name for _, message in track.messages() for name in message.name)
        parts = set(re.split(r'[/_.]', track.topic.lower()))
        use = 'joints' if names else 'left out: it has no joint names, name them with "field"'
        use = 'left out: commands, no measured positions' if parts & COMMANDS else use
        topic = shown.get(track.topic, track.topic)
        draft.rows.append(TopicDraft(topic, track.type_name, _rate(track), use))
        if use == 'joints':
            found[topic] = tuple(names)
    for topic, own in found.items():
        shared = any(set(own) & set(names) for other, names in found.items() if other != topic)
        draft.joints.append(
            (f'{key}: {topic}', _prefix(topic, list(found)) if shared else '', own)
        )


def _prefix(topic: str, topics: Sequence[str]) -> str:
    """Return a prefix from the first part of a topic that the others do not have."""
    others = {part for one in topics if one != topic for part in PurePosixPath(one).parts}
    own = [part for part in PurePosixPath(topic).parts if part != '/' and part not in others]
    return re.sub(r'\W', '_', own[0] if own else 'other') + '_'


def _label(recording: Recording, draft: RobotDraft) -> None:
    columns = likely_columns(recording.metadata.get(COLUMNS, {}))
    known = [name for name in columns if name not in ('success', 'next.success')]
    if known:
        draft.label = f'column: {known[0]}'
    topics = [one for one in recording.tracks.values() if one.type_name in OUTCOMES]
    for track in topics:
        if likely_columns([track.topic]):
            draft.label = draft.label or f'topic: {track.topic}'
            draft.rows.append(TopicDraft(track.topic, track.type_name, _rate(track), 'label'))


def _rate(track: Track) -> float:
    """Return the rate of receipt, Hz; 0 for fewer than two messages."""
    steps = np.diff(np.array(sorted(track.times), dtype=np.int64))
    median = float(np.median(steps)) * 1e-9 if steps.size else 0.0
    return round(1.0 / median, 1) if median > 0.0 else 0.0
