# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Gradients of one batch and weights after some steps, in any number of processes.

Tests of distributed training run `torchrun shared_step.py OUT MODE ...`.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from viva_ros.core.normalize import JointRanges
from viva_ros.model.config import preset
from viva_ros.model.viva import ViVa
from viva_ros.training import losses
from viva_ros.training.augmentation import AugmentSettings
from viva_ros.training.config import TrainConfig
from viva_ros.training.dataset import Data, JointTrack
from viva_ros.training.distributed import Hardware, Workers, gather
from viva_ros.training.run import begin_model, bring_back, place
from viva_ros.training.trainer import Schedule, TrainStage

JOINTS = ('a', 'b', 'c')
SCHEDULE = Schedule(4, 8, 1e-2, 2, average=0.5, save_every=2, measure_every=2)
MODES = {
    'shared': Hardware('cpu'),
    'in_parts': Hardware('cpu', accumulate=2),
    'spread': Hardware('cpu', shard=True),
    'spread_in_parts': Hardware('cpu', accumulate=2, shard=True, checkpointing=True),
}


def make_model() -> ViVa:
    torch.manual_seed(0)
    config = preset('tiny', ('head', 'wrist'), JOINTS, ('lift', 'pass'))
    ranges = JointRanges(JOINTS, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    model = ViVa(replace(config, targets=('proprio', 'value', 'success')), ranges)
    with torch.no_grad():  # zero output layers would have zero gradients in all other layers
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def make_data() -> Data:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (24, 2, 32, 32, 3), dtype=np.uint8)
    joints, later = rng.random((2, 24, 3)).astype(np.float32)
    returned = np.linspace(0, 1.9, 24).astype(np.float32)
    labels = [
        {
            'name': str(k),
            'task': ('lift', 'pass')[k % 2],
            'success': k < 2,
            'seed': k + 1,
            'identities': [f'{k:016x}'],
        }
        for k in range(4)
    ]
    stamps = np.tile(np.arange(6, dtype=np.int64), 4) * 200_000_000
    episode = np.repeat(np.arange(4), 6)
    tracks = [JointTrack(stamps[episode == k], joints[episode == k]) for k in range(4)]
    failed = returned >= 1.0
    return Data(images, joints, later, returned, failed, stamps, episode, labels, tracks)


def losses_of(model: ViVa, data: Data) -> dict[str, tuple[nn.Module, losses.VaeLoss]]:
    labels = losses.Labels.of(data, model, model.config.tasks)
    raw = losses.encode_all(model, data)
    return {
        'vae': (model.vae, losses.VaeLoss(model, data, AugmentSettings())),
        'video': (model.transformer, losses.VideoLoss(model, data, raw, 1)),
        'viva': (model.transformer, losses.ViVaLoss(model, data, labels, AugmentSettings())),
    }  # type: ignore[dict-item]


def whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gradients(hardware: Hardware) -> dict[str, Tensor]:
    """Return the gradients of each stage's loss, and the losses."""
    workers, found = Workers(hardware), {}
    for name in ('vae', 'video', 'viva'):
        module, loss = losses_of(make_model(), make_data())[name]
        workers.place(module)
        if hardware.checkpointing and hasattr(module, 'enable_gradient_checkpointing'):
            module.enable_gradient_checkpointing()
        generator = torch.Generator().manual_seed(5)
        seen = workers.backward(workers.share(module, loss), module, 8, generator)
        found[f'{name}/loss'] = torch.tensor(workers.mean(seen)['total'])
        found[f'{name}/draw'] = torch.rand(1, generator=generator)
        for key, parameter in module.named_parameters():
            if parameter.grad is not None:
                found[f'{name}/{key}'] = whole(parameter.grad).clone()
    return found


def weights(hardware: Hardware, folder: Path, until: int | None = None) -> dict[str, Tensor]:
    """Train for some steps; return the averaged weights."""
    folder.mkdir(parents=True, exist_ok=True)
    model, workers = make_model(), Workers(hardware)
    module, loss = losses_of(model, make_data())['viva']
    stage = TrainStage(
        'viva', module, SCHEDULE, folder, 3, loss,
        lambda: {'weight': float(whole(model.transformer.proj_out.bias)[0])}, workers,
    )  # fmt: skip
    stage.run(until)
    bring_back(model, workers)
    return dict(model.transformer.state_dict())


def begun(hardware: Hardware, out: Path) -> dict[str, Tensor]:
    """
    Return the weights of a run from the checkpoint OUT/init, sharded, and its values.

    'memory' has the numbers of the transformer on this process before it is sharded.
    """
    workers = Workers(hardware)
    run = TrainConfig((), out, 'tiny', init=out / 'init', hardware=hardware)
    like = make_model()
    config = replace(like.config, tasks=('lift', 'pass'))
    model = begin_model(run, config, like.ranges, workers.is_first)
    numbers = sum(p.numel() for p in model.transformer.parameters() if not p.is_meta)
    place(model, workers)
    workers.place(model.transformer)
    data = make_data()
    raw, labels = losses.encode_all(model, data), losses.Labels.of(data, model, config.tasks)
    values = torch.from_numpy(losses.predict(model.eval(), raw, labels, workers, 4)[0])
    found = {f'weight/{k}': v for k, v in gather(model.transformer, keep=True).items()}
    return {**found, 'memory': torch.tensor(numbers), 'values': values}


def held_out(hardware: Hardware) -> Tensor:
    """Return the values of 23 moments, shared over the processes, 4 at a time."""
    model, data, workers = make_model(), make_data(), Workers(hardware)
    raw, labels = losses.encode_all(model, data), losses.Labels.of(data, model, model.config.tasks)
    workers.place(model.transformer)
    return torch.from_numpy(losses.predict(model.eval(), raw[:23], labels, workers, 4)[0])


def main(out: Path, modes: list[str]) -> None:
    torch.set_num_threads(1)
    if (out / 'init').is_dir():
        sharded = MODES['spread']
        save_file(begun(sharded, out), out / f'begun-{Workers(sharded).rank}.safetensors')
    for mode in modes:
        hardware = MODES[mode]
        results = {'gradients': gradients(hardware)}
        weights(hardware, out / mode, until=2)
        results['weights'] = weights(hardware, out / mode)  # continues from step 2
        values = {'values': held_out(hardware)}
        save_file(values, out / mode / f'held-{Workers(hardware).rank}.safetensors')
        if Workers(hardware).is_first:
            for kind, tensors in results.items():
                save_file(tensors, out / mode / f'{kind}.safetensors')
    Workers(hardware).close()


if __name__ == '__main__':
    main(Path(sys.argv[1]), sys.argv[2:])
