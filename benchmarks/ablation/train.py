# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Shared stages of all contenders: the VAE, the video stage, and latents of all views.

The VAE is not trained any more, so its latents are computed once: of the views as recorded, and
of augmented copies.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.ablation.baseline import Material
from benchmarks.ablation.budget import Budget
from benchmarks.ablation.entries import entry_of
from viva_ros.core.errors import RecordingError
from viva_ros.core.normalize import JointRanges
from viva_ros.data.open import open_ref, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.model import checkpoint
from viva_ros.model.config import ViVaConfig, preset
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa
from viva_ros.sim.robots.registry import DEFAULT_ROBOT, ROBOTS
from viva_ros.training import cache, checkpointing, losses
from viva_ros.training.augmentation import AugmentSettings
from viva_ros.training.cache import Cut
from viva_ros.training.dataset import Data
from viva_ros.training.run import clip_spacing, prepare_vae
from viva_ros.training.trainer import Schedule, TrainStage

KEEP_EVERY: Final = 2  # frame
REPEAT_SEED: Final = 10_000  # between the seeds of two trainings of a contender
FRAMES: Final = 'frames'  # checkpoint after the VAE
MOTION: Final = 'motion'  # checkpoint after the video stage


def gather(budget: Budget) -> tuple[Data, ViVaConfig]:
    """Return the training data, decoded if necessary, and the configuration of ViVa."""
    refs = [resolve(path) for path in budget.paths('train')]
    names = episodes_of(open_ref(refs[0]))[0].joints.names
    cameras = ROBOTS[DEFAULT_ROBOT].cameras
    config = preset(budget.preset, cameras, names, ())
    how = Cut(cameras, names, config.image_size, config.horizon, KEEP_EVERY)
    data = cache.load(refs, budget.cache, how, budget.processes)
    return data, replace(config, tasks=data.tasks)


def learn_frames(budget: Budget) -> None:
    """Train the VAE, encode all views, and compute the statistics of latents and joints."""
    if (budget.shared / FRAMES / checkpoint.DESCRIPTION).is_file():
        return
    data, config = gather(budget)
    torch.manual_seed(budget.seed)
    model = ViVa(config, JointRanges.of(config.joint_names, [t.joints for t in data.tracks]))
    prepare_vae(model)
    budget.shared.mkdir(parents=True, exist_ok=True)
    steps = budget.vae_steps
    schedule = Schedule(steps, 16, 2e-3, min(100, max(1, steps // 5)))
    loss = losses.VaeLoss(model, data, AugmentSettings())
    TrainStage('vae', model.vae, schedule, budget.shared, budget.seed, loss).run()
    raw = losses.encode_all(model.eval(), data)
    losses.set_statistics(model, raw)
    _save(_copy(budget, 0), raw)
    about = {'stage': 'vae', 'steps': steps}
    about |= {'episode_identities': checkpointing.identities(data)}
    checkpoint.write(budget.shared / FRAMES, model, about)


def learn_motion(budget: Budget) -> None:
    """Train the transformer as a video generator."""
    if (budget.shared / MOTION / checkpoint.DESCRIPTION).is_file():
        return
    data, _ = gather(budget)
    model = checkpoint.read(budget.shared / FRAMES).model
    steps = budget.video_steps
    schedule = Schedule(steps, 32, 1e-3, min(200, max(1, steps // 5)))
    loss = losses.VideoLoss(model, data, _open(_copy(budget, 0)), clip_spacing(data))
    TrainStage('video', model.transformer, schedule, budget.shared, budget.seed + 1, loss).run()
    about = {'stage': 'video', 'steps': steps}
    about |= {'episode_identities': checkpointing.identities(data)}
    checkpoint.write(budget.shared / MOTION, model, about)


def encode_copy(budget: Budget, number: int) -> None:
    """Encode an augmented copy of all views; the number selects the seed."""
    if _copy(budget, number).is_file():
        return
    data, _ = gather(budget)
    model = checkpoint.read(budget.shared / FRAMES).model
    model.vae.to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(budget.seed + losses.COPY_SEED + number)
    _save(_copy(budget, number), losses.encode_all(model, data, AugmentSettings(), generator))


def material(budget: Budget, repeat: int = 0) -> Material:
    """
    Open the training data of all contenders.

    :param repeat: number of the training of a contender, which changes its seed
    :raises RecordingError: if stored latents are of other data
    """
    data, _ = gather(budget)
    base = checkpoint.read(budget.shared / MOTION).model
    paths = [_copy(budget, number) for number in range(budget.copies + 1)]
    copies = [_open(path) for path in paths]
    for path, latents in zip(paths, copies, strict=True):
        if len(latents) != len(data.images):
            raise RecordingError(
                'compare-latents',
                f'{path} has {len(latents)} moments, must be the {len(data.images)} of the '
                'training data: choose another --out',
            )
    return Material(base, data, copies, AugmentSettings(), budget.seed + REPEAT_SEED * repeat)


def _copy(budget: Budget, number: int) -> Path:
    return budget.shared / f'latents_{number}.npy'


def _save(path: Path, raw: NDArray[np.float16]) -> None:
    temporary = path.with_suffix('.part.npy')
    np.save(temporary, raw)
    temporary.replace(path)


def _open(path: Path) -> NDArray[np.float16]:
    return np.load(path, mmap_mode='r')


CHECKPOINT: Final = 'checkpoint'


def folder_of(budget: Budget, name: str) -> Path:
    """Return the folder of a contender."""
    return budget.out / name


def is_trained(budget: Budget, name: str) -> bool:
    """Return whether the training of a contender is finished."""
    return (folder_of(budget, name) / CHECKPOINT / checkpoint.DESCRIPTION).is_file()


def describe(budget: Budget, name: str) -> dict[str, Any]:
    """Return the description of the checkpoint of a trained contender."""
    return checkpoint.read_description(folder_of(budget, name) / CHECKPOINT)


def train(budget: Budget, name: str) -> None:
    """Train a contender, unless it is trained already; continue an interrupted training."""
    if is_trained(budget, name):
        return
    entry, repeat = entry_of(name)
    given = material(budget, repeat)
    contender = entry.build(given)
    folder = folder_of(budget, name)
    folder.mkdir(parents=True, exist_ok=True)
    if not entry.resumes:
        (folder / f'{name}.state').unlink(missing_ok=True)
    schedule = budget.schedule(entry)
    TrainStage(name, contender.trained, schedule, folder, given.seed + 2, contender.loss).run()
    contender.finish()
    module = contender.module.eval()
    spent = seconds(folder, name, schedule.steps)
    content = {
        'contender': name, 'schedule': asdict(schedule), 'seed': given.seed, 'seconds': spent,
        'vae_steps': budget.vae_steps, 'video_steps': budget.video_steps,
        'episodes': len(given.data.labels), 'moments': len(given.data.images),
        'episode_seeds': seeds_of(given.data.labels),
        'episode_identities': checkpointing.identities(given.data),
    }  # fmt: skip
    write(folder / CHECKPOINT, module, given.config, content)


def seeds_of(labels: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Return the seeds of the episodes that have one, by task."""
    found: dict[str, set[int]] = {}
    for label in labels:
        if label['seed'] is not None:
            found.setdefault(label['task'], set()).add(int(label['seed']))
    return {task: sorted(seeds) for task, seeds in sorted(found.items())}


def write(folder: Path, module: nn.Module, config: ViVaConfig, provenance: dict[str, Any]) -> None:
    """
    Write a checkpoint that ``viva export`` reads, or weights if there is no engine of this kind.

    :param config: configuration of the shared base model
    """
    if isinstance(module, ViVa | EarlyExit):
        checkpoint.write(folder, module, provenance)
        return
    if isinstance(module, ProprioModel):
        note = {'ranges': module.ranges.to_dict(), 'tasks': list(config.tasks)}
        note |= {'horizon': config.horizon, 'provenance': provenance}
        checkpoint.write_weights(folder, module, {'kind': 'proprio', **note})
        return
    checkpoint.write_weights(folder, module, {'kind': 'contender', 'provenance': provenance})


def open_module(name: str, budget: Budget, shared: Material) -> tuple[nn.Module, str]:
    """Return a trained module and its fingerprint."""
    entry, _ = entry_of(name)
    folder = folder_of(budget, name) / CHECKPOINT
    content = checkpoint.read_description(folder)
    if content['kind'] in checkpoint.KINDS.values():
        read = checkpoint.read(folder)
        return read.model, read.fingerprint
    built = entry.build(shared).module
    checkpoint.read_weights(folder, built, content['sha256'])
    return built.eval().requires_grad_(False), str(content['sha256'][:16])


def seconds(folder: Path, name: str, steps: int) -> float:
    """Return the time of all steps, from the last recorded time of a step, s."""
    rows = [json.loads(line) for line in (folder / 'curve.jsonl').read_text().splitlines()]
    paces = [row['seconds_a_step'] for row in rows if row['stage'] == name]
    return float(paces[-1] * steps) if paces else float('nan')


def step_of(folder: Path) -> int:
    """Return the last step in the training curve; 0 before it begins."""
    curve = folder / 'curve.jsonl'
    if not curve.is_file():
        return 0
    lines = curve.read_text(encoding='utf-8').splitlines()
    return int(json.loads(lines[-1])['step']) if lines else 0


def parameters(module: nn.Module) -> int:
    """Count the parameters that inference uses: all but the image decoder."""
    unused = ('vae.decoder.', 'vae.post_quant_conv.')
    named = module.named_parameters()
    return sum(p.numel() for name, p in named if not name.removeprefix('viva.').startswith(unused))
