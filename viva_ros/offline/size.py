# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva size`: what a preset takes, computed: parameters, operations, memory; no weights are made.

The formulas are in ``model/size.py``; tests hold them equal to what torch counts.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from viva_ros.model import size
from viva_ros.model.config import ViVaConfig
from viva_ros.model.frame_vae import FrameVae
from viva_ros.model.presets import PRESETS
from viva_ros.model.size import Sizes

GB: Final = 1e9
TERA: Final = 1e12
PRODUCTS: Final = ('projections', 'feed-forward', 'attention', 'attention to text')  # of blocks


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('viva size', description=__doc__.split('\n\n')[0])
    parser.add_argument('--preset', default='wan2.2-5b', choices=sorted(PRESETS))
    parser.add_argument(
        '--batch', type=int, default=8, help='samples on a GPU at a time; default: %(default)s'
    )
    parser.add_argument('--rank', type=int, default=16, help='of LoRA; default: %(default)s')
    args = parser.parse_args(argv)
    if args.batch < 1 or args.rank < 1:
        parser.error(f'batch is {args.batch}, rank {args.rank}: both must be at least 1')
    Console(width=120, highlight=False).print(
        table(PRESETS[args.preset], args.batch, args.rank), markup=False, soft_wrap=True
    )
    return 0


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


def table(config: ViVaConfig, batch: int, rank: int) -> str:
    """Give all as Markdown."""
    s, encoding = Sizes.of(config), encoding_operations(config)
    heading = (
        f'{config.preset}: D = {s.width}, F = {s.feed_forward}, L = {s.layers} blocks, '
        f'N = {s.tokens} tokens, M = {s.words} words'
    )
    return '\n\n'.join([
        heading, _parameters(config, rank), _operations(config, encoding),
        _memory(config, batch, rank), _inference_memory(config),
    ])  # fmt: skip


def _parameters(config: ViVaConfig, rank: int) -> str:
    parts = size.parameters(config)
    rows = {
        **parts, 'transformer': sum(parts.values()),
        'VAE, single-frame form': vae_parameters(config),
        f'LoRA, rank {rank}': adapter_parameters(config, rank),
    }  # fmt: skip
    return _rows('| parameters | |', {name: f'{number:,}' for name, number in rows.items()})


def _operations(config: ViVaConfig, encoding: int) -> str:
    stock, lean = size.forward_operations(config), size.lean_operations(config)
    rows = {name: f'{stock[name] / TERA:.3f} | {lean[name] / TERA:.3f}' for name in stock}
    rows['views through the VAE'] = f'{encoding / TERA:.3f} | {encoding / TERA:.3f}'
    sums = [(sum(parts.values()) + encoding) / TERA for parts in (stock, lean)]
    rows['one estimate'] = f'{sums[0]:.3f} | {sums[1]:.3f}'
    for name, number in training_operations(config).items():
        rows[f'one sample in training, {name}'] = f'{(number + encoding) / TERA:.3f} |'
    return _rows('| TFLOP | stock | lean |', rows)


def _memory(config: ViVaConfig, batch: int, rank: int) -> str:
    rows = {}
    ways = [(f'all weights, {n} GPU' + 's, FSDP' * (n > 1), n, 0) for n in (1, 2, 4, 8)]
    for name, processes, adapters in [*ways, (f'LoRA of rank {rank}, 1 GPU', 1, rank)]:
        for checkpointing in (True, False):
            m = training_memory(config, batch, processes, adapters, checkpointing)
            parts = (m.weights, m.copies, m.gradients, m.moments, m.activations, m.total)
            cells = ' | '.join(f'{part / GB:.1f}' for part in parts)
            rows[name + ', checkpointing' * checkpointing] = cells
    title = f'| GB on a GPU, {batch} samples at a time | weights | bf16 copies | gradients | '
    return _rows(title + 'moments | activations | sum |', rows)


def _inference_memory(config: ViVaConfig) -> str:
    whole, vae = sum(size.parameters(config).values()), vae_parameters(config)
    rows = {
        name: f'{(width * whole + 4 * vae) / GB:.1f}'
        for name, width in (('bfloat16', 2), ('float32', 4))
    }
    return _rows('| GB of weights for an estimate, transformer in | |', rows)


def _rows(title: str, rows: Mapping[str, str]) -> str:
    columns = title.count('|') - 1
    return '\n'.join([title, '|---' * columns + '|', *(f'| {k} | {v} |' for k, v in rows.items())])


if __name__ == '__main__':
    raise SystemExit(main())
