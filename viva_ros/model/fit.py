# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pictures fitted to a size where the model is: bytes go over as they came, the resize is there.

Means over areas, and between pixels where a picture is enlarged, are two matrix products; they
give what OpenCV's INTER_AREA and INTER_LINEAR give step by step, but for rounding.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viva_ros.core.letterbox import area_weights, halvings, place

Pictures = Sequence[Sequence[NDArray[np.uint8]]]


class Fit:
    """
    Fits pictures of any size into one, their proportions kept, black around them.

    :param size: (height, width), px
    """

    def __init__(self, size: tuple[int, int], device: torch.device) -> None:
        self._size, self._device = size, device
        self._weights: dict[tuple[int, int, int], Tensor] = {}
        self._sent: dict[tuple[int, ...], Tensor] = {}

    def __call__(self, pictures: Pictures) -> Tensor:
        """
        Give what the model takes; what was given before must have been used.

        :param pictures: for each observation its views, (H, W, 3)
        :returns: (B, V, height, width, 3) uint8, on the device
        """
        shape = (len(pictures), len(pictures[0]), *self._size, 3)
        boxed = torch.zeros(shape, dtype=torch.uint8, device=self._device)
        for row, views in enumerate(pictures):
            for view, picture in enumerate(views):
                top, left, height, width = place(picture.shape[:2], self._size)
                inside = boxed[row, view, top : top + height, left : left + width]
                inside.copy_(self._resize(self._send(picture, row, view), height, width))
        return boxed

    def _send(self, picture: NDArray[np.uint8], row: int, view: int) -> Tensor:
        """Copy once, to where the device fetches it from."""
        key = (row, view, *picture.shape)
        if key not in self._sent:
            pinned = self._device.type == 'cuda'
            self._sent[key] = torch.empty(picture.shape, dtype=torch.uint8, pin_memory=pinned)
        np.copyto(self._sent[key].numpy(), picture)
        return self._sent[key].to(self._device, non_blocking=True)

    def _resize(self, picture: Tensor, height: int, width: int) -> Tensor:
        if picture.shape[:2] == (height, width):
            return picture
        pixels = picture.permute(2, 0, 1).float()  # (3, H, W)
        halves = halvings((picture.shape[0], picture.shape[1]), (height, width))
        rows = self._between(picture.shape[0], height, halves)
        columns = self._between(picture.shape[1], width, halves)
        fitted = rows @ pixels @ columns.T
        return fitted.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)

    def _between(self, sent: int, fitted: int, halves: int) -> Tensor:
        key = sent, fitted, halves
        if key not in self._weights:
            halved = sent >> halves
            make = area_weights if fitted < halved else line_weights
            weights = make(halved, fitted) @ area_weights(sent, halved)
            self._weights[key] = torch.from_numpy(weights).to(self._device)
        return self._weights[key]


def line_weights(sent: int, fitted: int) -> NDArray[np.float32]:
    """Give the share of each pixel in each of more pixels, by nearness, (fitted, sent)."""
    centres = (np.arange(fitted) + 0.5) * (sent / fitted) - 0.5
    distance = centres.clip(0, sent - 1)[:, None] - np.arange(sent)
    return (1 - np.abs(distance)).clip(min=0).astype(np.float32)
