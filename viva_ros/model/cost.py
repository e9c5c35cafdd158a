# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters, operations and activations of a transformer, by formula.

D is the width, F that of the feed-forward, N the tokens of a sample, M those of its text, L the
blocks. One multiply-add is 2 operations. Products alone are counted: norms, rotations and
softmax are less than a hundredth of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from viva_ros.model.config import ViVaConfig
from viva_ros.model.targets import PROPRIO, Targets


@dataclass(frozen=True)
class Sizes:
    """The numbers that all others follow from; see the module."""

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
        """Read them off a configuration; ``patch`` is the numbers of one token's latents."""
        size, per_frame = config.transformer, config.tokens_per_frame
        return cls(
            size.num_attention_heads * size.attention_head_dim, size.ffn_dim,
            size.num_attention_heads, size.num_layers, config.frames * per_frame,
            Targets(config.targets, len(config.cameras)).count * per_frame, config.text_tokens,
            size.text_dim, size.freq_dim, config.vae.z_dim * math.prod(size.patch_size),
        )  # fmt: skip


def parameters(config: ViVaConfig) -> dict[str, int]:
    """Give the transformer's parameters by part."""
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
    Give the operations of one sample's way through the transformer, by part.

    For each token: 8 D^2 in the projections of self-attention, 4 D^2 in those of cross-attention,
    4 D F in the feed-forward; 4 D for each token or word that is attended to. For each word: 4 D^2
    in keys and values.
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
    Give those of the lean form (``lean``): nothing that depends on text, time or noise alone.

    In the last block only the T target tokens ask and are followed; their noise is embedded
    beforehand. A frame of one number is read by one dot product, that of the joints whole.

    :param words: that are looked at; the padding of a text counts as one. None: all
    """
    s = Sizes.of(config)
    d, n, t = s.width, s.tokens, s.target_tokens
    m = s.words if words is None else words
    followed = (s.layers - 1) * n + t  # tokens, over all blocks
    joints = config.tokens_per_frame if PROPRIO in config.targets else 0
    return {
        'projections': s.layers * 4 * n * d * d + followed * 4 * d * d,
        'feed-forward': followed * 4 * d * s.feed_forward,
        'attention': followed * 4 * n * d,
        # One word has all the weight, whatever is asked: what it adds is a constant.
        'attention to text': 0 if m == 1 else followed * (4 * d * d + 4 * m * d),
        'embeddings': 2 * (n - t) * s.patch * d,
        'output': 2 * joints * d * s.patch,
    }


#: Bytes that a block keeps for the backward pass, of its products in bfloat16 and the rest in
#: float32, by what they are a multiple of; and with frozen weights and adapters of rank R.
KEPT: Final[Mapping[str, int]] = {'ND': 68, 'NF': 4, 'N': 36, 'NH': 8, 'MD': 12, 'M': 4, 'D': 32}
KEPT_FP32: Final[Mapping[str, int]] = {**KEPT, 'ND': 88, 'NF': 8, 'MD': 16}
KEPT_LORA: Final[Mapping[str, int]] = {**KEPT, 'ND': 50, 'NR': 16, 'MR': 4}


def kept_by_block(config: ViVaConfig, kept: Mapping[str, int], rank: int = 0) -> int:
    """
    Give the bytes that one block keeps of one sample, attention without its matrix of weights.

    :param kept: one of the tables above
    """
    s = Sizes.of(config)
    letters = {
        'N': s.tokens, 'M': s.words, 'D': s.width, 'F': s.feed_forward, 'H': s.heads, 'R': rank,
    }  # fmt: skip
    return sum(count * math.prod(letters[letter] for letter in key) for key, count in kept.items())
