# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which episode a value belongs to: what was seen before one was announced is not of it."""

GRACE = 1_000_000_000  # ns; inputs older than this are stale, and no value is made of them


class Episodes:
    """The episode under way; ids are used in order, none comes back after the next was used."""

    def __init__(self) -> None:
        self._present = self._next = ''
        self._announced = 0

    def announce(self, episode: str, now: int) -> None:
        """Note an announcement, received now, ns."""
        self._next, self._announced = episode, now

    def of_value(self, stamp: int) -> str:
        """Give the episode of a value by the stamp of its newest input, ns."""
        if stamp >= self._announced:
            self._present = self._next
        return self._present

    def of_unknown(self, now: int) -> str:
        """Give the episode of an attempt; values of the one before may still be on their way."""
        if now >= self._announced + GRACE:
            self._present = self._next
        return self._present
