# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When inputs belong together, and when one is too old, ahead of time or without a stamp."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from viva_ros.core.observation import Unknown
from viva_ros.core.settings import setting
from viva_ros.core.windows import seconds

Message = TypeVar('Message')


@dataclass(frozen=True)
class SyncSettings:
    """What belongs together, and what is too old."""

    slop: float = setting(0.05, 'Most that input stamps may differ, s.', at_least=0.0)
    stale: float = setting(0.3, 'Most age of an input, s.', above=0.0)
    max_future: float = setting(0.1, 'Most that a stamp may lie ahead of now, s.', at_least=0.0)
    time_jump: float = setting(
        1.0, 'A stamp older than its predecessor by more than this resets all, s.', above=0.0
    )


class RejectedError(Exception):
    """Carries the Unknown out of one of the checks below."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.unknown = Unknown(kind, reason)


def check_stamp(topic: str, stamp: int, now: int, settings: SyncSettings) -> None:
    """
    Refuse a message that is without a stamp, ahead of time, or too old.

    :raises RejectedError: of kind 'input' or 'stale', with the measured figure
    """
    age = seconds(now, stamp)
    if stamp <= 0:
        raise RejectedError('input', f'stamp of {topic} is {stamp}: its driver must set it')
    if age < -settings.max_future:
        limit = f'at most {settings.max_future:g} s is allowed: compare the clocks'
        raise RejectedError('input', f'stamp of {topic} is {-age:.2f} s ahead of now, {limit}')
    if age > settings.stale:
        limit = f'limit {settings.stale:g} s'
        raise RejectedError('stale', f'newest message of {topic} is {age:.2f} s old, {limit}')


def fits(stamps: Mapping[str, int], slop: float) -> bool:
    """Say whether stamps, ns, lie within the slop, s."""
    return not stamps or seconds(max(stamps.values()), min(stamps.values())) <= slop


def check_skew(stamps: Mapping[str, int], slop: float) -> None:
    """
    Refuse a set that is too far apart in time.

    :param stamps: by topic, ns
    :raises RejectedError: of kind 'skew', with the measured figure
    """
    if not fits(stamps, slop):
        first, last = min(stamps, key=stamps.__getitem__), max(stamps, key=stamps.__getitem__)
        skew = seconds(stamps[last], stamps[first])
        raise RejectedError(
            'skew',
            f'{last} is {skew:.3f} s newer than {first}, at most {slop:g} s is allowed',
        )


class Source(Generic[Message]):
    """The last messages of one topic, by stamp, ascending."""

    def __init__(self, kept: int | None) -> None:
        self._kept = kept
        self.messages: dict[int, Message] = {}

    @property
    def newest(self) -> int | None:
        """Stamp of the newest message; None if there is none."""
        return next(reversed(self.messages), None)

    def add(self, stamp: int, message: Message) -> None:
        """Add a message; one that is not newer than the last came late and is left out."""
        if self.newest is None or stamp > self.newest:
            self.messages[stamp] = message
            if self._kept is not None and len(self.messages) > self._kept:
                del self.messages[next(iter(self.messages))]

    def has(self, stamp: int) -> bool:
        """Say whether there is a message with exactly this stamp."""
        return stamp in self.messages

    def nearest(self, stamp: int) -> int:
        """Stamp of the message nearest to a stamp; not empty."""
        return min(self.messages, key=lambda other: abs(other - stamp))
