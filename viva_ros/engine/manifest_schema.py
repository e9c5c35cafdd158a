# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The content of ``engine.json``: types and ranges of its fields, its checksum, the list of files.

The checks are written with ``core.json_text`` rather than a schema library: the robot's computer
needs numpy alone for this, and most of them compare two fields, which a schema cannot say.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any, Final

from viva_ros.core.json_text import (
    check_members,
    entries,
    hexadecimal,
    members,
    names,
    number,
    text,
    whole,
)
from viva_ros.core.normalize import JointRanges
from viva_ros.core.settings import SettingLimits
from viva_ros.engine.backend import BACKENDS

MANIFEST: Final = 'engine.json'
GRAPH: Final = 'engine.onnx'
FORMAT: Final = 2
FIRST_FORMAT: Final = 1  # without a list of files; its earliest files lack the checksum
LARGEST_DIFFERENCE: Final = 0.01  # of the value, between engine and PyTorch
CHECKPOINT: Final = 'checkpoint'  # key of its fingerprint in the provenance
CHECKSUM: Final = 'checksum'  # key in the file
FILES: Final = 'files'  # likewise
ONNX: Final = 'onnx'
FLOAT32: Final = 'float32'
DIGITS: Final = 64  # of a SHA-256 in hex
MARK: Final = 16  # digits of a fingerprint

HORIZON: Final = SettingLimits(above=0.0, at_most=60.0)  # s
POSITION: Final = SettingLimits(at_least=-1e4, at_most=1e4)  # rad or m
PARITY: Final = SettingLimits(at_least=0.0)  # the largest is in ``check_parity``
LARGEST_IMAGE: Final = 4096  # px
MOST: Final = 1 << 36  # bytes of a file: a larger one is hashed for minutes
LARGEST_BATCH: Final = 1 << 20
NAME: Final = re.compile(r'[a-z0-9_]{1,40}')


@dataclass(frozen=True)
class ListedFile:
    """
    A file of an engine.

    :param size: bytes
    :param sha256: of its content, in hex digits
    :param before: SHA-256 of the file that it is just replacing; '' if none
    """

    size: int
    sha256: str
    before: str = ''

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of the list."""
        content: dict[str, Any] = {'size': self.size, 'sha256': self.sha256}
        return content | ({'before': self.before} if self.before else {})


@dataclass(frozen=True)
class Manifest:
    """
    Description of an exported engine.

    :param sha256: of the graph
    :param model: 'viva' or 'proprio'
    :param ranges: of the joints in training, rad or m; names in the order of the input
    :param horizon: of the forecast, s
    :param fingerprint: see ``fingerprint``; thresholds are valid for it alone
    :param parity: largest difference of value from PyTorch on recorded moments; NaN if the engine
        was built for another machine and not measured (null in the file)
    :param moments: number of these moments
    :param provenance: of the checkpoint and the export
    :param kind: of the backend that the engine is built for
    :param file: name of the file that the backend loads
    :param precision: of the arithmetic
    :param runs: kinds that the parity was measured with, in order of preference
    :param gpu: target GPU, with 'name' and 'capabilities'; empty for a CPU
    :param libraries: versions of the libraries that built it
    :param weights: SHA-256 of the checkpoint's weights
    :param inputs: name to type and shape; 'B' is the free batch size
    :param texts: task to text, encoder and SHA-256 of its embedding
    :param differences: from PyTorch float32, largest and mean, by kind, in value and joint units
    :param seam: tensor up to which a CPU with bfloat16 computes in bfloat16; empty: all in float32
    :param files: by name, all files of the folder that decide, but for the description itself
    """

    format: int
    model: str
    sha256: str
    cameras: tuple[str, ...]
    image_size: tuple[int, int]
    ranges: JointRanges
    horizon: float
    tasks: tuple[str, ...]
    fingerprint: str
    parity: float
    moments: int
    provenance: Mapping[str, Any]
    kind: str = ONNX
    file: str = GRAPH
    precision: str = FLOAT32
    runs: tuple[str, ...] = (ONNX,)
    gpu: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    weights: str = ''
    inputs: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, Any] = field(default_factory=dict)
    differences: Mapping[str, Any] = field(default_factory=dict)
    seam: str = ''
    files: Mapping[str, ListedFile] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the text of the file, with its checksum."""
        content = {
            **asdict(self), 'ranges': self.ranges.to_dict(),
            'parity': None if math.isnan(self.parity) else self.parity,
            FILES: {name: one.to_dict() for name, one in sorted(self.files.items())},
        }  # fmt: skip
        return json.dumps({**content, CHECKSUM: checksum(content)}, indent=1) + '\n'


def checksum(content: Mapping[str, Any]) -> str:
    """
    Return the checksum of a description.

    :returns: SHA-256 over all fields but the checksum; its first 16 digits in the first format
    """
    others = {name: value for name, value in content.items() if name != CHECKSUM}
    found = hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
    return found[:MARK] if content.get('format') == FIRST_FORMAT else found


def fingerprint(checkpoint: str, graph: str, seam: str = '') -> str:
    """
    Return the fingerprint of an engine; thresholds of one graph are not valid for another.

    :param checkpoint: fingerprint of weights and configuration
    :param graph: SHA-256 of the graph, which also changes with opset, precision and libraries
    :param seam: see ``Manifest``
    :returns: first 16 hex digits of the SHA-256 over all parameters
    """
    parts = (checkpoint, graph, seam) if seam else (checkpoint, graph)
    return hashlib.sha256(' '.join(parts).encode()).hexdigest()[:MARK]


#: Fields that files of the first format may lack.
ADDED: Final = frozenset({
    'kind', 'file', 'precision', 'runs', 'gpu', 'libraries', 'weights', 'inputs', 'texts',
    'differences', 'seam',
})  # fmt: skip


def parse(content: Mapping[str, Any]) -> Manifest:
    """
    Build a description of either format; types and ranges are exact.

    :param content: without the checksum
    :raises ValueError: with the field, its value and what is allowed
    """
    is_first = content['format'] == FIRST_FORMAT
    known = frozenset(one.name for one in fields(Manifest)) - ({FILES} if is_first else set())
    check_members('it', content, known - ADDED if is_first else known, known & ADDED)
    parts: dict[str, Any] = {
        name: check(name, content[name]) for name, check in CHECKS.items() if name in content
    }
    made = Manifest(**{**content, **parts, 'format': FORMAT})
    _check_together(made, is_first)
    return made


def _check_together(made: Manifest, is_first: bool) -> None:
    if unknown := {*made.runs, made.kind} - set(BACKENDS):
        raise ValueError(f'runs or kind has {sorted(unknown)}, must be of {", ".join(BACKENDS)}')
    if is_first:
        return
    if made.file not in made.files:
        raise ValueError(f'files lack {made.file!r}, which is the engine')
    if made.files[made.file].sha256 != made.sha256:
        raise ValueError(f'files has another SHA-256 of {made.file} than sha256')


def file_name(name: str, value: object) -> str:
    """
    Return the name of a file in the folder.

    :raises ValueError: with name and value
    """
    found = text(name, value, 255)
    if PurePosixPath(found).name != found or not found or '\0' in found or found == '..':
        raise ValueError(f'{name} is {found!r}, which is outside of the folder')
    return found


def _files(name: str, value: object) -> dict[str, ListedFile]:
    found = {}
    for file, one in members(name, value).items():
        where = f'{name}.{file_name(name, file)}'
        check_members(where, members(where, one), {'size', 'sha256'}, {'before'})
        before = hexadecimal(where, one['before'], DIGITS) if 'before' in one else ''
        found[file] = ListedFile(
            whole(f'{where}.size', one['size'], 0, MOST),
            hexadecimal(f'{where}.sha256', one['sha256'], DIGITS), before,
        )  # fmt: skip
    return found


def image_size(name: str, value: object) -> tuple[int, int]:
    """
    Return height and width of images, px.

    :raises ValueError: with name, value and what is allowed
    """
    sides = [whole(name, side, 1, LARGEST_IMAGE) for side in entries(name, value)]
    if len(sides) != 2:
        raise ValueError(f'{name} is {sides}, must be height and width')
    return sides[0], sides[1]


def _ranges(name: str, value: object) -> JointRanges:
    content = members(name, value)
    check_members(name, content, {'names', 'low', 'high'})
    low, high = (
        tuple(number(f'{name}.{part}', one, POSITION)
              for one in entries(f'{name}.{part}', content[part]))
        for part in ('low', 'high')
    )  # fmt: skip
    return JointRanges(names(f'{name}.names', content['names']), low, high)


def _parity(name: str, value: object) -> float:
    return math.nan if value is None else number(name, value, PARITY)


def _runs(name: str, value: object) -> tuple[str, ...]:
    if not (found := names(name, value)):
        raise ValueError(f'{name} is empty, must be of {", ".join(BACKENDS)}')
    return found


def _word(name: str, value: object) -> str:
    found = text(name, value)
    if not NAME.fullmatch(found):
        raise ValueError(f'{name} is {found[:80]!r}, must be a word of a-z, 0-9 and _')
    return found


def _inputs(name: str, value: object) -> Mapping[str, Any]:
    found = members(name, value)
    for tensor, one in found.items():
        where = f'{name}.{tensor}'
        check_members(where, members(where, one), {'type', 'shape'})
        _word(f'{where}.type', one['type'])
        if not (shape := entries(f'{where}.shape', one['shape'])):
            raise ValueError(f'{where} has no shape')
        for side in shape:
            if side != 'B':
                whole(f'{where}.shape', side, 0, LARGEST_BATCH)
    return found


def _tasks(name: str, value: object) -> tuple[str, ...]:
    if not (found := names(name, value)):
        raise ValueError(f'{name} is empty, must have one task at least')
    return found


def _capabilities(name: str, value: object) -> Mapping[str, Any]:
    found = members(name, value)
    for one in entries(f'{name}.capabilities', found.get('capabilities', [])):
        text(f'{name}.capabilities', one, 20)
    text(f'{name}.name', found.get('name', ''), 200)
    return found


def _texts(name: str, value: object) -> Mapping[str, str]:
    found = members(name, value)
    for key, one in found.items():
        text(f'{name}.{key}', one, 200)
    return found


def _hash_or_none(name: str, value: object) -> str:
    return '' if value == '' else hexadecimal(name, value, DIGITS)


#: Field to its check, which returns its value.
CHECKS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    'model': _word, 'sha256': lambda name, value: hexadecimal(name, value, DIGITS),
    'cameras': names, 'image_size': image_size, 'ranges': _ranges,
    'horizon': lambda name, value: number(name, value, HORIZON), 'tasks': _tasks,
    'fingerprint': lambda name, value: hexadecimal(name, value, MARK), 'parity': _parity,
    'moments': lambda name, value: whole(name, value, 0, MOST), 'provenance': members,
    'kind': _word, 'file': file_name, 'precision': _word, 'runs': _runs, 'gpu': _capabilities,
    'libraries': _texts, 'weights': _hash_or_none, 'inputs': _inputs, 'texts': members,
    'differences': members, 'seam': text, FILES: _files,
}  # fmt: skip
