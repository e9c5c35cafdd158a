# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What everyone begins with, trained and encoded once: VAE, motion, and latents of all views.

A VAE that does not learn any more gives the same latents in every step and for everyone, so they
are computed beforehand: of the views as they are, and of copies changed at random.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ablation.baseline import Material
from benchmarks.ablation.budget import Budget
from viva_ros.console.progress import bar
from viva_ros.core.normalize import JointRanges
from viva_ros.data.recording import read
from viva_ros.model import checkpoint
from viva_ros.model.config import ViVaConfig
from viva_ros.model.presets import preset
from viva_ros.model.viva import ViVa, to_pixels
from viva_ros.offline.dataset import Data
from viva_ros.training import cache
from viva_ros.training import losses as stages
from viva_ros.training.augmentation import AugmentSettings, augment
from viva_ros.training.cache import Cut
from viva_ros.training.trainer import Schedule, Stage

CAMERAS: Final = ('head', 'left_wrist', 'right_wrist')
KEEP_EVERY: Final = 2  # frame
CLIP_SPACING: Final = 2  # moments: 0.4 s
FIRST_LOGVAR: Final = 6.0
FRAMES: Final = 'frames'  # checkpoint after the VAE
MOTION: Final = 'motion'  # and after the video
BATCH: Final = 32


def gather(budget: Budget) -> tuple[Data, ViVaConfig]:
    """Give the training data, decoded if need be, and the configuration of ViVa."""
    paths = budget.paths('train')
    names = read(paths[0]).episodes()[0].joints.names
    blank = preset(budget.preset, CAMERAS, names, ())
    how = Cut(CAMERAS, names, blank.image_size, blank.horizon, KEEP_EVERY)
    part = f'compare_{budget.limit}' if budget.limit else 'compare'
    data = cache.load(paths, budget.cache, how, part, budget.processes)
    return data, replace(blank, tasks=data.tasks)


def learn_frames(budget: Budget) -> None:
    """Train the VAE, encode all views, and take the statistics of latents and joints."""
    if (budget.shared / FRAMES / checkpoint.DESCRIPTION).is_file():
        return
    data, config = gather(budget)
    torch.manual_seed(budget.seed)
    model = ViVa(config, JointRanges.of(config.joint_names, [t.joints for t in data.tracks]))
    model.vae.to(memory_format=torch.channels_last)
    with torch.no_grad():  # drawn latents begin near their means, or the decoder sees only noise
        model.vae.quant_conv.bias[config.vae.z_dim :] -= FIRST_LOGVAR
    budget.shared.mkdir(parents=True, exist_ok=True)
    steps = budget.vae_steps
    schedule = Schedule(steps, 16, 2e-3, min(100, max(1, steps // 5)))
    loss = stages.VaeLoss(model, data, AugmentSettings())
    Stage('vae', model.vae, schedule, budget.shared, budget.seed, loss).run()
    raw = stages.encode_all(model.eval(), data)
    stages.set_statistics(model, raw)
    _save(_copy(budget, 0), raw)
    checkpoint.write(budget.shared / FRAMES, model, {'stage': 'vae', 'steps': steps})


def learn_motion(budget: Budget) -> None:
    """Train the transformer as a generator of video, from the frames."""
    if (budget.shared / MOTION / checkpoint.DESCRIPTION).is_file():
        return
    data, _ = gather(budget)
    model = checkpoint.read(budget.shared / FRAMES).model
    steps = budget.video_steps
    schedule = Schedule(steps, 32, 1e-3, min(200, max(1, steps // 5)))
    loss = stages.VideoLoss(model, data, _open(_copy(budget, 0)), CLIP_SPACING)
    Stage('video', model.transformer, schedule, budget.shared, budget.seed + 1, loss).run()
    checkpoint.write(budget.shared / MOTION, model, {'stage': 'video', 'steps': steps})


def encode_copy(budget: Budget, number: int) -> None:
    """Encode all views, changed at random; the number is the seed."""
    if _copy(budget, number).is_file():
        return
    data, config = gather(budget)
    model = checkpoint.read(budget.shared / FRAMES).model
    model.vae.to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(budget.seed + 1000 + number)
    shape = (*data.images.shape[:2], *config.latent_shape)
    raw = np.empty(shape, dtype=np.float16)
    starts = range(0, len(raw), BATCH)
    with torch.inference_mode():
        for start in bar(starts, f'encoding copy {number}', total=len(starts)):
            images = torch.from_numpy(np.array(data.images[start : start + BATCH]))
            pixels = to_pixels(images.flatten(0, 1))
            latent = model.vae.encode(augment(pixels, AugmentSettings(), generator))
            raw[start : start + BATCH] = latent.unflatten(0, images.shape[:2]).numpy()
    _save(_copy(budget, number), raw)


def material(budget: Budget) -> Material:
    """Open what everyone learns from."""
    data, _ = gather(budget)
    base = checkpoint.read(budget.shared / MOTION).model
    copies = [_open(_copy(budget, number)) for number in range(budget.copies + 1)]
    return Material(base, data, copies, AugmentSettings(), budget.seed)


def _copy(budget: Budget, number: int) -> Path:
    return budget.shared / f'latents_{number}.npy'


def _save(path: Path, raw: NDArray[np.float16]) -> None:
    temporary = path.with_suffix('.part.npy')
    np.save(temporary, raw)
    temporary.replace(path)


def _open(path: Path) -> NDArray[np.float16]:
    return np.load(path, mmap_mode='r')
