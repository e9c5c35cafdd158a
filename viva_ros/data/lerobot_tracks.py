# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The streams of a data set as topics of messages, made when they are looked at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from viva_ros.core.observation import Array, Image
from viva_ros.data.conversion.raw_episode import Stamps
from viva_ros.data.images import RAW
from viva_ros.data.messages import header, joint_state, serialise
from viva_ros.data.recording import Track

JOINT_STATE = 'sensor_msgs/msg/JointState'


class ImageMessage:
    """A sensor_msgs/Image whose pixels are decoded when they are asked for."""

    __msgtype__ = RAW
    encoding = 'rgb8'
    is_bigendian = 0

    def __init__(self, stamp: int, images: Sequence[Image], row: int) -> None:
        self.header = header(stamp)
        self._images, self._row = images, row

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self._images[self._row].shape[0])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self._images[self._row].shape[1])

    @property
    def step(self) -> int:
        """Bytes of a row."""
        return 3 * self.width

    @property
    def data(self) -> Any:
        """Pixels, row by row."""
        return np.ascontiguousarray(self._images[self._row]).reshape(-1)


@dataclass(frozen=True)
class ImageTrack(Track):
    """A camera of a data set: stamps are ``times``, and ``data`` are images, no messages."""

    def messages(self) -> Iterator[tuple[int, Any]]:
        """Give stamps and messages."""
        images: Any = self.data
        for row, time in enumerate(self.times):
            yield time, ImageMessage(time, images, row)

    def stamps(self) -> list[int]:
        """Give the stamps, ns."""
        return self.times

    def pictures(self, rows: Sequence[int]) -> Sequence[Image]:
        """Give some of the images, decoded on access."""
        return SomeImages(self.data, rows)


class SomeImages(Sequence[Image]):
    """Images in some places of a sequence."""

    def __init__(self, images: Any, rows: Sequence[int]) -> None:
        self._images, self._rows = images, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return SomeImages(self._images, self._rows[index])
        return self._images[self._rows[index]]


def joint_track(topic: str, stamps: Stamps, names: Sequence[str], positions: Array) -> Track:
    """Give joint states as a topic; positions (N, J), rad or m."""
    data = [
        serialise(JOINT_STATE, joint_state(int(stamp), names, np.ascontiguousarray(row)))
        for stamp, row in zip(stamps, positions, strict=True)
    ]
    return Track(topic, JOINT_STATE, stamps.tolist(), data)
