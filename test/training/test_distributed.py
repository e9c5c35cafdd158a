# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.errors import raises
from torch import Tensor, nn

from viva_ros.core.errors import ConfigurationError
from viva_ros.model.noise import Source, integers, normal
from viva_ros.training.distributed import Hardware, Workers, check_batches
from viva_ros.training.trainer import Schedule, TrainStage

LAUNCH = """
import torch
from viva_ros.training.distributed import Hardware, Workers, check_batches
workers = Workers(Hardware('cpu', 'bf16'))
line = torch.nn.Linear(4, 4)
with workers.autocast():
    print(line(torch.ones(1, 4)).dtype, line.weight.dtype)
"""


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'device': 'tpu'}, ("device is 'tpu'", "'auto', 'cpu', 'cuda'")),
        ({'precision': 'fp16'}, ("precision is 'fp16'", "'fp32', 'bf16'")),
        ({'accumulate': 0}, ('accumulate is 0', 'at least 1')),
    ],
    ids=['device', 'precision', 'accumulate'],
)
def test_invalid_hardware_is_refused(changes: dict[str, object], named: tuple[str, ...]) -> None:
    with raises('setting-out-of-range', *named):
        Hardware(**changes)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a CUDA device')
def test_missing_cuda_device_is_refused() -> None:
    with raises('cuda-device-missing', 'cuda', 'auto or cpu'):
        Hardware('cuda')


def test_sharding_over_one_process_is_refused() -> None:
    with raises('shard-single-process', '1 process', 'torchrun', '--shard'):
        Workers(Hardware('cpu', shard=True))


def test_indivisible_batch_is_refused(tmp_path: Path) -> None:
    workers = Workers(Hardware('cpu', accumulate=4))
    with raises('batch-indivisible', 'batch is 6', '1 process x 4 micro-batches',
                'leave out --accumulate, or set --batch 4 or 8'):  # fmt: skip
        module, once = nn.Linear(1, 1), Schedule(1, 6, 0.1, 1)
        TrainStage('s', module, once, tmp_path, 0, dict, workers=workers)  # type: ignore[arg-type]


@pytest.mark.parametrize(('processes', 'accumulate', 'remedies'), [
    (7, None, 'set --batch 189 or 196, or start 4 or 8 processes'),
    (6, None, 'set --batch 252 or 258, or start 4 or 8 processes'),  # of the baseline
    (4, 5, 'leave out --accumulate, or set --batch 180 or 200'),
    (7, 2, 'set --batch 182 or 196, or start 4 or 8 processes without --accumulate'),
])  # fmt: skip
def test_remedies_for_an_indivisible_batch_help_all_stages(
    processes: int, accumulate: int | None, remedies: str
) -> None:
    batches, joints = {'viva': 192}, {'proprio': 256}
    with pytest.raises(ConfigurationError) as caught:
        check_batches(batches, processes, accumulate, joints)
    text = str(caught.value)
    assert caught.value.code == 'batch-indivisible'
    assert text.endswith(f': {remedies}')
    for remedy in remedies.split(', or '):
        numbers = [int(number) for number in re.findall(r'\d+', remedy)]
        if 'leave out' in remedy:
            check_batches(batches, processes, None, joints)
        for number in numbers:
            if '--batch' in remedy:
                check_batches({'viva': number}, processes, accumulate, {'proprio': number})
            else:
                check_batches(batches, number, None, joints)


def make_loss(module: nn.Linear, seen: list[Tensor]) -> Callable[[int, Source], dict[str, Tensor]]:
    def loss(batch: int, source: Source) -> dict[str, Tensor]:
        rows = integers(100, batch, source)
        x = normal((batch, 2), source)
        seen.append(rows)
        return {'total': module(x).square().mean(), 'rows': rows.float().mean()}

    return loss


def test_micro_batches_have_draws_and_gradients_of_the_batch() -> None:
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
    assert torch.equal(state, other_state)  # the next step draws the same numbers


def test_bf16_applies_to_products_not_to_weights() -> None:
    done = subprocess.run(
        [sys.executable, '-c', LAUNCH], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ['torch.bfloat16', 'torch.float32']


@pytest.mark.parametrize(('count', 'total'), [(1, 5), (2, 5), (4, 5), (8, 5), (3, 1)])
def test_rows_of_all_processes_cover_each_row(count: int, total: int) -> None:
    workers, parts = Workers(Hardware('cpu')), []
    workers.count = count
    for workers.rank in range(count):
        parts.append(workers.rows(total))
    assert len({len(part) for part in parts}) == 1  # as many calls of a sharded model on each
    assert torch.cat(parts)[:total].tolist() == list(range(total))
