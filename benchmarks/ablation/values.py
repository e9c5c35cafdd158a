# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Estimates of one training on all recordings, in a file small enough to be kept for good.

All figures of a comparison follow from these files and the recordings, so they can be computed
again, and a comparison continued on another machine, without the weights.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablation.packs import Given, Moments
from viva_ros.core.errors import RecordingError
from viva_ros.core.files import write_atomically

FORMAT: Final = 'viva_ros comparison values 1'
SCALE: Final = 1000  # of a number in the file: values are rounded to three digits
LARGEST: Final = np.iinfo(np.int16).max // 2  # of a number, so that the file has any difference


@dataclass(frozen=True)
class Estimated:
    """
    Outputs for the moments of one recording that have an observation.

    :param identities: content identities of the episodes of the recording
    """

    identities: tuple[str, ...]
    given: Given

    def is_of(self, seen: Moments) -> bool:
        """Return whether these are of a recording, with an observation at as many moments."""
        known = seen.reasons.count('')
        return self.identities == seen.identities and all(
            len(numbers) == known for numbers in self.given.values()
        )


@dataclass(frozen=True)
class Estimates:
    """
    Estimates of one training.

    :param about: plan of the comparison, fingerprint of the weights, and what else is told of them
    :param recordings: by part, task and name, such as test/tray_lift/episode_610000
    """

    about: Mapping[str, Any]
    recordings: Mapping[str, Estimated]


def rounded(given: Given) -> Given:
    """
    Return outputs as a file gives them: rounded to three digits.

    :raises ValueError: if an output is not finite, or beyond 16
    """
    columns = {name: np.asarray(numbers, dtype=np.float64) for name, numbers in given.items()}
    for name, numbers in columns.items():
        if not np.all(np.abs(numbers) * SCALE <= LARGEST):
            raise ValueError(f'{name} has {numbers}, must be at most {LARGEST / SCALE}')
    return {name: np.round(numbers * SCALE) / SCALE for name, numbers in columns.items()}


def write(file: Path, estimates: Estimates) -> None:
    """Write estimates, rounded, atomically; all recordings have the same outputs."""
    rows = list(estimates.recordings.values())
    outputs = list(rows[0].given) if rows else []
    counts = [len(row.given[outputs[0]]) for row in rows]
    note = {
        'format': FORMAT, 'about': dict(estimates.about),
        'recordings': [
            [name, count, list(row.identities)]
            for (name, row), count in zip(estimates.recordings.items(), counts, strict=True)
        ],
    }  # fmt: skip
    columns = {
        output: _packed(np.concatenate([rounded(row.given)[output] for row in rows]))
        for output in outputs
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    stream = BytesIO()
    np.savez_compressed(stream, note=np.array(json.dumps(note)), **columns)
    write_atomically(file, stream.getvalue())


def read(file: Path) -> Estimates:
    """
    Read what ``write`` wrote.

    :raises RecordingError: if the file is something else
    """
    try:
        with np.load(file, allow_pickle=False) as content:
            note = json.loads(str(content['note']))
            if note['format'] != FORMAT:
                raise ValueError(f'format {note["format"]}')
            columns = {name: _unpacked(content[name]) for name in content.files if name != 'note'}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordingError(
            'compare-values-file',
            f'{file} is not a file of estimates ({error}): move it away, or choose another '
            '--values',
        ) from error
    found, start = {}, 0
    for name, count, identities in note['recordings']:
        given = {output: numbers[start : start + count] for output, numbers in columns.items()}
        found[name] = Estimated(tuple(identities), given)
        start += count
    return Estimates(note['about'], found)


def _packed(numbers: NDArray[np.float64]) -> NDArray[np.int16]:
    """Return the differences of neighbours, which compress well."""
    whole = np.round(numbers * SCALE).astype(np.int64)
    return np.diff(whole, prepend=0).astype('<i2')


def _unpacked(differences: NDArray[np.int16]) -> NDArray[np.float64]:
    return np.cumsum(differences.astype(np.int64)) / SCALE


def digest(names: Sequence[str]) -> str:
    """Return a short digest of names, in any order."""
    return hashlib.sha256('\n'.join(sorted(names)).encode()).hexdigest()[:16]
