# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
``engine.json``: description, hash and ownership of an engine, checked before it is loaded.

All is checked before a library is given the graph: a file that was changed, exchanged or may be
changed by anyone is refused.
"""

import hashlib
import json
import math
import os
import shlex
import stat
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import EngineError
from viva_ros.core.files import write_atomically
from viva_ros.core.normalize import JointRanges
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.backend import BACKENDS

AGAIN: Final = "make it with 'viva export', or fetch it again"
ROOT: Final = 0


def check_file(path: Path) -> None:
    """
    Refuse a file that is missing, that others may write to, or that is another user's.

    :raises EngineError: saying which, and what mends it
    """
    for place in (path, path.parent):
        try:
            status = place.stat()
        except OSError as error:
            raise EngineError(f'{path} is not there ({error.strerror}): {AGAIN}') from error
        # In a sticky folder, as /tmp is, nobody else can exchange the user's files.
        is_sticky = stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX)
        name = shlex.quote(str(place))
        if status.st_mode & stat.S_IWOTH and not is_sticky:
            raise EngineError(f"{place} may be written by anyone: run 'chmod o-w {name}'")
        # A group of the user's own has the user's number.
        if status.st_mode & stat.S_IWGRP and status.st_gid not in (ROOT, os.geteuid()):
            raise EngineError(f"{place} may be written by a group: run 'chmod g-w {name}'")
        if status.st_uid not in (ROOT, os.geteuid()):
            raise EngineError(
                f'{place} belongs to user {status.st_uid}, must be yours ({os.geteuid()}) or '
                f"root's: look who made it, then run 'sudo chown {os.geteuid()} {name}'"
            )


def check_building_place(folder: Path) -> None:
    """
    Refuse to build where anyone may write, sticky or not: a file there is not ours for sure.

    :param folder: it need not be there yet
    :raises EngineError: naming the folder that is open
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    status = place.stat()
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (ROOT, os.geteuid())
    if status.st_mode & stat.S_IWOTH or by_group:
        raise EngineError(
            f'{place} may be written by {"a group" if by_group else "anyone"}, no engine is built '
            f"there: give a folder of your own, such as '~/engines/{folder.name}'"
        )


MANIFEST: Final = 'engine.json'
GRAPH: Final = 'engine.onnx'
FORMAT: Final = 1
LARGEST_DIFFERENCE: Final = 0.01  # between engine and PyTorch, in value
CHECKPOINT: Final = 'checkpoint'  # in the provenance: its fingerprint
CHECKSUM: Final = 'checksum'  # in the file; not in the first engines'
ONNX: Final = 'onnx'
FLOAT32: Final = 'float32'


@dataclass(frozen=True)
class Manifest:
    """
    Description of an exported engine.

    :param sha256: of the graph
    :param model: 'viva' or 'proprio'
    :param ranges: of the joints in training, rad or m; names in the order of the input
    :param horizon: of the forecast, s
    :param fingerprint: of this graph, see ``fingerprint``; thresholds are tied to it
    :param parity: largest difference of value from PyTorch on recorded moments; NaN if it was
        built for a machine that could not be measured on (null in the file)
    :param moments: how many moments that was measured on
    :param provenance: of the checkpoint, and the export
    :param kind: library that it is for
    :param file: that the library is given
    :param precision: of its arithmetic
    :param runs: kinds that the parity was measured with, in the order in which they are tried
    :param gpu: that it is for: 'name', 'capabilities'; nothing for a CPU
    :param libraries: versions of what made it, the engine's own among them
    :param weights: SHA-256 of the checkpoint's weights
    :param inputs: name to type and shape, 'B' for any number
    :param texts: task to what tells it: text, encoder, SHA-256 of the embedding
    :param differences: from PyTorch float32, largest and mean, by kind, in value and joint units
    :param seam: tensor up to which a CPU that can computes in bfloat16; empty: all in float32
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


#: Not in the first engines' files.
ADDED: Final = {f.name for f in fields(Manifest)
                if f.default is not MISSING or f.default_factory is not MISSING}  # fmt: skip


def write(folder: Path, manifest: Manifest) -> None:
    """Write the description, last of all files."""
    parity = None if math.isnan(manifest.parity) else manifest.parity
    content = {**asdict(manifest), 'ranges': manifest.ranges.to_dict(), 'parity': parity}
    content[CHECKSUM] = checksum(content)
    write_atomically(folder / MANIFEST, json.dumps(content, indent=1) + '\n')


def checksum(content: Mapping[str, Any]) -> str:
    """
    Return the checksum of a description: other cameras, or another order of them, are another.

    :returns: first 16 hex digits of a SHA-256 over all but the checksum itself
    """
    others = {name: value for name, value in content.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint(checkpoint: str, graph: str, seam: str = '') -> str:
    """
    Name an engine by what it computes with: thresholds found with one graph are for no other.

    :param checkpoint: fingerprint of the weights and configuration it was made of
    :param graph: its SHA-256, which changes with opset, precision or libraries too
    :param seam: see ``Manifest``
    :returns: first 16 hex digits of a SHA-256 over all
    """
    parts = (checkpoint, graph, seam) if seam else (checkpoint, graph)
    return hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]


def read(folder: Path) -> Manifest:
    """
    Read the description.

    :raises EngineError: if it is missing, cannot be read, is of another format, or was changed
    """
    path = folder / MANIFEST
    check_file(path)
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        if content['format'] != FORMAT:
            raise EngineError(
                f'{path} has format {content["format"]!r}, must be {FORMAT}: {AGAIN}'
            )
        found = checksum(content)
        wanted = content.pop(CHECKSUM, found)  # the first engines have none
        manifest = _parse(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f'{path} cannot be read ({error!r}): {AGAIN}') from error
    if wanted != found:
        raise EngineError(f'{path} was changed after it was written: {AGAIN}')
    check_fingerprint(path, manifest)
    return manifest


def named(folder: Path) -> str:
    """
    Return the fingerprint of the engine in a folder; '' where it holds a checkpoint alone.

    :raises EngineError: if there is a description that cannot be used
    """
    return read(folder).fingerprint if (folder / MANIFEST).exists() else ''


def check_fingerprint(path: Path, manifest: Manifest) -> None:
    """
    Refuse a description whose graph was exchanged.

    :raises EngineError: if the fingerprint is not that of checkpoint and graph
    """
    checkpoint = manifest.provenance.get(CHECKPOINT)  # older engines do not name it
    if checkpoint is None:
        return
    expected = fingerprint(str(checkpoint), manifest.sha256, manifest.seam)
    if manifest.fingerprint != expected:
        raise EngineError(
            f'{path} has fingerprint {manifest.fingerprint!r}, checkpoint and graph give '
            f'{expected!r}: {AGAIN}'
        )


def info_of(manifest: Manifest, kind: str, library: str = '', device: str = 'CPU') -> EngineInfo:
    """Return what an engine says of itself."""
    return EngineInfo(
        manifest.cameras, manifest.ranges.names, manifest.horizon, manifest.image_size,
        manifest.tasks, manifest.fingerprint, kind, library, device,
    )  # fmt: skip


def _parse(content: Mapping[str, Any]) -> Manifest:
    names = {field.name for field in fields(Manifest)}
    missing, unexpected = sorted(names - ADDED - set(content)), sorted(set(content) - names)
    if missing or unexpected:
        raise ValueError(f'misses {missing}, has unexpected {unexpected}')
    height, width = (int(side) for side in content['image_size'])
    parts: dict[str, Any] = {
        'ranges': JointRanges.from_dict(content['ranges']), 'image_size': (height, width),
        'cameras': tuple(map(str, content['cameras'])), 'tasks': tuple(map(str, content['tasks'])),
        'horizon': float(content['horizon']),
        'parity': float('nan' if content['parity'] is None else content['parity']),
        'runs': tuple(map(str, content.get('runs', (ONNX,)))),
    }  # fmt: skip
    if Path(content.get('file', GRAPH)).name != content.get('file', GRAPH):
        raise ValueError(f'file {content["file"]!r} is outside of the folder')
    unknown = {*parts['runs'], content.get('kind', ONNX)} - set(BACKENDS)
    if unknown or not parts['runs']:
        raise ValueError(f'runs {parts["runs"]}, must be of {", ".join(BACKENDS)}')
    for name, about in content.get('inputs', {}).items():
        if not about['shape']:
            raise ValueError(f'input {name} has no shape')
    return Manifest(**{**content, **parts})


def read_graph(folder: Path, manifest: Manifest) -> bytes:
    """
    Read the graph that a description is of.

    :raises EngineError: if it is missing or was changed
    """
    path = folder / manifest.file
    check_file(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f'{path} cannot be read ({error}): {AGAIN}') from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != manifest.sha256:
        raise EngineError(
            f'{path} has SHA-256 {digest[:12]}.., {MANIFEST} says {manifest.sha256[:12]}..: '
            f'{AGAIN}'
        )
    return content


def check_task(manifest: Manifest, task: str) -> int:
    """
    Return the index of a task.

    :raises EngineError: naming those that the engine knows
    """
    if task not in manifest.tasks:
        known = ', '.join(repr(name) for name in manifest.tasks)
        raise EngineError(f'task is {task!r}, the engine knows {known}: set the parameter task')
    return manifest.tasks.index(task)


def check_parity(manifest: Manifest) -> None:
    """
    Refuse an engine that was exported although it differed from PyTorch.

    :raises EngineError: with the difference
    """
    if math.isnan(manifest.parity):
        raise EngineError(
            'engine was built ahead and never compared with PyTorch: run '
            "'viva export FOLDER --measure --recordings DIR' on the machine that it is for"
        )
    if not manifest.parity <= LARGEST_DIFFERENCE:
        raise EngineError(
            f'engine differs from PyTorch by {manifest.parity:.3g} in value, at most '
            f'{LARGEST_DIFFERENCE} is allowed: {AGAIN}'
        )
