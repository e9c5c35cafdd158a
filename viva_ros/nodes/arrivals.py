# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How many of the frames sent have come: publishers number what they send.

A picture that does not fit a shared memory segment goes through UDP in pieces, of which one that
is lost loses all. Fast DDS says nothing of it; here the gap in the numbers does.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from viva_ros.nodes.description import PROFILE, PROFILE_VARIABLE

FEW: Final = 4  # frames sent, below which nothing is said of a share


@dataclass(frozen=True)
class Share:
    """Frames sent and received within some time."""

    sent: int
    received: int

    @property
    def is_low(self) -> bool:
        """Whether fewer than half have come."""
        return self.sent >= FEW and 2 * self.received < self.sent


class Arrivals:
    """Counts the frames of one topic."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._sent = self._received = 0

    def note(self, info: Mapping[str, Any]) -> None:
        """
        Count a frame, and those missed before it.

        :param info: rclpy's MessageInfo; without numbers nothing is taken for missed
        """
        number, publisher = info['publication_sequence_number'], info['publisher_gid']
        missed = 0
        if number is not None and publisher is not None:
            key = bytes(publisher['data'])
            missed = max(0, number - self._numbers.get(key, number - 1) - 1)
            self._numbers[key] = number
        self._received += 1
        self._sent += 1 + missed

    def take(self) -> Share:
        """Give what was counted since the last time."""
        share = Share(self._sent, self._received)
        self._sent = self._received = 0
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
