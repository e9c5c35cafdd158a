# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import copy
import json
from collections.abc import Callable
from pathlib import Path

import torch
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor

from viva_ros.model.viva import ViVa
from viva_ros.training import checkpointing
from viva_ros.training.augmentation import AugmentSettings
from viva_ros.training.dataset import Data
from viva_ros.training.losses import Labels, ViVaLoss

RANK = 3


def lively(viva: ViVa) -> ViVa:
    with torch.no_grad():
        for parameter in viva.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return viva


def seen_by(viva: ViVa) -> Tensor:
    """Return the velocity of all frames for a fixed input."""
    generator = torch.Generator().manual_seed(2)
    frames = viva.config.frames
    video = torch.randn((2, viva.config.latent_shape[0], frames, 2, 2), generator=generator)
    task = torch.zeros(2, dtype=torch.long)
    with torch.no_grad():
        return viva.velocity(video, torch.tensor([0.3, 0.9]), viva.targets.count, task)


def trained(viva: ViVa, data: Data) -> None:
    """Move the adapters away from zero, as training does."""
    labels = Labels.of(data, viva, viva.config.tasks)
    loss = ViVaLoss(viva, data, labels, AugmentSettings())
    learning = [p for p in viva.transformer.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learning, lr=0.02)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        optimiser.zero_grad()
        loss(4, generator)['total'].backward()
        optimiser.step()


def test_only_adapters_and_output_layer_are_trained(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    lively(tiny_viva)
    before = {name: p.detach().clone() for name, p in tiny_viva.transformer.named_parameters()}
    checkpointing.add(tiny_viva.transformer, RANK)
    trained(tiny_viva, make_slide_data(range(1, 2)))
    learning = {n for n, p in tiny_viva.transformer.named_parameters() if p.requires_grad}
    assert learning
    assert all('lora_' in name or name.startswith('proj_out.') for name in learning)
    for block in range(2):  # ten linear layers of each block: two attentions, the feed-forward
        here = [n for n in learning if n.startswith(f'blocks.{block}.') and 'lora_A' in n]
        assert len(here) == 10
    for name, parameter in tiny_viva.transformer.named_parameters():
        if name not in learning:
            old = before[name.replace('.base_layer', '')]
            assert torch.equal(parameter, old), name
    assert not torch.equal(tiny_viva.transformer.proj_out.weight, before['proj_out.weight'])


def test_adapters_start_without_effect_and_merge_exactly(
    tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    lively(tiny_viva)
    names = set(tiny_viva.transformer.state_dict())
    plain = seen_by(tiny_viva)
    checkpointing.add(tiny_viva.transformer, RANK)
    torch.testing.assert_close(seen_by(tiny_viva), plain)
    trained(tiny_viva, make_slide_data(range(1, 2)))
    adapted = seen_by(tiny_viva)
    assert float((adapted - plain).abs().max()) > 0.05
    checkpointing.merge(tiny_viva.transformer)
    assert set(tiny_viva.transformer.state_dict()) == names
    torch.testing.assert_close(seen_by(tiny_viva), adapted, atol=1e-5, rtol=1e-4)


def test_written_adapters_are_read_by_peft(
    tmp_path: Path, tiny_viva: ViVa, make_slide_data: Callable[..., Data]
) -> None:
    lively(tiny_viva)
    other = copy.deepcopy(tiny_viva)
    checkpointing.add(tiny_viva.transformer, RANK)
    trained(tiny_viva, make_slide_data(range(1, 2)))
    checkpointing.write(tmp_path, tiny_viva.transformer, RANK)
    described = json.loads((tmp_path / 'adapter_config.json').read_text())
    assert (described['peft_type'], described['r']) == ('LORA', RANK)
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=checkpointing.LAYERS)
    inject_adapter_in_model(config, other.transformer)
    state = load_file(tmp_path / 'adapter_model.safetensors')
    assert not set_peft_model_state_dict(other.transformer, state).unexpected_keys
    other.transformer.proj_out.load_state_dict(load_file(tmp_path / 'proj_out.safetensors'))
    torch.testing.assert_close(seen_by(other), seen_by(tiny_viva))


def test_adapters_of_bfloat16_weights_are_float32(tiny_viva: ViVa) -> None:
    tiny_viva.transformer.to(torch.bfloat16)
    checkpointing.add(tiny_viva.transformer, RANK)
    kinds = {p.requires_grad: p.dtype for p in tiny_viva.transformer.parameters()}
    assert kinds == {True: torch.float32, False: torch.bfloat16}
    checkpointing.merge(tiny_viva.transformer)
    assert {p.dtype for p in tiny_viva.transformer.parameters()} == {torch.float32}
