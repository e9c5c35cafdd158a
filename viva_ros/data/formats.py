# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recording formats: each is one file that finds, names and opens recordings of its kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from viva_ros.core.registry import Registry
from viva_ros.data.recording import Recording


@dataclass(frozen=True)
class EpisodeRef:
    """
    What a path names, resolved once.

    :param path: as it was given; it need not exist on disk, such as DATASET/episode_000012
    :param format: name in FORMATS
    :param dataset: folder of the dataset that it is an episode of; None for a recording by itself
    :param index: of the episode in the dataset
    """

    path: Path
    format: str
    dataset: Path | None = None
    index: int = 0


def first_frame(ref: EpisodeRef) -> int:
    """Return 0: a recording by itself begins with its own first frame."""
    return 0


def nothing_else(ref: EpisodeRef) -> list[Any]:
    """Return no more than name and size of a file, see ``RecordingFormat.state``."""
    return []


@dataclass(frozen=True)
class RecordingFormat:
    """
    A format of recordings.

    :param text: what it looks like on disk, for error texts
    :param list_in: lists the recordings that a path is or holds; None if it is of another format
    :param resolve: names one recording; None if the path is of another format
    :param open: reads it; raises RecordingError
    :param file: whose size tells whether a recording has changed
    :param state: what else tells that, as JSON
    :param first_frame: index of the first frame in its dataset
    :param has_map: whether a topic map beside it applies
    """

    text: str
    list_in: Callable[[Path], Sequence[Path] | None]
    resolve: Callable[[Path], EpisodeRef | None]
    open: Callable[[EpisodeRef], Recording]
    file: Callable[[EpisodeRef], Path] = lambda ref: ref.path
    state: Callable[[EpisodeRef], list[Any]] = nothing_else
    first_frame: Callable[[EpisodeRef], int] = first_frame
    has_map: bool = False


#: By name, in the order in which they are tried; files that no other format knows are read as
#: MCAP, so that what a killed recorder left can be read under any name.
FORMATS: Final[Registry[RecordingFormat]] = Registry(
    'recording format',
    'viva_ros.recording_formats',
    {
        'lerobot': 'viva_ros.data.lerobot.reader:FORMAT',
        'bag': 'viva_ros.data.bag.reader:FORMAT',
    },
)
