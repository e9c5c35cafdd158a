# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from viva_ros.core.normalize import JointRanges
from viva_ros.model import cost
from viva_ros.model.config import PRESETS, WAN_5B, ViVaConfig
from viva_ros.model.cost import (
    TrainingSetup,
    adapter_parameters,
    encoding_operations,
    step_time,
    training_memory,
    training_operations,
)
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.pretrained import dtype_of
from viva_ros.model.vae import FrameVae
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


def test_saved_bytes_of_frozen_float32_blocks_equal_autograd() -> None:
    kept = []
    for layers in (2, 3):
        config = replace(CONFIG, transformer=replace(CONFIG.transformer, num_layers=layers))
        kept.append(_kept(config, 3, checkpointed=False, precision='fp32'))
    assert kept[1] - kept[0] == cost.kept_by_block(CONFIG, cost.KEPT_LORA_FP32, 3)


def _kept(config: ViVaConfig, rank: int, checkpointed: bool, precision: str = 'bf16') -> int:
    model = WanTransformer3DModel(**config.transformer.arguments(config.vae.z_dim)).train()
    if rank:
        for name, parameter in model.named_parameters():
            if precision == 'bf16':
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
    with hooks, torch.autocast('cpu', torch.bfloat16, enabled=precision == 'bf16'):
        model(video, torch.tensor([500.0]), text)
    return sum(t.untyped_storage().nbytes() for at, t in saved.items() if at not in weights)


def test_training_memory_of_5b_by_hand() -> None:
    one = training_memory(WAN_5B, 1)
    assert one.moments == pytest.approx(8 * 4_999_787_712)
    assert one.gradients == pytest.approx(4 * 4_999_787_712)
    four = training_memory(WAN_5B, 2, TrainingSetup(shards=4))
    assert four.moments == pytest.approx(one.moments / 4)
    assert four.activations == 2 * one.activations
    # one block, and the inputs of all 30 blocks: 840 x 3072 numbers of 2 bytes
    block = cost.kept_by_block(WAN_5B, cost.KEPT)
    assert one.activations == block + 30 * 2 * 840 * 3072
    full = training_memory(WAN_5B, 1, TrainingSetup(checkpointing=False))
    assert full.activations == 30 * block
    # weights 21.0, gradients 20.0, moments 40.0, then the square roots of the second moments
    assert one.total == one.weights + one.gradients + one.moments + 4 * 4_999_787_712


def test_encoding_operations_scale_with_cameras() -> None:
    two = replace(PRESETS['small'], cameras=('head', 'left_wrist'))
    assert encoding_operations(PRESETS['small']) * 2 == encoding_operations(two) * 3


def test_step_time_by_hand() -> None:
    # 4 TFLOP x 8 samples over 2 GPUs at 40 % of 100 TFLOP/s
    assert step_time(4e12, 8, 2, 100e12) == pytest.approx(0.4)


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of all tensors that exist at the same time, without memory on meta."""

    def __init__(self) -> None:
        super().__init__()
        self.peak, self._now, self._live = 0, 0, {}  # type: ignore[var-annotated]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            storage = tensor.untyped_storage() if isinstance(tensor, Tensor) else None
            if storage is not None and storage._cdata not in self._live:
                self._live[storage._cdata] = storage.nbytes()
                self._now += storage.nbytes()
                weakref.finalize(storage, self._drop, storage._cdata)
        self.peak = max(self.peak, self._now)
        return out

    def _drop(self, key: int) -> None:
        self._now -= self._live.pop(key)


@pytest.mark.parametrize('name', sorted(PRESETS))
def test_encoding_formula_bounds_the_peak(name: str) -> None:
    config = PRESETS[name]
    with torch.device('meta'):
        vae = FrameVae(config.vae)
        with torch.no_grad(), PeakMemory() as memory:
            vae.encode(torch.empty(1, 3, *config.image_size))
    assert memory.peak <= cost.encoding_memory(config) <= 1.25 * memory.peak


@pytest.mark.parametrize('name', ['tiny', 'small', 'wan2.2-5b'])
def test_vae_training_formula_bounds_the_peak(name: str) -> None:
    config = PRESETS[name]
    with torch.device('meta'):
        vae = FrameVae(config.vae)
        with PeakMemory() as memory:
            pixels = torch.empty(3, 3, *config.image_size)
            mean, logvar = vae.moments(pixels)
            ((vae.reconstruct(mean) - pixels).abs().mean() + logvar.mean()).backward()
    given = cost.vae_training_memory(config, 3).activations
    assert memory.peak <= given <= 1.1 * memory.peak


def test_5b_encodes_few_views_at_once_and_counts_them() -> None:
    # A view needs 384 x 320 x (5 x 160 + 26) bytes, 0.1 GB; 576 views would need 58 GB.
    assert cost.encoding_chunk(WAN_5B) == 19
    assert training_memory(WAN_5B, 192).encoding < 2.3e9
    assert cost.encoding_chunk(PRESETS['small']) == cost.VIEWS_AT_ONCE


def test_head_parameters_equal_module() -> None:
    config = replace(CONFIG, joint_names=('a', 'b'), targets=('proprio', 'value', 'success'))
    with torch.device('meta'):
        model = EarlyExit(config, JointRanges(('a', 'b'), (0.0, 0.0), (1.0, 1.0)))
    assert cost.head_parameters(config) == sum(p.numel() for p in model.head.parameters())


def test_sharded_micro_batches_keep_whole_gradients() -> None:
    once, parts = (
        training_memory(WAN_5B, 2, TrainingSetup(shards=8, accumulates=many))
        for many in (False, True)
    )
    assert parts.total - once.total == pytest.approx(4 * 4_999_787_712)
