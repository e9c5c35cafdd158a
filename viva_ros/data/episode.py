# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Episodes and their labels; annotations of people lie in ``labels.json`` beside the recordings.

What stands there goes before what a recording says of itself. The first error marked is the
moment at which a failure shows ('manifest'), as evaluation takes it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.core.observation import Image

Stamps = NDArray[np.int64]  # ns


@dataclass(frozen=True)
class Mark:
    """
    Something that a person saw happen.

    :param kind: 'milestone', or 'error'
    :param time: s since the first frame
    """

    kind: str
    time: float
    text: str = ''


@dataclass(frozen=True)
class Label:
    """
    The outcome, and what evaluation may know about it.

    :param success: of the whole episode
    :param failure: injected failure or variation, 'none' if nominal; None where nobody knows
    :param times: seconds since the first frame of 'inject', 'visible', 'manifest' and other events
    :param marks: in order of time
    """

    task: str
    success: bool
    failure: str | None = None
    seed: int | None = None
    times: Mapping[str, float] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Frames:
    """One camera: stamps (N,) int64 ns, ascending, and the N images, decoded on access."""

    stamps: NDArray[np.int64]
    images: Sequence[Image]


@dataclass(frozen=True)
class Joints:
    """Joint states: stamps (N,) int64 ns, ascending; positions (N, len(names)), rad or m."""

    stamps: NDArray[np.int64]
    names: tuple[str, ...]
    positions: NDArray[np.float64]


@dataclass(frozen=True)
class Episode:
    """One episode of one recording; label is None where none was given."""

    name: str
    cameras: Mapping[str, Frames]
    joints: Joints
    label: Label | None


NAME: Final = 'labels.json'
FORMAT: Final = 'viva_ros labels 1'
KINDS: Final = ('milestone', 'error')


@dataclass(frozen=True)
class Annotation:
    """
    What a person said of an episode.

    :param success: None where only marks were made
    """

    success: bool | None = None
    task: str = ''
    marks: tuple[Mark, ...] = ()


def sidecar(recording: Path) -> Path:
    """Return the file that has the labels of a recording, whether it is there or not."""
    return recording.parent / NAME


def load(path: Path) -> dict[str, Annotation]:
    """
    Return the verdicts in a file, by name of the episode; none without a file.

    :raises RecordingError: if it is damaged
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        if content['format'] != FORMAT:
            raise ValueError(f'format is {content["format"]!r}, must be {FORMAT!r}')
        return {name: _verdict(one) for name, one in content['episodes'].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordingError(
            f'{path} cannot be read ({error!r}): mend it, or delete it and label again'
        ) from error


def save(path: Path, verdicts: Mapping[str, Annotation]) -> None:
    """
    Write the verdicts.

    :raises RecordingError: if it cannot be written
    """
    episodes = {name: asdict(verdict) for name, verdict in sorted(verdicts.items())}
    content = {'format': FORMAT, 'episodes': episodes}
    try:
        write_atomically(path, json.dumps(content, indent=1) + '\n')
    except OSError as error:
        raise RecordingError(f'{path} cannot be written ({error})') from error


def _verdict(content: Mapping[str, Any]) -> Annotation:
    marks = [Mark(str(m['kind']), float(m['time']), str(m['text'])) for m in content['marks']]
    success = content['success']
    if success is not None and not isinstance(success, bool):
        raise ValueError(f'success is {success!r}, must be true, false or null')
    return Annotation(success, str(content['task']), tuple(sorted(marks, key=lambda m: m.time)))


def judged(label: Label | None, verdict: Annotation | None, task: str = '') -> Label | None:
    """
    Put a person's verdict over the label that an episode has.

    :param task: where nobody names it
    """
    if verdict is None:
        return label
    success = verdict.success if verdict.success is not None else label and label.success
    if success is None:
        return None
    known = label or Label(task, bool(success))
    times = dict(known.times)
    if label is not None and label.success != success:
        times.clear()  # they were of another outcome
    errors = [mark.time for mark in verdict.marks if mark.kind == 'error']
    if errors:
        times['manifest'] = min(errors)
    return replace(
        known, task=verdict.task or known.task, success=bool(success), times=times,
        marks=verdict.marks or known.marks,
    )  # fmt: skip
