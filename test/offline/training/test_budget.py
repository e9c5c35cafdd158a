# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The formulas of memory and operations, against what torch counts on a small transformer."""

from dataclasses import replace

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from viva_ros.model.config import ViVaConfig
from viva_ros.model.presets import PRESETS
from viva_ros.offline.training import budget
from viva_ros.offline.training.budget import Counts

WAN = PRESETS['wan2.2-5b']


def run(config: ViVaConfig, batch: int, checkpointing: bool = False) -> Tensor:
    torch.manual_seed(0)
    channels, height, width = config.latent_shape
    model = WanTransformer3DModel(**config.transformer.arguments(channels)).train()
    if checkpointing:
        model.enable_gradient_checkpointing()
    video = torch.randn(batch, channels, config.frames, height, width)
    text = torch.randn(batch, config.text_tokens, config.transformer.text_dim)
    return model(video, torch.full((batch,), 500.0), text, return_dict=False)[0]


def test_the_5b_has_the_weights_and_tokens_of_its_paper() -> None:
    counts = budget.count(WAN)
    assert counts.transformer == 4_999_787_712
    assert counts.tokens == 7 * 12 * 10
    # Rank 16 of ten layers a block: 9 of (3072, 3072) or so are 8 and two of (3072, 14336).
    of_block = 8 * 16 * (3072 + 3072) + 2 * 16 * (3072 + 14336)
    output = 3072 * 4 * 48 + 4 * 48
    assert counts.adapters == 30 * of_block + output


def test_operations_are_those_that_torch_counts() -> None:
    config = replace(PRESETS['small'], text_tokens=6)
    plain = sdpa_kernel(SDPBackend.MATH)  # products that are counted
    with plain, FlopCounterMode(display=False) as counter, torch.no_grad():
        run(config, batch=1)
    # Besides the blocks: embeddings of patches, time and text, and the output.
    assert budget.operations(config) == pytest.approx(counter.get_total_flops(), rel=0.03)


@pytest.mark.parametrize('checkpointing', [False, True])
def test_activations_are_at_most_what_is_estimated_and_not_half_of_it(checkpointing: bool) -> None:
    config, kept = replace(PRESETS['small'], text_tokens=1), {}
    small = config.transformer

    def keep(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = run(config, 16, checkpointing)
    estimate = budget.activations(config, 16, checkpointing)
    if checkpointing:  # the one block that is computed again is not there yet
        width = small.num_attention_heads * small.attention_head_dim
        tokens = 16 * config.frames * config.tokens_per_frame
        estimate -= 4 * tokens * (budget.KEPT * width + 2 * small.ffn_dim)
    weights = 4 * 1.3e6  # weights seen through views count as kept here
    assert 0.5 * estimate < sum(kept.values()) < 1.1 * estimate + weights
    assert out.requires_grad


def test_memory_by_hand() -> None:
    config = replace(WAN, transformer=replace(WAN.transformer, num_layers=10))
    counts = Counts(transformer=1000, vae=100, adapters=50, tokens=840, operations=0.0)
    kept = budget.activations(config, 2, checkpointing=True)
    full = budget.memory(config, counts, 2, processes=4, lora=False)
    assert full - kept == pytest.approx(400 + 16 * 1000 / 4 + 4 * 1000 / 10)
    lora = budget.memory(config, counts, 2, processes=1, lora=True)
    assert lora - kept == pytest.approx(400 + 2000 + 1000)


def test_a_step_s_time_by_hand() -> None:
    counts = Counts(1, 1, 1, 1, operations=1e12)
    # 4 x 1 TFLOP x 8 samples over 2 GPUs at 40 % of 100 TFLOP/s.
    assert budget.step_time(counts, 8, 2, 100e12) == pytest.approx(0.4)


def test_the_table_names_every_way() -> None:
    shown = budget.table(PRESETS['tiny'])
    assert 'FSDP over 8' in shown
    assert 'LoRA, rank 16' in shown
