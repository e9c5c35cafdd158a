# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The files outside of an ONNX graph that hold its weights ("external data"), without onnx.

Only the fields of the ONNX protocol buffer that lead to tensors are followed: a library would
otherwise open such a file itself, by a name that nobody has checked.
"""

from collections.abc import Iterator
from typing import Final

from viva_ros.core.errors import EngineError

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5  # wire types
DEPTH: Final = 64  # of messages in each other
FIELD_NUMBERS: Final = 1 << 29
LOCATION: Final = b'location'
TENSOR: Final = 'tensor'
#: Message to the numbers of its fields, and the message in each.
FIELDS: Final[dict[str, dict[int, str]]] = {
    'model': {7: 'graph', 20: 'training', 25: 'function'},
    'training': {1: 'graph', 2: 'graph'},
    'graph': {1: 'node', 5: TENSOR, 15: 'sparse'},
    'function': {7: 'node', 11: 'attribute'},
    'node': {5: 'attribute'},
    'attribute': {5: TENSOR, 6: 'graph', 10: TENSOR, 11: 'graph', 22: 'sparse', 23: 'sparse'},
    'sparse': {1: TENSOR, 2: TENSOR},
    TENSOR: {13: 'entry'},
    'entry': {1: 'key', 2: 'value'},
}


def external_files(graph: bytes, is_loaded: bool = True) -> set[str]:
    """
    Return the locations of the external data of a graph.

    :param is_loaded: whether a library gets the graph, which may read more than this module can,
        and open files then; otherwise there are none in bytes that cannot be read
    :raises EngineError: if a location is no file name, since it would be outside of the folder; or
        if a graph that is loaded cannot be read
    """
    found = set()
    try:
        for entry in _find(memoryview(graph), 'model', 0):
            pair = {number: bytes(part) for number, kind, part in _fields(entry) if kind == BYTES}
            if pair.get(1) == LOCATION:
                found.add(pair.get(2, b'').decode())
    except ValueError as error:
        if not is_loaded:
            return set()
        raise EngineError(
            'graph-unreadable',
            f'the graph is no ONNX model that can be checked ({error}), must have fields of known '
            f'types, up to {DEPTH} levels and locations in UTF-8: export it again',
        ) from error
    if wrong := [one for one in found if not _is_name(one)]:
        raise EngineError(
            'graph-external-location',
            f'the graph has weights in {wrong[0]!r}, must be a file in its folder: save it as one '
            'file with onnx.save, and export it again',
        )
    return found


def _is_name(location: str) -> bool:
    return location not in ('', '.', '..') and not {'/', '\\', '\0'} & {*location}


def _find(message: memoryview, kind: str, depth: int) -> Iterator[memoryview]:
    """Yield the entries of the external data of all tensors in a message."""
    if depth > DEPTH:
        raise ValueError('too deep')
    for number, wire, part in _fields(message):
        inner = FIELDS[kind].get(number)
        if inner is None or wire != BYTES:
            continue
        if inner == 'entry':
            yield part
        else:
            yield from _find(part, inner, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yield number, wire type and content of each field; the content is empty but for bytes."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, wire, part = key >> 3, key & 7, message[:0]
        if not 0 < number < FIELD_NUMBERS:  # a library would take the lower bits
            raise ValueError(f'field {number}')
        if wire == VARINT:
            _, at = _varint(message, at)
        elif wire == BYTES:
            size, at = _varint(message, at)
            part, at = message[at : at + size], at + size
        elif wire in (EIGHT, FOUR):
            at += 8 if wire == EIGHT else 4
        else:
            raise ValueError(f'wire type {wire}')
        if at > end:
            raise ValueError('truncated')
        yield number, wire, part


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    found = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        found |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return found, at
    raise ValueError('no varint')
