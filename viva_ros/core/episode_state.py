# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The episode of a value: inputs stamped before an announcement belong to the state before."""

from collections import deque
from dataclasses import dataclass

from viva_ros.core.detection.detector import NO_EPISODE

GRACE = 1_000_000_000  # ns; older inputs are stale and yield no value


@dataclass(frozen=True)
class EpisodeState:
    """
    An announcement of the supervisor.

    :param id: '' while no episode is under way
    :param executing: whether values are judged
    :param reason: why values are not judged
    """

    id: str = ''
    task: str = ''
    executing: bool = False
    reason: str = NO_EPISODE


class Episodes:
    """
    The announced states in order; a state is not used again after its successor.

    ``newest`` is the last announced state; it may not be in use yet.
    """

    def __init__(self, task: str = '') -> None:
        """
        Start without an episode.

        :param task: task until the first announcement
        """
        self._current = self.newest = EpisodeState(task=task)
        self._pending: deque[tuple[int, EpisodeState]] = deque()

    def announce(self, state: EpisodeState, now: int) -> None:
        """Add an announcement; ``now`` is the time of receipt, ns."""
        self.newest = state
        self._pending.append((now, state))

    def jump(self) -> None:
        """Use the newest announcement: after a jump of time, stamps cannot be compared."""
        self._pending.clear()
        self._current = self.newest

    def of_value(self, stamp: int) -> EpisodeState:
        """Return the state of a value by the stamp of its newest input, ns."""
        while self._pending and stamp >= self._pending[0][0]:
            self._current = self._pending.popleft()[1]
        return self._current

    def of_unknown(self, now: int) -> EpisodeState:
        """Return the state of an attempt without a value; earlier values may still arrive."""
        return self.of_value(now - GRACE)
