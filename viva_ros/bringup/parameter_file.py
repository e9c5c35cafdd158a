# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameter files of ROS: which section is for which node, and files laid over each other.

rcl lets the order of sections decide between files, and a section 'monitor' is for the node
'/monitor' alone, which a namespace makes silently void. So one file is made for each node, of one
section, in which later layers win. Values stay as they are written: rcl gives them their types.
"""

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import yaml

from viva_ros.core.errors import ConfigurationError

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
            raise ConfigurationError(f'{path} holds no sections, must be {FORM}')
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
                    f'{self.path} has {key!r} outside of {KEY}, must be {FORM}'
                )

    def _flat(self, node: yaml.Node, prefix: str, found: Values) -> Values:
        """Add the values of a section to those found, by dotted name."""
        if not isinstance(node, yaml.MappingNode):
            raise ConfigurationError(f'{self.path} has a {KEY} without names, must be {FORM}')
        for key, value in self._entries(node):
            name = prefix + key
            if isinstance(value, yaml.MappingNode):
                self._flat(value, f'{name}.', found)
            elif name in found:
                line = value.start_mark.line + 1
                raise ConfigurationError(f'{self.path} has {name!r} twice, again in line {line}')
            else:
                found[name] = value
        return found

    def _entries(self, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                raise ConfigurationError(f'{self.path} has no name in line {line}, must be {FORM}')
            yield key.value, value


def matches(pattern: str, node: str) -> bool:
    """
    Say whether a section is for a node.

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
        return _text(value)
    return yaml.compose(yaml.safe_dump(value))


def _mapping(entries: Mapping[str, yaml.Node]) -> yaml.MappingNode:
    pairs = [(_text(key), value) for key, value in entries.items()]
    return yaml.MappingNode('tag:yaml.org,2002:map', pairs)


def _text(value: str) -> yaml.ScalarNode:
    return yaml.ScalarNode('tag:yaml.org,2002:str', value, style="'")


def _read(path: Path) -> yaml.Node | None:
    try:
        with path.open(encoding='utf-8') as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ConfigurationError(f'{path} has more than {LARGEST} characters')
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f'parameter file {path} cannot be read: {error}') from error
    except (yaml.YAMLError, RecursionError) as error:
        reason = ' '.join(str(error).split())
        raise ConfigurationError(f'parameter file {path} is no YAML: {reason}') from error
