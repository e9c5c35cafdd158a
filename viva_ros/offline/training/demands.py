# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What training a preset takes: operations, memory and time of a step, computed from its sizes."""

from dataclasses import dataclass
from typing import Final

import torch
from torch.utils.flop_counter import FlopCounterMode

from viva_ros.model import cost as size
from viva_ros.model.config import ViVaConfig
from viva_ros.model.cost import Sizes
from viva_ros.model.frame_vae import FrameVae

PRODUCTS: Final = ('projections', 'feed-forward', 'attention', 'attention to text')  # of blocks
DENSE_BF16: Final = {'A100': 312e12, 'H100': 990e12}  # operations/s, by their makers
SHARE: Final = 0.4  # of that, in a well-fed training step


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU in training, by what they hold."""

    weights: float
    copies: float
    gradients: float
    moments: float
    activations: float

    @property
    def total(self) -> float:
        """All of it; allocator and libraries take some more."""
        return self.weights + self.copies + self.gradients + self.moments + self.activations


def training_operations(config: ViVaConfig) -> dict[str, int]:
    """
    Give the operations of one sample in a training step, by way of training.

    Forwards, then two products for each one: gradients of its input and of its weight; none of an
    input that is given (latents, times, texts). With checkpointing the blocks go forwards twice.
    Frozen weights get no gradient, and the text's keys and values then need none at all; what
    adapters of a small rank add is left out.
    """
    parts, s = size.forward_operations(config), Sizes.of(config)
    forward, blocks = sum(parts.values()), sum(parts[name] for name in PRODUCTS)
    clocks = s.tokens if config.per_token_times else 1
    given = 2 * s.width * (s.tokens * s.patch + clocks * s.times + s.words * s.text_width)
    scores = parts['attention'] + s.layers * 4 * s.tokens * s.words * s.width
    frozen = blocks - scores - s.layers * 4 * s.words * s.width**2
    return {
        'all weights': 3 * forward - given,
        'all weights, checkpointing': 3 * forward - given + blocks,
        'LoRA': forward + frozen + 2 * scores + 2 * parts['output'],
        'LoRA, checkpointing': forward + frozen + 2 * scores + 2 * parts['output'] + blocks,
    }


def training_memory(
    config: ViVaConfig, batch: int, processes: int = 1, rank: int = 0, checkpointing: bool = True
) -> Memory:
    """
    Give the bytes on one GPU, products in bfloat16.

    :param batch: samples on that GPU at a time
    :param processes: that weights, gradients and moments are spread over (FSDP)
    :param rank: of adapters on frozen bfloat16 weights; 0 trains all weights
    """
    whole, vae = sum(size.parameters(config).values()), vae_parameters(config)
    block = size.parameters(config)['blocks'] / config.transformer.num_layers
    kept = size.kept_by_block(config, size.KEPT_LORA if rank else size.KEPT, rank)
    s = Sizes.of(config)
    between = 2 * s.tokens * s.width  # what is handed from block to block, in bfloat16
    shown = kept + s.layers * between if checkpointing else s.layers * kept
    if rank:
        learning = adapter_parameters(config, rank)
        return Memory(
            2.0 * whole + 4.0 * (learning + vae), 2.0 * learning, 4.0 * learning, 8.0 * learning,
            float(batch * shown),
        )  # fmt: skip
    copies = 2.0 * whole if processes == 1 else 2 * 2.0 * block  # of all, or of two blocks
    part = whole / processes
    return Memory(4.0 * (part + vae), copies, 4.0 * part, 8.0 * part, float(batch * shown))


def adapter_parameters(config: ViVaConfig, rank: int) -> int:
    """Count adapters on attention and feed-forward, and the output layer, which learns too."""
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
    Give the seconds of a training step at SHARE of the peak.

    :param operations: of one sample
    :param batch: of all processes together
    :param peak: of one GPU, operations/s
    """
    return operations * batch / (processes * peak * SHARE)
