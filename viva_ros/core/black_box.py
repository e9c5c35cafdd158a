# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Ring buffer of the black box, origin of alerts, end of a recording, rotation of old recordings.

Messages are opaque bytes. Times are arguments: steady time, s, for the buffer; ns for the file.
"""

from collections import deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from viva_ros.core.settings import setting, validate

MIB = 1 << 20


@dataclass(frozen=True)
class BlackBoxLimits:
    """Durations and size limits of the recordings."""

    before: float = setting(30.0, 'Recorded time before an alert, s.', above=0.0)
    after: float = setting(10.0, 'Recorded time after the last alert, s.', above=0.0)
    memory: float = setting(256.0, 'Size limit of the messages in memory, MiB.', above=0.0)
    file: float = setting(512.0, 'Size limit of one recording, MiB.', above=0.0)
    folder: float = setting(
        4096.0,
        'Size limit of all recordings, MiB; the oldest without a label are deleted.',
        above=0.0,
    )


@dataclass(frozen=True)
class Kept:
    """
    One message of the buffer.

    :param steady: time of receipt, steady clock, s
    :param time: time of receipt, clock of the node, ns
    :param cdr: serialized message
    """

    topic: str
    steady: float
    time: int
    cdr: bytes


class Ring:
    """The last ``before`` seconds of all topics, and the last message of each latched topic."""

    def __init__(self, limits: BlackBoxLimits, latched: Set[str]) -> None:
        validate(limits)
        self._limits, self._latched = limits, latched
        self._kept: deque[Kept] = deque()
        self._held: dict[str, Kept] = {}
        self.size = 0

    def add(self, message: Kept) -> None:
        """Add the newest message; drop the oldest beyond the limits of time and memory."""
        self._kept.append(message)
        self.size += len(message.cdr)
        oldest = message.steady - self._limits.before
        while self._kept and (
            self._kept[0].steady < oldest or self.size > self._limits.memory * MIB
        ):
            dropped = self._kept.popleft()
            self.size -= len(dropped.cdr)
            if dropped.topic in self._latched:
                self._held[dropped.topic] = dropped

    def content(self) -> list[Kept]:
        """Return all messages by time of receipt; older ones of latched topics come first."""
        return [*sorted(self._held.values(), key=lambda kept: kept.steady), *self._kept]


class EventRecording:
    """The end of one recording: ``after`` seconds after the last alert, or its size limit."""

    def __init__(self, limits: BlackBoxLimits, now: float) -> None:
        """:param now: steady time of the first alert, s."""
        self._limits = limits
        self._end = now + limits.after
        self.size = 0
        self.cut = False

    def extend(self, now: float) -> None:
        """Extend the recording after another alert, at a steady time, s."""
        self._end = now + self._limits.after

    def add(self, size: int) -> None:
        """Count written bytes."""
        self.size += size
        self.cut = self.size > self._limits.file * MIB

    def is_over(self, now: float) -> bool:
        """Return whether the recording must be closed at a steady time, s."""
        return now >= self._end or self.cut


def is_watched(
    publisher: bytes, session: int, names: Mapping[bytes, str], watched: str, sessions: Set[int]
) -> bool | None:
    """
    Return whether an alert is of the watched supervisor; None if that is not known yet.

    :param publisher: GID of the publisher; empty where the middleware does not tell it
    :param session: of the alert
    :param names: full node names of the publishers in the graph, by GID
    :param watched: full name of the supervisor
    :param sessions: heard on the state of the supervisor; they decide without a GID alone
    """
    if not publisher:
        return True if session in sessions else None
    name = names.get(publisher)
    return None if name is None else name == watched


def rotate(
    sizes: Mapping[str, int], labelled: Set[str], limits: BlackBoxLimits
) -> tuple[Sequence[str], bool]:
    """
    Choose the recordings to delete.

    :param sizes: bytes by name, the oldest first
    :param labelled: names with a label from a person; these are kept
    :returns: names to delete, and whether the remaining size is within the limit
    """
    total, deleted = sum(sizes.values()), []
    for name, size in sizes.items():
        if total <= limits.folder * MIB:
            break
        if name not in labelled:
            deleted.append(name)
            total -= size
    return deleted, total <= limits.folder * MIB
