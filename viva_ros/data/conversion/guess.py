# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Draft of a robot file from a recording, for a person to check.

Cameras are the topics whose first image can be decoded; joints are those of joint states with
names, and of a dataset those that its reader takes without a map. A topic that is left out is
named with the reason.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import yaml

from viva_ros.core.errors import InputError, RecordingError
from viva_ros.core.outcome import likely_columns
from viva_ros.data.images import SUFFIXES
from viva_ros.data.recording import COLUMNS, JOINT_STATE, SOURCE, Recording, Track

#: Parts of an image topic that do not name its camera.
COMMON: Final = frozenset((
    'compressed', 'raw', 'image', 'image_raw', 'image_rect', 'image_rect_raw', 'image_color',
    'image_rect_color', 'color', 'rgb', 'camera', 'left_image', 'images', 'observation',
))  # fmt: skip
JOINT_TOPIC: Final = '/joint_states'  # of the joints that the reader of a dataset takes
#: Words of a topic with commands, or with other quantities than measured positions.
COMMANDS: Final = frozenset((
    'command', 'commands', 'cmd', 'desired', 'target', 'targets', 'leader', 'master', 'action',
    'actions', 'goal', 'goals', 'reference', 'references', 'ref', 'setpoint', 'setpoints',
    'teleop', 'teleoperation', 'gello',
))  # fmt: skip
OTHERS: Final = frozenset((
    'velocity', 'velocities', 'vel', 'effort', 'efforts', 'torque', 'torques', 'current',
    'currents', 'acceleration', 'accelerations',
))  # fmt: skip
LABELS: Final = frozenset(('success', 'outcome', 'label', 'result', 'verdict'))
OUTCOMES: Final = ('std_msgs/msg/Bool', 'std_msgs/msg/String')
#: Types of topics other than joint states that may have joint positions.
NUMERIC: Final = re.compile(
    r'std_msgs/msg/(Float|U?Int)\d+(MultiArray)?|.*/msg/\w*(Joint|Motor|LowState|RobotState)\w*'
)
COMMANDED: Final = 'left out: commands, no measured positions'
NUMBERED: Final = 'left out: name its numbers with "field" if it has joint positions'
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

    :param cameras: name to its entry
    :param joints: entry and names of each topic
    :param rows: all topics that were looked at
    """

    cameras: dict[str, str] = field(default_factory=dict)
    joints: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    label: str = ''
    rate: int = 0
    rows: list[TopicDraft] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the content of the file."""
        lines = [f'rate: {self.rate}  # Hz of the dataset']
        lines += ['cameras:'] if self.cameras else []
        lines += [f'  {scalar(name)}: {{{entry}}}' for name, entry in self.cameras.items()]
        lines += ['joints:'] if self.joints else []
        for entry, names in self.joints:
            lines.append(f'  - {{{entry}}}  # {", ".join(map(scalar, names))}')
        lines += [f'label: {{{self.label}}}'] if self.label else [
            '# label: {topic: ...}  # or --success, --failure, --labels FILE.csv, viva label'
        ]  # fmt: skip
        return '\n'.join([*lines, '# task: ...', ''])


def scalar(text: str) -> str:
    """Return a text as a scalar of a flow mapping of YAML, in quotes if it needs them."""
    dumped: str = yaml.safe_dump([text], default_flow_style=True, width=10**9, allow_unicode=True)
    return dumped.strip()[1:-1]


def words(topic: str) -> set[str]:
    """Return the words of a topic."""
    return set(re.split(r'[/_.]', topic.lower()))


def parts_of(topic: str) -> list[str]:
    """Return the parts of a topic."""
    return [part for part in PurePosixPath(topic).parts if part != '/']


def guess(recording: Recording) -> RobotDraft:
    """
    Return a draft of the description of the robot of a recording.

    :raises RecordingError: if no camera or no joints were found, or if the reader of a dataset
        cannot tell which numbers are the joints
    """
    draft = RobotDraft()
    source = recording.metadata.get(SOURCE)
    key = 'topic' if source is None else 'feature'
    shown = {topic: name for name, topic in (source or {}).get('topics', {}).items()}
    rates = _cameras(recording, draft, key, shown)
    if source is None:
        _joints(recording, draft)
    else:
        _joints_of_dataset(recording, draft, source)
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
    tracks = [one for one in recording.tracks.values() if one.type_name in SUFFIXES]
    reasons = {one.topic: _image_problem(one) for one in tracks}
    for topic in reasons:
        base = _base(topic)
        forms = [f'{base}/compressed', base, f'{base}/ffmpeg', f'{base}/foxglove']
        better = forms[: forms.index(topic)]
        pair = next((one for one in better if reasons.get(one) == ''), None)
        if pair is not None:
            reasons[topic] = f'left out: {pair} has the same images'
    names = camera_names([topic for topic, reason in reasons.items() if not reason])
    rates = []
    for track in tracks:
        rate, topic = _rate(track), shown.get(track.topic, track.topic)
        reason = reasons[track.topic]
        known = f'feature {topic} is left out: '  # by the reader of the dataset
        note = next((one for one in recording.notes if one.startswith(known)), '')
        if reason and note:
            reason = f'left out: {note.removeprefix(known)}'
        use = reason or f'camera {names[track.topic]}'
        draft.rows.append(TopicDraft(topic, track.type_name, rate, use))
        if not reason:
            draft.cameras[names[track.topic]] = f'{key}: {scalar(topic)}'
            rates.append(rate)
    return rates


def camera_names(topics: Sequence[str]) -> dict[str, str]:
    """
    Return a name for each topic, none twice.

    It is the last part that differs from those of the others; without one, the whole topic, and
    at last a number.
    """
    whole = {topic: parts_of(_base(topic)) for topic in topics}
    own = {
        topic: [part for part in parts if part not in COMMON] or parts
        for topic, parts in whole.items()
    }
    names: dict[str, str] = {}
    for count in range(1, 9):
        names = {topic: _identifier(parts[-count:]) for topic, parts in own.items()}
        if len(set(names.values())) == len(names):
            return names
    given = list(names.values())
    names = {
        topic: name if given.count(name) == 1 else _identifier(whole[topic])
        for topic, name in names.items()
    }
    unique: dict[str, str] = {}
    for topic, name in names.items():
        number, free = 2, name
        while free in unique.values() or (free != name and free in names.values()):
            number, free = number + 1, f'{name}_{number}'
        unique[topic] = free
    return unique


def _base(topic: str) -> str:
    """Return a topic of image_transport without the name of its transport."""
    ends = ('/compressed', '/ffmpeg', '/foxglove')
    return next((topic.removesuffix(end) for end in ends if topic.endswith(end)), topic)


def _identifier(parts: Sequence[str]) -> str:
    name = re.sub(r'\W', '_', '_'.join(parts))
    return name if name.isidentifier() else f'camera_{name}'


def _image_problem(track: Track) -> str:
    """Return why a topic is no camera; '' if its first image can be decoded."""
    if not track.times:
        return 'left out: no messages'
    try:
        frames = track.frames_of(track.times) if track.is_video else None
        if frames is not None and not frames.stamps.size:
            return f'left out: {frames.lost or "no images"}'
        _ = track.pictures([0])[0] if frames is None else frames.images[0]
    except (InputError, RecordingError) as error:
        return f'left out: {error}'
    return ''


def _joints_of_dataset(recording: Recording, draft: RobotDraft, source: Mapping[str, Any]) -> None:
    """
    Add the joints that the reader of a dataset takes without a map.

    :raises RecordingError: with the text of the reader if it cannot tell which they are
    """
    if source.get('problem'):
        raise RecordingError(
            'guess-empty', f'{recording.path} has no joints that are clear: {source["problem"]}'
        )
    features: Mapping[str, str] = source['topics']
    tracks = {feature: recording.tracks.get(topic) for feature, topic in features.items()}
    states = {feature: track for feature, track in tracks.items()
              if track is not None and track.type_name == JOINT_STATE}  # fmt: skip
    names = _names(recording.tracks[JOINT_TOPIC]) if JOINT_TOPIC in recording.tracks else ()
    whole = [feature for feature in states if features[feature] == JOINT_TOPIC]
    tables = [feature for feature, track in states.items() if set(names) <= set(_names(track))
              ] if names and not whole else []  # fmt: skip
    taken = next(iter(whole + tables), '')
    if taken:
        extra = '' if whole else f', names: [{", ".join(map(scalar, names))}]'
        draft.joints = [(f'feature: {scalar(taken)}{extra}', names)]
    for feature, track in states.items():
        use = 'joints' if feature == taken else 'left out: not the measured positions'
        draft.rows.append(TopicDraft(feature, track.type_name, _rate(track), use))


def _joints(recording: Recording, draft: RobotDraft) -> None:
    """Add the joints of a bag."""
    tracks = {one.topic: one for one in recording.tracks.values() if one.type_name == JOINT_STATE}
    reasons, found = dict.fromkeys(tracks, ''), dict[str, tuple[str, ...]]()
    for topic, track in tracks.items():
        names = _names(track)
        if words(topic) & COMMANDS:
            reasons[topic] = COMMANDED
        elif words(topic) & OTHERS:
            reasons[topic] = 'left out: no positions'
        elif not names:
            reasons[topic] = 'left out: it has no joint names, name them with "field"'
        else:
            found[topic] = names
    doubles = _doubles(found)
    for topic, track in tracks.items():
        use = reasons[topic] or doubles.get(topic) or 'joints'
        draft.rows.append(TopicDraft(topic, track.type_name, _rate(track), use))
    for track in recording.tracks.values():
        if track.topic not in tracks and NUMERIC.fullmatch(track.type_name):
            is_command = bool(words(track.topic) & COMMANDS)
            use = COMMANDED if is_command else NUMBERED
            draft.rows.append(TopicDraft(track.topic, track.type_name, _rate(track), use))
    kept = {topic: names for topic, names in found.items() if topic not in doubles}
    prefixes = _prefixes(kept)
    for topic, names in kept.items():
        extra = f', prefix: {scalar(prefixes[topic])}' if prefixes[topic] else ''
        draft.joints.append((f'topic: {scalar(topic)}{extra}', names))


def _names(track: Track) -> tuple[str, ...]:
    """Return the joints of a topic in the order of their first message."""
    return tuple(dict.fromkeys(name for _, message in track.messages() for name in message.name))


def _doubles(found: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the topics whose joints another topic has, with the reason."""
    left: dict[str, str] = {}
    for topic, names in found.items():
        for other, theirs in found.items():
            is_part = set(names) < set(theirs)
            is_same = set(names) == set(theirs) and runs(topic) < runs(other)
            if is_part or is_same:
                left[topic] = (
                    f'left out: {other} has its joints; if they are others of the same names, '
                    'add it and give both a "prefix"'
                )
                break
    return left


def runs(topic: str) -> set[str]:
    """Return all runs of parts of a topic, joined with '_'."""
    parts = [re.sub(r'\W', '_', part) for part in parts_of(topic)]
    return {
        '_'.join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)
    }  # fmt: skip


def _prefixes(found: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return a prefix for each topic whose joint names another has too; '' for the others."""
    shared = {
        topic: any(set(own) & set(names) for other, names in found.items() if other != topic)
        for topic, own in found.items()
    }
    prefixes = {topic: _prefix(topic, list(found)) for topic in found}
    some = {topic: prefixes[topic] if shared[topic] else '' for topic in found}
    given = [some[topic] + name for topic, names in found.items() for name in names]
    return some if len(set(given)) == len(given) else prefixes


def _prefix(topic: str, topics: Sequence[str]) -> str:
    """Return the shortest run of parts of a topic that no other has, the first of its length."""
    others = {run for one in topics if one != topic for run in runs(one)}
    parts = [re.sub(r'\W', '_', part) for part in parts_of(topic)]
    for count in range(1, len(parts) + 1):
        for first in range(len(parts) - count + 1):
            run = '_'.join(parts[first : first + count])
            if run not in others:
                return f'{run}_'
    return f'{"_".join(parts)}_{topics.index(topic) + 1}_'


def _label(recording: Recording, draft: RobotDraft) -> None:
    columns = likely_columns(recording.metadata.get(COLUMNS, {}))
    known = [name for name in columns if name not in ('success', 'next.success')]
    if known:
        draft.label = f'column: {scalar(known[0])}'
    for track in recording.tracks.values():
        if track.type_name in OUTCOMES and words(track.topic) & LABELS:
            use = f'left out: the label is {draft.label}' if draft.label else 'label'
            draft.label = draft.label or f'topic: {scalar(track.topic)}'
            draft.rows.append(TopicDraft(track.topic, track.type_name, _rate(track), use))


def _rate(track: Track) -> float:
    """Return the rate of receipt, Hz; 0 for fewer than two messages."""
    steps = np.diff(np.array(sorted(track.times), dtype=np.int64))
    median = float(np.median(steps)) * 1e-9 if steps.size else 0.0
    return round(1.0 / median, 1) if median > 0.0 else 0.0
