# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of the recordings of a run before an image is decoded, and what it refuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import ConfigurationError, RecordingError, VivaError
from viva_ros.data.formats import EpisodeRef
from viva_ros.data.one_recording import one_recording
from viva_ros.data.open import open_ref
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.split import TRAIN, VALIDATION
from viva_ros.training import cache
from viva_ros.training.config import TrainConfig
from viva_ros.training.dataset import EpisodeLength
from viva_ros.training.sources import (
    Found,
    check_finite,
    check_horizon,
    check_ranges,
    check_tasks,
    start_of,
)

OPENED: Final = 32  # recordings of a part that are opened for their lengths


@dataclass(frozen=True)
class Survey:
    """
    Lengths of the recordings of one part, before an image is decoded.

    :param recordings: number of recordings
    :param moments: of the tasks of the run; an estimate if some recordings were not looked at
    :param lengths: of the labelled episodes that were looked at
    :param is_whole: whether these are all
    :param reaches: of the labelled episodes that were opened
    """

    recordings: int
    moments: int
    lengths: tuple[EpisodeLength, ...]
    is_whole: bool
    reaches: tuple['Reach', ...] = ()

    def of(self, tasks: Sequence[str]) -> list[EpisodeLength]:
        """Return the lengths of the episodes of these tasks; without tasks, of all."""
        return [one for one in self.lengths if not tasks or one.task in tasks]


class Reach(NamedTuple):
    """Path and task of an episode; least and largest position of its joints, (2, J)."""

    name: str
    task: str
    positions: NDArray[np.float64]


def survey_of(run: TrainConfig, found: Found, part: str = TRAIN) -> Survey:
    """
    Return the number and the lengths of the recordings of a part, without decoding an image.

    Recordings in the cache are counted. Of the others, up to OPENED are opened, evenly spaced, and
    their mean stands for all. Moments of tasks that the run leaves out do not count.

    :raises RecordingError: if opened recordings cannot be read, naming each
    """
    refs = found.parts[part]
    known = [cache.lengths(ref, run.cache_folder) for ref in refs]
    unknown = [ref for ref, lengths in zip(refs, known, strict=True) if lengths is None]
    places = np.linspace(0, len(unknown) - 1, min(OPENED, len(unknown)), dtype=int)
    opened = []
    refused: list[VivaError] = []
    for k in np.unique(places):
        try:
            with one_recording(unknown[k].path):
                opened.append(_opened(unknown[k], found))
        except RecordingError as error:
            refused.append(error)
    cache.check_all(refused, len(refs))
    counted, total = [one for some in known if some for one in some], 0.0
    reaches: list[Reach] = []
    for lengths, joints in opened:
        total += _moments(lengths, run.tasks) * len(unknown) / len(opened)
        counted += lengths
        reaches += joints
    total += sum(_moments(some, run.tasks) for some in known if some)
    is_whole = len(opened) == len(unknown)
    return Survey(len(refs), round(total), tuple(counted), is_whole, tuple(reaches))


def _moments(lengths: Sequence[EpisodeLength], tasks: Sequence[str]) -> int:
    return sum(one.moments for one in lengths if not tasks or one.task in tasks)


def cached_bytes(run: TrainConfig, found: Found) -> float:
    """Return the bytes of images in the cache, of recordings of the run."""
    refs = (ref for refs in found.parts.values() for ref in refs)
    return float(sum(cache.image_bytes(ref, run.cache_folder) for ref in refs))


def _opened(ref: EpisodeRef, found: Found) -> tuple[list[EpisodeLength], list[Reach]]:
    """Return what is known of the episodes of a recording; their images are not kept."""
    camera, wanted = found.blank.cameras[0], found.blank.joint_names
    lengths, reaches = [], []
    for one in episodes_of(open_ref(ref)):
        if one.label is None or camera not in one.cameras:
            continue
        lengths.append(EpisodeLength.of(one, camera, found.robot.every))
        names, rows = one.joints.names, one.joints.positions
        if len(rows) and set(names) >= set(wanted):
            rows = rows[:, [names.index(name) for name in wanted]]
            ends = np.stack([rows.min(axis=0), rows.max(axis=0)])
            name = str(ref.path.parent / one.name)
            reaches.append(Reach(name, one.label.task, ends))
    return lengths, reaches


def check_recordings(run: TrainConfig, found: Found, train: Survey) -> None:
    """
    Refuse what recordings are known not to fit, before they are decoded.

    :param train: of the training recordings
    :raises ConfigurationError: if a task of the run is not recorded, the horizon is too long,
        joints are not finite or far outside of the ranges of ``--init``, or a patience has nothing
        to measure
    """
    if train.is_whole:
        check_tasks(run.tasks, sorted({one.task for one in train.lengths}))
    seconds = [one.seconds for one in train.of(run.tasks)]
    if seconds:
        check_horizon(seconds, found.blank.horizon)
    known = [
        (one.name, one.positions)
        for one in train.reaches if not run.tasks or one.task in run.tasks
    ]  # fmt: skip
    check_finite(found.blank.joint_names, known)
    if run.init is not None:
        check_ranges(start_of(run.init)[1], known, run.init)
    if run.patience and not found.parts[VALIDATION]:
        raise ConfigurationError(
            'patience-without-validation',
            f'--patience is {run.patience}, and there are no validation recordings to measure: '
            'leave out --patience, or name some as validation in split.json',
        )
