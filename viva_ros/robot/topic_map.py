# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Topic map of a robot: its camera and joint topics, in a YAML file.

``viva import --map`` names the file. For bags that are read in place it is ``viva_map.yaml`` in
the folder of the bag or in one above. Cameras and joints that the map omits are found by the
conventions of this package.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.image_checks import PictureSettings
from viva_ros.core.outcome import FRAMES, OutcomeWords, outcome_word
from viva_ros.core.synchronization import SyncSettings
from viva_ros.engine.image_decoding import AS_DECLARED, ImageOptions
from viva_ros.robot.field_path import overlap
from viva_ros.robot.rosetta import is_contract, translate
from viva_ros.robot.yaml_reader import read_yaml

NAME: Final = 'viva_map.yaml'
HIGHEST_RATE: Final = 1000  # Hz
MOST_SOURCES: Final = 1000  # of joints; each is compared with the others
HEADER, RECEIVED, FRAME_INDEX = 'header', 'received', 'frame_index'
STAMPS: Final = (HEADER, RECEIVED, FRAME_INDEX)
RAW: Final = 'raw'
#: Of image_transport; but for RAW, the name ends the topic.
TRANSPORTS: Final = (RAW, 'compressed', 'ffmpeg', 'foxglove')


@dataclass(frozen=True)
class CameraSource:
    """
    A camera.

    :param topic: as published, with '/compressed' of image_transport; or feature of a dataset, or
        path in a file
    :param options: overrides of the description in its messages
    :param stamp: as in ``TopicMap``; '' for that of the map
    """

    topic: str
    options: ImageOptions = AS_DECLARED
    stamp: str = ''


@dataclass(frozen=True)
class JointSource:
    """
    Joints of one topic, feature of a dataset, or path in a file.

    :param path: of the positions in the message, such as 'left.position[0:7]'; '' for a JointState
    :param names: recorded name to joint name; with a path, in the order of the numbers; empty for
        all joints of a JointState
    :param prefix: put before each name
    :param stamp: as in ``TopicMap``; '' for that of the map
    """

    topic: str
    path: str = ''
    names: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ''
    stamp: str = ''


@dataclass(frozen=True)
class LabelRule:
    """
    Sources of recorded outcomes; all that are set must agree.

    :param topic: of a std_msgs Bool or String; '' for none
    :param column: of the episodes or frames of a dataset; '' for none
    :param frames: rule for a column of frames, one of ``outcome.FRAMES``
    :param path_success: parts of the path of a success; empty for none
    :param path_failure: parts of the path of a failure
    """

    topic: str = ''
    column: str = ''
    words: OutcomeWords = field(default_factory=OutcomeWords)
    frames: str = FRAMES[0]
    path_success: tuple[str, ...] = ()
    path_failure: tuple[str, ...] = ()


NO_RULE: Final = LabelRule()


#: Limits of images, as in ``PictureSettings``.
PICTURES: Final = ('frozen_after', 'black_below', 'saturated_above', 'uniform_below')


@dataclass(frozen=True)
class ImportLimits:
    """
    Limits of an import; an episode beyond them is refused.

    :param max_gap: longest interval without a message of a stream, from the first message of any
        stream to the last, s
    :param max_skew: between the stamps of one frame, s
    :param min_readable: share of the file, in [0, 1]; 1 requires its end too
    :param max_joint_speed: of all joints, rad/s or m/s; None: SPEED_LIMIT for the joints of a
        JointState, none for those of unknown units
    :param joint_speeds: limits of single joints by name
    :param frozen_after: time of identical images after which a camera may be frozen, s
    :param black_below: as in ``PictureSettings``
    :param saturated_above: likewise
    :param uniform_below: likewise
    :param stated: names of the limits that the map states
    """

    max_gap: float = 0.5
    max_skew: float = 0.2
    min_readable: float = 1.0
    max_joint_speed: float | None = None
    joint_speeds: Mapping[str, float] = field(default_factory=dict)
    frozen_after: float = PictureSettings().frozen_after
    black_below: float = PictureSettings().black_below
    saturated_above: float = PictureSettings().saturated_above
    uniform_below: float = PictureSettings().uniform_below
    stated: frozenset[str] = frozenset()

    def live(self, sync: SyncSettings) -> SyncSettings:
        """Return the limits of a monitor: those that the map states replace the others."""
        if 'max_gap' in self.stated:
            sync = replace(sync, max_age=self.max_gap)
        if 'max_skew' in self.stated:
            sync = replace(sync, slop=self.max_skew)
        if self.max_joint_speed is not None:
            sync = replace(sync, max_joint_speed=self.max_joint_speed)
        return sync

    def pictures(self, settings: PictureSettings) -> PictureSettings:
        """Return the limits of images: those that the map states replace the others."""
        return replace(
            settings, **{name: getattr(self, name) for name in PICTURES if name in self.stated}
        )

    @property
    def figures(self) -> dict[str, Any]:
        """Return the limits for JSON."""
        return {
            'max_gap': self.max_gap, 'max_skew': self.max_skew, 'min_readable': self.min_readable,
            'max_joint_speed': self.max_joint_speed, 'joint_speeds': dict(self.joint_speeds),
            **{name: getattr(self, name) for name in PICTURES},
        }  # fmt: skip


@dataclass(frozen=True)
class TopicMap:
    """
    A topic map, see ``docs/import.md``.

    :param rate: of the written frames, Hz; None for that of the dataset
    :param cameras: by name; empty for all cameras found
    :param joints: in order; empty for joint_states
    :param action: in order; empty for none
    :param task: used if the recording has none
    :param stamp: of messages, 'header' or 'received'; 'frame_index' for rows of a dataset, whose
        times are then its frame index by its rate
    :param definitions: folder with PACKAGE/msg/TYPE.msg, for bags without type definitions
    :param text: content of the file
    :param folder: of the file
    :param source_rate: of rows without timestamps, Hz; None for that of the recording
    :param notes: texts on parts of the file that have no effect
    """

    rate: int | None = None
    cameras: Mapping[str, CameraSource] = field(default_factory=dict)
    joints: tuple[JointSource, ...] = ()
    action: tuple[JointSource, ...] = ()
    limits: ImportLimits = ImportLimits()
    label: LabelRule = NO_RULE
    task: str = ''
    robot: str = ''
    stamp: str = HEADER
    definitions: Path | None = None
    text: str = ''
    folder: Path | None = None
    source_rate: float | None = None
    notes: tuple[str, ...] = ()


#: Fields with the positions that are read by name, or as a whole.
POSITIONS: Final = ('position', 'data')
#: Keys of a source: topic of a bag, feature of a dataset, path of a dataset in a file.
TOPICS: Final = ('topic', 'feature', 'path')
KEYS: Final = (
    'rate', 'source_rate', 'cameras', 'joints', 'action', 'limits', 'label', 'task', 'robot',
    'stamp', 'definitions',
)  # fmt: skip


def load_map(path: Path) -> TopicMap:
    """
    Read and check a map, or a contract of rosetta.

    :raises ConfigurationError: with file, key, value and the valid values
    """
    try:
        content, text = read_yaml(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            'map-unreadable', f'map {path} cannot be read ({error})'
        ) from error
    content, notes = translate(path, content) if is_contract(content) else (content, ())
    return replace(_Parser(path).map(content, text), notes=notes)


def map_file(recording: Path, folders_up: int | None) -> Path | None:
    """
    Return the map in the folder of a recording or in one of those above; None without a map.

    :param folders_up: number of folders above the recording; None if no map applies
    """
    if folders_up is None:
        return None
    here = recording.resolve()
    here = here.parent if here.parent.is_file() else here  # an episode in a file
    for folder in [here, *here.parents][: folders_up + 1]:
        if (folder / NAME).is_file():
            return folder / NAME
    return None


def check_camera_sources(where: Path, topics: Mapping[str, str]) -> None:
    """
    Check that each camera has a topic of its own.

    :param where: map or recording, for the error text
    :param topics: camera to its topic, in one spelling
    :raises ConfigurationError: if two cameras have the same
    """
    camera_of: dict[str, str] = {}
    for name, topic in topics.items():
        other = camera_of.setdefault(topic, name)
        if other != name:
            raise ConfigurationError(
                'camera-source-twice',
                f'{where}: cameras {other} and {name} of the map are both {topic}: name another '
                'topic',
            )


def check_joint_sources(where: Path, sources: Sequence[tuple[str, JointSource]]) -> None:
    """
    Check that no joint of a message is read twice.

    :param where: map or recording, for the error text
    :param sources: topic in one spelling, and the entry of the map
    :raises ConfigurationError: if two entries read the same
    """
    for i, (topic, one) in enumerate(sources):
        for other, two in sources[:i]:
            names, theirs = set(one.names), set(two.names)
            if topic != other:
                continue
            if one.path and two.path and overlap(one.path, two.path):
                base = one.path.partition('[')[0]
                raise ConfigurationError(
                    'joint-field-twice',
                    f'{where}: fields {two.path} and {one.path} of {topic} have numbers in common '
                    f'in the map: give each entry its own, such as {base}[0:7] and {base}[7:14]',
                )
            path = one.path or two.path
            if path and not (one.path and two.path) and any(overlap(n, path) for n in POSITIONS):
                raise ConfigurationError(
                    'joint-name-and-place',
                    f'{where}: joints of {topic} are read by name and by place (field {path}): '
                    'give each entry "names" only, or each a "field"',
                )
            if not path and (not names or not theirs or names & theirs):
                raise ConfigurationError(
                    'joint-source-twice',
                    f'{where}: {topic} is read twice in the map: give each entry other "names" or '
                    '"field"',
                )


def _spelt(topic: str) -> str:
    """Return a topic with a '/' before it, as recordings name topics."""
    return f'/{topic.lstrip("/")}'


class _Parser:
    """Converts parsed YAML into a map; errors have the file and the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def map(self, content: Any, text: str) -> TopicMap:
        content = self._keys('the map', content, KEYS)
        rate = content.get('rate')
        whole = isinstance(rate, int) and not isinstance(rate, bool)
        if rate is not None and not (whole and 1 <= rate <= HIGHEST_RATE):
            self._fail('rate', rate, f'a whole number of Hz from 1 to {HIGHEST_RATE}')
        definitions = content.get('definitions')
        joints = self._joints('joints', content.get('joints'))
        self._unique([name for one in joints for name in one.names.values()])
        cameras = self._cameras(content.get('cameras') or {})
        check_camera_sources(self._path, {n: _spelt(one.topic) for n, one in cameras.items()})
        return TopicMap(
            rate, cameras, joints,
            self._joints('action', content.get('action')), self._limits(content.get('limits')),
            self._label(content.get('label') or {}),
            self._text('task', content.get('task', '')),
            self._text('robot', content.get('robot', '')),
            self._one_of('stamp', content.get('stamp', HEADER), STAMPS),
            None if definitions is None
            else self._path.parent / self._text('definitions', definitions), text,
            self._path.absolute().parent, self._source_rate(content.get('source_rate')),
        )  # fmt: skip

    def _source_rate(self, rate: Any) -> float | None:
        if rate is None:
            return None
        real = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not real or not 0.0 < rate <= HIGHEST_RATE:
            self._fail('source_rate', rate, f'a number of Hz above 0, at most {HIGHEST_RATE}')
        return float(rate)

    def _cameras(self, content: Any) -> dict[str, CameraSource]:
        cameras = self._keys('cameras', content, None)
        for name in cameras:
            if isinstance(name, bool) or not str(name).isidentifier():
                self._fail('camera', name, 'a name of letters, digits and _')
        return {str(n): self._camera(f'cameras.{n}', one) for n, one in cameras.items()}

    def _camera(self, key: str, content: Any) -> CameraSource:
        if isinstance(content, str):
            return CameraSource(content)
        row = self._keys(key, content, (*TOPICS, 'transport', 'encoding', 'color_order', 'stamp'))
        transport = self._one_of(f'{key}.transport', row.get('transport', RAW), TRANSPORTS)
        try:
            options = ImageOptions(
                self._text(f'{key}.encoding', row.get('encoding', '')),
                self._text(f'{key}.color_order', row.get('color_order', '')),
            )
        except ValueError as error:
            raise ConfigurationError(
                'map-image-options', f'{self._path}: {key}: {error}'
            ) from error
        topic, suffix = self._topic(key, row), f'/{transport}'
        if transport != RAW and not topic.endswith(suffix):
            topic += suffix
        return CameraSource(topic, options, self._stamp(key, row))

    def _joints(self, key: str, content: Any) -> tuple[JointSource, ...]:
        if content is None:
            return ()
        rows = content if isinstance(content, list) else [content]
        if len(rows) > MOST_SOURCES:
            self._fail(key, f'{len(rows)} entries', f'{MOST_SOURCES} at most')
        found = tuple(self._joint_source(f'{key}[{i}]', row) for i, row in enumerate(rows))
        check_joint_sources(self._path, [(_spelt(one.topic), one) for one in found])
        return found

    def _joint_source(self, key: str, content: Any) -> JointSource:
        row = self._keys(key, content, (*TOPICS, 'field', 'names', 'prefix', 'stamp'))
        names = row.get('names') or {}
        if not isinstance(names, list | Mapping):
            self._fail(f'{key}.names', names, 'a list of names, or recorded name: joint name')
        for name in [*names, *names.values()] if isinstance(names, Mapping) else names:
            if isinstance(name, bool) or not isinstance(name, str | int) or name == '':
                self._fail(f'{key}.names', name, 'a name')
        self._unique([str(name) for name in names])
        if isinstance(names, list):
            names = {name: name for name in names}
        path = self._text(f'{key}.field', row.get('field', ''))
        if path and not names:
            self._fail(f'{key}.names', names, 'a list of names, one for each number of the field')
        prefix = self._text(f'{key}.prefix', row.get('prefix', ''))
        renamed = {str(recorded): prefix + str(name) for recorded, name in names.items()}
        return JointSource(
            self._topic(key, row), path.removeprefix('msg.'), renamed, prefix,
            self._stamp(key, row),
        )  # fmt: skip

    def _topic(self, key: str, row: Mapping[str, Any]) -> str:
        found = [row[name] for name in TOPICS if row.get(name)]
        if len(found) != 1:
            allowed = 'the name of a topic (or a "feature" or a "path")'
            self._fail(f'{key}.topic', row.get('topic'), allowed)
        return self._text(f'{key}.topic', found[0])

    def _stamp(self, key: str, row: Mapping[str, Any]) -> str:
        allowed = (HEADER, RECEIVED)
        return self._one_of(f'{key}.stamp', row['stamp'], allowed) if 'stamp' in row else ''

    def _limits(self, content: Any) -> ImportLimits:
        allowed = ('max_gap', 'max_skew', 'min_readable', 'max_joint_speed', *PICTURES)
        limits = self._keys('limits', content or {}, allowed)
        speeds = limits.pop('max_joint_speed', None)
        for name, number in limits.items():
            self._limit(name, number)
        if not isinstance(speeds, Mapping):
            speeds = {} if speeds is None else {'default': speeds}
        for name, number in speeds.items():
            if isinstance(name, bool):
                self._fail('limits.max_joint_speed', name, 'a mapping of joint names')
            self._limit(f'max_joint_speed.{name}', number)
        by_joint = {str(n): float(x) for n, x in speeds.items() if n != 'default'}
        return ImportLimits(
            **{name: float(number) for name, number in limits.items()},
            max_joint_speed=float(speeds['default']) if 'default' in speeds else None,
            joint_speeds=by_joint,
            stated=frozenset(limits),
        )

    def _limit(self, name: str, number: Any) -> None:
        real = isinstance(number, int | float) and not isinstance(number, bool)
        if name == 'min_readable':
            fits, allowed = real and 0.0 <= number <= 1.0, 'a number from 0 to 1'
        elif name == 'saturated_above':
            fits, allowed = real and 0.0 < number <= 255.0, 'a number above 0, at most 255'
        elif name in ('max_skew', 'black_below', 'uniform_below'):
            fits, allowed = real and 0.0 <= number < math.inf, 'a finite number from 0 on'
        else:  # a monitor that has no limit would never notice an old image
            fits, allowed = real and 0.0 < number < math.inf, 'a finite number above 0'
        if not fits:
            self._fail(f'limits.{name}', number, allowed)

    def _label(self, content: Any) -> LabelRule:
        allowed = ('topic', 'column', 'true', 'false', 'frames', 'path_contains')
        # YAML reads the unquoted keys true and false as booleans.
        if isinstance(content, Mapping):
            content = {str(k).lower() if isinstance(k, bool) else k: v for k, v in content.items()}
        row = self._keys('label', content, allowed)
        parts = self._keys(
            'label.path_contains', row.get('path_contains') or {}, ('success', 'failure')
        )
        if parts and not (parts.get('success') and parts.get('failure')):
            self._fail('label.path_contains', parts, 'with a text for success and for failure')
        words = {key: tuple(word for one in _list(row[key]) for word in _words(one))
                 for key in ('true', 'false') if key in row}  # fmt: skip
        try:
            known = OutcomeWords(**words)
        except ValueError as error:
            raise ConfigurationError('map-words', f'{self._path}: label: {error}') from error
        return LabelRule(
            self._text('label.topic', row.get('topic', '')),
            self._text('label.column', row.get('column', '')), known,
            self._one_of('label.frames', row.get('frames', FRAMES[0]), FRAMES),
            self._parts('success', parts), self._parts('failure', parts),
        )  # fmt: skip

    def _parts(self, key: str, parts: Mapping[str, Any]) -> tuple[str, ...]:
        listed = _list(parts.get(key, ()))
        return tuple(self._text(f'label.path_contains.{key}', one) for one in listed)

    def _one_of(self, key: str, value: Any, allowed: Sequence[str]) -> str:
        if value not in allowed:
            self._fail(key, value, ' or '.join(allowed))
        return str(value)

    def _unique(self, names: list[Any]) -> None:
        counts = Counter(map(str, names))
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            self._fail('joint', ', '.join(twice), 'named once')

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            self._fail(key, value, 'a text')
        return str(value)

    def _keys(self, key: str, content: Any, allowed: Any) -> dict[str, Any]:
        if not isinstance(content, Mapping):
            self._fail(key, content, 'a mapping of names to values')
        unknown = sorted(set(map(str, content)) - set(allowed)) if allowed is not None else []
        if unknown:
            raise ConfigurationError(
                'map-key',
                f'{self._path}: {key} has {", ".join(map(repr, unknown))}, '
                f'may have {", ".join(allowed)}',
            )
        return dict(content)

    def _fail(self, key: str, value: Any, allowed: str) -> None:
        raise ConfigurationError(
            'map-value', f'{self._path}: {key} is {value!r}, must be {allowed}'
        )


def _words(value: Any) -> tuple[str, ...]:
    """Return the words of an outcome; YAML reads the words yes and no as booleans."""
    if isinstance(value, bool):
        return ('true', 'yes', 'on') if value else ('false', 'no', 'off')
    return (outcome_word(value),)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
