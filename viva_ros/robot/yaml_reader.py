# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Read YAML of others under the limits of ``core.json_reader``: topic maps, and metadata of bags.

Nested aliases may stand for gigabytes: they count with their content. Refused are also tags, keys
that are there twice, dates (a text without quotes that YAML would change), and NUL.
"""

from pathlib import Path
from typing import Any, Final

import yaml

from viva_ros.core.input_limits import DEPTH_LIMIT, TEXT_LIMIT
from viva_ros.core.json_reader import check_content
from viva_ros.core.regular_file import read_limited

YAML_LIMIT: Final = 4 << 20  # bytes; the parser takes about 100 times as much memory
NODES: Final = 100_000  # entries of a file
SCALARS: Final = (str, int, float, bool, type(None))


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
        seen: list[Any] = []
        for key, (key_node, _) in zip(keys, node.value, strict=True):
            if not isinstance(key, SCALARS):
                raise _refusal('a key must be a text or a number', key_node.start_mark)
            seen.append(key)
        if len(set(seen)) < len(seen):
            twice = next(key for key in seen if seen.count(key) > 1)
            raise _refusal(f'{twice!r} is there twice', node.start_mark)
        return dict(super().construct_mapping(node, deep))


def _no_date(loader: Any, node: Any) -> Any:
    raise _refusal(f'{node.value!r} is a date: put it in quotes', node.start_mark)


_Loader.add_constructor('tag:yaml.org,2002:timestamp', _no_date)


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
    try:
        content = yaml.load(text, _Loader)
    except RecursionError:
        raise ValueError(f'it has more than {DEPTH_LIMIT} levels') from None
    except (yaml.YAMLError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from error
    check_content(content, finite=False)  # who reads a number checks its range
    return content
