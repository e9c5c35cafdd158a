# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of `viva train`."""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

import cv2
import torch

from viva_ros.core.errors import ConfigurationError
from viva_ros.model.config import PRESETS
from viva_ros.model.latents import NAMES
from viva_ros.training.config import PLANS, TrainConfig, TrainPlan, plan
from viva_ros.training.distributed import DEVICES, PRECISIONS, Hardware
from viva_ros.training.run import train

STAGES: Final = tuple(field.name for field in fields(TrainPlan))
DESCRIPTION: Final = 'Train a model on recordings; stopped, it goes on when started again.'


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva train', description=DESCRIPTION)
    _add_data(parser.add_argument_group('data'))
    _add_model(parser.add_argument_group('model'))
    _add_hardware(parser.add_argument_group('hardware'))
    lengths = parser.add_argument_group('lengths')
    lengths.add_argument('--batch', type=int, help='of all stages; default: as planned')
    for name in STAGES:
        usual = getattr(TrainPlan(), name).steps
        lengths.add_argument(
            f'--{name}-steps', type=int, help=f"0 leaves it out; default: {usual}, or the preset's"
        )
    return parser.parse_args(argv)


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--recordings', type=Path, nargs='+', required=True, help='folders of recordings'
    )
    group.add_argument('--out', type=Path, required=True, help='folder of the run')
    group.add_argument('--cache', type=Path, help='of decoded frames; default: OUT/cache')
    group.add_argument(
        '--cameras', nargs='+', default=(), help="in the order of the model's views; default: all"
    )
    group.add_argument('--tasks', nargs='+', default=(), help='to learn; default: all')


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--preset', default='small', choices=sorted(PRESETS))
    group.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    group.add_argument(
        '--targets', type=_names, default=(),
        help=f'that it denoises: of {",".join(NAMES)}; default: proprio,value',
    )  # fmt: skip
    group.add_argument('--backbone', type=Path, help='folder of Wan2.2-TI2V to begin with')
    group.add_argument('--embeddings', type=Path, help="of the tasks' texts, from viva embed")
    group.add_argument('--lora', type=int, default=0, help='train adapters of this rank instead')
    group.add_argument(
        '--head', type=int, default=0, help='train a head on so many frozen blocks instead'
    )


def _add_hardware(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--device', default='auto', choices=DEVICES)
    group.add_argument('--precision', default='fp32', choices=PRECISIONS)
    group.add_argument(
        '--accumulate', type=int, default=1, help='parts to take a batch in; default: %(default)s'
    )
    group.add_argument(
        '--checkpointing', action='store_true', help='less memory: compute activations again'
    )
    group.add_argument(
        '--shard', action='store_true', help='less memory: spread weights over processes (FSDP)'
    )
    group.add_argument('--threads', type=int, default=1, help='default: %(default)s')


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(',') if name.strip())


def run_of(args: argparse.Namespace) -> TrainConfig:
    """
    Give the run that is asked for.

    :raises ConfigurationError: if a number or a combination makes no sense
    """
    if args.threads < 1:
        raise ConfigurationError(f'threads is {args.threads}, must be at least 1')
    if args.out.exists() and not args.out.is_dir():
        raise ConfigurationError(f'out is {args.out}, a file: name a folder for the run')
    if args.targets and ('value' not in args.targets or set(args.targets) - set(NAMES)):
        raise ConfigurationError(
            f'targets is {",".join(args.targets)}, must be of {",".join(NAMES)}, with value'
        )
    hardware = Hardware(
        args.device, args.precision, args.accumulate, args.shard, args.checkpointing
    )
    lengths = {name: getattr(args, f'{name}_steps') for name in STAGES}
    if args.backbone is not None and args.preset not in PLANS:
        lengths = {**lengths, 'vae': 0, 'video': 0}
    return TrainConfig(
        tuple(args.recordings), args.out, args.preset, args.seed,
        plan(args.batch, lengths, args.preset), args.cache or args.out / 'cache', args.threads,
        cameras=tuple(args.cameras), tasks=tuple(args.tasks),
        targets=tuple(name for name in NAMES if name in args.targets),
        backbone=args.backbone, embeddings=args.embeddings, lora=args.lora, head=args.head,
        hardware=hardware,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    run = run_of(args)
    torch.set_num_threads(run.threads)
    cv2.setNumThreads(run.threads)
    train(run)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
