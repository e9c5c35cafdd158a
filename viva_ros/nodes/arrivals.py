# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Count the frames sent and received on a topic: publishers number what they send.

A picture that does not fit a shared memory segment goes through UDP in pieces; one lost piece
loses the picture. Fast DDS reports nothing; a gap in the sequence numbers shows it.

rclpy names the publisher of a message from Kilted on. On Jazzy a sequence number belongs to an
unnamed publisher: gaps are counted only while the topic has one publisher, the same one.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from viva_ros.nodes.registry import PROFILE, PROFILE_VARIABLE

FEW: Final = 4  # frames sent, below which a share is not judged
UNNAMED: Final = b''  # the publisher, where the message info has no publisher id


@dataclass(frozen=True)
class Share:
    """Frames sent and received within some time; ``sent`` is None where it cannot be counted."""

    sent: int | None
    received: int

    @property
    def is_low(self) -> bool:
        """Whether fewer than half are known to have come."""
        return self.sent is not None and self.sent >= FEW and 2 * self.received < self.sent


class Arrivals:
    """Counts the frames of one topic."""

    def __init__(self) -> None:
        self._newest: dict[bytes, int] = {}
        self._sent = self._received = 0
        self._unnamed = self._unnumbered = False
        self._publishers: frozenset[bytes] = frozenset()

    def note(self, info: Mapping[str, Any]) -> None:
        """
        Count a frame, and those missed before it.

        :param info: message info of rclpy, with or without ``publisher_gid``
        """
        number, publisher = info['publication_sequence_number'], info.get('publisher_gid')
        missed = 0
        if number is None:
            self._unnumbered = True
        else:
            key = bytes(publisher['data']) if publisher else UNNAMED
            self._unnamed |= key == UNNAMED
            missed = max(0, number - self._newest.get(key, number - 1) - 1)
            self._newest[key] = number
        self._received += 1
        self._sent += 1 + missed

    def take(self, publishers: Collection[bytes]) -> Share:
        """
        Return the counts since the last call.

        :param publishers: ids of the publishers that the topic has now
        """
        before, self._publishers = self._publishers, frozenset(publishers)
        same = len(self._publishers) == 1 and self._publishers == before
        unknown = self._unnumbered or (self._unnamed and not same)
        share = Share(None if unknown else self._sent, self._received)
        if not same:  # the next number of an unnamed publisher may be another publisher's
            self._newest.pop(UNNAMED, None)
        self._sent = self._received = 0
        self._unnamed = self._unnumbered = False
        return share


def advise(topic: str, share: Share) -> str:
    """Say that frames do not come, and what may mend it."""
    text = f'{share.received} of {share.sent} frames of {topic} came'
    if os.environ.get(PROFILE_VARIABLE):
        return f'{text}: the network or this machine is too slow for them, or their publisher ' \
               f'was started without {PROFILE_VARIABLE}'  # fmt: skip
    return (
        f"{text}: {PROFILE_VARIABLE} is not set; set it to viva_ros' {PROFILE} here and for "
        'the camera driver, so that large pictures fit the shared memory'
    )
