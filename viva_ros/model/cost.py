# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters, operations and activations of a transformer, by formula.

D is the width, F the width of the feed-forward, N the tokens of a sample, M the tokens of its
text, L the blocks. One multiply-add is 2 operations. Only matrix products are counted: norms,
rotations and softmax add less than 1 %.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch.utils.flop_counter import FlopCounterMode

from viva_ros.model.config import ViVaConfig
from viva_ros.model.latents import PROPRIO, Targets
from viva_ros.model.vae import FrameVae


@dataclass(frozen=True)
class Sizes:
    """Sizes that all formulas use; see the module."""

    width: int
    feed_forward: int
    heads: int
    layers: int
    tokens: int
    target_tokens: int
    words: int
    text_width: int
    times: int
    patch: int

    @classmethod
    def of(cls, config: ViVaConfig) -> 'Sizes':
        """Return the sizes of a configuration; ``patch`` is the latent values per token."""
        size, per_frame = config.transformer, config.tokens_per_frame
        return cls(
            size.num_attention_heads * size.attention_head_dim, size.ffn_dim,
            size.num_attention_heads, size.num_layers, config.frames * per_frame,
            Targets(config.targets, len(config.cameras)).count * per_frame, config.text_tokens,
            size.text_dim, size.freq_dim, config.vae.z_dim * math.prod(size.patch_size),
        )  # fmt: skip


def parameters(config: ViVaConfig) -> dict[str, int]:
    """Return the transformer's parameters by part."""
    s = Sizes.of(config)
    d, f = s.width, s.feed_forward
    attention = 4 * (d * d + d) + 2 * d  # q, k, v, out; norms of q and k
    block = 2 * attention + 2 * d + (2 * d * f + f + d) + 6 * d  # norm2, feed-forward, table
    return {
        'blocks': s.layers * block,
        'patches': s.patch * d + d,
        'time': (s.times * d + d) + (d * d + d) + 6 * (d * d + d),
        'text': (s.text_width * d + d) + (d * d + d),
        'output': d * s.patch + s.patch + 2 * d,
    }


def forward_operations(config: ViVaConfig) -> dict[str, int]:
    """
    Return the operations of one forward pass of one sample, by part.

    For each token: 8 D^2 in the projections of self-attention, 4 D^2 in those of cross-attention,
    4 D F in the feed-forward; 4 D for each token or word attended to. For each word: 4 D^2 in keys
    and values.
    """
    s = Sizes.of(config)
    d, n, m = s.width, s.tokens, s.words
    clocks = n if config.per_token_times else 1
    return {
        'projections': s.layers * 8 * n * d * d,
        'feed-forward': s.layers * 4 * n * d * s.feed_forward,
        'attention': s.layers * 4 * n * n * d,
        'attention to text': s.layers * (4 * n * d * d + 4 * n * m * d + 4 * m * d * d),
        'embeddings': 2 * n * s.patch * d + 2 * clocks * (s.times * d + 7 * d * d)
        + 2 * m * (s.text_width * d + d * d),
        'output': 2 * n * d * s.patch,
    }  # fmt: skip


def lean_operations(config: ViVaConfig, words: int | None = None) -> dict[str, int]:
    """
    Return the operations of ``LeanViVa``, which precomputes what depends on text, time or noise.

    The last block computes queries for the T target tokens alone; their noise is embedded
    beforehand. A frame of one number is read by one dot product, the frame of the joints whole.

    :param words: tokens attended to; the padding of a text counts as one. None: all
    """
    s = Sizes.of(config)
    d, n, t = s.width, s.tokens, s.target_tokens
    m = s.words if words is None else words
    queries = (s.layers - 1) * n + t  # tokens, over all blocks
    joints = config.tokens_per_frame if PROPRIO in config.targets else 0
    return {
        'projections': s.layers * 4 * n * d * d + queries * 4 * d * d,
        'feed-forward': queries * 4 * d * s.feed_forward,
        'attention': queries * 4 * n * d,
        # One word has all the weight for any query: its contribution is a constant.
        'attention to text': 0 if m == 1 else queries * (4 * d * d + 4 * m * d),
        'embeddings': 2 * (n - t) * s.patch * d,
        'output': 2 * joints * d * s.patch,
    }


#: Bytes that a block keeps for the backward pass, products in bfloat16 and the rest in float32, as
#: factors of products of sizes; then the same with frozen weights and adapters of rank R.
KEPT: Final[Mapping[str, int]] = {'ND': 68, 'NF': 4, 'N': 36, 'NH': 8, 'MD': 12, 'M': 4, 'D': 32}
KEPT_LORA: Final[Mapping[str, int]] = {**KEPT, 'ND': 50, 'NR': 16, 'MR': 4}


def kept_by_block(config: ViVaConfig, kept: Mapping[str, int], rank: int = 0) -> int:
    """
    Return the bytes that one block keeps for one sample, without the matrix of attention weights.

    :param kept: KEPT or KEPT_LORA
    """
    s = Sizes.of(config)
    letters = {
        'N': s.tokens, 'M': s.words, 'D': s.width, 'F': s.feed_forward, 'H': s.heads, 'R': rank,
    }  # fmt: skip
    return sum(count * math.prod(letters[letter] for letter in key) for key, count in kept.items())


PRODUCTS: Final = ('projections', 'feed-forward', 'attention', 'attention to text')  # of blocks
DENSE_BF16: Final = {'A100': 312e12, 'H100': 990e12}  # operations/s, from the data sheets
SHARE: Final = 0.4  # of that, in a training step that does not wait for data


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on one GPU in training, by content."""

    weights: float
    copies: float
    gradients: float
    moments: float
    activations: float

    @property
    def total(self) -> float:
        """Sum of all parts; allocator and libraries need more."""
        return self.weights + self.copies + self.gradients + self.moments + self.activations


def training_operations(config: ViVaConfig) -> dict[str, int]:
    """
    Return the operations of one sample in a training step, by kind of training.

    The backward pass has two products for each product of the forward pass: gradients of its input
    and of its weight, but none for the inputs of the network (latents, times, texts). With
    checkpointing the blocks run forward twice. Frozen weights need no gradient, and keys and
    values of the text none at all; adapters of a small rank are not counted.
    """
    parts, s = forward_operations(config), Sizes.of(config)
    forward, blocks = sum(parts.values()), sum(parts[name] for name in PRODUCTS)
    clocks = s.tokens if config.per_token_times else 1
    inputs = 2 * s.width * (s.tokens * s.patch + clocks * s.times + s.words * s.text_width)
    scores = parts['attention'] + s.layers * 4 * s.tokens * s.words * s.width
    frozen = blocks - scores - s.layers * 4 * s.words * s.width**2
    return {
        'all weights': 3 * forward - inputs,
        'all weights, checkpointing': 3 * forward - inputs + blocks,
        'LoRA': forward + frozen + 2 * scores + 2 * parts['output'],
        'LoRA, checkpointing': forward + frozen + 2 * scores + 2 * parts['output'] + blocks,
    }


def training_memory(
    config: ViVaConfig, batch: int, processes: int = 1, rank: int = 0, checkpointing: bool = True
) -> MemoryEstimate:
    """
    Return the bytes on one GPU, with products in bfloat16.

    :param batch: samples per GPU
    :param processes: number that weights, gradients and moments are sharded over (FSDP)
    :param rank: of adapters on frozen bfloat16 weights; 0 trains all weights
    """
    whole, vae = sum(parameters(config).values()), vae_parameters(config)
    block = parameters(config)['blocks'] / config.transformer.num_layers
    kept = kept_by_block(config, KEPT_LORA if rank else KEPT, rank)
    s = Sizes.of(config)
    between = 2 * s.tokens * s.width  # activations between blocks, in bfloat16
    activations = kept + s.layers * between if checkpointing else s.layers * kept
    if rank:
        trained = adapter_parameters(config, rank)
        return MemoryEstimate(
            2.0 * whole + 4.0 * (trained + vae), 2.0 * trained, 4.0 * trained, 8.0 * trained,
            float(batch * activations),
        )  # fmt: skip
    copies = 2.0 * whole if processes == 1 else 2 * 2.0 * block  # of all, or of two blocks
    part = whole / processes
    return MemoryEstimate(
        4.0 * (part + vae), copies, 4.0 * part, 8.0 * part, float(batch * activations)
    )


def adapter_parameters(config: ViVaConfig, rank: int) -> int:
    """Count the parameters of adapters on attention and feed-forward, and of the output layer."""
    s = Sizes.of(config)
    of_block = 8 * rank * 2 * s.width + 2 * rank * (s.width + s.feed_forward)
    return s.layers * of_block + s.width * s.patch + s.patch


def vae_parameters(config: ViVaConfig) -> int:
    """Count the parameters of the VAE in its single-frame form."""
    with torch.device('meta'):
        return sum(p.numel() for p in FrameVae(config.vae).parameters())


def encoding_operations(config: ViVaConfig) -> int:
    """Count the operations of encoding all views of one sample."""
    with torch.device('meta'), FlopCounterMode(display=False) as counter, torch.no_grad():
        FrameVae(config.vae).encode(torch.empty(len(config.cameras), 3, *config.image_size))
    return int(counter.get_total_flops())


def step_time(operations: float, batch: int, processes: int, peak: float) -> float:
    """
    Return the seconds of a training step at SHARE of the peak.

    :param operations: of one sample
    :param batch: samples of all processes
    :param peak: of one GPU, operations/s
    """
    return operations * batch / (processes * peak * SHARE)
