# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Topic map of a robot: its camera and joint topics, in a YAML file.

``viva import --map`` names the file. For bags that are read in place it is ``viva_map.yaml`` in
the folder of the bag or in one above. Cameras and joints that the map omits are found by the
conventions of this package.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.observation import Array

NAME: Final = 'viva_map.yaml'
HIGHEST_RATE: Final = 1000  # Hz
STAMPS: Final = ('header', 'received')
FOLDERS_UP: Final = 3  # above the bag, in which a map is searched


@dataclass(frozen=True)
class JointSource:
    """
    Joints of one topic.

    :param path: of the positions in the message, such as 'left.position[0:7]'; '' for a JointState
    :param names: recorded name to joint name; with a path, in the order of the numbers; empty for
        all joints of a JointState, unchanged
    """

    topic: str
    path: str
    names: Mapping[str, str]


@dataclass(frozen=True)
class ImportLimits:
    """
    Limits of an import; an episode beyond them is refused.

    :param max_gap: longest interval without a message of a stream, from the first message of any
        stream to the last, s
    :param max_skew: between the stamps of one frame, s
    :param min_readable: share of the file, in [0, 1]; 1 requires its end too
    """

    max_gap: float = 0.5
    max_skew: float = 0.2
    min_readable: float = 1.0


@dataclass(frozen=True)
class TopicMap:
    """
    A topic map, see ``docs/import.md``.

    :param rate: of the written frames, Hz
    :param cameras: name to topic, or to feature of a dataset; empty for all cameras found
    :param joints: in order; empty for joint_states
    :param action: in order; empty for none
    :param label_topic: of a std_msgs Bool or String with the outcome; '' for none
    :param task: used if the recording has none
    :param stamp: of messages, 'header' or 'received'
    :param definitions: folder with PACKAGE/msg/TYPE.msg, for bags without type definitions
    :param text: content of the file
    """

    rate: int
    cameras: Mapping[str, str]
    joints: tuple[JointSource, ...]
    action: tuple[JointSource, ...]
    limits: ImportLimits
    label_topic: str
    task: str
    robot: str
    stamp: str
    definitions: Path | None
    text: str


KEYS: Final = (
    'rate', 'cameras', 'joints', 'action', 'limits', 'label', 'task', 'robot', 'stamp',
    'definitions',
)  # fmt: skip


def load_map(path: Path) -> TopicMap:
    """
    Read and check a map.

    :raises ConfigurationError: with file, key, value and the valid values
    """
    try:
        text = path.read_text(encoding='utf-8')
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            'map-unreadable', f'map {path} cannot be read ({error})'
        ) from error
    return _Parser(path).map(content, text)


def map_for(recording: Path) -> TopicMap | None:
    """Return the map in the folder of a bag or in one of those above; None without a map."""
    here = recording.resolve()
    for folder in [here, *here.parents][: FOLDERS_UP + 1]:
        if (folder / NAME).is_file():
            return load_map(folder / NAME)
    return None


class _Parser:
    """Converts parsed YAML into a map; errors have the file and the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def map(self, content: Any, text: str) -> TopicMap:
        content = self._keys('the map', content, KEYS)
        rate = content.get('rate')
        if not isinstance(rate, int) or isinstance(rate, bool) or not 1 <= rate <= HIGHEST_RATE:
            self._fail('rate', rate, f'a whole number of Hz from 1 to {HIGHEST_RATE}')
        stamp = content.get('stamp', 'header')
        if stamp not in STAMPS:
            self._fail('stamp', stamp, ' or '.join(STAMPS))
        label = self._keys('label', content.get('label') or {}, ('topic',))
        definitions = content.get('definitions')
        joints = self._joints('joints', content.get('joints'))
        self._unique([name for source in joints for name in source.names.values()])
        return TopicMap(
            rate, self._cameras(content.get('cameras') or {}), joints,
            self._joints('action', content.get('action')), self._limits(content.get('limits')),
            self._text('label.topic', label.get('topic', '')),
            self._text('task', content.get('task', '')),
            self._text('robot', content.get('robot', '')), stamp,
            None if definitions is None else self._path.parent / str(definitions), text,
        )  # fmt: skip

    def _cameras(self, content: Any) -> dict[str, str]:
        cameras = self._keys('cameras', content, None)
        for name, topic in cameras.items():
            if not str(name).isidentifier():
                self._fail('camera', name, 'a name of letters, digits and _')
            self._text(f'cameras.{name}', topic)
        return {str(name): str(topic) for name, topic in cameras.items()}

    def _joints(self, key: str, content: Any) -> tuple[JointSource, ...]:
        if content is None:
            return ()
        rows = content if isinstance(content, list) else [content]
        return tuple(self._joint_source(f'{key}[{i}]', row) for i, row in enumerate(rows))

    def _joint_source(self, key: str, content: Any) -> JointSource:
        row = self._keys(key, content, ('topic', 'field', 'names'))
        names = row.get('names') or {}
        if isinstance(names, list):
            self._unique(names)
            names = {str(name): str(name) for name in names}
        if not isinstance(names, Mapping):
            self._fail(f'{key}.names', names, 'a list of names, or recorded name: joint name')
        path = self._text(f'{key}.field', row.get('field', ''))
        if path and not names:
            self._fail(f'{key}.names', names, 'a list of names, one for each number of the field')
        if not row.get('topic'):
            self._fail(f'{key}.topic', row.get('topic'), 'the name of a topic')
        renamed = {str(recorded): str(name) for recorded, name in names.items()}
        return JointSource(str(row['topic']), path.removeprefix('msg.'), renamed)

    def _limits(self, content: Any) -> ImportLimits:
        allowed = [field.name for field in fields(ImportLimits)]
        limits = self._keys('limits', content or {}, allowed)
        for name, number in limits.items():
            most = 1.0 if name == 'min_readable' else float('inf')
            if not isinstance(number, int | float) or not 0.0 <= number <= most:
                self._fail(f'limits.{name}', number, f'a number from 0 to {most:g}')
        return ImportLimits(**{name: float(number) for name, number in limits.items()})

    def _unique(self, names: list[Any]) -> None:
        twice = sorted({str(name) for name in names if names.count(name) > 1})
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


STEP: Final = re.compile(r'(?:^|\.)([A-Za-z_]\w*)|\[(-?\d*)(:?)(-?\d*)\]')
Step = str | int | slice


@cache
def parse(path: str) -> tuple[Step, ...]:
    """
    Split a path into names, indices and slices.

    :raises ConfigurationError: if its syntax is invalid
    """
    steps: list[Step] = []
    at = 0
    while at < len(path):
        found = STEP.match(path, at)
        if found is None or found.end() == at or found.group(0) == '[]':
            raise ConfigurationError(
                'field-syntax',
                f'field {path!r} is invalid from {path[at:]!r} on, must be names, [i] and [a:b], '
                'such as left.position[0:7]',
            )
        name, first, colon, last = found.groups()
        if name is not None:
            steps.append(name)
        elif colon:
            steps.append(slice(int(first) if first else None, int(last) if last else None))
        else:
            steps.append(int(first))
        at = found.end()
    return tuple(steps)


def numbers(message: Any, path: str) -> Array:
    """
    Return the numbers at a path in a message, (N,).

    :raises ConfigurationError: if the message has no such field
    """
    value, many = message, False
    for step in parse(path):
        try:
            value, many = _follow(value, step, many)
        except (AttributeError, IndexError, TypeError) as error:
            kind = getattr(message, '__msgtype__', type(message).__name__)
            fields = getattr(message, '__dataclass_fields__', ())
            known = ', '.join(name for name in fields if not name.startswith('_'))
            raise ConfigurationError(
                'field-missing', f'field {path!r} is not in {kind} ({error}); it has {known}'
            ) from error
    try:
        return np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            'field-not-number', f'field {path!r} is not a number: {value!r}'
        ) from error


def _follow(value: Any, step: Step, many: bool) -> tuple[Any, bool]:
    """Return the value one step further, and whether it is a list of elements."""
    if isinstance(step, str):
        if many:
            return [getattr(element, step) for element in value], True
        return getattr(value, step), False
    selected = value[step]
    return selected, isinstance(step, slice) and not isinstance(selected, np.ndarray)
