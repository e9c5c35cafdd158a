# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compute parameters, operations and memory of a preset, without its weights.

The formulas are in ``model/cost.py``; tests compare them with the counts of torch.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from viva_ros.console.terminal import Terminal
from viva_ros.model import cost
from viva_ros.model.config import PRESETS, ViVaConfig
from viva_ros.model.cost import Sizes, TrainingSetup

GB: Final = 1e9
TERA: Final = 1e12
BATCH: Final = 192  # batch of the ViVa paper


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('viva size', description=__doc__.split('\n\n')[0])
    parser.add_argument(
        '--preset', default='wan2.2-5b', choices=sorted(PRESETS),
        help='Model size (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--batch', type=int, default=8, help='Batch of one GPU, samples (default: %(default)s)'
    )
    parser.add_argument(
        '--rank', type=int, default=16, help='Rank of the LoRA adapters (default: %(default)s)'
    )
    args = parser.parse_args(argv)
    if args.batch < 1 or args.rank < 1:
        parser.error(f'--batch is {args.batch}, --rank is {args.rank}, must be at least 1')
    Terminal(width=120, highlight=False).print(
        table(PRESETS[args.preset], args.batch, args.rank), markup=False, soft_wrap=True
    )
    return 0


def table(config: ViVaConfig, batch: int, rank: int) -> str:
    """Return all tables as Markdown."""
    s, encoding = Sizes.of(config), cost.encoding_operations(config)
    heading = (
        f'{config.preset}: D = {s.width}, F = {s.feed_forward}, L = {s.layers} blocks, '
        f'N = {s.tokens} tokens, M = {s.words} words'
    )
    return '\n\n'.join([
        heading, _parameters(config, rank), _operations(config, encoding),
        _memory(config, batch, rank), _times(config, encoding, rank), _inference_memory(config),
    ])  # fmt: skip


def _parameters(config: ViVaConfig, rank: int) -> str:
    parts = cost.parameters(config)
    rows = {
        **parts, 'transformer': sum(parts.values()),
        'VAE, single-frame form': cost.vae_parameters(config),
        f'LoRA, rank {rank}': cost.adapter_parameters(config, rank),
    }  # fmt: skip
    return _rows('| parameters | |', {name: f'{number:,}' for name, number in rows.items()})


def _operations(config: ViVaConfig, encoding: int) -> str:
    stock, lean = cost.forward_operations(config), cost.lean_operations(config)
    rows = {name: f'{stock[name] / TERA:.3f} | {lean[name] / TERA:.3f}' for name in stock}
    rows['views through the VAE'] = f'{encoding / TERA:.3f} | {encoding / TERA:.3f}'
    sums = [(sum(parts.values()) + encoding) / TERA for parts in (stock, lean)]
    rows['one estimate'] = f'{sums[0]:.3f} | {sums[1]:.3f}'
    for name, number in cost.training_operations(config).items():
        rows[f'one sample in training, {name}'] = f'{(number + encoding) / TERA:.3f} |'
    return _rows('| TFLOP | stock | lean |', rows)


def _memory(config: ViVaConfig, batch: int, rank: int) -> str:
    rows = {}
    ways = [(f'all weights, {n} GPU' + 's, FSDP' * (n > 1), n, 0) for n in (1, 2, 4, 8)]
    for name, processes, adapters in [*ways, (f'LoRA of rank {rank}, 1 GPU', 1, rank)]:
        for checkpointing in (True, False):
            setup = TrainingSetup(processes, rank=adapters, checkpointing=checkpointing)
            m = cost.training_memory(config, batch, setup)
            parts = (
                m.weights, m.gradients, m.moments, m.copies, m.activations, m.encoding, m.update,
                m.total,
            )  # fmt: skip
            in_parts = cost.training_memory(config, batch, replace(setup, accumulates=True))
            cells = ' | '.join(f'{part / GB:.1f}' for part in (*parts, in_parts.total))
            rows[name + ', checkpointing' * checkpointing] = cells
    title = f'| GB on a GPU, {batch} samples at a time | weights | gradients | moments | '
    title += 'bf16 copies | activations | encoding | update | peak | peak with micro-batches |'
    return _rows(title, rows)


def _times(config: ViVaConfig, encoding: int, rank: int) -> str:
    """
    Return the table of step times with the batch of the paper, with checkpointing.

    A card that is too small for one sample at a time has no time.
    """
    operations, rows = cost.training_operations(config), {}
    ways = [('all weights', n) for n in (1, 4, 8)] + [('LoRA', 1)]
    for name, processes in ways:
        each = operations[f'{name}, checkpointing'] + encoding
        setup = TrainingSetup(processes, rank=rank * (name == 'LoRA'), accumulates=True)
        needed = cost.training_memory(config, 1, setup).total
        rows[f'{name}, {processes} GPU' + 's' * (processes > 1)] = ' | '.join(
            f'{cost.step_time(each, BATCH, processes, card.peak):.1f}'
            if needed <= cost.ROOM * card.memory else 'does not fit'
            for card in (cost.CARDS[card] for card in cost.DENSE_BF16)
        )  # fmt: skip
    share = round(100 * cost.SHARE)
    title = f'| s for a step of {BATCH} samples at {share} % of the peak, checkpointing | '
    return _rows(title + ' | '.join(cost.DENSE_BF16) + ' |', rows)


def _inference_memory(config: ViVaConfig) -> str:
    whole, vae = sum(cost.parameters(config).values()), cost.vae_parameters(config)
    rows = {
        name: f'{(width * whole + 4 * vae) / GB:.1f}'
        for name, width in (('bfloat16', 2), ('float32', 4))
    }
    return _rows('| GB of weights for an estimate, transformer in | |', rows)


def _rows(title: str, rows: Mapping[str, str]) -> str:
    columns = title.count('|') - 1
    return '\n'.join([title, '|---' * columns + '|', *(f'| {k} | {v} |' for k, v in rows.items())])
