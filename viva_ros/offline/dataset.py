# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All moments of some recordings, as arrays, and what can be asked of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viva_ros.training.dataset import joints_at, nearest


@dataclass(frozen=True)
class Track:
    """Joint states of one episode: stamps (M,) int64 ns, positions (M, J), rad or m."""

    stamps: NDArray[np.int64]
    joints: NDArray[np.float32]


@dataclass(frozen=True)
class Data:
    """
    All moments of some recordings, in order of episode and time.

    :param images: (N, V, H, W, 3) uint8, on disk
    :param proprio: (N, J), rad or m
    :param future: (N, J), rad or m
    :param returned: G, (N,)
    :param stamps: (N,) int64, ns
    :param episode: index of the episode of each moment, (N,)
    :param labels: of each episode: name, task, success, failure, seed, times
    :param tracks: of each episode
    """

    images: NDArray[np.uint8]
    proprio: NDArray[np.float32]
    future: NDArray[np.float32]
    returned: NDArray[np.float32]
    stamps: NDArray[np.int64]
    episode: NDArray[np.int64]
    labels: list[dict[str, Any]]
    tracks: list[Track] = field(default_factory=list)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Of all episodes, each once."""
        return tuple(sorted({label['task'] for label in self.labels}))

    @property
    def success(self) -> NDArray[np.bool_]:
        """Outcome of the episode of each moment, (N,)."""
        outcomes = np.array([bool(label['success']) for label in self.labels])
        return outcomes[self.episode]

    def task_index(self, tasks: Sequence[str]) -> NDArray[np.int64]:
        """Give the place of each moment's task in ``tasks``, (N,)."""
        places = np.array([tasks.index(label['task']) for label in self.labels], dtype=np.int64)
        return places[self.episode]

    def ahead(self, horizon: float) -> 'Data':
        """Give the same moments with the forecast of another horizon, s."""
        futures = [
            joints_at(track.stamps, track.joints, self.stamps[self.rows_of(index)], horizon)
            for index, track in enumerate(self.tracks)
        ]
        return replace(self, future=np.concatenate(futures))

    def rows_of(self, episode: int) -> slice:
        """Give the rows of one episode."""
        begin, end = np.searchsorted(self.episode, (episode, episode + 1))
        return slice(int(begin), int(end))

    def rows_ahead(self, horizon: float) -> NDArray[np.int64]:
        """Give for each moment the row of the moment nearest to one horizon later, (N,)."""
        rows = np.empty(len(self.stamps), dtype=np.int64)
        for index in range(len(self.labels)):
            mine = self.rows_of(index)
            stamps = self.stamps[mine]
            rows[mine] = mine.start + nearest(stamps, stamps + round(horizon * 1e9))
        return rows

    def balance(self) -> Tensor:
        """Give a weight for each moment such that every task weighs the same, (N,)."""
        task = torch.from_numpy(self.task_index(self.tasks))
        return 1.0 / torch.bincount(task).double()[task]
