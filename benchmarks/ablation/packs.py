# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Observations of a recording as a monitor has them, stored once for all contenders.

Decoding, matching and image checks use the code that runs live; all contenders get the same
arrays.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ablation.budget import PARTS, Budget
from benchmarks.ablation.train import FRAMES
from viva_ros.core.errors import RecordingError
from viva_ros.core.observation import Unknown
from viva_ros.data.formats import FORMATS
from viva_ros.data.open import identity, open_recording, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.split import Identities, SelectedRecordings, check_disjoint, identities_of
from viva_ros.engine import preprocessing
from viva_ros.engine.api import EngineInfo
from viva_ros.model import checkpoint
from viva_ros.model.viva import ViVa
from viva_ros.scoring.scorer import ScoredSample, replay_for_engine

BATCH = 64

#: Outputs of a contender for the moments with an observation: 'value', optionally 'progress' and
#: 'success', (N,) each.
Given = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Moments:
    """
    The moments of one recording at which a value is due; N of M have an observation.

    :param stamps: of all, (M,) int64, ns
    :param reasons: why a moment is unknown; empty if it has an observation, (M,)
    :param identities: content identities of the episodes of the recording, sorted
    """

    path: Path
    task: str
    stamps: NDArray[np.int64]
    reasons: list[str]
    identities: tuple[str, ...] = ()

    def samples(self, given: Given) -> list[ScoredSample]:
        """Return the samples of estimates of the moments that have an observation."""
        known = np.array([not reason for reason in self.reasons])
        columns = {name: np.full(len(known), np.nan) for name in ('value', 'progress', 'success')}
        for name, numbers in given.items():
            columns[name][known] = numbers
        rows = zip(self.stamps.tolist(), self.reasons, *columns.values(), strict=True)
        return [
            ScoredSample(
                stamp, float(value), reason, {}, '', None, False, float(progress), float(well)
            )
            for stamp, reason, value, progress, well in rows
        ]


@dataclass(frozen=True)
class Pack:
    """
    Observations of the moments of a recording.

    :param images: (N, V, H, W, 3) uint8
    :param latents: of the shared VAE, normalised, (N, V, C, h, w)
    :param proprio: (N, J), rad or m
    """

    moments: Moments
    images: NDArray[np.uint8]
    latents: NDArray[np.float32]
    proprio: NDArray[np.float32]


def info_of(model: ViVa, fingerprint: str, kind: str) -> EngineInfo:
    """Describe an engine with the inputs of a ViVa."""
    config = model.config
    return EngineInfo(
        config.cameras, config.joint_names, config.horizon, config.image_size, config.tasks,
        fingerprint, kind,
    )  # fmt: skip


def pack(path: Path, model: ViVa) -> Pack:
    """
    Return the observations of a recording as a monitor has them.

    :param model: encoder of the views
    :raises RecordingError: if its outcome is unknown
    """
    recording, info = open_recording(path), info_of(model, '', 'pack')
    episodes = episodes_of(recording)
    label = episodes[0].label
    if label is None:
        raise RecordingError(
            'compare-outcome', f'{path} has no outcome: leave it out, or label it'
        )
    stamps, reasons, seen = [], [], []
    for entry in replay_for_engine(recording, info):
        known = entry.observation
        stamps.append(entry.stamp)
        reasons.append(known.reason if isinstance(known, Unknown) else '')
        if not isinstance(known, Unknown):
            seen.append(preprocessing.pack([known], info))
    if not seen:
        raise RecordingError(
            'compare-moments', f'{path} has no moment with all cameras and joints: leave it out'
        )
    images, proprio = (np.concatenate(column) for column in zip(*seen, strict=True))
    content = tuple(sorted(identities_of(episodes)))
    moments = Moments(path, label.task, np.array(stamps, dtype=np.int64), reasons, content)
    return Pack(moments, images, encode(model, images), proprio)


def encode(model: ViVa, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return normalised latents of many moments: (N, V, C, h, w)."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            parts.append(model.encode(torch.from_numpy(images[start : start + BATCH])).numpy())
    return np.concatenate(parts)


def pack_part(budget: Budget, part: str, share: int, shares: int) -> None:
    """
    Pack every ``shares``-th recording of a part, beginning with number ``share``.

    Recordings that are packed already, and have not changed since, are left out.

    :param part: 'calibration' or 'test'
    """
    model = checkpoint.read(budget.shared / FRAMES).model
    weights = budget.shared / FRAMES / checkpoint.WEIGHTS
    folder = budget.shared / 'packs'
    folder.mkdir(parents=True, exist_ok=True)
    for path in budget.paths(part)[share::shares]:
        if not is_current(file_of(budget, path), path, weights):
            save(pack(path, model), file_of(budget, path))


def is_current(file: Path, path: Path, weights: Path) -> bool:
    """
    Return whether a pack is of a recording and an encoder as they are now.

    It must be newer than both. A pack of an earlier version, without what it is of, is not
    current.

    :param path: of the recording
    :param weights: of the encoder
    """
    ref = resolve(path)
    if not all(is_newer(file, than) for than in (FORMATS[ref.format].file(ref), weights)):
        return False
    with np.load(file, allow_pickle=False) as content:
        note = json.loads(str(content['note']))
        return 'identities' in note and note.get('source') == identity(ref)


def is_newer(file: Path, than: Path) -> bool:
    """Return whether a file exists and was written after another; not if at the same time."""
    return file.is_file() and file.stat().st_mtime_ns > than.stat().st_mtime_ns


def identities_in(budget: Budget, part: str) -> dict[Path, frozenset[str]]:
    """Return the content identities of the episodes of each recording of a part."""
    return {path: identities_of(episodes_of(open_recording(path))) for path in budget.paths(part)}


def check_parts(seen: Mapping[str, Identities], trained: Collection[str]) -> None:
    """
    Check that no part has an episode of another.

    :param seen: identities by recording, by part
    :param trained: identities of the training episodes
    :raises CalibrationError: if two parts have an episode in common
    """
    for part in PARTS:
        selected = SelectedRecordings(list(seen[part]), ())
        selected.check_untrained(seen[part], trained, 'each contender', print)
    check_disjoint(*(seen[part] for part in PARTS))


def check_tasks(budget: Budget) -> None:
    """
    Check that each test task can be calibrated; all recordings must be packed.

    :raises RecordingError: if a task of the test has no calibration recordings
    """
    tasks = [
        {load_moments(file_of(budget, path), path).task for path in budget.paths(part)}
        for part in PARTS
    ]
    if missing := sorted(tasks[1] - tasks[0]):
        raise RecordingError(
            'compare-uncalibrated',
            f'{budget.recordings / PARTS[0]} has no recordings of {", ".join(missing)}, which the '
            'test has: run "viva record"',
        )


def file_of(budget: Budget, path: Path) -> Path:
    """Return the file of the pack of a recording."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    return budget.shared / 'packs' / f'{path.stem}-{digest[:8]}.npz'


def save(seen: Pack, file: Path) -> None:
    """Write a pack atomically."""
    moments = seen.moments
    note: dict[str, Any] = {'task': moments.task, 'reasons': moments.reasons}
    note['source'] = identity(resolve(moments.path))
    note['identities'] = moments.identities
    temporary = file.with_suffix('.part.npz')
    np.savez(
        temporary, note=np.array(json.dumps(note)), stamps=moments.stamps, images=seen.images,
        latents=seen.latents, proprio=seen.proprio,
    )  # fmt: skip
    temporary.replace(file)


def load(file: Path, path: Path) -> Pack:
    """
    Read what ``save`` wrote.

    :param path: of the recording
    """
    moments = load_moments(file, path)
    with np.load(file, allow_pickle=False) as content:
        return Pack(moments, content['images'], content['latents'], content['proprio'])


def load_moments(file: Path, path: Path) -> Moments:
    """Read the moments without their observations."""
    with np.load(file, allow_pickle=False) as content:
        note = json.loads(str(content['note']))
        about = note['task'], content['stamps'], note['reasons'], tuple(note['identities'])
        return Moments(path, *about)
