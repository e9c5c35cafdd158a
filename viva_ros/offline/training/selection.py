# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A part of the data, without a copy of its images."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import ConfigurationError
from viva_ros.training.cache import Data


@dataclass(frozen=True)
class Rows:
    """
    Some rows of an array on disk, read when asked for.

    :param array: (M, ...)
    :param rows: (N,)
    """

    array: NDArray[Any]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self.array[self.rows[key]])

    @property
    def shape(self) -> tuple[int, ...]:
        """As an array has it."""
        return (len(self.rows), *self.array.shape[1:])


def of_tasks(data: Data, tasks: Sequence[str]) -> Data:
    """
    Keep the episodes of some tasks.

    :param tasks: none for all
    :raises ConfigurationError: naming those that there are, if one has no episode
    """
    unknown = sorted(set(tasks) - set(data.tasks))
    if unknown:
        raise ConfigurationError(
            f'tasks is {", ".join(unknown)}, the recordings are of {", ".join(data.tasks)}'
        )
    if not tasks or set(tasks) == set(data.tasks):
        return data
    return of_episodes(data, [k for k, label in enumerate(data.labels) if label['task'] in tasks])


def of_episodes(data: Data, episodes: Sequence[int]) -> Data:
    """Keep some episodes, by index, ascending."""
    rows = np.flatnonzero(np.isin(data.episode, episodes))
    changes: dict[str, Any] = {
        'images': Rows(data.images, rows),
        'episode': np.searchsorted(np.asarray(episodes), data.episode[rows]),
    }
    for field in fields(data):
        if field.name not in changes:
            changes[field.name] = _some(getattr(data, field.name), rows, episodes)
    return replace(data, **changes)


def _some(whole: Any, rows: NDArray[np.int64], episodes: Sequence[int]) -> Any:
    """Take rows of an array, or those entries of a list, which has one for each episode."""
    if isinstance(whole, list):
        return [whole[k] for k in episodes] if whole else whole
    return whole[rows]
