# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Which recordings are for what: training, validation, calibration and test never share a seed.

A retry has the layout of the episode that it follows, so both go the same way. Recordings of
several tasks lie in subfolders, one for each.
"""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Final

from viva_ros.core.errors import RecordingError
from viva_ros.data.open import inside

SHARES: Final = {'train': 0.70, 'calibration': 0.15, 'test': 0.15}
VALIDATION_SHARE: Final = 0.08  # of the training recordings


def split(folder: Path) -> dict[str, list[Path]]:
    """
    Give the recordings for 'train' and 'validation'.

    The folder has a ``split.json`` (names of files by part), or a subfolder ``train``, or else
    files that are told apart by the hash of their task and seed. Subfolders are looked into.

    :raises RecordingError: if there is nothing to train on
    """
    parts = _parts(folder)
    train = parts.get('train', [])
    draw = partial(_draw, folder, 'v')
    validation = parts.get('validation') or [p for p in train if draw(p) < VALIDATION_SHARE]
    train = sorted(set(train) - set(validation))
    if not train:
        raise RecordingError(f'{folder} has no recordings to train on: run "viva record" first')
    return {'train': train, 'validation': sorted(validation)}


def _parts(folder: Path) -> dict[str, list[Path]]:
    listed = folder / 'split.json'
    if listed.is_file():
        try:
            content = json.loads(listed.read_text(encoding='utf-8'))
            return {part: [folder / name for name in names] for part, names in content.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise RecordingError(f'{listed} cannot be read ({error}): write it again') from error
    if any((folder / part).is_dir() for part in SHARES):
        return {'train': inside(folder / 'train')}
    draw = partial(_draw, folder, 'part')
    return {'train': [path for path in inside(folder) if draw(path) < SHARES['train']]}


def _draw(folder: Path, stream: str, path: Path) -> float:
    """Give a number in [0, 1), the same for an episode and its retry, by subfolder and seed."""
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    parts = inside.parts[1:-1] if inside.parts[0] in SHARES else inside.parts[:-1]
    name = '/'.join([*parts, path.stem.removesuffix('_retry')])
    digest = hashlib.sha256(f'{stream} {name}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2**64
