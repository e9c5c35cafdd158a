# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Train a model on recordings."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

import cv2
import torch

from viva_ros.console.arguments import add_option, add_options, read_options
from viva_ros.console.progress import note
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.foreign_text import LINE_LENGTH, shown
from viva_ros.core.settings import setting_of
from viva_ros.data.split import TRAIN, VALIDATION
from viva_ros.model.config import PRESETS, ViVaConfig
from viva_ros.model.cost import CARDS, ROOM, SHARE
from viva_ros.model.latents import NAMES
from viva_ros.training import resources, sources, verdict
from viva_ros.training.config import (
    LORA_RATE,
    PLANS,
    Schedule,
    TrainConfig,
    TrainPlan,
    check_lengths,
    check_unused_options,
    plan,
)
from viva_ros.training.distributed import Hardware
from viva_ros.training.resources import Pace, TrainingDevice
from viva_ros.training.run import check, check_model, train
from viva_ros.training.survey import Survey, cached_bytes, survey_of

STAGES: Final = tuple(field.name for field in fields(TrainPlan))
ANY_BACKBONE: Final = Path('BACKBONE')  # of a plan without weights
DESCRIPTION: Final = (
    'Train a model on recordings. An interrupted run continues when the same command runs again.'
)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva train', description=DESCRIPTION)
    data, model = parser.add_argument_group('data'), parser.add_argument_group('model')
    optional = {name: {'required': False} for name in ('recordings', 'out')}  # with --plan
    add_options(
        data, TrainConfig, 'recordings', 'out', 'cache', 'cameras', 'tasks', keywords=optional
    )  # fmt: skip
    add_options(
        model, TrainConfig, 'preset', 'seed', 'targets', 'objective', 'backbone', 'embeddings',
        'lora', 'head', 'copies', 'horizon', 'init',
        keywords={'targets': {'type': _names, 'nargs': None}},
    )  # fmt: skip
    hardware = parser.add_argument_group('hardware')
    add_options(hardware, Hardware, keywords={'accumulate': {'type': _whole_or_auto}})
    add_options(hardware, TrainConfig, 'threads')
    _add_lengths(parser.add_argument_group('lengths'))
    _add_plan(parser.add_argument_group('plan'))
    args = parser.parse_args(argv)
    if not args.plans and (args.gpus or args.gpu or args.moments):
        parser.error('--gpus, --gpu and --moments need --plan')
    lacking = [f'--{name}' for name in ('recordings', 'out') if not getattr(args, name)]
    if args.plans:  # --moments takes the place of recordings
        lacking = [] if args.recordings or args.moments else ['--recordings or --moments']
    if lacking:
        parser.error(f'the following arguments are required: {", ".join(lacking)}')
    if args.device == 'cpu' and (args.gpus or args.gpu):
        parser.error('--device cpu has no GPUs to plan for: leave out --gpus and --gpu, or it')
    if args.plans and args.gpus and not args.gpu and not torch.cuda.is_available():
        parser.error(f'--gpus needs --gpu, one of {", ".join(CARDS)}: this machine has no GPU')
    return args


def _add_plan(group: argparse._ArgumentGroup) -> None:
    """Add the options of the plan."""
    group.add_argument(
        '--plan', action='store_true', dest='plans',
        help='Print memory, disk, steps and hours, and stop; exit code 2: it does not fit',
    )  # fmt: skip
    group.add_argument(
        '--gpus',
        type=_positive,
        nargs='+',
        help='Numbers of GPUs to plan for (default: those of this machine)',
    )
    group.add_argument(
        '--gpu',
        type=str.upper,
        choices=sorted(CARDS),
        help='GPU to plan for (default: that of this machine)',
    )
    group.add_argument(
        '--moments',
        type=_positive,
        nargs='+',
        help='Numbers of training moments to plan for (default: those of the recordings)',
    )


def _positive(text: str) -> int:
    """Read a number above 0; the name is part of the error of argparse."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} must be at least 1')
    return int(text)


def _add_lengths(group: argparse._ArgumentGroup) -> None:
    """Add the options of the schedules; the defaults are those of the plan of the preset."""
    batch, steps = setting_of(Schedule, 'batch'), setting_of(Schedule, 'steps')
    add_option(group, replace(batch, default='as in the preset'), default=None)
    rate, usual = setting_of(Schedule, 'rate'), f'as in the preset, or {LORA_RATE:g} with --lora'
    add_option(group, replace(rate, name='learning_rate', default=usual), default=None)
    add_options(group, TrainConfig, 'patience')
    for name in STAGES:
        stage = setting_of(TrainPlan, name)
        usual = f"{stage.default.steps}, or the preset's"
        info = replace(steps, name=f'{name}_steps', doc=stage.doc, default=usual)
        add_option(group, info, default=None)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(',') if name.strip())


def _whole_or_auto(text: str) -> int | None:
    """Read a number, or 'auto'; the name is part of the error of argparse."""
    return None if text == 'auto' else int(text)


def run_of(args: argparse.Namespace) -> TrainConfig:
    """
    Return the configuration of a command line.

    :raises ConfigurationError: if a value or a combination is not allowed
    """
    if args.plans:
        args.out = args.out or Path('runs/plan')
        if args.preset in PLANS and args.init is None:
            args.backbone = args.backbone or ANY_BACKBONE
    if args.out.exists() and not args.out.is_dir():
        raise ConfigurationError(
            'train-output-file', f'--out is {args.out}, a file, must be a folder'
        )
    given = {name: getattr(args, f'{name}_steps') for name in STAGES}
    lengths = dict(given)
    if args.init is not None or (args.backbone is not None and args.preset not in PLANS):
        lengths |= {'vae': 0, 'video': 0}
    run = TrainConfig(
        **read_options(args, TrainConfig),
        plan=plan(args.batch, lengths, args.preset, args.learning_rate, args.lora),
        hardware=Hardware(**read_options(args, Hardware)),
    )
    check_lengths(run, given)
    if not getattr(run.plan, run.last_stage).steps:
        check_unused_options(run, args.learning_rate)
    return replace(run, targets=tuple(name for name in NAMES if name in run.targets))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    run = run_of(args)
    torch.set_num_threads(run.threads)
    cv2.setNumThreads(run.threads)
    if args.plans:
        return show_plan(run, args.gpus, args.gpu, args.moments)
    train(run)
    return 0


def show_plan(
    run: TrainConfig, gpus: Sequence[int] | None, gpu: str | None, moments: Sequence[int] | None
) -> int:
    """Print the plan of a run; return the exit code."""
    config, numbers, warnings = PRESETS[run.preset], tuple(moments or ()), []
    held, cached = 0, 0.0
    if run.recordings:
        found = sources.find(run)
        config = found.blank
        surveys = {part: survey_of(run, found, part) for part in found.parts}
        for part, found_in in surveys.items():
            size = f'{found_in.recordings} recordings, {found_in.moments:,} moments'
            print(shown(f'{part}: {size}'))
        held = 0 if numbers else surveys['validation'].moments
        cached = cached_bytes(run, found)
        numbers = numbers or (max(1, surveys['train'].moments),)
        check(run, found, surveys['train'], run.backbone != ANY_BACKBONE)
        warnings += _episodes(run, surveys)
    else:
        check_model(run, config)
    config = run.config_of(config)
    device, pace, count = _speed(run, config, gpu)
    rows = [
        resources.estimate(run, config, number, each, device, pace, held)
        for each in gpus or (count,) for number in numbers
    ]  # fmt: skip
    free = device.free / resources.GB
    print(f'{shown(device.name)}, {free:.0f} GB free, {100 * ROOM:.0f} % are used')
    print(shown(resources.table(rows, device), LINE_LENGTH, lines=True))
    for one in rows:
        at = f'{one.processes} x {device.name}, {one.moments:,} moments'
        warnings += [f'{at}: {text}' for text in verdict.length(run, one.moments)]
        most = max(one.stages, key=lambda stage: stage.memory.total)
        parts = f'GB of stage {most.name}: {resources.described(most.memory)}'
        ram = f'RAM {one.ram / resources.GB:.1f} GB'
        encoding = f', {one.encoding:.1f} h of them encoding' if one.encoding >= 0.05 else ''
        disk = _parts(one.disk)
        print(shown(f'{at}: {one.hours:.1f} h{encoding}; {parts}; disk: {disk}; {ram}', 1000))
    for text in warnings:
        note(f'viva train: {text}')
    problems = [f'{one.processes} x {device.name}: {one.problem}' for one in rows if one.problem]
    if gpu is None:
        problems += [
            text for one in rows if (text := resources.disk_problem(run, one.disk, cached))
        ]
    for text in dict.fromkeys(problems):
        note(f'viva train: {text}')
    return 2 if problems else 0


def _episodes(run: TrainConfig, surveys: Mapping[str, Survey]) -> list[str]:
    """Return the warnings about the episodes of parts whose recordings were all looked at."""
    train, held = surveys[TRAIN], surveys[VALIDATION]
    found = verdict.outcomes([one.label for one in train.of(run.tasks)]) if train.is_whole else []
    return [*found, *(verdict.held(len(held.of(run.tasks))) if held.is_whole else [])]


def _parts(sizes: Mapping[str, float]) -> str:
    return ', '.join(f'{name} {size / resources.GB:.1f} GB' for name, size in sizes.items())


def _speed(
    run: TrainConfig, config: ViVaConfig, gpu: str | None
) -> tuple[TrainingDevice, Pace, int]:
    """Return the device to plan for, its speed, and the number of those on this machine."""
    if gpu is not None:
        card = CARDS[gpu]
        peak = card.peak if run.hardware.precision == 'bf16' else card.single
        return TrainingDevice(gpu, card.memory), Pace(SHARE * peak, {}), 1
    use_gpu = run.hardware.device != 'cpu' and torch.cuda.is_available()
    device = torch.device('cuda' if use_gpu else 'cpu')
    rate = SHARE * resources.product_rate(device, run.hardware.precision)
    count = torch.cuda.device_count() if use_gpu else 1
    return resources.device_of(device), resources.pace_of(run, config, rate), count
