# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two processes, which communicate by gloo, have the gradients of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from viva_ros.model import checkpoint
from viva_ros.training import losses

SCRIPT = Path(__file__).parents[1] / 'support' / 'shared_step.py'

MODES = ('shared', 'in_parts', 'spread', 'spread_in_parts')


@pytest.fixture(scope='module')
def one_process() -> dict[str, dict[str, Tensor]]:
    from support import shared_step

    torch.set_num_threads(1)
    return {mode: shared_step.gradients(shared_step.MODES[mode]) for mode in MODES[:2]}


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from support import shared_step

    out = tmp_path_factory.mktemp('two')
    checkpoint.write(out / 'init', shared_step.make_model(), {})
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    done = subprocess.run([*launch, str(SCRIPT), str(out), *MODES], capture_output=True,
                          text=True, check=False, env=environment)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def assert_alike(given: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Compare within rounding, relative to the largest element of each tensor."""
    assert given.keys() == expected.keys()
    for name, tensor in expected.items():
        largest = float(tensor.abs().max())
        torch.testing.assert_close(
            given[name], tensor, rtol=1e-3, atol=3e-5 * max(largest, 1e-2), msg=name
        )


def test_micro_batches_have_the_gradients_of_the_batch(
    one_process: dict[str, dict[str, Tensor]],
) -> None:
    whole = one_process['shared']
    assert {name.split('/')[0] for name in whole} == {'vae', 'video', 'viva'}
    assert_alike(one_process['in_parts'], whole)
    changed = {name: 1.01 * tensor for name, tensor in whole.items()}
    with pytest.raises(AssertionError):
        assert_alike(changed, whole)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize('mode', MODES)
def test_two_processes_have_the_gradients_of_one(
    mode: str, one_process: dict[str, dict[str, Tensor]], two_processes: Path
) -> None:
    given = load_file(two_processes / mode / 'gradients.safetensors')
    assert_alike(given, one_process['shared'])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sharded_training_matches_unsharded(
    two_processes: Path,
) -> None:
    spread = two_processes / 'spread'
    assert sorted(path.name for path in spread.glob('viva.state*')) == [
        'viva.state-00000004-0of2', 'viva.state-00000004-1of2', 'viva.state.json',
    ]  # fmt: skip
    whole = load_file(two_processes / 'shared' / 'weights.safetensors')
    given = load_file(spread / 'weights.safetensors')
    assert given.keys() == whole.keys()
    from support import shared_step

    begun = shared_step.make_model().transformer.state_dict()
    moved = sum(float((weight - begun[name]).abs().sum()) for name, weight in whole.items())
    apart = sum(float((weight - given[name]).abs().sum()) for name, weight in whole.items())
    assert apart < 0.02 * moved  # not 0: Adam steps at full size where a slope is only rounding


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_process_reads_the_weights_that_all_shard(two_processes: Path) -> None:
    from support import shared_step

    model, data = shared_step.make_model(), shared_step.make_data()
    expected = dict(model.transformer.named_parameters())
    first, second = (load_file(two_processes / f'begun-{rank}.safetensors') for rank in (0, 1))
    whole = sum(parameter.numel() for parameter in expected.values())
    assert (int(first['memory']), int(second['memory'])) == (whole, 0)
    raw = losses.encode_all(model, data)
    labels = losses.Labels.of(data, model, model.config.tasks)
    values = torch.from_numpy(losses.predict(model.eval(), raw, labels)[0])
    for found in (first, second):
        assert {k for k in found if '/' in k} == {f'weight/{name}' for name in expected}
        for name, parameter in expected.items():
            assert torch.equal(found[f'weight/{name}'], parameter), name
        torch.testing.assert_close(found['values'], values, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize('mode', ['shared', 'spread'])
def test_processes_share_validation_and_have_the_same_values(
    mode: str, two_processes: Path
) -> None:
    from support import shared_step

    whole = shared_step.held_out(shared_step.MODES['shared'])
    first, second = (
        load_file(two_processes / mode / f'held-{rank}.safetensors')['values'] for rank in (0, 1)
    )
    assert torch.equal(first, second)
    torch.testing.assert_close(first, whole, atol=1e-5, rtol=1e-4)
