# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Train a model on recordings."""

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Final

import cv2
import torch

from viva_ros.console.arguments import add_option, add_options, read_options
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import setting_of
from viva_ros.model.latents import NAMES
from viva_ros.training.config import PLANS, Schedule, TrainConfig, TrainPlan, plan
from viva_ros.training.distributed import Hardware
from viva_ros.training.run import train

STAGES: Final = tuple(field.name for field in fields(TrainPlan))
DESCRIPTION: Final = (
    'Train a model on recordings. An interrupted run continues when the same command runs again.'
)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva train', description=DESCRIPTION)
    data, model = parser.add_argument_group('data'), parser.add_argument_group('model')
    add_options(data, TrainConfig, 'recordings', 'out', 'cache', 'cameras', 'tasks')
    add_options(
        model, TrainConfig, 'preset', 'seed', 'targets', 'backbone', 'embeddings', 'lora', 'head',
        'copies',
        keywords={'targets': {'type': _names, 'nargs': None}},
    )  # fmt: skip
    hardware = parser.add_argument_group('hardware')
    add_options(hardware, Hardware)
    add_options(hardware, TrainConfig, 'threads')
    _add_lengths(parser.add_argument_group('lengths'))
    return parser.parse_args(argv)


def _add_lengths(group: argparse._ArgumentGroup) -> None:
    """Add the options of the schedules; the defaults are those of the plan of the preset."""
    batch, steps = setting_of(Schedule, 'batch'), setting_of(Schedule, 'steps')
    add_option(group, replace(batch, default='as in the preset'), default=None)
    for name in STAGES:
        stage = setting_of(TrainPlan, name)
        usual = f"{stage.default.steps}, or the preset's"
        info = replace(steps, name=f'{name}_steps', doc=stage.doc, default=usual)
        add_option(group, info, default=None)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(',') if name.strip())


def run_of(args: argparse.Namespace) -> TrainConfig:
    """
    Return the configuration of a command line.

    :raises ConfigurationError: if a value or a combination is not allowed
    """
    if args.out.exists() and not args.out.is_dir():
        raise ConfigurationError(
            'train-output-file', f'--out is {args.out}, a file, must be a folder'
        )
    lengths = {name: getattr(args, f'{name}_steps') for name in STAGES}
    if args.backbone is not None and args.preset not in PLANS:
        lengths = {**lengths, 'vae': 0, 'video': 0}
    run = TrainConfig(
        **read_options(args, TrainConfig),
        plan=plan(args.batch, lengths, args.preset),
        hardware=Hardware(**read_options(args, Hardware)),
    )
    return replace(run, targets=tuple(name for name in NAMES if name in run.targets))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    run = run_of(args)
    torch.set_num_threads(run.threads)
    cv2.setNumThreads(run.threads)
    train(run)
    return 0
