# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Launch arguments as they were given: checked, and made into a parameter file for each node.

An argument that was given counts more than a parameter file, and that more than a default. So what
was not given is shown with its default, but not passed on.
"""

import atexit
import copy
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
from viva_ros.core.settings import SettingInfo, check, flatten
from viva_ros.engine.remote.protocol import AUTO
from viva_ros.engine.resources import shared_folder
from viva_ros.nodes.parameters import nearest
from viva_ros.nodes.registry import (
    FLAG,
    GONE,
    LAUNCHES,
    PROFILE,
    PROFILE_VARIABLE,
    LaunchArgument,
    Program,
)
from viva_ros.nodes.settings import SETTINGS

KEY: Final = 'ros__parameters'
FORM: Final = "NODE: {ros__parameters: {NAME: VALUE}}, see 'ros2 param dump'"
LARGEST: Final = 1 << 20  # bytes

#: Values by dotted name, as nodes of YAML.
Values = dict[str, yaml.Node]


class ParameterFile:
    """The sections of a file, in its order: pattern of node names, and values."""

    def __init__(self, path: Path) -> None:
        """
        Read it.

        :raises ConfigurationError: if it cannot be read, or is no parameter file of ROS
        """
        self.path = path
        self.sections: list[tuple[str, Values]] = []
        root = _read(path)
        if not isinstance(root, yaml.MappingNode):
            text = f'{path} holds no sections, must be {FORM}'
            raise ConfigurationError('parameter-file-sections', text)
        for pattern, values in self._walk(root, ''):
            self.sections.append((pattern, self._flat(values, '', {})))

    def of(self, node: str) -> Values:
        """
        Return the values for a node, by its fully qualified name; later sections win.

        A section with the bare name of a node is for that node in any namespace.
        """
        found: Values = {}
        for pattern, values in self.sections:
            if matches(pattern, node):
                found |= values
        return found

    def elsewhere(self, node: str) -> list[str]:
        """Return sections for a node of this name elsewhere, if none is for this one alone."""
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
    Return whether a section is for a node.

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
    """Write one section for any node; later layers win."""
    merged: Values = {}
    for layer in layers:
        merged |= layer
    # A value that an anchor names twice is copied: rcl knows no anchors.
    content = _mapping({name: copy.deepcopy(value) for name, value in merged.items()})
    for key in (KEY, '/**'):
        content = _mapping({key: content})
    path.write_text(yaml.serialize(content, width=1_000_000), encoding='utf-8')


def value_node(value: bool | int | float | str) -> yaml.Node:
    """Return a value as a node of YAML; a text is quoted, so that it stays one."""
    if isinstance(value, str):
        return _scalar(value)
    return yaml.compose(yaml.safe_dump(value))


def _mapping(entries: Mapping[str, yaml.Node]) -> yaml.MappingNode:
    pairs = [(_scalar(key), value) for key, value in entries.items()]
    return yaml.MappingNode('tag:yaml.org,2002:map', pairs)


def _scalar(value: str) -> yaml.ScalarNode:
    return yaml.ScalarNode('tag:yaml.org,2002:str', value, style="'")


def _read(path: Path) -> yaml.Node | None:
    try:
        with path.open(encoding='utf-8') as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            text = f'{path} has more than {LARGEST} characters'
            raise ConfigurationError('parameter-file-size', text)
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeError) as error:
        text = f'parameter file {path} cannot be read: {error}'
        raise ConfigurationError('parameter-file-unreadable', text) from error
    except (yaml.YAMLError, RecursionError) as error:
        reason = ' '.join(str(error).split())
        text = f'parameter file {path} is not valid YAML: {reason}'
        raise ConfigurationError('parameter-file-yaml', text) from error


NAMESPACE: Final = re.compile(r'/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*/?)?', re.ASCII)


@dataclass(frozen=True)
class Options:
    """
    The arguments of a launch.

    :param values: of all arguments, defaults filled in
    :param given: names of those that were given
    """

    launch: str
    values: Mapping[str, str]
    given: frozenset[str]

    @property
    def programs(self) -> list[Program]:
        """Return the nodes that are wanted."""
        return [
            program for program in LAUNCHES[self.launch][0]
            if not program.switch or self.values[program.switch] == 'true'
        ]  # fmt: skip

    def respawns(self, program: Program) -> bool:
        """Return whether a node is started again when it fails."""
        return program.respawn and self.values['respawn'] == 'true'

    @property
    def log_level(self) -> list[str]:
        """Arguments of a node, after --ros-args."""
        return ['--log-level', self.values['log_level']] * ('log_level' in self.given)


def arguments(launch: str) -> list[LaunchArgument]:
    """List the arguments of a launch, with sentence, default and choices filled in."""
    return [_filled(launch, argument) for argument in LAUNCHES[launch][1]]


def check_arguments(launch: str, given: Mapping[str, str]) -> Options:
    """
    Check what was given, and fill in the rest; an empty text is as good as nothing.

    :raises ConfigurationError: naming the argument, its value and what is allowed
    """
    known = {argument.name: argument for argument in arguments(launch)}
    for name in given:
        if name in GONE[launch]:
            text = f'{launch} has no argument {name!r}: {GONE[launch][name]}'
            raise ConfigurationError('launch-argument-removed', text)
        check_name(launch, name, known)
    values = {name: argument.default or '' for name, argument in known.items()}
    checked = {n: _checked(launch, known[n], text) for n, text in given.items() if text}
    return Options(launch, values | checked, frozenset(checked))


def check_name(launch: str, name: str, known: Collection[str]) -> None:
    """
    Refuse an argument that a launch file does not have.

    :raises ConfigurationError: with the nearest known name
    """
    if name not in known:
        near = nearest(name, known)
        meant = f'is {near!r} meant?' if near else f'must be one of {", ".join(known)}'
        text = f'{launch} has no argument {name!r}: {meant}'
        raise ConfigurationError('launch-argument-unknown', text)


def parameter_files(options: Options, namespace: str) -> tuple[dict[str, Path], list[str]]:
    """
    Write a file for each node, which is removed when this process ends.

    :param namespace: absolute, of all nodes
    :returns: files by name of the node, and what a person should know of the parameter file
    :raises ConfigurationError: if the parameter file cannot be used
    """
    nodes = {one.name: f'{namespace.rstrip("/")}/{one.name}' for one in options.programs}
    given, notes = None, []
    if options.values['params_file']:
        given = ParameterFile(Path(options.values['params_file']))
        notes = _check_sections(given, nodes, options.launch)
    folder = Path(tempfile.mkdtemp(prefix='viva_ros_'))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    files = {}
    for program in options.programs:
        node = nodes[program.name]
        own = ParameterFile(shared_folder('config') / f'{program.name}.yaml')
        layers = [own.of(node), _values(options, program, _presets(options))]
        layers += [given.of(node)] if given else []
        files[program.name] = folder / f'{program.name}.yaml'
        write(files[program.name], [*layers, _values(options, program, options.given)])
    return files, notes


def added_environment() -> dict[str, str]:
    """Return the variables that nodes need and that are not set."""
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
    """Return what an argument sets, in the first node that has it."""
    for program in LAUNCHES[launch][0]:
        for info in flatten(SETTINGS[program.name]):
            if info.name == program.parameters.get(name):
                return info
    return None


def _presets(options: Options) -> set[str]:
    """Return the arguments whose default is not that of the parameter, and that were not given."""
    own = {argument.name for argument in LAUNCHES[options.launch][1] if argument.default}
    return {name for name in own - options.given if _setting(options.launch, name)}


def _checked(launch: str, argument: LaunchArgument, text: str) -> str:
    name = argument.name
    if argument.choices:
        text = text.lower() if argument.choices == FLAG else text
        if text not in argument.choices:
            allowed = ', '.join(map(repr, argument.choices))
            folder = '; a folder is black_box_folder' if name == 'black_box' else ''
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
        one = ': write its files as sections of one' * Path(text).is_dir()
        text = f'params_file is {text!r}, must be a file{one}'
        raise ConfigurationError('parameter-file-missing', text)
    return text


def _values(
    options: Options, program: Program, names: Iterable[str]
) -> dict[str, yaml.Node]:  # fmt: skip
    """Return what some of the arguments set in a node."""
    found = {}
    settings = {info.name: info for info in flatten(SETTINGS[program.name])}
    for name in sorted(set(names) & set(program.parameters)):
        parameter, text = program.parameters[name], options.values[name]
        # use_sim_time is a parameter of every node.
        typed = _typed(settings[parameter], text) if parameter in settings else text == 'true'
        found[parameter] = value_node(typed)
    return found


def _typed(setting: SettingInfo, text: str) -> bool | int | float | str:
    """Return the value that a text means; the text itself where it means none."""
    if isinstance(setting.default, str):
        return text
    try:
        return text == 'true' if isinstance(setting.default, bool) else type(setting.default)(text)
    except ValueError:
        return text


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_sections(given: ParameterFile, nodes: Mapping[str, str], launch: str) -> list[str]:
    """Refuse a file that is for none of the nodes; say what of it is not used."""
    names = {name for node in nodes.values() for name in given.of(node)}
    for name in sorted(names & GONE[launch].keys()):
        text = f'{given.path} sets {name!r} in {launch}: {GONE[launch][name]}'
        raise ConfigurationError('launch-parameter-unavailable', text)
    if not names:
        sections = ', '.join(pattern for pattern, _ in given.sections) or 'none'
        raise ConfigurationError(
            'parameter-file-unused',
            f'{given.path} has no parameter for {", ".join(nodes.values())}; sections: {sections}',
        )
    notes = []
    for node in nodes.values():
        if other := given.elsewhere(node):
            notes.append(f'{given.path}: {", ".join(other)} is not for {node}')
    for pattern, _ in given.sections:
        name = pattern.rpartition('/')[2]
        if name not in SETTINGS and (near := nearest(name, SETTINGS)):
            notes.append(f'{given.path}: section {pattern!r} is for no node: is {near!r} meant?')
    return notes
