# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which episode a value belongs to: what was seen before an announcement is not of it."""

from collections import deque
from dataclasses import dataclass

from viva_ros.core.detection.detector import NO_EPISODE

GRACE = 1_000_000_000  # ns; inputs older than this are stale, and no value is made of them


@dataclass(frozen=True)
class EpisodeState:
    """
    What the supervisor announces.

    :param id: '' while no episode is under way
    :param executing: whether values are judged
    :param reason: why not
    """

    id: str = ''
    task: str = ''
    executing: bool = False
    reason: str = NO_EPISODE


class Episodes:
    """
    The states announced, in order; none comes back after the next was used.

    ``newest`` is the last announced, which may not have been used yet.
    """

    def __init__(self, task: str = '') -> None:
        """
        Begin without an episode.

        :param task: until one is announced
        """
        self._present = self.newest = EpisodeState(task=task)
        self._coming: deque[tuple[int, EpisodeState]] = deque()

    def announce(self, state: EpisodeState, now: int) -> None:
        """Note an announcement, received now, ns."""
        self.newest = state
        self._coming.append((now, state))

    def jump(self) -> None:
        """Use the newest announcement: time has jumped, and stamps do not compare any more."""
        self._coming.clear()
        self._present = self.newest

    def of_value(self, stamp: int) -> EpisodeState:
        """Return the state that a value belongs to, by the stamp of its newest input, ns."""
        while self._coming and stamp >= self._coming[0][0]:
            self._present = self._coming.popleft()[1]
        return self._present

    def of_unknown(self, now: int) -> EpisodeState:
        """Return that of an attempt; values of the one before may still be on their way."""
        return self.of_value(now - GRACE)
