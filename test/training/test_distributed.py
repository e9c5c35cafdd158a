# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from viva_ros.core.errors import ConfigurationError
from viva_ros.model.noise import Source, integers, normal
from viva_ros.training.distributed import Hardware, Workers
from viva_ros.training.trainer import Schedule, TrainStage

LAUNCH = """
import torch
from viva_ros.training.distributed import Hardware, Workers
workers = Workers(Hardware('cpu', 'bf16'))
line = torch.nn.Linear(4, 4)
with workers.autocast():
    print(line(torch.ones(1, 4)).dtype, line.weight.dtype)
"""


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'device': 'tpu'}, "device is 'tpu', must be one of 'auto', 'cpu', 'cuda'"),
        ({'precision': 'fp16'}, "precision is 'fp16', must be one of 'fp32', 'bf16'"),
        ({'accumulate': 0}, 'accumulate is 0, must be at least 1'),
    ],
)
def test_nonsense_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Hardware(**changes)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a CUDA device')
def test_cuda_is_not_replaced_by_something_else() -> None:
    with pytest.raises(ConfigurationError, match='device is cuda, but there is none'):
        Hardware('cuda')


def test_weights_are_not_spread_over_one_process() -> None:
    with pytest.raises(ConfigurationError, match='over 1 process: start several with torchrun'):
        Workers(Hardware('cpu', shard=True))


def test_a_batch_that_cannot_be_shared_evenly_is_refused(tmp_path: Path) -> None:
    workers = Workers(Hardware('cpu', accumulate=4))
    with pytest.raises(ConfigurationError, match='batch is 6, must be a multiple of 1 processes'):
        module, once = nn.Linear(1, 1), Schedule(1, 6, 0.1, 1)
        TrainStage('s', module, once, tmp_path, 0, dict, workers=workers)  # type: ignore[arg-type]


def make_loss(module: nn.Linear, seen: list[Tensor]) -> Callable[[int, Source], dict[str, Tensor]]:
    def loss(batch: int, source: Source) -> dict[str, Tensor]:
        rows = integers(100, batch, source)
        x = normal((batch, 2), source)
        seen.append(rows)
        return {'total': module(x).square().mean(), 'rows': rows.float().mean()}

    return loss


def test_parts_of_a_batch_are_drawn_once_and_their_losses_averaged() -> None:
    found = []
    for accumulate in (1, 2):
        torch.manual_seed(0)
        module, seen = nn.Linear(2, 1), []  # type: ignore[var-annotated]
        workers = Workers(Hardware('cpu', accumulate=accumulate))
        generator = torch.Generator().manual_seed(1)
        losses = workers.backward(
            workers.share(module, make_loss(module, seen)), module, 6, generator
        )
        assert [len(rows) for rows in seen] == [6 // accumulate] * accumulate
        assert module.weight.grad is not None
        state = generator.get_state()
        found.append((torch.cat(seen), module.weight.grad, workers.mean(losses)['rows'], state))
    (rows, slope, mean, state), (other_rows, other_slope, other_mean, other_state) = found
    assert torch.equal(rows, other_rows)
    torch.testing.assert_close(slope, other_slope)
    assert mean == pytest.approx(float(rows.float().mean())) == other_mean
    assert torch.equal(state, other_state)  # the next step goes on alike


def test_bf16_is_of_products_and_not_of_weights() -> None:
    done = subprocess.run(
        [sys.executable, '-c', LAUNCH], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ['torch.bfloat16', 'torch.float32']
