# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from viva_ros.model import cost
from viva_ros.model.config import PRESETS, WAN_5B, ViVaConfig
from viva_ros.model.cost import (
    adapter_parameters,
    encoding_operations,
    step_time,
    training_memory,
    training_operations,
)
from viva_ros.model.pretrained import dtype_of
from viva_ros.training import checkpointing

CONFIG = replace(PRESETS['tiny'], text_tokens=5)


def counted(config: ViVaConfig, rank: int, checkpointed: bool) -> int:
    """Return the operations of a training step, counted by torch."""
    model = WanTransformer3DModel(**config.transformer.arguments(config.vae.z_dim)).train()
    if rank:
        checkpointing.add(model, rank)
    if checkpointed:
        model.enable_gradient_checkpointing()
    video = torch.randn(1, config.vae.z_dim, config.frames, *config.latent_shape[1:])
    text = torch.randn(1, config.text_tokens, config.transformer.text_dim)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(video, torch.tensor([500.0]), text).sample.sum().backward()
    return int(counter.get_total_flops())


@pytest.mark.parametrize('checkpointed', [False, True])
def test_full_training_operations_equal_flop_counter(checkpointed: bool) -> None:
    name = 'all weights' + ', checkpointing' * checkpointed
    assert training_operations(CONFIG)[name] == counted(CONFIG, 0, checkpointed)


@pytest.mark.parametrize('checkpointed', [False, True])
def test_lora_training_operations_are_near_flop_counter(checkpointed: bool) -> None:
    # The formula counts a gradient for the input of the first block, hence many blocks.
    deep = replace(CONFIG, transformer=replace(
        CONFIG.transformer, num_layers=12, num_attention_heads=8, ffn_dim=400
    ))  # fmt: skip
    name = 'LoRA' + ', checkpointing' * checkpointed
    assert training_operations(deep)[name] == pytest.approx(
        counted(deep, 1, checkpointed), rel=0.05
    )


def test_adapter_parameters_equal_peft() -> None:
    with torch.device('meta'):
        model = WanTransformer3DModel(**CONFIG.transformer.arguments(CONFIG.vae.z_dim))
        checkpointing.add(model, 3)
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert adapter_parameters(CONFIG, 3) == learning


@pytest.mark.parametrize('rank', [0, 2])
def test_checkpointed_block_keeps_only_its_input(rank: int) -> None:
    kept = []
    for layers in (2, 3):
        config = replace(CONFIG, transformer=replace(CONFIG.transformer, num_layers=layers))
        kept.append(_kept(config, rank, checkpointed=True))
    # 7 frames of 2 x 2 latents at 32 px are 7 tokens; 2 heads of 12
    assert kept[1] - kept[0] == 2 * 7 * 24


def test_saved_bytes_of_frozen_blocks_equal_autograd() -> None:
    kept = []
    for layers in (2, 3):  # the input of the first block needs no gradient
        config = replace(CONFIG, transformer=replace(CONFIG.transformer, num_layers=layers))
        kept.append(_kept(config, 2, checkpointed=False))
    # Of adapters in bfloat16, except two on the text, which needs no gradient.
    copies = 2 * (8 * 2 * (24 + 24) + 2 * 2 * (24 + 48) - 2 * 2 * 24)
    assert kept[1] - kept[0] == cost.kept_by_block(CONFIG, cost.KEPT_LORA, 2) + copies


def _kept(config: ViVaConfig, rank: int, checkpointed: bool) -> int:
    model = WanTransformer3DModel(**config.transformer.arguments(config.vae.z_dim)).train()
    if rank:
        for name, parameter in model.named_parameters():
            parameter.data = parameter.data.to(dtype_of(name, torch.bfloat16))
        checkpointing.add(model, rank)
    if checkpointed:
        model.enable_gradient_checkpointing()
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    kind = model.patch_embedding.weight.dtype
    video = torch.randn(1, config.vae.z_dim, config.frames, *config.latent_shape[1:]).to(kind)
    text = torch.randn(1, config.text_tokens, config.transformer.text_dim).to(kind)
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast('cpu', torch.bfloat16):
        model(video, torch.tensor([500.0]), text)
    return sum(t.untyped_storage().nbytes() for at, t in saved.items() if at not in weights)


def test_training_memory_of_5b_by_hand() -> None:
    one = training_memory(WAN_5B, 1)
    assert one.moments == pytest.approx(8 * 4_999_787_712)
    assert one.gradients == pytest.approx(4 * 4_999_787_712)
    four = training_memory(WAN_5B, 2, processes=4)
    assert four.moments == pytest.approx(one.moments / 4)
    assert four.activations == 2 * one.activations
    # one block, and the inputs of all 30 blocks: 840 x 3072 numbers of 2 bytes
    block = cost.kept_by_block(WAN_5B, cost.KEPT)
    assert one.activations == block + 30 * 2 * 840 * 3072
    assert training_memory(WAN_5B, 1, checkpointing=False).activations == 30 * block


def test_encoding_operations_scale_with_cameras() -> None:
    two = replace(PRESETS['small'], cameras=('head', 'left_wrist'))
    assert encoding_operations(PRESETS['small']) * 2 == encoding_operations(two) * 3


def test_step_time_by_hand() -> None:
    # 4 TFLOP x 8 samples over 2 GPUs at 40 % of 100 TFLOP/s
    assert step_time(4e12, 8, 2, 100e12) == pytest.approx(0.4)
