# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Wan2.2-TI2V-5B as ViVa, with random weights created on the device.

Speed does not depend on the weights, and float32 weights on the CPU would need 20 GB.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.variants import StockViVa
from viva_ros.core.normalize import JointRanges
from viva_ros.model import cost
from viva_ros.model.checkpoint import blank, fill, without_memory
from viva_ros.model.config import WAN_5B, WAN_TINY, TransformerConfig, ViVaConfig
from viva_ros.model.inference import LeanViVa
from viva_ros.model.pretrained import dtype_of, make_video_vae
from viva_ros.model.viva import ViVa

JOINTS: Final = tuple(f'joint_{n}' for n in range(14))
WORDS: Final = 20  # tokens of the task's text; the rest of the 512 rows is padding
Inputs = tuple[Tensor, Tensor, Tensor]


def sizes(tiny: bool) -> dict[str, tuple[int, int]]:
    """Return the image sizes by name: (height, width), px."""
    if tiny:
        return {'64x32': (64, 32)}
    return {'384x320': (384, 320), '256x256': (256, 256)}


def make_config(tiny: bool, image_size: tuple[int, int], layers: int | None = None) -> ViVaConfig:
    """Return the 5B's configuration, or a tiny one whose widths 8-bit products accept."""
    config = WAN_5B
    if tiny:
        transformer = TransformerConfig(2, 16, 3, ffn_dim=64, text_dim=16)
        config = replace(WAN_TINY, transformer=transformer, text_tokens=32)
    transformer = config.transformer
    if layers is not None:
        transformer = replace(transformer, num_layers=layers)
    return replace(
        config, transformer=transformer, image_size=image_size, joint_names=JOINTS,
        tasks=('task',),
    )  # fmt: skip


def make_viva(config: ViVaConfig, device: torch.device, dtype: torch.dtype) -> ViVa:
    """
    Return a model with random weights on the device.

    :param dtype: of the transformer; the VAE and the layers that diffusers keeps stay in float32
    """
    ranges = JointRanges(JOINTS, (-1.0,) * len(JOINTS), (1.0,) * len(JOINTS))
    text = torch.zeros(1, config.text_tokens, config.transformer.text_dim)
    text[:, :WORDS] = torch.randn(1, WORDS, config.transformer.text_dim)
    model = blank(config, ranges, text)
    weights = {}
    for name, like in model.state_dict().items():
        if like.is_meta:
            part, _, rest = name.partition('.')
            kind = dtype_of(rest, dtype) if part == 'transformer' else torch.float32
            weights[name] = _random(name, like, device, kind)
    fill(model, weights)
    return model.to(device).eval().requires_grad_(False)


def _random(name: str, like: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return numbers that keep activations near one: ones for norms, 1/sqrt(inputs) for layers."""
    made = torch.empty(like.shape, device=device, dtype=dtype)
    if name.endswith('gamma') or ('.norm' in name and name.endswith('weight')):
        return made.fill_(1.0)
    if like.ndim < 2 or name.endswith('scale_shift_table'):
        return made.normal_(0.0, 0.02)
    return made.normal_(0.0, like[0].numel() ** -0.5)


def resized(viva: ViVa, image_size: tuple[int, int]) -> ViVa:
    """Return a model with the same weights for another image size."""
    other = blank(replace(viva.config, image_size=image_size), viva.ranges, viva.text)
    other.transformer, other.vae = viva.transformer, viva.vae
    other.latents_mean.copy_(viva.latents_mean)
    other.latents_std.copy_(viva.latents_std)
    return other.to(viva.device).eval()


def make_lean(viva: ViVa) -> LeanViVa:
    """
    Return the lean form in the transformer's precision, made on the model's device.

    ``LeanViVa`` takes text and noise as the model has them, so both get the type of the weights.
    """
    kept, kind = (viva.text, viva.noise), viva.transformer.patch_embedding.weight.dtype
    viva.text, viva.noise = viva.text.to(kind), viva.noise.to(kind)
    with viva.device, torch.no_grad():
        lean = LeanViVa(viva)
    viva.text, viva.noise = kept
    return lean.to_precision(kind).eval().requires_grad_(False)


def make_stock(viva: ViVa) -> StockViVa:
    """Return the released recipe; its scheduler's times are put on the model's device."""
    with viva.device:
        stock = StockViVa(viva).eval().requires_grad_(False)
    stock.scheduler.set_timesteps = partial(stock.scheduler.set_timesteps, device=viva.device)
    return stock


def inputs(config: ViVaConfig, device: torch.device, count: int = 1) -> Inputs:
    """Return random pictures, joints and tasks for a number of observations, on the device."""
    shape = (count, len(config.cameras), *config.image_size, 3)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    joints = torch.rand(count, len(config.joint_names), device=device) * 2 - 1
    return images, joints, torch.zeros(count, dtype=torch.int64, device=device)


def lean_operations(config: ViVaConfig) -> int:
    """Return the operations of one lean estimate, its pictures included."""
    blocks = cost.lean_operations(config, min(WORDS + 1, config.text_tokens))
    return sum(blocks.values()) + cost.encoding_operations(config)


def stock_operations(config: ViVaConfig) -> int:
    """Return the operations of one estimate by the released recipe, its pictures included."""
    pixels = torch.empty(len(config.cameras), 3, 1, *config.image_size, device='meta')
    vae: AutoencoderKLWan = without_memory(lambda: make_video_vae(config.vae))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        vae.encode(pixels)
    return sum(cost.forward_operations(config).values()) + int(counter.get_total_flops())


def weight_bytes(modules: Sequence[nn.Module]) -> int:
    """Return the bytes of parameters and constants, each tensor once."""
    held = {
        id(tensor): tensor.numel() * tensor.element_size()
        for module in modules for tensor in (*module.parameters(), *module.buffers())
    }  # fmt: skip
    return sum(held.values())
