# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from viva_ros.model.noise import BatchShare, Source, integers, normal, uniform

Draw = Callable[[int, Source], Tensor]
DRAWS: dict[str, Draw] = {
    'normal': lambda count, source: normal((count, 3), source),
    'uniform': lambda count, source: uniform((count, 2, 2), source),
    'integers': lambda count, source: integers(1000, count, source),
}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(4)


@pytest.mark.parametrize('name', DRAWS)
def test_parts_of_a_batch_join_to_the_batch(name: str) -> None:
    draw = DRAWS[name]
    source = generator()
    whole = [draw(6, source) for _ in range(2)]
    sources = [generator() for _ in range(3)]
    for expected in whole:  # the second draw continues the first in each process
        parts = [draw(2, BatchShare(sources[i], i, 3)) for i in range(3)]
        assert torch.equal(torch.cat(parts), expected)


def test_unshared_draws_equal_torch() -> None:
    assert torch.equal(normal((2, 3), generator()), torch.randn(2, 3, generator=generator()))
    assert torch.equal(uniform((4,), generator()), torch.rand(4, generator=generator()))


def test_torch_refuses_share_as_generator() -> None:
    with pytest.raises(TypeError):
        torch.rand(2, generator=BatchShare(generator(), 0, 2))  # type: ignore[call-overload]
