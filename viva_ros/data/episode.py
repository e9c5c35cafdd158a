# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Episodes, their labels, and the annotations of people in ``labels.json``.

The file is in the folder of the recordings; its entries override the labels in the recordings. The
first marked error is the time 'manifest' of the label.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.core.json_reader import read_json
from viva_ros.core.json_text import number, text
from viva_ros.core.observation import Image
from viva_ros.core.settings import SettingLimits
from viva_ros.data.stamps import Stamps, period_of

#: Times of a label: the robot gives up an attempt and goes home; the last attempt begins.
RETRY_TIME, ATTEMPT_TIME = 'retry', 'attempt'

#: Span of a recording that is one episode, ns.
ALWAYS: Final = (-(1 << 62), 1 << 62)

#: Code of a reason that training, calibration and scoring find themselves, by joint and moment.
NOT_FINITE: Final = 'joint-not-finite'

#: Motion that identifies an episode, s: less than an attempt before its retry.
OPENING: Final = 2.56


@dataclass(frozen=True)
class Mark:
    """
    An annotated event of an episode.

    :param kind: 'milestone', or 'error'
    :param time: s since the first frame
    """

    kind: str
    time: float
    text: str = ''


@dataclass(frozen=True)
class Label:
    """
    The outcome of an episode.

    :param failure: injected failure or variation, 'none' if nominal; None if unknown
    :param times: of 'inject', 'visible', 'manifest', 'retry' (the robot gives up an attempt and
        goes home), 'attempt' (the last attempt begins) and other events, s since the first frame
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
    """
    One camera: stamps (N,) int64 ns, ascending, and the N images, decoded on access.

    :param backwards: largest step back of the stamps in the order of the recording, s
    :param unstamped: number of messages without a stamp, which are left out
    :param repeated: number of messages with the stamp of another, which are left out
    :param lost: how many video packets have no image, and why; '' if all have one
    """

    stamps: Stamps
    images: Sequence[Image]
    backwards: float = 0.0
    unstamped: int = 0
    repeated: int = 0
    lost: str = ''


@dataclass(frozen=True)
class Joints:
    """
    Joint states: stamps (N,) int64 ns, ascending; positions (N, len(names)), rad or m.

    :param backwards: as in ``Frames``
    :param repeated: as in ``Frames``
    """

    stamps: Stamps
    names: tuple[str, ...]
    positions: NDArray[np.float64]
    backwards: float = 0.0
    repeated: int = 0


@dataclass(frozen=True)
class Episode:
    """
    One episode of a recording.

    :param joints: all joints in one matrix, see ``joint_groups.joined``
    :param label: None for an unlabelled episode
    :param origins: content identities of the episode that this one was imported from, that of the
        whole first; empty if it was not
    :param groups: of joints with the same stamps, disjoint; empty if ``joints`` is the only one
    :param annotation: of a person in ``labels.json``; None without one
    :param reasons: code and text of each reason for which an import would refuse the episode,
        without its images; empty within the limits
    :param span: receive times [begin, end) in the recording, ns
    :param notes: texts on messages that are left out
    """

    name: str
    cameras: Mapping[str, Frames]
    joints: Joints
    label: Label | None
    origins: tuple[str, ...] = ()
    groups: tuple[Joints, ...] = ()
    annotation: 'Annotation | None' = None
    reasons: tuple[tuple[str, str], ...] = ()
    span: tuple[int, int] = ALWAYS
    notes: tuple[str, ...] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """Return the texts of the reasons, but for NOT_FINITE."""
        return tuple(text for code, text in self.reasons if code != NOT_FINITE)

    @property
    def identity(self) -> str:
        """
        Return the content identity: equal for two recordings of the same motion.

        It is the same after renaming, copying, labelling, another container, other stamps, another
        compression of the images, and another order of the joints. It differs after resampling,
        as an import at another rate does, after trimming, without a single row, and with other
        joints. Simulated episodes of one seed whose failures do not change the motion share it.

        :returns: first 16 hex digits of the SHA-256 over the positions in float32, little-endian,
            rows by stamp and columns by joint name; empty without joint states
        """
        return _identity(self.joints)

    @property
    def identities(self) -> frozenset[str]:
        """
        Return the content identities of the episode, its opening, its retry and its origins.

        Empty if unknown.

        The opening is the first OPENING seconds of motion: a failed attempt has the opening of the
        episode that joins it with its retry, and an episode that was cut at the end has that of
        the whole. A shorter episode has none. A retry begins at the time 'retry' of the label; it
        may also be a recording of its own.
        """
        found = {self.identity, _opening(self.joints)}
        stamps = [int(frames.stamps[0]) for frames in self.cameras.values() if frames.stamps.size]
        if self.label is not None and RETRY_TIME in self.label.times and stamps:
            begin = min(stamps) + round(self.label.times[RETRY_TIME] * 1e9)
            found.add(_identity(self.joints, int(np.searchsorted(self.joints.stamps, begin))))
        return frozenset(found - {''}).union(self.origins)


def _identity(joints: Joints, first: int = 0, end: int | None = None) -> str:
    """Return the content identity of rows [first, end) of joint states; empty without any."""
    ordered = _ordered(joints)[first:end]
    return hashlib.sha256(ordered.tobytes()).hexdigest()[:16] if ordered.size else ''


def _ordered(joints: Joints) -> NDArray[np.float32]:
    columns = sorted(range(len(joints.names)), key=lambda k: joints.names[k])
    return joints.positions[:, columns].astype('<f4')


def _opening(joints: Joints) -> str:
    """
    Return the content identity of the first OPENING seconds of motion; empty if there are less.

    The number of rows is the nearest power of two, so that jitter of the stamps does not change
    it: no usual rate is between two powers.
    """
    rows = _ordered(joints)
    changed = np.flatnonzero((rows != rows[:1]).any(axis=1))
    if not changed.size:
        return ''
    period = period_of(joints.stamps)
    first, count = int(changed[0]), 2 ** max(round(math.log2(OPENING / period)), 0)
    return _identity(joints, first, first + count) if first + count <= len(rows) else ''


NAME: Final = 'labels.json'
FORMAT: Final = 'viva_ros labels 1'
KINDS: Final = ('milestone', 'error')
MARK_TIMES: Final = SettingLimits(at_least=-1e6, at_most=1e6)  # s


@dataclass(frozen=True)
class Annotation:
    """
    The annotation of an episode by a person.

    :param success: None if only events were marked
    """

    success: bool | None = None
    task: str = ''
    marks: tuple[Mark, ...] = ()


def sidecar(recording: Path) -> Path:
    """
    Return the path of the labels of a recording; the file need not exist.

    Those of the episodes of a file, such as FILE/demo_0, are next to it: FILE.labels.json.
    """
    folder = recording.parent
    return folder.with_name(f'{folder.name}.{NAME}') if folder.is_file() else folder / NAME


def load(path: Path) -> dict[str, Annotation]:
    """
    Return the annotations in a file, by name of the episode; empty without a file.

    :raises RecordingError: if the file is damaged
    """
    try:
        content = read_json(path)
        if content['format'] != FORMAT:
            raise ValueError(f'format is {content["format"]!r}, must be {FORMAT!r}')
        return {name: _annotation(one) for name, one in content['episodes'].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordingError(
            'labels-unreadable',
            f'{path} cannot be read ({error!r}): repair it, or delete it and label again',
        ) from error


def save(path: Path, annotations: Mapping[str, Annotation]) -> None:
    """
    Write annotations by name of the episode.

    :raises RecordingError: if the file cannot be written
    """
    episodes = {name: asdict(one) for name, one in sorted(annotations.items())}
    content = {'format': FORMAT, 'episodes': episodes}
    try:
        write_atomically(path, json.dumps(content, indent=1) + '\n')
    except OSError as error:
        raise RecordingError('labels-unwritable', f'{path} cannot be written ({error})') from error


def _annotation(content: Mapping[str, Any]) -> Annotation:
    marks = [
        Mark(
            text('kind', m['kind']), number('time', m['time'], MARK_TIMES), text('text', m['text'])
        )
        for m in content['marks']
    ]
    success = content['success']
    if success is not None and not isinstance(success, bool):
        raise ValueError(f'success is {success!r}, must be true, false or null')
    ordered = tuple(sorted(marks, key=lambda mark: mark.time))
    return Annotation(success, text('task', content['task']), ordered)


def judged(label: Label | None, annotation: Annotation | None, task: str = '') -> Label | None:
    """
    Return the label of an episode with the annotation of a person applied.

    :param task: used if neither label nor annotation has one
    """
    if annotation is None:
        return label
    success = annotation.success if annotation.success is not None else label and label.success
    if success is None:
        return None
    known = label or Label(task, bool(success))
    times = dict(known.times)
    if label is not None and label.success != success:
        kept = (RETRY_TIME, ATTEMPT_TIME)  # the others belong to the other outcome
        times = {name: at for name, at in times.items() if name in kept}
    errors = [mark.time for mark in annotation.marks if mark.kind == 'error']
    if errors:
        times['manifest'] = min(errors)
    return replace(
        known, task=annotation.task or known.task, success=bool(success), times=times,
        marks=annotation.marks or known.marks,
    )  # fmt: skip
