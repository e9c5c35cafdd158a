# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics of a dataset: its rows instead of messages, with images that are decoded on access."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from viva_ros.core.observation import Image
from viva_ros.data.images import RAW
from viva_ros.data.messages import header
from viva_ros.data.recording import Track

FEATURE: Final = 'feature '  # beginning of topics that no recorder writes


class ImageMessage:
    """A sensor_msgs/Image that is decoded on access."""

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
    """A camera of a dataset: ``times`` are stamps, ``data`` are images instead of messages."""

    def messages(self) -> Iterator[tuple[int, Any]]:
        """Yield stamps, ns, and messages."""
        images: Any = self.data
        for row, time in enumerate(self.times):
            yield time, ImageMessage(time, images, row)

    def inputs(self) -> Iterator[tuple[int, Any]]:
        """Yield the messages, whose images are decoded on access."""
        return self.messages()

    def stamps(self) -> list[int]:
        """Return the stamps, ns."""
        return self.times

    def pictures(self, rows: Sequence[int]) -> Sequence[Image]:
        """Return the images of some rows, decoded on access."""
        return ImageSubset(self.data, rows, self.options.color_order == 'bgr')


@dataclass(frozen=True)
class VectorTrack(Track):
    """
    A numeric feature of a dataset: ``times`` are stamps, ``data`` are rows instead of messages.

    :param names: of the elements; empty if the dataset has none
    """

    names: tuple[str, ...] = ()

    def messages(self) -> Iterator[tuple[int, Any]]:
        """Yield stamps, ns, and messages with a header."""
        rows: Any = self.data
        names = list(self.names)
        for time, row in zip(self.times, rows, strict=True):
            fields = {'data': row, **({'name': names, 'position': row} if names else {})}
            yield time, SimpleNamespace(__msgtype__=self.type_name, header=header(time), **fields)

    def stamps(self) -> list[int]:
        """Return the stamps, ns."""
        return self.times


class ImageSubset(Sequence[Image]):
    """
    Images at some indices of a sequence.

    :param swap: whether red and blue are exchanged in the dataset
    """

    def __init__(self, images: Any, rows: Sequence[int], swap: bool = False) -> None:
        self._images, self._rows, self._swap = images, rows, swap

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ImageSubset(self._images, self._rows[index], self._swap)
        image = self._images[self._rows[index]]
        return np.ascontiguousarray(image[..., ::-1]) if self._swap else image


class ImagesOnAccess(Sequence[Image]):
    """Images of a feature that is read when a map names it; its checks run then, too."""

    def __init__(self, read: Callable[[], Sequence[Image]], count: int) -> None:
        self._read, self._count = read, count
        self._images: Sequence[Image] | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if self._images is None:
            self._images = self._read()
        return self._images[index]
