# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Read YAML of others under the limits of ``core.json_reader``: topic maps, and metadata of bags.

Nested aliases may stand for gigabytes: they count with their content. Refused are also tags, keys
that are there twice, dates and numbers of base 60 such as 12:30 (a text without quotes that YAML
would change), and NUL.

A scalar without quotes that YAML 1.1 (PyYAML) and YAML 1.2 read differently is refused as well:
010 is eight or ten, 1e3 a text or a number, 1_000 a number or a text. rcl, which reads parameter
files, takes numbers like C. Hexadecimal numbers such as 0x1F are equal in all of them.
"""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from viva_ros.core.foreign_text import shown
from viva_ros.core.input_limits import DEPTH_LIMIT, TEXT_LIMIT
from viva_ros.core.json_reader import check_content
from viva_ros.core.regular_file import read_limited

YAML_LIMIT: Final = 4 << 20  # bytes; the parser takes about 100 times as much memory
NODES: Final = 100_000  # entries of a file
SCALARS: Final = (str, int, float, bool, type(None))
TAG: Final = 'tag:yaml.org,2002:'  # before the names of the types
#: Numbers of YAML 1.2 (its core schema), with those decimals that begin with a zero.
INTEGER: Final = re.compile(r'[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+')
FLOAT: Final = re.compile(r'[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?')
#: Integers with one meaning in YAML 1.1, YAML 1.2 and C.
CLEAR: Final = re.compile(r'[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+')


def _is_ambiguous(node: yaml.ScalarNode, is_converted: bool) -> bool:
    """
    Return whether a scalar is a number to one version of YAML, and another or a text to the other.

    :param is_converted: by PyYAML, which knows no 1e3; False if rcl reads it, as YAML 1.2
    """
    text, kind = node.value, node.tag.removeprefix(TAG)
    if node.style is not None or kind not in ('int', 'float', 'str'):
        return False
    if kind == 'int':
        return ':' not in text and CLEAR.fullmatch(text) is None
    if INTEGER.fullmatch(text):
        return True
    is_real = FLOAT.fullmatch(text) is not None
    return '_' in text and ':' not in text if kind == 'float' else is_real and is_converted


def _refusal(text: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, text, mark)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads plain YAML; anything else is an error."""

    is_converted = True  # False if other software reads the values

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[int, int] = {}  # of composed nodes, with the content of their aliases

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        self._depth, mark = self._depth + 1, event.start_mark
        if isinstance(event, yaml.AliasEvent):
            meant = self.anchors.get(event.anchor)
            if meant is not None and id(meant) not in self._sizes:
                raise _refusal(f'alias *{event.anchor} refers to what it is in', mark)
        if self._depth > DEPTH_LIMIT:
            raise _refusal(f'it has more than {DEPTH_LIMIT} levels', mark)
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode) and _is_ambiguous(node, self.is_converted):
            node = self.ambiguous(node)
        self._depth -= 1
        if id(node) not in self._sizes:
            if isinstance(node, yaml.MappingNode):
                parts = [one for pair in node.value for one in pair]
            else:
                parts = node.value if isinstance(node, yaml.SequenceNode) else []
            self._sizes[id(node)] = 1 + sum(self._sizes[id(one)] for one in parts)
        if self._sizes[id(node)] > NODES:
            raise _refusal(f'it has more than {NODES} entries, with those of its aliases', mark)
        return node

    def ambiguous(self, node: Any) -> Any:
        """Refuse a number that versions of YAML read differently."""
        raise _refusal(
            f'{shown(node.value, 40)!r} is read differently by versions of YAML: put it in quotes '
            'if it is a text, else write it like 10, 0x1F, 0.5 or 1.0e+3',
            node.start_mark,
        )

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key, (key_node, _) in zip(keys, node.value, strict=True):
            if not isinstance(key, SCALARS):
                raise _refusal('a key must be a text or a number', key_node.start_mark)
        twice = [key for key, count in Counter(keys).items() if count > 1]
        if twice:
            raise _refusal(f'{twice[0]!r} is there twice', node.start_mark)
        return dict(super().construct_mapping(node, deep))


def _no_date(loader: Any, node: Any) -> Any:
    raise _refusal(f'{shown(node.value, 40)!r} is a date: put it in quotes', node.start_mark)


def _no_tag(loader: Any, node: Any) -> Any:
    raise _refusal(f'tag {shown(node.tag, 80)} is not read: leave it out', node.start_mark)


def _number(loader: Any, node: Any) -> Any:
    """Return a number; one of base 60 takes hours if it has megabytes, and is meant as a text."""
    text = node.value
    if isinstance(text, str) and ':' in text:
        raise _refusal(f'{shown(text, 40)!r} is a number of base 60: put it in quotes',
                       node.start_mark)  # fmt: skip
    kind = node.tag.rpartition(':')[2]
    return NUMBERS[kind](loader, node)


class _NodeLoader(_Loader):
    """Reads nodes whose values rcl converts."""

    is_converted = False


class _TextLoader(_Loader):
    """Reads as a text what versions of YAML read differently, and what is a date or of base 60."""

    def ambiguous(self, node: Any) -> Any:
        """Return the node as a text."""
        node.tag = f'{TAG}str'
        return node


def _as_text(loader: Any, node: Any) -> Any:
    return node.value


def _number_or_text(loader: Any, node: Any) -> Any:
    return node.value if ':' in node.value else _number(loader, node)


NUMBERS: Final = {
    kind: yaml.SafeLoader.yaml_constructors[f'{TAG}{kind}'] for kind in ('int', 'float')
}
for _kind in NUMBERS:
    _Loader.add_constructor(f'{TAG}{_kind}', _number)
    _TextLoader.add_constructor(f'{TAG}{_kind}', _number_or_text)
_Loader.add_constructor(f'{TAG}timestamp', _no_date)
_TextLoader.add_constructor(f'{TAG}timestamp', _as_text)
for _kind in ('binary', 'omap', 'pairs', 'set', 'merge', 'value'):
    _Loader.add_constructor(f'{TAG}{_kind}', _no_tag)
    _TextLoader.add_constructor(f'{TAG}{_kind}', _no_tag)


def read_yaml(
    path: Path, limit: int = YAML_LIMIT, is_written: bool = False
) -> tuple[Any, str]:  # fmt: skip
    """
    Return content and text of a YAML file.

    :param limit: bytes
    :param is_written: by software that puts texts such as 010 or 2026-12-01 in no quotes: they are
        texts then, and no numbers
    :raises ValueError: with the reason for which it is refused
    :raises OSError: if it cannot be read, or is a pipe, socket or device
    """
    text = read_limited(path, min(limit, TEXT_LIMIT)).decode('utf-8')
    return parse_yaml(text, is_written), text


def parse_yaml(text: str, is_written: bool = False) -> Any:
    """
    Return the content of YAML.

    :param is_written: as in ``read_yaml``
    :raises ValueError: with the reason for which it is refused
    """
    loader = _TextLoader if is_written else _Loader
    content = _guarded(lambda: yaml.load(text, loader))
    check_content(content, finite=False)  # who reads a number checks its range
    return content


def compose_yaml(text: str) -> yaml.Node | None:
    """
    Return the nodes of YAML, whose values are not converted; None if it is empty.

    :raises ValueError: with the reason for which it is refused
    """
    return _guarded(lambda: yaml.compose(text, _NodeLoader))


def _guarded(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except RecursionError:
        raise ValueError(f'it has more than {DEPTH_LIMIT} levels') from None
    except (yaml.YAMLError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from error
