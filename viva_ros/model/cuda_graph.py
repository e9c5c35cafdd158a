# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The lean form on a GPU, as one CUDA graph: thousands of launches become one.

Inputs are pinned and copied in a stream of its own, so that nothing waits for other work on the
device, and a policy beside it waits for nothing of ours. Pictures go over as they came, and are
fitted there.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viva_ros.model.fit import Fit, Pictures
from viva_ros.model.inference import LeanViVa

WARM_UP: Final = 3  # runs before a capture: libraries choose their kernels and allocate
MOST: Final = 4  # sizes of batches with a graph of their own

Arrays = Mapping[str, NDArray[Any]]


@cache
def stream() -> 'torch.cuda.Stream':
    """
    Return the stream of all models of this process.

    cuBLAS keeps a workspace of 33 MB for each stream: with a stream of its own, each model that is
    loaded and freed would leave one behind.
    """
    return torch.cuda.Stream()


class Captured:
    """One graph, for one number of observations."""

    def __init__(
        self, lean: LeanViVa, images: Tensor, feeds: Arrays, stream: 'torch.cuda.Stream'
    ) -> None:
        device = images.device
        self._stream, self._images = stream, images.clone()
        self._pinned = {n: torch.from_numpy(a.copy()).pin_memory() for n, a in feeds.items()}
        self._given = {n: t.to(device) for n, t in self._pinned.items()}
        torch.cuda.synchronize()  # these copies were made in another stream
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                lean(self._images, **self._given)
            stream.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=stream):
                self._outputs = lean(self._images, **self._given)
        self._read = [torch.empty(t.shape, dtype=t.dtype).pin_memory() for t in self._outputs]

    def run(self, images: Tensor, feeds: Arrays) -> list[NDArray[Any]]:
        """Copy in, replay, copy out; in the stream that the images were made in."""
        with torch.cuda.stream(self._stream):
            self._images.copy_(images)
            for name, pinned in self._pinned.items():
                np.copyto(pinned.numpy(), feeds[name])
                self._given[name].copy_(pinned, non_blocking=True)
            self._graph.replay()
            for target, source in zip(self._read, self._outputs, strict=True):
                target.copy_(source, non_blocking=True)
        self._stream.synchronize()
        return [tensor.numpy().copy() for tensor in self._read]


class GraphedModel:
    """
    Runs the lean form, captured for each number of observations at its first use.

    :param lean: it is moved to the GPU
    :param precision: of its arithmetic
    """

    def __init__(self, lean: LeanViVa, precision: torch.dtype) -> None:
        self._lean: LeanViVa | None = lean.to_precision(precision).to('cuda').eval()
        self._stream = stream()
        self._fit = Fit(lean.config.image_size, lean.noisy.device)
        self._captured: dict[int, Captured] = {}

    def run(self, pictures: Pictures, feeds: Arrays) -> list[NDArray[Any]]:
        """
        Give the outputs.

        :param pictures: for each observation its views, of any size
        :param feeds: proprio and task
        :raises RuntimeError: as torch does
        """
        count = len(pictures)
        with torch.inference_mode():
            with torch.cuda.stream(self._stream):
                images = self._fit(pictures)
            if count not in self._captured:
                if len(self._captured) == MOST:
                    self._captured.pop(next(iter(self._captured)))
                assert self._lean is not None
                self._captured[count] = Captured(self._lean, images, feeds, self._stream)
            return self._captured[count].run(images, feeds)

    def free(self) -> None:
        """Free the graphs and their memory; they are captured anew when they are needed."""
        self._captured.clear()
        torch.cuda.empty_cache()


def run_eagerly(model: torch.nn.Module, feeds: Arrays) -> list[NDArray[Any]]:
    """Give the outputs of a model on the CPU."""
    given: dict[str, Tensor] = {name: torch.from_numpy(a) for name, a in feeds.items()}
    with torch.inference_mode():
        return [tensor.numpy() for tensor in model(**given)]
