# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What training a preset takes, computed from its sizes: weights, memory, operations.

`python -m viva_ros.offline.training.budget` prints the table in the README. Activations are an
upper estimate of what diffusers' blocks keep, attention without its matrix of weights; what the
allocator and the libraries take besides is not in it.
"""

from dataclasses import dataclass
from typing import Final

import torch
from diffusers import WanTransformer3DModel
from torch import nn

from viva_ros.model.config import ViVaConfig
from viva_ros.model.frame_vae import FrameVae
from viva_ros.model.presets import PRESETS
from viva_ros.offline.training import adapters

GB: Final = 1e9
#: Numbers that a block keeps for each token, in widths: see ``activations``.
KEPT: Final = 24
DENSE_BF16: Final = {'A100': 312e12, 'H100': 990e12}  # operations/s, by their makers
SHARE: Final = 0.4  # of that, in a well-fed training step


@dataclass(frozen=True)
class Counts:
    """
    Sizes of a preset.

    :param transformer: weights of the transformer
    :param vae: of the VAE
    :param adapters: of LoRA's adapters and the output layer, for a rank
    :param tokens: of one sample
    :param operations: of the transformer, forwards, for one sample (2 for each multiply-add)
    """

    transformer: int
    vae: int
    adapters: int
    tokens: int
    operations: float


def count(config: ViVaConfig, rank: int = 16) -> Counts:
    """Count on the meta device: no memory is taken."""
    with torch.device('meta'):
        channels = config.latent_shape[0]
        transformer = WanTransformer3DModel(**config.transformer.arguments(channels))
        vae = _size(FrameVae(config.vae))
        whole = _size(transformer)
        adapters.add(transformer, rank)
    learning = sum(p.numel() for p in transformer.parameters() if p.requires_grad)
    tokens = config.frames * config.tokens_per_frame
    return Counts(whole, vae, learning, tokens, operations(config))


def operations(config: ViVaConfig) -> float:
    """
    Give the operations of one sample's way through the transformer, forwards.

    Of each block and token: four products of self-attention and two of cross-attention (its keys
    and values are of the text), and feed-forward, 2 D (6 D + 2 F); attention itself 4 D for each
    token or word looked at.
    """
    size, tokens = config.transformer, config.frames * config.tokens_per_frame
    width = size.num_attention_heads * size.attention_head_dim
    products = 2 * width * (6 * width + 2 * size.ffn_dim) * tokens
    words = 4 * width * width * config.text_tokens
    attention = 4 * width * tokens * (tokens + config.text_tokens)
    return float(size.num_layers * (products + words + attention))


def activations(config: ViVaConfig, batch: int, checkpointing: bool) -> float:
    """
    Give the bytes that are kept for the backward pass, as if all were float32: in bf16 it is less.

    With checkpointing a block keeps its input, D, and one block at a time all of its KEPT D + 2 F;
    without, each keeps all.
    """
    size, tokens = config.transformer, config.frames * config.tokens_per_frame
    width = size.num_attention_heads * size.attention_head_dim
    block = KEPT * width + 2 * size.ffn_dim
    layers = size.num_layers * width + block if checkpointing else size.num_layers * block
    return 4.0 * batch * tokens * layers


def memory(config: ViVaConfig, counts: Counts, batch: int, processes: int, lora: bool) -> float:
    """
    Give the bytes on each GPU, with checkpointing.

    All weights: 16 bytes for each (weight, gradient and two moments in float32), spread over the
    processes, and two blocks gathered in bf16. LoRA: 2 for each frozen weight, 20 for each other
    (its average too).

    :param batch: samples of one process at a time
    """
    vae = 4.0 * counts.vae
    kept = activations(config, batch, checkpointing=True)
    if lora:
        return vae + kept + 2.0 * counts.transformer + 20.0 * counts.adapters
    gathered = 2 * 2.0 * counts.transformer / config.transformer.num_layers
    return vae + kept + 16.0 * counts.transformer / processes + gathered


def step_time(counts: Counts, batch: int, processes: int, peak: float) -> float:
    """Give the seconds of a step at SHARE of the peak: four times forwards, with checkpointing."""
    return 4.0 * counts.operations * batch / (processes * peak * SHARE)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def table(config: ViVaConfig, batch: int = 192) -> str:
    """Give the table as Markdown."""
    counts = count(config)
    rows = [
        ('all weights, FSDP over 8', 8, 8, False), ('all weights, FSDP over 4', 4, 8, False),
        ('all weights, one GPU', 1, 8, False), ('LoRA, rank 16, one GPU', 1, 8, True),
    ]  # fmt: skip
    lines = [
        f'transformer {counts.transformer:,} weights, VAE {counts.vae:,}, LoRA '
        f'{counts.adapters:,}; {counts.tokens} tokens and {counts.operations / 1e12:.2f} TFLOP '
        'forwards a sample',
        '',
        f'| of a batch of {batch} | memory of a GPU, GB | ' + ' | '.join(DENSE_BF16) + ' |',
        '|---|---|' + '---|' * len(DENSE_BF16),
    ]
    for name, processes, part, lora in rows:
        size = memory(config, counts, part, processes, lora) / GB
        times = [step_time(counts, batch, processes, peak) for peak in DENSE_BF16.values()]
        cells = ' | '.join(f'{seconds:.1f} s' for seconds in times)
        lines.append(f'| {name}, {part} at a time | {size:.0f} | {cells} |')
    return '\n'.join(lines)


if __name__ == '__main__':
    print(table(PRESETS['wan2.2-5b']))
