# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Read YAML of others under the limits of ``core.json_reader``: topic maps, and metadata of bags.

Nested aliases may stand for gigabytes: they count with their content. Refused are also tags, keys
that are there twice, dates and numbers of base 60 such as 12:30 (a text without quotes that YAML
would change), and NUL.
"""

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


def _refusal(text: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, text, mark)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads plain YAML; anything else is an error."""

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


NUMBERS: Final = {
    kind: yaml.SafeLoader.yaml_constructors[f'{TAG}{kind}'] for kind in ('int', 'float')
}
for _kind in NUMBERS:
    _Loader.add_constructor(f'{TAG}{_kind}', _number)
_Loader.add_constructor(f'{TAG}timestamp', _no_date)
for _kind in ('binary', 'omap', 'pairs', 'set', 'merge', 'value'):
    _Loader.add_constructor(f'{TAG}{_kind}', _no_tag)


def read_yaml(path: Path, limit: int = YAML_LIMIT) -> tuple[Any, str]:
    """
    Return content and text of a YAML file.

    :param limit: bytes
    :raises ValueError: with the reason for which it is refused
    :raises OSError: if it cannot be read, or is a pipe, socket or device
    """
    text = read_limited(path, min(limit, TEXT_LIMIT)).decode('utf-8')
    return parse_yaml(text), text


def parse_yaml(text: str) -> Any:
    """
    Return the content of YAML.

    :raises ValueError: with the reason for which it is refused
    """
    content = _guarded(lambda: yaml.load(text, _Loader))
    check_content(content, finite=False)  # who reads a number checks its range
    return content


def compose_yaml(text: str) -> yaml.Node | None:
    """
    Return the nodes of YAML, whose values are not converted; None if it is empty.

    :raises ValueError: with the reason for which it is refused
    """
    return _guarded(lambda: yaml.compose(text, _Loader))


def _guarded(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except RecursionError:
        raise ValueError(f'it has more than {DEPTH_LIMIT} levels') from None
    except (yaml.YAMLError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from error
