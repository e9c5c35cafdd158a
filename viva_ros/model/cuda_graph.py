# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
``LeanViVa`` on a GPU as one CUDA graph: one launch instead of thousands.

Inputs are pinned and copied in a separate stream, so this model and a policy on the same device do
not wait for each other. Images are copied in any size and letterboxed on the GPU.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viva_ros.core.letterbox import area_weights, halvings, place
from viva_ros.model.inference import LeanViVa

RawImages = Sequence[Sequence[NDArray[np.uint8]]]


class Fit:
    """
    Letterboxes images of any size on the device.

    :param size: (height, width), px
    """

    def __init__(self, size: tuple[int, int], device: torch.device) -> None:
        self._size, self._device = size, device
        self._weights: dict[tuple[int, int, int], Tensor] = {}
        self._sent: dict[tuple[int, ...], Tensor] = {}

    def __call__(self, raw: RawImages) -> Tensor:
        """
        Return images for the model; the device must have finished with the previous ones.

        :param raw: images of each view of each observation, (H, W, 3)
        :returns: (B, V, height, width, 3) uint8, on the device
        """
        shape = (len(raw), len(raw[0]), *self._size, 3)
        boxed = torch.zeros(shape, dtype=torch.uint8, device=self._device)
        for row, views in enumerate(raw):
            for view, image in enumerate(views):
                top, left, height, width = place(image.shape[:2], self._size)
                inside = boxed[row, view, top : top + height, left : left + width]
                inside.copy_(self._resize(self._send(image, row, view), height, width))
        return boxed

    def _send(self, image: NDArray[np.uint8], row: int, view: int) -> Tensor:
        """Copy an image to pinned memory, then to the device."""
        key = (row, view, *image.shape)
        if key not in self._sent:
            pinned = self._device.type == 'cuda'
            self._sent[key] = torch.empty(image.shape, dtype=torch.uint8, pin_memory=pinned)
        np.copyto(self._sent[key].numpy(), image)
        return self._sent[key].to(self._device, non_blocking=True)

    def _resize(self, image: Tensor, height: int, width: int) -> Tensor:
        if image.shape[:2] == (height, width):
            return image
        pixels = image.permute(2, 0, 1).float()  # (3, H, W)
        halves = halvings((image.shape[0], image.shape[1]), (height, width))
        rows = self._resize_weights(image.shape[0], height, halves)
        columns = self._resize_weights(image.shape[1], width, halves)
        fitted = rows @ pixels @ columns.T
        return fitted.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)

    def _resize_weights(self, sent: int, fitted: int, halves: int) -> Tensor:
        key = sent, fitted, halves
        if key not in self._weights:
            halved = sent >> halves
            make = area_weights if fitted < halved else line_weights
            weights = make(halved, fitted) @ area_weights(sent, halved)
            self._weights[key] = torch.from_numpy(weights).to(self._device)
        return self._weights[key]


def line_weights(sent: int, fitted: int) -> NDArray[np.float32]:
    """Return the weights of linear interpolation to more pixels, (fitted, sent)."""
    centres = (np.arange(fitted) + 0.5) * (sent / fitted) - 0.5
    distance = centres.clip(0, sent - 1)[:, None] - np.arange(sent)
    return (1 - np.abs(distance)).clip(min=0).astype(np.float32)


WARM_UP: Final = 3  # runs before a capture, in which libraries select kernels and allocate
MAX_GRAPHS: Final = 4  # batch sizes with a captured graph

Arrays = Mapping[str, NDArray[Any]]


@cache
def stream() -> 'torch.cuda.Stream':
    """
    Return the stream of all models of this process.

    cuBLAS keeps a workspace of 33 MB per stream: a stream per model would leak one workspace for
    each model that is loaded and freed.
    """
    return torch.cuda.Stream()


class Captured:
    """One captured graph, for one batch size."""

    def __init__(
        self, lean: LeanViVa, images: Tensor, feeds: Arrays, stream: 'torch.cuda.Stream'
    ) -> None:
        device = images.device
        self._stream, self._images = stream, images.clone()
        self._pinned = {n: torch.from_numpy(a.copy()).pin_memory() for n, a in feeds.items()}
        self._inputs = {n: t.to(device) for n, t in self._pinned.items()}
        torch.cuda.synchronize()  # these copies were made in another stream
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                lean(self._images, **self._inputs)
            stream.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=stream):
                self._outputs = lean(self._images, **self._inputs)
        self._read = [torch.empty(t.shape, dtype=t.dtype).pin_memory() for t in self._outputs]

    def run(self, images: Tensor, feeds: Arrays) -> list[NDArray[Any]]:
        """Copy inputs, replay, copy outputs; in the stream that produced the images."""
        with torch.cuda.stream(self._stream):
            self._images.copy_(images)
            for name, pinned in self._pinned.items():
                np.copyto(pinned.numpy(), feeds[name])
                self._inputs[name].copy_(pinned, non_blocking=True)
            self._graph.replay()
            for target, source in zip(self._read, self._outputs, strict=True):
                target.copy_(source, non_blocking=True)
        self._stream.synchronize()
        return [tensor.numpy().copy() for tensor in self._read]


class GraphedModel:
    """
    Runs ``LeanViVa``; a graph is captured at the first use of a batch size.

    :param lean: moved to the GPU
    :param precision: of the arithmetic
    """

    def __init__(self, lean: LeanViVa, precision: torch.dtype) -> None:
        self._lean: LeanViVa | None = lean.to_precision(precision).to('cuda').eval()
        self._stream = stream()
        self._fit = Fit(lean.config.image_size, lean.noisy.device)
        self._captured: dict[int, Captured] = {}

    def run(self, raw: RawImages, feeds: Arrays) -> list[NDArray[Any]]:
        """
        Return the outputs.

        :param raw: images of each view of each observation, of any size
        :param feeds: proprio and task
        :raises RuntimeError: as torch does
        """
        count = len(raw)
        with torch.inference_mode():
            with torch.cuda.stream(self._stream):
                images = self._fit(raw)
            if count not in self._captured:
                if len(self._captured) == MAX_GRAPHS:
                    self._captured.pop(next(iter(self._captured)))
                assert self._lean is not None
                self._captured[count] = Captured(self._lean, images, feeds, self._stream)
            return self._captured[count].run(images, feeds)

    def free(self) -> None:
        """Free the graphs and their memory; the next use captures them again."""
        self._captured.clear()
        torch.cuda.empty_cache()


def run_eagerly(model: torch.nn.Module, feeds: Arrays) -> list[NDArray[Any]]:
    """Return the outputs of a model on the CPU."""
    given: dict[str, Tensor] = {name: torch.from_numpy(a) for name, a in feeds.items()}
    with torch.inference_mode():
        return [tensor.numpy() for tensor in model(**given)]
