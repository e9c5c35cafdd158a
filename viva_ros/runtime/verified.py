# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What must be right between an engine's description and its file before a library gets it."""

import hashlib
import math
from pathlib import Path

from viva_ros.core.errors import EngineError
from viva_ros.engine.manifest import LARGEST_DIFFERENCE, MANIFEST, Manifest
from viva_ros.engine.permissions import AGAIN, check_file


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
    Give the index of a task.

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
