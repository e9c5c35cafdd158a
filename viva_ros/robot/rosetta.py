# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Contracts of rosetta (github.com/iblnkn/rosetta), read as robot files.

A contract is translated to the keys of a robot file, which then checks them. What has no exact
meaning here is refused by name; ``x-viva``, a key that rosetta ignores, holds what replaces it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import ConfigurationError

EXTENSION: Final = 'x-viva'
IGNORE: Final = 'ignore'  # key of the extension: parts that shall have no effect
IMAGES: Final = 'observation.images.'
STATE, ACTION = 'observation.state', 'action'
SECTIONS: Final = ('tasks', 'rewards', 'signals', 'info', 'complementary_data')
#: Keys without an effect on what is read: they steer the robot, or list topics to record.
UNUSED: Final = ('teleop', 'adjunct')
CHANNEL: Final = ('topic', 'type', 'qos', 'dtype', 'safety', 'encoder', 'decoder')
ENTRY: Final = ('channel', 'align', 'select', 'apply', 'kind')
STAMPS: Final = {'header': 'header', 'receive': 'received'}  # timeline to stamp
PICTURES: Final = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
JOINT_STATE: Final = 'sensor_msgs/msg/JointState'
JOY: Final = 'sensor_msgs/msg/Joy'
#: Types whose selectors are paths in the message.
PATHS: Final = (
    'sensor_msgs/msg/Imu', 'nav_msgs/msg/Odometry', 'geometry_msgs/msg/Twist',
    'geometry_msgs/msg/TwistStamped',
)  # fmt: skip
AXIS: Final = re.compile(r'(?:(?P<array>axes|buttons)\.)?(?P<index>\d+)')  # of a Joy
ARRAY: Final = re.compile(r'std_msgs/msg/(Float32|Float64|Int32|Int64)MultiArray')
FIELDS: Final = ('position', 'velocity', 'effort')  # of a JointState
RESIZE: Final = 'resize'


def is_contract(content: object) -> bool:
    """Return whether the content of a YAML file is a contract, by its keys."""
    return isinstance(content, Mapping) and bool({'robot_interface', 'observations'} & {*content})


def translate(path: Path, content: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """
    Return the content of a contract with the keys of a robot file, and notes.

    :raises ConfigurationError: if a part has no exact meaning; it lists all of them
    """
    reader = _Contract(path, content)
    found = reader.robot_file()
    if reader.problems:
        parts = '; '.join(
            f'{name}: {", and ".join(reasons)}' for name, reasons in reader.problems.items()
        )
        raise ConfigurationError(
            'rosetta-part',
            f'{path} is a contract of rosetta, and has parts without an exact meaning here: '
            f'{parts}. Write what replaces them under the key {EXTENSION}, which rosetta ignores, '
            f'with the keys of a robot file; "{EXTENSION}: {{{IGNORE}: '
            f'[{", ".join(reader.problems)}]}}" leaves them out',
        )
    unknown = [name for name in reader.ignored if name not in reader.met]
    if unknown:
        raise ConfigurationError(
            'rosetta-ignore',
            f'{path}: {EXTENSION}.{IGNORE} has {", ".join(map(repr, unknown))}, must name parts '
            f'that have no meaning here: {", ".join(sorted(reader.met)) or "it has none"}',
        )
    if found.get('joints') == []:  # without joints a robot file has those of /joint_states
        raise ConfigurationError(
            'rosetta-joints',
            f'{path}: {STATE} has no positions that can be read: name the joints under '
            f'{EXTENSION}, "{EXTENSION}: {{joints: [{{topic: ..., names: [...]}}]}}"',
        )
    return found, tuple(reader.notes)


@dataclass
class _Contract:
    """
    Translates one contract.

    :param problems: name of a part to the reasons why it is refused
    :param met: parts that are refused unless they are ignored
    """

    path: Path
    content: Mapping[str, Any]
    problems: dict[str, list[str]] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        own = self._mapping(EXTENSION, self.content.get(EXTENSION) or {})
        ignored = own.pop(IGNORE, [])
        self.ignored = [str(one) for one in ignored] if isinstance(ignored, list) else [ignored]
        self.own = own

    def robot_file(self) -> dict[str, Any]:
        """Return the keys of a robot file; those of the extension replace translated ones."""
        interface = self.content.get('robot_interface', 'ros2')
        if interface != 'ros2':
            self._refuse('robot_interface', f'is {interface!r}, must be ros2')
        known = ('robot_type', 'robot_interface', 'fps', 'observations', 'actions')
        for key in self.content:
            if key in SECTIONS:
                self._section(key)
            elif key not in (*known, *UNUSED) and not str(key).startswith('x-'):
                self._refuse(str(key), 'is unknown')
        observations = self._mapping('observations', self.content.get('observations') or {})
        actions = self._mapping('actions', self.content.get('actions') or {})
        cameras = self._cameras(observations) if 'cameras' not in self.own else {}
        found: dict[str, Any] = {
            'robot': self.content.get('robot_type', ''), 'rate': self.content.get('fps'),
            'cameras': cameras,
        }  # fmt: skip
        for key, section, name in (
            ('joints', observations, STATE), ('action', actions, ACTION)
        ):  # fmt: skip
            for other in section:
                if other != name and not other.startswith(IMAGES):
                    self._refuse(other, f'only {name} is read; move its sources there')
            if key not in self.own and name in section:
                found[key] = [one for entry in _list(section[name])
                              for one in self._sources(name, entry)]  # fmt: skip
        return {**found, **self.own}

    def _section(self, key: str) -> None:
        replaced = {'tasks': 'task', 'rewards': 'label', 'signals': 'label'}.get(key)
        if replaced is None:
            self._refuse(key, 'is not read')
        elif replaced not in self.own:
            self._refuse(key, f'is not read; "{EXTENSION}: {{{replaced}: ...}}" states it')

    def _cameras(self, observations: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        keys: dict[str, str] = {}
        for key, entry in observations.items():
            if not key.startswith(IMAGES):
                continue
            name = re.sub(r'\W', '_', key.removeprefix(IMAGES))
            if keys.setdefault(name, key) != key:
                self._refuse(key, f'would be camera {name!r}, as {keys[name]} is')
            elif camera := self._camera(key, entry):
                found[name] = camera
        return found

    def _camera(self, key: str, entry: Any) -> dict[str, Any]:
        kind = self._mapping(f'{key}.channel', entry.get('channel')).get('type') \
            if isinstance(entry, Mapping) else ''  # fmt: skip
        if kind not in PICTURES:
            self._refuse(key, f'must be one topic with the type {" or ".join(PICTURES)}')
            return {}
        channel, stamp = self._entry(key, entry)
        return {'topic': channel.get('topic'), 'stamp': stamp}

    def _sources(self, key: str, entry: Any) -> Iterator[dict[str, Any]]:
        """Yield the sources of joints of one channel."""
        channel, stamp = self._entry(key, entry)
        kind = str(channel.get('type'))
        topic = {'topic': channel.get('topic'), 'stamp': stamp}
        select = entry.get('select') or []
        if not isinstance(select, list) or not all(isinstance(one, str | int) for one in select):
            self._refuse(key, f'select is {select!r}, must be a list of names')
            return
        select = list(map(str, select))
        named = f'{topic["topic"]} of type {kind}'
        if 'decoder' in channel:
            self._refuse(key, f'{named} has a decoder, which is not run')
        elif not select:
            self._refuse(key, f'{named} has no "select", so that its numbers have no names')
        elif kind == JOINT_STATE:
            parts = [one.partition('.') if one.split('.')[0] in FIELDS else ('position', '.', one)
                     for one in select]  # fmt: skip
            for part in dict.fromkeys(part for part, _, _ in parts if part != 'position'):
                self._refuse(key, f'{named} selects {part}, only positions are read')
            positions = [joint for part, _, joint in parts if part == 'position']
            if positions:  # without names a source has all joints of its topic
                yield {**topic, 'names': positions}
        elif kind in PATHS:
            for one in select:
                yield {**topic, 'field': one, 'names': [one]}
        elif kind == JOY:
            for one in select:
                place = AXIS.fullmatch(one)
                if place is None:
                    self._refuse(key, f'{named} selects {one}, must be axes.N, buttons.N or N')
                else:
                    axes = place['array'] or 'axes'
                    yield {**topic, 'field': f'{axes}[{place["index"]}]', 'names': [one]}
        elif ARRAY.fullmatch(kind):
            yield {**topic, 'field': 'data', 'names': select}
        else:
            self._refuse(key, f'{named} is read by "joints" with a "field" and "names"')

    def _entry(self, key: str, entry: Any) -> tuple[dict[str, Any], str]:
        """Return the channel of an entry and its stamp; refuse what has no meaning."""
        row = self._mapping(key, entry)
        channel = self._mapping(f'{key}.channel', row.get('channel'))
        align = self._mapping(f'{key}.align', row.get('align'))
        for name in (*(one for one in row if one not in ENTRY),
                     *(one for one in channel if one not in CHANNEL)):  # fmt: skip
            self._refuse(str(name), f'of {key} is not used')
        strategy, timeline = align.get('strategy'), align.get('timeline')
        if strategy != 'hold':
            self._refuse(str(strategy), f'alignment of {key} must be hold: the newest message; '
                         '"limits: {max_gap: ..., max_skew: ...}" refuse older ones')  # fmt: skip
        if timeline not in STAMPS:
            self._refuse(f'timeline {timeline}', f'of {key} must be one of {", ".join(STAMPS)}')
        for one in _list(row.get('apply') or []):
            for operator in map(str, one if isinstance(one, Mapping) else [one]):
                if operator == RESIZE and key.startswith(IMAGES):
                    self.notes.append(f'{RESIZE} of {key} is not applied: images keep their size')
                else:
                    self._refuse(operator, f'of {key} is not applied: values stay as published')
        return channel, STAMPS.get(str(timeline), '')

    def _mapping(self, key: str, content: Any) -> dict[str, Any]:
        if not isinstance(content, Mapping):
            raise ConfigurationError(
                'rosetta-value', f'{self.path}: {key} is {content!r}, must be a mapping'
            )
        return {str(name): value for name, value in content.items()}

    def _refuse(self, name: str, reason: str) -> None:
        self.met.add(name)
        known = self.problems.setdefault(name, []) if name not in self.ignored else [reason]
        if reason not in known:
            known.append(reason)


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
