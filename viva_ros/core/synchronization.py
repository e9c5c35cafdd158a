# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps of one set of inputs: limits, checks, and the last messages of a topic."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from viva_ros.core.joint_states import SPEED_LIMIT
from viva_ros.core.observation import Unknown
from viva_ros.core.settings import setting
from viva_ros.core.windows import seconds

Message = TypeVar('Message')


@dataclass(frozen=True)
class SyncSettings:
    """Limits of the stamps of one set."""

    slop: float = setting(
        0.05, 'Largest difference between input stamps, s.', at_least=0.0, at_most=60.0
    )
    max_age: float = setting(0.3, 'Largest age of an input, s.', above=0.0, at_most=60.0)
    max_future: float = setting(0.1, 'Largest time of a stamp ahead of now, s.', at_least=0.0)
    time_jump: float = setting(
        1.0,
        'A stamp older than its predecessor by more than this resets all inputs, s.',
        above=0.0,
    )
    max_joint_speed: float = setting(
        SPEED_LIMIT,
        'A step above this speed is a jump, and no value follows for max_age, rad/s or m/s.',
        above=0.0,
    )


class RejectedError(Exception):
    """A failed check of this module, with the Unknown to return."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.unknown = Unknown(kind, reason)


def check_stamp(topic: str, stamp: int, now: int, settings: SyncSettings) -> None:
    """
    Reject a message that has no stamp, is ahead of time, or is too old.

    :raises RejectedError: of kind 'input' or 'stale', with the measured value
    """
    age = seconds(now, stamp)
    if stamp <= 0:
        raise RejectedError('input', f'stamp of {topic} is {stamp}: its driver must set it')
    if age < -settings.max_future:
        limit = f'at most {settings.max_future:g} s is allowed: compare the clocks'
        raise RejectedError('input', f'stamp of {topic} is {-age:.2f} s ahead of now, {limit}')
    if age > settings.max_age:
        limit = f'limit {settings.max_age:g} s'
        raise RejectedError('stale', f'newest message of {topic} is {age:.2f} s old, {limit}')


def fits(stamps: Mapping[str, int], slop: float) -> bool:
    """Return whether stamps, ns, are within the slop, s."""
    return not stamps or seconds(max(stamps.values()), min(stamps.values())) <= slop


def check_skew(stamps: Mapping[str, int], slop: float) -> None:
    """
    Reject a set whose stamps differ by more than the slop.

    :param stamps: by topic, ns
    :raises RejectedError: of kind 'skew', with the measured value
    """
    if not fits(stamps, slop):
        first, last = min(stamps, key=stamps.__getitem__), max(stamps, key=stamps.__getitem__)
        skew = seconds(stamps[last], stamps[first])
        raise RejectedError(
            'skew',
            f'{last} is {skew:.3f} s newer than {first}, at most {slop:g} s is allowed',
        )


class TopicBuffer(Generic[Message]):
    """The last messages of one topic, by stamp, ascending."""

    def __init__(self, kept: int | None) -> None:
        self._kept = kept
        self.messages: dict[int, Message] = {}

    @property
    def newest(self) -> int | None:
        """Stamp of the newest message; None if there is none."""
        return next(reversed(self.messages), None)

    def add(self, stamp: int, message: Message) -> None:
        """Add a message; a late one, which is not newer than the last, is ignored."""
        if self.newest is None or stamp > self.newest:
            self.messages[stamp] = message
            if self._kept is not None and len(self.messages) > self._kept:
                del self.messages[next(iter(self.messages))]

    def has(self, stamp: int) -> bool:
        """Return whether there is a message with exactly this stamp."""
        return stamp in self.messages

    def nearest(self, stamp: int) -> int:
        """Return the stamp of the message nearest to a stamp; the buffer must not be empty."""
        return min(self.messages, key=lambda other: abs(other - stamp))
