# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
``engine.json``: description, hash and ownership of an engine, checked before it is loaded.

No library reads the graph before these checks: a file that was changed or exchanged, or that other
users can write, is refused.
"""

import hashlib
import json
import math
import os
import shlex
import stat
from collections.abc import Mapping, Sequence
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
    Check that a file exists, belongs to this user or root, and is not writable by others.

    :raises EngineError: with the file and the command that fixes it
    """
    for place in (path, path.parent):
        try:
            status = place.stat()
        except OSError as error:
            raise EngineError(
                'engine-file-missing', f'{path} is missing ({error.strerror}): {AGAIN}'
            ) from error
        # In a sticky folder such as /tmp, other users cannot exchange the user's files.
        is_sticky = stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX)
        name = shlex.quote(str(place))
        if status.st_mode & stat.S_IWOTH and not is_sticky:
            raise EngineError(
                'engine-world-writable',
                f"{place} is writable by all users: run 'chmod o-w {name}'",
            )
        # The private group of a user has the number of the user.
        if status.st_mode & stat.S_IWGRP and status.st_gid not in (ROOT, os.geteuid()):
            raise EngineError(
                'engine-group-writable',
                f"{place} is writable by its group: run 'chmod g-w {name}'",
            )
        if status.st_uid not in (ROOT, os.geteuid()):
            raise EngineError(
                'engine-owner',
                f'{place} belongs to user {status.st_uid}, must be yours ({os.geteuid()}) or '
                f"root's: check its origin, then run 'sudo chown {os.geteuid()} {name}'",
            )


def check_building_place(folder: Path) -> None:
    """
    Refuse to build where other users can write, even in a sticky folder: files can be exchanged.

    :param folder: need not exist
    :raises EngineError: with the folder that others can write
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    status = place.stat()
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (ROOT, os.geteuid())
    if status.st_mode & stat.S_IWOTH or by_group:
        raise EngineError(
            'build-folder-writable',
            f'{place} is writable by {"its group" if by_group else "all users"}, no engine is '
            f"built there: use a folder of your own, such as '~/engines/{folder.name}'",
        )


MANIFEST: Final = 'engine.json'
GRAPH: Final = 'engine.onnx'
FORMAT: Final = 1
LARGEST_DIFFERENCE: Final = 0.01  # of the value, between engine and PyTorch
CHECKPOINT: Final = 'checkpoint'  # key of its fingerprint in the provenance
CHECKPOINT_FILE: Final = 'model.json'  # in a folder with a checkpoint alone
IDENTITIES: Final = 'episode_identities'  # key in the provenance of the training
CHECKSUM: Final = 'checksum'  # key in the file; engines of the first version lack it
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


#: Fields that files of the first version lack.
ADDED: Final = {f.name for f in fields(Manifest)
                if f.default is not MISSING or f.default_factory is not MISSING}  # fmt: skip


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``engine.json``; call it after all other files are written."""
    parity = None if math.isnan(manifest.parity) else manifest.parity
    content = {**asdict(manifest), 'ranges': manifest.ranges.to_dict(), 'parity': parity}
    content[CHECKSUM] = checksum(content)
    write_atomically(folder / MANIFEST, json.dumps(content, indent=1) + '\n')


def checksum(content: Mapping[str, Any]) -> str:
    """
    Return the checksum of a description.

    :returns: first 16 hex digits of the SHA-256 over all fields but the checksum
    """
    others = {name: value for name, value in content.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint(checkpoint: str, graph: str, seam: str = '') -> str:
    """
    Return the fingerprint of an engine; thresholds of one graph are not valid for another.

    :param checkpoint: fingerprint of weights and configuration
    :param graph: SHA-256 of the graph, which also changes with opset, precision and libraries
    :param seam: see ``Manifest``
    :returns: first 16 hex digits of the SHA-256 over all parameters
    """
    parts = (checkpoint, graph, seam) if seam else (checkpoint, graph)
    return hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]


def read_manifest(folder: Path) -> Manifest:
    """
    Read ``engine.json``.

    :raises EngineError: if it is missing, unreadable, changed, or has another format
    """
    path = folder / MANIFEST
    check_file(path)
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        if content['format'] != FORMAT:
            raise EngineError(
                'engine-format',
                f'{path} has format {content["format"]!r}, must be {FORMAT}: {AGAIN}',
            )
        found = checksum(content)
        stored = content.pop(CHECKSUM, found)  # absent in the first version
        manifest = _parse(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            'engine-json-invalid', f'{path} cannot be read ({error!r}): {AGAIN}'
        ) from error
    if stored != found:
        raise EngineError(
            'engine-json-changed', f'{path} was changed after it was written: {AGAIN}'
        )
    check_fingerprint(path, manifest)
    return manifest


def trained_episodes(folder: Path) -> frozenset[str] | None:
    """
    Return the content identities of the episodes that an engine or checkpoint was trained on.

    :returns: of training and validation; None if its provenance lacks them, as earlier ones do
    :raises EngineError: if engine.json or model.json cannot be used
    """
    if (folder / MANIFEST).exists():
        training = read_manifest(folder).provenance.get('training')
    elif (folder / CHECKPOINT_FILE).exists():
        training = _read_json(folder / CHECKPOINT_FILE).get('provenance')
    else:
        training = None
    parts = training.get(IDENTITIES) if isinstance(training, Mapping) else None
    if not isinstance(parts, Mapping):
        return None
    return frozenset(str(one) for identities in parts.values() for one in identities) - {''}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding='utf-8')))
    except (OSError, ValueError, TypeError) as error:
        raise EngineError(
            'model-json-invalid', f'{path} cannot be read ({error!r}): fetch the folder again'
        ) from error


def named(folder: Path) -> str:
    """
    Return the fingerprint of the engine in a folder; '' if it holds a checkpoint alone.

    :raises EngineError: if engine.json cannot be used
    """
    return read_manifest(folder).fingerprint if (folder / MANIFEST).exists() else ''


def check_fingerprint(path: Path, manifest: Manifest) -> None:
    """
    Check that the fingerprint is that of checkpoint and graph, so that no graph is exchanged.

    :raises EngineError: if it is not
    """
    checkpoint = manifest.provenance.get(CHECKPOINT)  # absent in the first version
    if checkpoint is None:
        return
    expected = fingerprint(str(checkpoint), manifest.sha256, manifest.seam)
    if manifest.fingerprint != expected:
        raise EngineError(
            'engine-fingerprint',
            f'{path} has fingerprint {manifest.fingerprint!r}, must be {expected!r} by checkpoint '
            f'and graph: {AGAIN}',
        )


def info_of(manifest: Manifest, kind: str, library: str = '', device: str = 'CPU') -> EngineInfo:
    """Return the description of a loaded engine."""
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
        raise ValueError(f'file {content["file"]!r} is outside the folder')
    unknown = {*parts['runs'], content.get('kind', ONNX)} - set(BACKENDS)
    if unknown or not parts['runs']:
        raise ValueError(f'runs {parts["runs"]}, must be of {", ".join(BACKENDS)}')
    for name, about in content.get('inputs', {}).items():
        if not about['shape']:
            raise ValueError(f'input {name} has no shape')
    return Manifest(**{**content, **parts})


def read_graph(folder: Path, manifest: Manifest) -> bytes:
    """
    Read the graph and check its SHA-256.

    :raises EngineError: if it is missing or was changed
    """
    path = folder / manifest.file
    check_file(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(
            'engine-file-unreadable', f'{path} cannot be read ({error}): {AGAIN}'
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != manifest.sha256:
        raise EngineError(
            'engine-hash',
            f'{path} has SHA-256 {digest[:12]}.., must be {manifest.sha256[:12]}.. by {MANIFEST}: '
            f'{AGAIN}',
        )
    return content


def check_kind(folder: Path, manifest: Manifest, kind: str) -> None:
    """
    Check that a backend can run an engine.

    :param kind: of the backend
    :raises EngineError: with the command that exports an engine for it
    """
    if manifest.kind == kind or all(BACKENDS[one].runs_onnx for one in (kind, manifest.kind)):
        return
    raise EngineError(
        'engine-kind',
        f'{folder} is an engine for {manifest.kind}, not for {kind}: set engine_kind to auto, or '
        f"run 'viva export {folder} --engine {kind} --out DIR --recordings DIR'",
    )


def check_task(tasks: Sequence[str], task: str) -> int:
    """
    Return the index of a task.

    :param tasks: of the engine
    :raises EngineError: with the tasks of the engine
    """
    if task not in tasks:
        known = ', '.join(repr(name) for name in tasks)
        raise EngineError(
            'task-unknown',
            f'task is {task!r}, must be one of {known}: set the parameter task of the monitor, or '
            'the option --task of a command',
        )
    return tasks.index(task)


def check_parity(manifest: Manifest) -> None:
    """
    Check that the engine was measured against PyTorch, and differs little.

    :raises EngineError: with the difference
    """
    if math.isnan(manifest.parity):
        raise EngineError(
            'engine-unmeasured',
            'engine was built ahead and never compared with PyTorch: run '
            "'viva export FOLDER --measure --recordings DIR' on its target machine",
        )
    if not manifest.parity <= LARGEST_DIFFERENCE:
        raise EngineError(
            'engine-parity',
            f'engine differs from PyTorch by {manifest.parity:.3g} in value, at most '
            f'{LARGEST_DIFFERENCE} is allowed: {AGAIN}',
        )
