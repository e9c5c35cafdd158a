# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Check launch arguments, and write a parameter file for each node.

An explicit argument overrides a parameter file, which overrides a default. Therefore the default
of an argument is shown, but not passed to the node.
"""

import atexit
import copy
import io
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import yaml

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.regular_file import open_regular
from viva_ros.core.settings import SettingInfo, check, flatten
from viva_ros.engine.remote.protocol import AUTO
from viva_ros.engine.resources import shared_folder
from viva_ros.nodes.parameters import nearest
from viva_ros.nodes.registry import (
    FLAG,
    LAUNCHES,
    PROFILE,
    PROFILE_VARIABLE,
    REMOVED,
    LaunchArgument,
    Program,
    RespawnPolicy,
)
from viva_ros.nodes.settings import SETTINGS
from viva_ros.robot.yaml_reader import compose_yaml

KEY: Final = 'ros__parameters'
FORM: Final = "NODE: {ros__parameters: {NAME: VALUE}}, see 'ros2 param dump'"
LARGEST: Final = 1 << 20  # bytes

#: Values by dotted name, as nodes of YAML.
Values = dict[str, yaml.Node]


class ParameterFile:
    """The sections of a parameter file in order: pattern of node names, and values."""

    def __init__(self, path: Path) -> None:
        """
        Read a file.

        :raises ConfigurationError: if it cannot be read, or is not a ROS parameter file
        """
        self.path = path
        self.sections: list[tuple[str, Values]] = []
        root = _read(path)
        if not isinstance(root, yaml.MappingNode):
            text = f'{path} has no sections, must be {FORM}'
            raise ConfigurationError('parameter-file-sections', text)
        for pattern, values in self._walk(root, ''):
            self.sections.append((pattern, self._flat(values, '', {})))

    def of(self, node: str) -> Values:
        """
        Return the values for a node; later sections override earlier ones.

        A section with the bare name of a node applies to that node in any namespace.

        :param node: fully qualified name
        """
        found: Values = {}
        for pattern, values in self.sections:
            if matches(pattern, node):
                found |= values
        return found

    def elsewhere(self, node: str) -> list[str]:
        """Return the sections for this name in other namespaces, if none is for this node."""
        own = '/' + node.rpartition('/')[2]
        named = [pattern for pattern, _ in self.sections if f'/{pattern}'.endswith(own)]
        return [] if any(matches(pattern, node) for pattern in named) else named

    def _walk(self, node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, yaml.Node]]:
        for key, value in self._entries(node):
            if key == KEY:
                yield prefix, value
            elif isinstance(value, yaml.MappingNode):
                yield from self._walk(value, f'{prefix}/{key}' if prefix else key)
            else:
                raise ConfigurationError(
                    'parameter-file-nesting',
                    f'{self.path} has {key!r} outside of {KEY}, must be {FORM}',
                )

    def _flat(self, node: yaml.Node, prefix: str, found: Values) -> Values:
        """Add the values of a section to those found, by dotted name."""
        if not isinstance(node, yaml.MappingNode):
            text = f'{self.path} has a {KEY} without names, must be {FORM}'
            raise ConfigurationError('parameter-file-names', text)
        for key, value in self._entries(node):
            name = prefix + key
            if isinstance(value, yaml.MappingNode):
                self._flat(value, f'{name}.', found)
            elif name in found:
                line = value.start_mark.line + 1
                text = f'{self.path} has {name!r} twice, again in line {line}'
                raise ConfigurationError('parameter-file-duplicate', text)
            else:
                found[name] = value
        return found

    def _entries(self, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                text = f'{self.path} has no name in line {line}, must be {FORM}'
                raise ConfigurationError('parameter-file-key', text)
            yield key.value, value


def matches(pattern: str, node: str) -> bool:
    """
    Return whether a section applies to a node.

    :param pattern: tokens between slashes; '*' is any one token, '**' any number of them
    :param node: fully qualified name
    """
    if '/' not in pattern and '*' not in pattern:
        return node.rpartition('/')[2] == pattern
    tokens = [re.escape(token) for token in pattern.strip('/').split('/')]
    wild = {r'\*': '/[^/]+', r'\*\*': '(/[^/]+)*'}
    form = ''.join(wild.get(token, f'/{token}') for token in tokens)
    return re.fullmatch(form, node) is not None


def write(path: Path, layers: Iterable[Mapping[str, yaml.Node]]) -> None:
    """Write one section for any node; later layers override earlier ones."""
    merged: Values = {}
    for layer in layers:
        merged |= layer
    # Values of YAML anchors are copied: rcl does not support anchors.
    content = _mapping({name: copy.deepcopy(value) for name, value in merged.items()})
    for key in (KEY, '/**'):
        content = _mapping({key: content})
    path.write_text(yaml.serialize(content, width=1_000_000), encoding='utf-8')


def value_node(value: bool | int | float | str) -> yaml.Node:
    """Return a value as a YAML node; a text is quoted, so that its type stays."""
    if isinstance(value, str):
        return _scalar(value)
    return compose_yaml(yaml.safe_dump(value))


def _mapping(entries: Mapping[str, yaml.Node]) -> yaml.MappingNode:
    pairs = [(_scalar(key), value) for key, value in entries.items()]
    return yaml.MappingNode('tag:yaml.org,2002:map', pairs)


def _scalar(value: str) -> yaml.ScalarNode:
    return yaml.ScalarNode('tag:yaml.org,2002:str', value, style="'")


def _read(path: Path) -> yaml.Node | None:
    try:
        with io.TextIOWrapper(open_regular(path), encoding='utf-8') as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            text = f'{path} has more than {LARGEST} characters'
            raise ConfigurationError('parameter-file-size', text)
        return compose_yaml(text)
    except (OSError, UnicodeError) as error:
        text = f'parameter file {path} cannot be read: {error}'
        raise ConfigurationError('parameter-file-unreadable', text) from error
    except ValueError as error:
        reason = ' '.join(str(error).split())
        text = f'parameter file {path} is not valid YAML: {reason}'
        raise ConfigurationError('parameter-file-yaml', text) from error


NAMESPACE: Final = re.compile(r'/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*/?)?', re.ASCII)


@dataclass(frozen=True)
class Options:
    """
    The arguments of a launch.

    :param values: value of each argument, or its default
    :param explicit: names of the explicit arguments
    """

    launch: str
    values: Mapping[str, str]
    explicit: frozenset[str]

    @property
    def programs(self) -> list[Program]:
        """Return the enabled nodes."""
        return [
            program for program in LAUNCHES[self.launch][0]
            if not program.switch or self.values[program.switch] == 'true'
        ]  # fmt: skip

    def policy(self, program: Program) -> RespawnPolicy:
        """Return when a node is restarted after a failure; never with ``respawn:=false``."""
        restarts = program.respawn.restarts and self.values['respawn'] == 'true'
        return replace(program.respawn, restarts=restarts)

    @property
    def log_level(self) -> list[str]:
        """Log level as command-line arguments after --ros-args."""
        return ['--log-level', self.values['log_level']] * ('log_level' in self.explicit)


def arguments(launch: str) -> list[LaunchArgument]:
    """List the arguments of a launch, with text, default and choices of their parameters."""
    return [_filled(launch, argument) for argument in LAUNCHES[launch][1]]


def check_arguments(launch: str, explicit: Mapping[str, str]) -> Options:
    """
    Check explicit arguments, and add the defaults; an empty text means the default.

    :raises ConfigurationError: naming the argument, its value and the valid values
    """
    known = {argument.name: argument for argument in arguments(launch)}
    for name in explicit:
        if name in REMOVED[launch]:
            text = f'{launch} has no argument {name!r}: {REMOVED[launch][name]}'
            raise ConfigurationError('launch-argument-removed', text)
        check_name(launch, name, known)
    values = {name: argument.default or '' for name, argument in known.items()}
    checked = {n: _checked(launch, known[n], text) for n, text in explicit.items() if text}
    return Options(launch, values | checked, frozenset(checked))


def check_name(launch: str, name: str, known: Collection[str]) -> None:
    """
    Check that a launch has an argument.

    :raises ConfigurationError: with the most similar known name
    """
    if name not in known:
        near = nearest(name, known)
        meant = f'is {near!r} meant?' if near else f'must be one of {", ".join(known)}'
        text = f'{launch} has no argument {name!r}: {meant}'
        raise ConfigurationError('launch-argument-unknown', text)


def parameter_files(options: Options, namespace: str) -> tuple[dict[str, Path], list[str]]:
    """
    Write a parameter file for each node; the files are removed when this process ends.

    :param namespace: absolute namespace of all nodes
    :returns: files by name of the node, and warnings about the user's parameter file
    :raises ConfigurationError: if the user's parameter file is invalid
    """
    nodes = {one.name: f'{namespace.rstrip("/")}/{one.name}' for one in options.programs}
    user_file, notes = None, []
    if options.values['params_file']:
        user_file = ParameterFile(Path(options.values['params_file']))
        notes = _check_sections(user_file, nodes, options.launch)
    folder = Path(tempfile.mkdtemp(prefix='viva_ros_'))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    files = {}
    for program in options.programs:
        node = nodes[program.name]
        own = ParameterFile(shared_folder('config') / f'{program.name}.yaml')
        layers = [own.of(node), _values(options, program, _presets(options))]
        layers += [user_file.of(node)] if user_file else []
        files[program.name] = folder / f'{program.name}.yaml'
        write(files[program.name], [*layers, _values(options, program, options.explicit)])
    return files, notes


def added_environment() -> dict[str, str]:
    """Return the required environment variables that are not set."""
    wanted = {
        PROFILE_VARIABLE: str(shared_folder('config') / PROFILE),
        'OMP_NUM_THREADS': '1',  # more threads than cores make inference erratic
    }
    return {name: value for name, value in wanted.items() if name not in os.environ}


def _filled(launch: str, argument: LaunchArgument) -> LaunchArgument:
    setting = _setting(launch, argument.name)
    if setting is None:
        return argument
    default = argument.default
    if default is None:
        default = _text(setting.default)
    choices = FLAG if isinstance(setting.default, bool) else setting.limits.choices or ()
    return replace(argument, doc=argument.doc or setting.doc, default=default, choices=choices)


def _setting(launch: str, name: str) -> SettingInfo | None:
    """Return the parameter that an argument sets, in the first node that has it."""
    for program in LAUNCHES[launch][0]:
        for info in flatten(SETTINGS[program.name]):
            if info.name == program.parameters.get(name):
                return info
    return None


def _presets(options: Options) -> set[str]:
    """Return the arguments without an explicit value whose default is not the parameter's."""
    own = {argument.name for argument in LAUNCHES[options.launch][1] if argument.default}
    return {name for name in own - options.explicit if _setting(options.launch, name)}


def _checked(launch: str, argument: LaunchArgument, text: str) -> str:
    name = argument.name
    if argument.choices:
        text = text.lower() if argument.choices == FLAG else text
        if text not in argument.choices:
            allowed = ', '.join(map(repr, argument.choices))
            folder = '; use black_box_folder for a folder' if name == 'black_box' else ''
            text = f'{name} is {text!r}, must be one of {allowed}{folder}'
            raise ConfigurationError('launch-argument-choice', text)
    elif name == 'namespace' and not NAMESPACE.fullmatch(text):
        raise ConfigurationError(
            'namespace-invalid',
            f'namespace is {text!r}, must be names of letters, digits and _ between slashes',
        )
    elif argument.is_path and text and text != AUTO:
        text = str(Path(text).expanduser().absolute())
    elif setting := _setting(launch, name):
        check(name, _typed(setting, text), setting)
    if name == 'params_file' and not Path(text).is_file():
        one = ', not a folder: write one section for each node' * Path(text).is_dir()
        text = f'params_file is {text!r}, must be a file{one}'
        raise ConfigurationError('parameter-file-missing', text)
    return text


def _values(
    options: Options, program: Program, names: Iterable[str]
) -> dict[str, yaml.Node]:  # fmt: skip
    """Return the parameters of a node that these arguments set."""
    found = {}
    settings = {info.name: info for info in flatten(SETTINGS[program.name])}
    for name in sorted(set(names) & set(program.parameters)):
        parameter, text = program.parameters[name], options.values[name]
        # use_sim_time is a parameter of every node.
        typed = _typed(settings[parameter], text) if parameter in settings else text == 'true'
        found[parameter] = value_node(typed)
    return found


def _typed(setting: SettingInfo, text: str) -> bool | int | float | str:
    """Convert a text to the type of a parameter; return the text if that fails."""
    if isinstance(setting.default, str):
        return text
    try:
        return text == 'true' if isinstance(setting.default, bool) else type(setting.default)(text)
    except ValueError:
        return text


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_sections(user_file: ParameterFile, nodes: Mapping[str, str], launch: str) -> list[str]:
    """Raise if no section applies to any of the nodes; return warnings about unused sections."""
    names = {name for node in nodes.values() for name in user_file.of(node)}
    for name in sorted(names & REMOVED[launch].keys()):
        text = f'{user_file.path} sets {name!r} in {launch}: {REMOVED[launch][name]}'
        raise ConfigurationError('launch-parameter-unavailable', text)
    if not names:
        sections = ', '.join(pattern for pattern, _ in user_file.sections) or 'none'
        raise ConfigurationError(
            'parameter-file-unused',
            f'{user_file.path} has no parameter for {", ".join(nodes.values())}; sections: '
            f'{sections}',
        )
    notes = []
    for node in nodes.values():
        if other := user_file.elsewhere(node):
            notes.append(f'{user_file.path}: {", ".join(other)} does not apply to {node}')
    for pattern, _ in user_file.sections:
        name = pattern.rpartition('/')[2]
        if name not in SETTINGS and (near := nearest(name, SETTINGS)):
            notes.append(
                f'{user_file.path}: section {pattern!r} applies to no node: is {near!r} meant?'
            )
    return notes
