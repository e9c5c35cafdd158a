# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Random numbers for training, independent of the number of processes that share a batch.

Every process draws for the whole batch from the same generator and keeps its part. So a batch has
the same samples in one process, in many, or in several parts. Numbers are drawn on the CPU, so
they do not depend on the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchShare:
    """
    One of several equal parts of a batch; torch refuses it as a generator.

    :param index: of the part, from 0
    :param count: of the parts
    """

    generator: torch.Generator
    index: int
    count: int

    def of(self, whole: Tensor) -> Tensor:
        """Return this part of numbers drawn for the whole batch."""
        return whole.chunk(self.count)[self.index]


Source: TypeAlias = torch.Generator | BatchShare | None
Device: TypeAlias = torch.device | str | None


def normal(shape: Sequence[int], source: Source, device: Device = None) -> Tensor:
    """Draw from N(0, 1); the first dimension of the shape is the size of this part."""
    if isinstance(source, BatchShare):
        drawn = source.of(torch.randn(_whole(shape, source), generator=source.generator))
    else:
        drawn = torch.randn(tuple(shape), generator=source)
    return drawn.to(device)


def uniform(shape: Sequence[int], source: Source, device: Device = None) -> Tensor:
    """Draw uniformly from [0, 1); as ``normal``."""
    if isinstance(source, BatchShare):
        drawn = source.of(torch.rand(_whole(shape, source), generator=source.generator))
    else:
        drawn = torch.rand(tuple(shape), generator=source)
    return drawn.to(device)


def integers(high: int, count: int, source: Source) -> Tensor:
    """Draw ``count`` integers from [0, high), on the CPU; as ``normal``."""
    if isinstance(source, BatchShare):
        whole = torch.randint(high, (count * source.count,), generator=source.generator)
        return source.of(whole)
    return torch.randint(high, (count,), generator=source)


def integer(high: int, source: Source) -> int:
    """Draw one integer from [0, high), the same in all processes."""
    generator = source.generator if isinstance(source, BatchShare) else source
    return int(torch.randint(high, (), generator=generator))


def weighted(weights: Tensor, count: int, source: Source) -> Tensor:
    """
    Draw ``count`` indices in proportion to their weights, with replacement; as ``integers``.

    :param weights: (N,), at least 0, N at most 2**24 (a limit of torch)
    """
    if isinstance(source, BatchShare):
        total = count * source.count
        whole = torch.multinomial(weights, total, replacement=True, generator=source.generator)
        return source.of(whole)
    return torch.multinomial(weights, count, replacement=True, generator=source)


def _whole(shape: Sequence[int], share: BatchShare) -> tuple[int, ...]:
    return (shape[0] * share.count, *shape[1:])
