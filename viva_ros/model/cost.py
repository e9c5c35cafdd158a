# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters, operations and memory of a model, by formula.

D is the width, F the width of the feed-forward, N the tokens of a sample, M the tokens of its
text, L the blocks. One multiply-add is 2 operations. Only matrix products are counted: norms,
rotations and softmax add less than 1 %.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
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
    def of(cls, config: ViVaConfig, frames: int | None = None) -> 'Sizes':
        """
        Return the sizes of a configuration; ``patch`` is the latent values per token.

        :param frames: latent frames of a sample; None: those of the value model
        """
        size, per_frame = config.transformer, config.tokens_per_frame
        frames = config.frames if frames is None else frames
        return cls(
            size.num_attention_heads * size.attention_head_dim, size.ffn_dim,
            size.num_attention_heads, size.num_layers, frames * per_frame,
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


def forward_operations(config: ViVaConfig, frames: int | None = None) -> dict[str, int]:
    """
    Return the operations of one forward pass of one sample, by part.

    For each token: 8 D^2 in the projections of self-attention, 4 D^2 in those of cross-attention,
    4 D F in the feed-forward; 4 D for each token or word attended to. For each word: 4 D^2 in keys
    and values.

    :param frames: see ``Sizes.of``
    """
    s = Sizes.of(config, frames)
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
#: factors of products of sizes; then the same with frozen weights and adapters of rank R; both
#: again with products in float32.
KEPT: Final[Mapping[str, int]] = {'ND': 68, 'NF': 4, 'N': 36, 'NH': 8, 'MD': 12, 'M': 4, 'D': 32}
KEPT_LORA: Final[Mapping[str, int]] = {**KEPT, 'ND': 50, 'NR': 16, 'MR': 4}
KEPT_FP32: Final[Mapping[str, int]] = {**KEPT, 'ND': 88, 'NF': 8, 'MD': 16}
KEPT_LORA_FP32: Final[Mapping[str, int]] = {**KEPT, 'ND': 60, 'NF': 8, 'NR': 32, 'MR': 8}


def kept_by_block(
    config: ViVaConfig, kept: Mapping[str, int], rank: int = 0, frames: int | None = None
) -> int:
    """
    Return the bytes that one block keeps for one sample, without the matrix of attention weights.

    :param kept: KEPT, KEPT_LORA or their forms in float32
    :param frames: see ``Sizes.of``
    """
    s = Sizes.of(config, frames)
    letters = {
        'N': s.tokens, 'M': s.words, 'D': s.width, 'F': s.feed_forward, 'H': s.heads, 'R': rank,
    }  # fmt: skip
    return sum(count * math.prod(letters[letter] for letter in key) for key, count in kept.items())


PRODUCTS: Final = ('projections', 'feed-forward', 'attention', 'attention to text')  # of blocks


@dataclass(frozen=True)
class Card:
    """
    A GPU, from the data sheet of its manufacturer.

    :param peak: dense bfloat16 operations/s
    :param single: float32 operations/s
    :param memory: bytes
    """

    peak: float
    single: float
    memory: float


CARDS: Final[Mapping[str, Card]] = {
    'A100': Card(312e12, 19.5e12, 80e9), 'H100': Card(990e12, 67e12, 80e9),
    'H200': Card(990e12, 67e12, 141e9), 'L40S': Card(362e12, 91.6e12, 48e9),
    'RTX4090': Card(165e12, 82.6e12, 24e9),
}  # fmt: skip
DENSE_BF16: Final = {name: CARDS[name].peak for name in ('A100', 'H100')}
SHARE: Final = 0.4  # of the peak, in a training step that does not wait for data
ROOM: Final = 0.85  # of the free memory; the rest is for libraries and fragments
VIEWS_AT_ONCE: Final = 192
ENCODING_BYTES: Final = 2e9  # at once, for the working memory of the VAE


@dataclass(frozen=True)
class TrainingSetup:
    """
    The choices that the memory of a training depends on.

    :param shards: GPUs over which weights, gradients and moments are distributed (FSDP)
    :param replicas: GPUs with all weights each; they exchange gradients through a second copy
    :param rank: of adapters on frozen weights; 0 trains all weights
    :param head: number of frozen blocks below a trained head; 0: no head
    :param checkpointing: blocks keep their input only
    :param precision: of products, 'bf16' or 'fp32'
    :param average: averaged weights are kept
    :param accumulates: a step has several micro-batches
    :param frames: see ``Sizes.of``
    """

    shards: int = 1
    replicas: int = 1
    rank: int = 0
    head: int = 0
    checkpointing: bool = True
    precision: str = 'bf16'
    average: bool = False
    accumulates: bool = False
    frames: int | None = None


@dataclass(frozen=True)
class MemoryEstimate:
    """
    Bytes on one GPU in training, by content.

    :param copies: of weights in bfloat16, or gathered from other GPUs
    :param moments: of the optimiser, and averaged weights
    :param encoding: working memory of the VAE, before the pass of the transformer
    :param update: working memory of the optimiser, after it
    """

    weights: float
    copies: float
    gradients: float
    moments: float
    activations: float
    encoding: float = 0.0
    update: float = 0.0

    @property
    def total(self) -> float:
        """Peak: what stays, and the largest of pass, encoding and update."""
        stays = self.weights + self.gradients + self.moments
        return stays + max(self.copies + self.activations, self.encoding, self.update)

    @property
    def fits(self) -> float:
        """Bytes of free memory that a device must have."""
        return self.total / ROOM


def training_operations(config: ViVaConfig, frames: int | None = None) -> dict[str, int]:
    """
    Return the operations of one sample in a training step, by kind of training.

    The backward pass has two products for each product of the forward pass: gradients of its input
    and of its weight, but none for the inputs of the network (latents, times, texts). With
    checkpointing the blocks run forward twice. Frozen weights need no gradient, and keys and
    values of the text none at all; adapters of a small rank are not counted.

    :param frames: see ``Sizes.of``
    """
    parts, s = forward_operations(config, frames), Sizes.of(config, frames)
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
    config: ViVaConfig, batch: int, setup: TrainingSetup | None = None
) -> MemoryEstimate:  # fmt: skip
    """
    Return the bytes on one GPU while the transformer, adapters or a head are trained.

    :param batch: samples at a time on this GPU
    """
    setup = setup or TrainingSetup()
    whole, vae = sum(parameters(config).values()), vae_parameters(config)
    width = 2.0 if setup.precision == 'bf16' else 4.0  # of products
    trained = float(whole)
    if setup.rank:
        trained = float(adapter_parameters(config, setup.rank))
    if setup.head:
        trained = float(head_parameters(config))
    frozen = 0.0 if trained == whole else width * whole
    part = trained / setup.shards
    gradients = 4.0 * part * (2 if setup.replicas > 1 else 1)
    if setup.shards > 1 and setup.accumulates:
        gradients += 4.0 * trained  # summed over micro-batches before they are distributed
    views = len(config.cameras)
    at_once = min(encoding_chunk(config), batch * views)
    height, columns = config.image_size
    return MemoryEstimate(
        frozen + 4.0 * (part + vae), _copies(config, setup, trained), gradients,
        (12.0 if setup.average else 8.0) * part, float(batch * _activations(config, setup)),
        float(at_once * encoding_memory(config) + 3 * batch * views * height * columns),
        4.0 * part,
    )  # fmt: skip


def _copies(config: ViVaConfig, setup: TrainingSetup, trained: float) -> float:
    """Return the bytes of copies of trained weights: in bfloat16, or of two gathered blocks."""
    width = 2.0 if setup.precision == 'bf16' else 4.0
    if setup.shards > 1:
        return 2 * width * parameters(config)['blocks'] / config.transformer.num_layers
    return width * trained if setup.precision == 'bf16' else 0.0


def _activations(config: ViVaConfig, setup: TrainingSetup) -> int:
    """Return the bytes that one sample keeps for the backward pass."""
    s, half = Sizes.of(config, setup.frames), setup.precision == 'bf16'
    kept = (KEPT_LORA if half else KEPT_LORA_FP32) if setup.rank else (KEPT if half else KEPT_FP32)
    block = kept_by_block(config, kept, setup.rank, setup.frames)
    if setup.head:  # frozen blocks keep nothing; one is computed at a time
        return block
    if not setup.checkpointing:
        return s.layers * block
    return block + s.layers * (2 if half else 4) * s.tokens * s.width


def encoding_memory(config: ViVaConfig) -> int:
    """
    Return the bytes of the VAE's largest working set for one view, in float32.

    They are five maps of the first level, at half the resolution, and pixels and patches.
    """
    height, width = config.image_size
    return height * width * (5 * config.vae.base_dim + 26)


def encoding_chunk(config: ViVaConfig) -> int:
    """Return the number of views that are encoded at once: at least 1."""
    return int(max(1, min(VIEWS_AT_ONCE, ENCODING_BYTES // encoding_memory(config))))


def vae_training_memory(config: ViVaConfig, batch: int, average: bool = True) -> MemoryEstimate:
    """
    Return the bytes on one GPU while the VAE is trained on single views.

    :param batch: views at a time on this GPU
    """
    vae, height, width = config.vae, *config.image_size
    deepest, pixels = len(vae.dim_mult) - 1, height * width / vae.patch_size**2
    maps = 2 * pixels / 4**deepest * vae.dim_mult[-1] * (vae.base_dim + vae.decoder_base_dim)
    for level, factor in enumerate(vae.dim_mult):
        blocks = vae.num_res_blocks * vae.base_dim + (vae.num_res_blocks + 1) * (
            vae.decoder_base_dim
        )
        maps += pixels / 4**level * factor * blocks
    count = vae_parameters(config)
    kept = 41 * maps + 120 * height * width  # about 10 maps of a residual block, in float32
    whole = sum(parameters(config).values())  # of the transformer, on the same device
    return MemoryEstimate(
        4.0 * (count + whole), 0.0, 4.0 * count, (12.0 if average else 8.0) * count,
        batch * kept, update=4.0 * count,
    )  # fmt: skip


def vae_training_operations(config: ViVaConfig) -> int:
    """Count the operations of a training step of the VAE on one view."""
    with torch.device('meta'), FlopCounterMode(display=False) as counter:
        vae = FrameVae(config.vae)
        mean, logvar = vae.moments(torch.empty(1, 3, *config.image_size))
        (vae.reconstruct(mean).sum() + logvar.sum()).backward()
    return int(counter.get_total_flops())


def adapter_parameters(config: ViVaConfig, rank: int) -> int:
    """Count the parameters of adapters on attention and feed-forward, and of the output layer."""
    s = Sizes.of(config)
    of_block = 8 * rank * 2 * s.width + 2 * rank * (s.width + s.feed_forward)
    return s.layers * of_block + s.width * s.patch + s.patch


def head_parameters(config: ViVaConfig) -> int:
    """Count the parameters of a head on frozen blocks, see ``early_exit``."""
    width, hidden = Sizes.of(config).width, 256
    counts = [len(config.joint_names) if name == PROPRIO else 1 for name in config.targets]
    each = 2 * width + width + 1 + width * hidden + hidden
    return sum(each + (hidden + 1) * count for count in counts)


@cache
def vae_parameters(config: ViVaConfig) -> int:
    """Count the parameters of the VAE in its single-frame form."""
    with torch.device('meta'):
        return sum(p.numel() for p in FrameVae(config.vae).parameters())


@cache
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
