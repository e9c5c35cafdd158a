# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a black box keeps in memory, until when it writes, and which old recordings it gives up.

Messages are opaque bytes; times are given: steady, s, for keeping, and ns for the file.
"""

from collections import deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from viva_ros.core.settings import setting, validate

MIB = 1 << 20


@dataclass(frozen=True)
class BlackBoxLimits:
    """How much is kept, and for how long."""

    before: float = setting(30.0, 'Recorded from before an alert, s.', above=0.0)
    after: float = setting(10.0, 'Recorded after the last alert, s.', above=0.0)
    memory: float = setting(256.0, 'Most that is kept in memory, MiB.', above=0.0)
    file: float = setting(512.0, 'Most size of one recording, MiB.', above=0.0)
    folder: float = setting(
        4096.0, 'Most size of all, MiB: the oldest without a label go first.', above=0.0
    )


@dataclass(frozen=True)
class Kept:
    """
    One message.

    :param steady: when it came, s
    :param time: when it came, on the clock of the node, ns
    """

    topic: str
    steady: float
    time: int
    cdr: bytes


class Ring:
    """The last seconds of all topics; of latched ones at least the last message."""

    def __init__(self, limits: BlackBoxLimits, latched: Set[str]) -> None:
        validate(limits)
        self._limits, self._latched = limits, latched
        self._kept: deque[Kept] = deque()
        self._held: dict[str, Kept] = {}
        self.size = 0

    def add(self, message: Kept) -> None:
        """Add the newest message; the oldest make room."""
        self._kept.append(message)
        self.size += len(message.cdr)
        oldest = message.steady - self._limits.before
        while self._kept and (
            self._kept[0].steady < oldest or self.size > self._limits.memory * MIB
        ):
            gone = self._kept.popleft()
            self.size -= len(gone.cdr)
            if gone.topic in self._latched:
                self._held[gone.topic] = gone

    def content(self) -> list[Kept]:
        """Return all messages in the order in which they came, latched ones from before first."""
        return [*sorted(self._held.values(), key=lambda kept: kept.steady), *self._kept]


class EventRecording:
    """How long one recording goes on: until some time after the last alert, or its size limit."""

    def __init__(self, limits: BlackBoxLimits, now: float) -> None:
        """:param now: steady time of the first alert, s."""
        self._limits = limits
        self._end = now + limits.after
        self.size = 0
        self.cut = False

    def extend(self, now: float) -> None:
        """Go on after another alert, s."""
        self._end = now + self._limits.after

    def add(self, size: int) -> None:
        """Count what was written, bytes."""
        self.size += size
        self.cut = self.size > self._limits.file * MIB

    def is_over(self, now: float) -> bool:
        """Return whether it is to be closed, s."""
        return now >= self._end or self.cut


def rotate(
    sizes: Mapping[str, int], labelled: Set[str], limits: BlackBoxLimits
) -> tuple[Sequence[str], bool]:
    """
    Choose the recordings to delete.

    :param sizes: bytes by name, the oldest first
    :param labelled: names that a person has given an outcome, which stay
    :returns: names, and whether the rest is within the limit
    """
    total, gone = sum(sizes.values()), []
    for name, size in sizes.items():
        if total <= limits.folder * MIB:
            break
        if name not in labelled:
            gone.append(name)
            total -= size
    return gone, total <= limits.folder * MIB
